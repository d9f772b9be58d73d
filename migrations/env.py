"""Runs Alembic on the connection that the service hands in, within its transaction."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

import app.learners.tables
import app.operations.tables
import app.organizations.tables
import app.platform.tables
import app.webhooks.tables  # noqa: F401 - each declares its tables
from app.platform.database import Database
from app.platform.metadata import is_kept_for, metadata
from app.settings import Settings


def _is_declared(name: str | None, _kind: str, _parents: object) -> bool:
    # Migrations create the trigram indexes with SQL. SQLAlchemy cannot describe them and would drop them.
    return "learner_search_trigrams" not in (name or "")


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=_is_declared,
        include_object=lambda item, *_: is_kept_for(connection.dialect.name, item),
        compare_server_default=False,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run_on(connection: AsyncConnection) -> None:
    await connection.run_sync(_run)


async def _run_from_command_line() -> None:
    database = Database(Settings().database_url)
    try:
        await database.write(_run_on)
    finally:
        await database.close()


given: Connection | None = context.config.attributes.get("connection")
if given is None:
    asyncio.run(_run_from_command_line())
else:
    _run(given)
