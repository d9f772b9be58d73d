"""Where a command works: the settings, the database that they name, and the organization asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.cli.errors import Failure, sentence
from app.organizations import repository
from app.organizations.organization import Organization
from app.platform import schema
from app.platform.database import Database
from app.settings import Settings


def read_settings() -> Settings:
    """The settings. Raises Failure, which names every variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"ROLLCALL_{str(each['loc'][0]).upper()}: {sentence(each)}" for each in error.errors()]
        raise Failure("; ".join(wrong)) from None


@asynccontextmanager
async def open_database(*, prepared: bool = True) -> AsyncIterator[Database]:
    """The database of the settings; with the schema of this version, unless it is wanted as it is found.

    Raises Failure and SchemaMismatch.
    """
    settings = read_settings()
    database = Database(settings.database_url, pool_size=settings.database_pool_size)
    try:
        if prepared:
            await schema.prepare(database)
        yield database
    finally:
        await database.close()


def run(work: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    """Do all of a command's work on the database. Raises what `open_database` and the work do."""

    async def with_database() -> None:
        async with open_database() as database:
            await work(database)

    asyncio.run(with_database())


async def get_organization(connection: AsyncConnection, slug: str) -> Organization:
    """The organization with this slug. Raises Failure, which says where to look."""
    organization = await repository.find_organization(connection, slug)
    if organization is None:
        raise Failure(
            f"there is no organization {slug!r}; `rollcall organizations list` shows those there are, "
            "`rollcall organizations create` makes one"
        )
    return organization
