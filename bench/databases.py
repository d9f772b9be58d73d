"""Temporary databases to measure, as durable as in production."""

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
# The settings of a small server. Vacuum and statistics run only when a benchmark asks for them.
_POSTGRESQL = {
    "shared_buffers": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}


@dataclass
class Databases:
    """Creates databases of one kind."""

    kind: str
    folder: Path
    _server: PostgresServer | None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def new_url(self) -> str:
        """Create an empty database and return its URL."""
        number = next(self._numbers)
        if self._server is None:
            return f"sqlite:///{self.folder}/bench{number}.db"
        return self._server.create_database(f"bench{number}")

    def new_folder(self) -> Path:
        """Create a folder for the files of a process."""
        return Path(tempfile.mkdtemp(dir=self.folder))


@contextmanager
def databases(kind: str) -> Iterator[Databases]:
    """Yield a factory for databases of this kind. All of them are deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as folder:
        if kind == "sqlite":
            yield Databases(kind, Path(folder), None)
            return
        with PostgresServer(durable=True, settings=_POSTGRESQL) as server:
            yield Databases(kind, Path(folder), server)


@asynccontextmanager
async def open_prepared(url: str) -> AsyncIterator[Database]:
    """Yield the database at this URL, with the service's schema."""
    database = Database(url)
    try:
        await schema.prepare(database)
        yield database
    finally:
        await database.close()


async def new_organization(database: Database, slug: str) -> Organization:
    """Create an organization in UTC."""
    now = SystemClock().now()
    return await database.write(create_organization, slug, slug.title(), "UTC", now)


async def server_version(database: Database) -> str:
    """Return the name and version of the database."""
    question = "SELECT 'SQLite ' || sqlite_version()" if database.is_sqlite else "SELECT version()"
    async with database.read() as connection:
        answer: str = (await connection.exec_driver_sql(question)).scalar_one()
    return " ".join(answer.split()[:2])
