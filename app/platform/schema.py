"""The schema of the database: which revision it has, which one this code needs, and the way there."""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.platform.database import Database

# Beside the package, both in a checkout and where it is installed.
_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# Any number that nothing else locks: two processes must not migrate one database at once.
_MIGRATION_LOCK = 7_046_029_254


class SchemaMismatch(Exception):
    """The database's schema is not the one that this version needs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The revision in the database (None = no schema at all) and the one that the code needs."""

    current: str | None
    needed: str
    known: frozenset[str]

    @property
    def is_current(self) -> bool:
        """Whether the two are the same."""
        return self.current == self.needed

    def require_current(self) -> None:
        """Raises SchemaMismatch where the schema is older or newer than this code."""
        if self.is_current:
            return
        if self.current is not None and self.current not in self.known:
            raise SchemaMismatch(
                f"The database's schema (revision {self.current}) is newer than this version of Rollcall knows. "
                "Start the newer version."
            )
        raise SchemaMismatch(
            f"The database's schema is at revision {self.current or 'none'}, and this version needs {self.needed}. "
            "Run: rollcall migrate"
        )


def migration_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, in code, so that the service needs no file for it."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def read_state(database: Database) -> SchemaState:
    """Look up both revisions."""
    script = ScriptDirectory.from_config(migration_config())
    known = frozenset(revision.revision for revision in script.walk_revisions())
    async with database.read() as connection:
        current = await connection.run_sync(_current_revision)
    return SchemaState(current, str(script.get_current_head()), known)


async def upgrade(database: Database) -> None:
    """Bring the schema to this version. One process does it; others wait and find it done."""
    await database.write(lambda connection: connection.run_sync(_upgrade))


async def prepare(database: Database) -> None:
    """What a start does: migrate an empty database and any SQLite file, else insist on the right schema.

    A PostgreSQL schema is migrated by nobody in passing: other processes may be using it. Raises SchemaMismatch.
    """
    state = await read_state(database)
    may_migrate = state.current is None or (database.is_sqlite and state.current in state.known)
    if not state.is_current and may_migrate:
        await upgrade(database)
        state = await read_state(database)
    state.require_current()


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    command.upgrade(migration_config(connection), "head")
