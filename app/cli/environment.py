"""What commands work with: the settings, the database, and the organization."""

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.cli.errors import Failure
from app.organizations import repository
from app.organizations.organization import Organization
from app.organizations.principal import Actor
from app.platform import schema
from app.platform.database import Database
from app.platform.database_urls import driver_url
from app.platform.wording import sentence_for
from app.settings import Settings

P = ParamSpec("P")
_CHECK_URL = "Check ROLLCALL_DATABASE_URL. To set up a new database, run: rollcall migrate"


def read_settings() -> Settings:
    """Return the settings. Raises Failure, which names every variable with an invalid value."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"ROLLCALL_{str(each['loc'][0]).upper()}: {sentence_for(each)}" for each in error.errors()]
        raise Failure(" ".join(wrong)) from None


@asynccontextmanager
async def open_database(*, prepared: bool = True) -> AsyncIterator[Database]:
    """Open the configured database, or create it. If `prepared`, check its schema, or create it in a new database.

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


@asynccontextmanager
async def open_existing_database() -> AsyncIterator[Database]:
    """Open the configured database, and check its schema. A wrong URL creates nothing.

    Raises Failure and SchemaMismatch.
    """
    url = driver_url(read_settings().database_url)
    if url.get_backend_name() == "sqlite":
        _require_file(str(url.database))
    async with open_database(prepared=False) as database:
        if (await schema.read_state(database)).current is None:
            raise Failure(f"the database {url.database} is not set up for Rollcall. {_CHECK_URL}")
        await schema.prepare(database)
        yield database


def _require_file(name: str) -> None:
    file = Path(name).absolute()
    if not file.exists():
        raise Failure(f"there is no database {file}. {_CHECK_URL}")


def run(
    work: Callable[Concatenate[Database, P], Coroutine[Any, Any, None]],
    /,
    *arguments: P.args,
    **options: P.kwargs,
) -> None:
    """Open the existing database and run `work(database, *arguments, **options)`.

    Raises what `open_existing_database` and `work` raise.
    """
    asyncio.run(_run(work, *arguments, **options))


async def _run(
    work: Callable[Concatenate[Database, P], Coroutine[Any, Any, None]],
    *arguments: P.args,
    **options: P.kwargs,
) -> None:
    async with open_existing_database() as database:
        await work(database, *arguments, **options)


async def get_organization(connection: AsyncConnection, slug: str) -> Organization:
    """Return the organization with this slug. Raises Failure."""
    organization = await repository.find_organization(connection, slug)
    if organization is None:
        raise Failure(
            f"there is no organization {slug!r}. List them with `rollcall organizations list`, or create one with "
            "`rollcall organizations create`."
        )
    return organization


def get_actor() -> Actor:
    """Return who runs the command: the account of the process. Environment variables cannot change it."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # common in containers
        name = f"uid {number}"
    return Actor("command-line", None, name)
