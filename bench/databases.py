"""The databases that are measured: throw-away ones, durable as in earnest, gone when the run ends."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from app.organizations.organization import Organization
from app.organizations.service import create_organization
from app.platform import schema
from app.platform.clock import SystemClock
from app.platform.database import Database
from tests.support.postgres import PostgresServer

KINDS = ("sqlite", "postgresql")
# What a small server is given; statistics and vacuum come when a benchmark asks, not in the middle of one.
_POSTGRESQL = {
    "shared_buffers": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}


@dataclass
class Databases:
    """New databases of one kind, as many as are asked for."""

    kind: str
    folder: Path
    _server: PostgresServer | None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def new_url(self) -> str:
        """The address of a new, empty database."""
        number = next(self._numbers)
        if self._server is None:
            return f"sqlite:///{self.folder}/bench{number}.db"
        return self._server.create_database(f"bench{number}")

    def new_folder(self) -> Path:
        """A new folder for what a process writes."""
        return Path(tempfile.mkdtemp(dir=self.folder))


@contextmanager
def databases(kind: str) -> Iterator[Databases]:
    """A place for databases of this kind, removed afterwards with all that is in them."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as folder:
        if kind == "sqlite":
            yield Databases(kind, Path(folder), None)
            return
        with PostgresServer(durable=True, settings=_POSTGRESQL) as server:
            yield Databases(kind, Path(folder), server)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database at this address with the service's schema."""
    database = Database(url)
    try:
        await schema.prepare(database)
        yield database
    finally:
        await database.close()


async def new_organization(database: Database, slug: str) -> Organization:
    """An organization of this name, in UTC."""
    now = SystemClock().now()
    return await database.write(
        lambda connection: create_organization(connection, slug, slug.title(), "UTC", now)
    )


async def server_version(database: Database) -> str:
    """What the database says it is."""
    question = "SELECT 'SQLite ' || sqlite_version()" if database.is_sqlite else "SELECT version()"
    async with database.read() as connection:
        answer: str = (await connection.exec_driver_sql(question)).scalar_one()
    return " ".join(answer.split()[:2])
