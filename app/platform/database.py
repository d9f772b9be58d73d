"""The database: a pool of connections, and the three ways to use it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.connectors.asyncio import AsyncAdapt_Error
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.database_errors import lost_a_race
from app.platform.database_urls import driver_url, libpq_url
from app.platform.engines import create_engine

T = TypeVar("T")
P = ParamSpec("P")

_ATTEMPTS = 8


class Database:
    """A pool of connections to one database, and the three ways to use it.

    `read` runs single statements, `snapshot` sees one state throughout, `write` commits everything or nothing.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """`url`: `sqlite:///path` or `postgresql://…`; `pool_size`: the most connections per process."""
        self.url = driver_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # SQLite lets one connection write at a time. This queue is fair and does not busy-wait, as threads at
        # SQLite's file lock do. Other processes still meet at the file lock.
        self._writer = asyncio.Lock() if self.is_sqlite else None
        self.engine = create_engine(self.url, pool_size)

    @property
    def libpq_url(self) -> str:
        """The URL of a PostgreSQL database as libpq takes it, for connections outside the pool."""
        return libpq_url(self.url)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection that commits each statement by itself, in one round trip."""
        options = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        async with self._connect(options) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection whose statements all see the same state: that of the first statement."""
        options = (
            {"sqlite_begin": "BEGIN"}
            if self.is_sqlite
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        async with self._connect(options) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        options = {"sqlite_begin": "BEGIN IMMEDIATE"} if self.is_sqlite else {}
        async with self._connect(options) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _connect(self, options: dict[str, Any]) -> AsyncIterator[AsyncConnection]:
        async with self.engine.connect() as connection:
            try:
                await connection.execution_options(**options)
            except AsyncAdapt_Error as error:
                # SQLAlchemy does not wrap what the driver raises here if a new connection breaks at once.
                raise OperationalError(None, None, error) from error
            yield connection

    async def write(
        self,
        work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
        /,
        *arguments: P.args,
        **options: P.kwargs,
    ) -> T:
        """Run `work(connection, *arguments, **options)` in one transaction and commit it before returning.

        If another transaction gets in the way (deadlock, serialization failure, or the same unique key inserted
        at the same moment), roll back and run `work` again. So `work` must have no effects outside the database.
        """
        attempt = 1
        while True:
            try:
                return await self._write_once(work, *arguments, **options)
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not lost_a_race(error):
                    raise
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
            attempt += 1

    async def _write_once(
        self,
        work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> T:
        if self._writer is None:
            async with self._transaction() as connection:
                return await work(connection, *arguments, **options)
        async with self._writer, self._transaction() as connection:
            return await work(connection, *arguments, **options)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
