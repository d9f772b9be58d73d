"""What a query finds as lines of CSV, a part at a time: for exports of any length."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.bulk_rows import postgresql_driver

_ROWS_AT_ONCE = 5000
# Parts that wait for a slow reader before the database has to.
_PARTS_AHEAD = 4


def lines(rows: Iterable[Sequence[str | None]]) -> bytes:
    """A line for each of these rows; what is missing is an empty cell."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()


@asynccontextmanager
async def open_lines(
    connection: AsyncConnection, header: Sequence[str], query: Select[Any]
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The header, then a line for each row of a query for texts, none of which holds a line break.

    To be read inside of the context: whoever stops early leaves a connection that is not fit for more.
    """
    read = _copied if connection.dialect.name == "postgresql" else _fetched
    async with read(connection, query) as parts:
        yield put_before(lines([header]), parts)


async def put_before(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`first`, then all the rest."""
    yield first
    async for part in rest:
        yield part


@asynccontextmanager
async def _fetched(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[AsyncIterator[bytes]]:
    async with connection.stream(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as result:

        async def parts() -> AsyncIterator[bytes]:
            async for rows in result.partitions():
                yield await asyncio.to_thread(lines, rows)

        yield parts()


@asynccontextmanager
async def _copied(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Lines made by the server, which takes half the time of making them here."""
    expanded = query.compile(dialect=connection.dialect).construct_expanded_state()
    parameters = [
        expanded.processors[name](value) if name in expanded.processors else value
        for name, value in zip(expanded.positiontup or (), expanded.positional_parameters, strict=True)
    ]
    sending, receiving = anyio.create_memory_object_stream[bytes](_PARTS_AHEAD)
    async with postgresql_driver(connection) as driver:

        async def copy() -> None:
            async with sending:
                await driver.copy_from_query(
                    expanded.statement, *parameters, output=sending.send, format="csv"
                )

        async def parts() -> AsyncIterator[bytes]:
            async for block in receiving:
                # RFC 4180 section 2 ends lines so; COPY does only on Windows.
                yield bytes(block).replace(b"\n", b"\r\n")
            await copying

        copying = asyncio.create_task(copy())
        try:
            yield parts()
        finally:
            is_broken_off = not copying.done()
            if is_broken_off:
                # A COPY can only be broken off together with its connection.
                driver.terminate()
            receiving.close()
            await asyncio.gather(copying, return_exceptions=True)
            if is_broken_off:
                await connection.invalidate()
