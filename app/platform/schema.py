"""The database schema: its revision, the revision that this code needs, and how to get there."""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.database import Database

# Beside the package, in a checkout and in an installation.
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# Two processes must not migrate one database at once. Any number that nothing else locks will do.
_MIGRATION_LOCK = 7_046_029_254


class SchemaMismatch(Exception):
    """This version needs another database schema. The message says what to do."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The revision in the database (None = no schema yet) and the revision that the code needs."""

    current: str | None
    needed: str
    known: frozenset[str]

    @property
    def is_current(self) -> bool:
        """Whether the database has the revision that the code needs."""
        return self.current == self.needed

    def require_current(self) -> None:
        """Raise SchemaMismatch if the schema is older or newer than this code."""
        if self.is_current:
            return
        if self.current is not None and self.current not in self.known:
            raise SchemaMismatch(
                f"The database schema has revision {self.current}, which this version of Rollcall does not know. "
                "Use the newer version."
            )
        raise SchemaMismatch(
            f"The database schema has revision {self.current or 'none'}, but this version needs {self.needed}. "
            "Run: rollcall migrate"
        )


def migration_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration. It is made in code, so the service needs no file for it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def read_state(database: Database) -> SchemaState:
    """Read the revision of the database and the one that the code needs."""
    script = ScriptDirectory.from_config(migration_config())
    known = frozenset(revision.revision for revision in script.walk_revisions())
    async with database.read() as connection:
        current = await connection.run_sync(_current_revision)
    return SchemaState(current, str(script.get_current_head()), known)


async def upgrade(database: Database) -> None:
    """Update the schema to this version. If several processes do this at once, one works and the others wait."""
    await database.write(_upgrade)


async def prepare(database: Database) -> None:
    """Prepare the database at start: migrate it if it is empty or SQLite, otherwise check its schema.

    An existing PostgreSQL schema is only checked, because other processes may be using it. Raises SchemaMismatch.
    """
    state = await read_state(database)
    may_migrate = state.current is None or (database.is_sqlite and state.current in state.known)
    if not state.is_current and may_migrate:
        await upgrade(database)
        state = await read_state(database)
    state.require_current()


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def _upgrade(connection: AsyncConnection) -> None:
    await connection.run_sync(_upgrade_to_head)


def _upgrade_to_head(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    command.upgrade(migration_config(connection), "head")
