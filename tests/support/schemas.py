"""Databases of a test's own, and what there is in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from app.platform import schema
from app.platform.database import Database
from tests.support.postgres import PostgresServer

_numbers = count(1)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database, closed at the end."""
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()


def new_url(kind: str, request: pytest.FixtureRequest) -> str:
    """The address of an empty database of this kind."""
    if kind == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/rollcall{next(_numbers)}.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(f"migrations_{next(_numbers)}")


async def migrate(database: Database, revision: str) -> None:
    """Bring the schema to this revision, up or down."""

    def work(connection: Connection) -> None:
        config = schema.migration_config(connection)
        known = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
        current = MigrationContext.configure(connection).get_current_revision()
        is_down = revision == "base" or (current in known and known.index(revision) > known.index(current))
        (command.downgrade if is_down else command.upgrade)(config, revision)

    await database.write(lambda connection: connection.run_sync(work))


async def ask(database: Database, sql: str) -> list[Any]:
    """The first column of what a query finds."""
    async with database.read() as connection:
        return list((await connection.execute(text(sql))).scalars())


async def reflected(database: Database) -> Any:
    """Everything that the database says of its tables, by table, in a form that can be compared."""

    def look(connection: Connection) -> dict[str, Any]:
        inspector = inspect(connection)
        return {
            name: {
                "columns": {
                    column["name"]: {**column, "type": column["type"].compile(connection.dialect)}
                    for column in inspector.get_columns(name)
                },
                "primary key": inspector.get_pk_constraint(name),
                "foreign keys": by_name(inspector.get_foreign_keys(name)),
                "uniques": by_name(inspector.get_unique_constraints(name)),
                "checks": by_name(inspector.get_check_constraints(name)),
                "indexes": by_name(inspector.get_indexes(name)),
            }
            for name in inspector.get_table_names()
            if not name.startswith("learner_search_trigrams")
        }

    async with database.read() as connection:
        return await connection.run_sync(look)


def by_name(found: Any) -> dict[str, Any]:
    return {each["name"]: plain(each) for each in found}


def plain(value: Any) -> Any:
    """With the text of an expression for the expression, which equals nothing but itself."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return str(value)
