"""The result of a query as lines of CSV, in parts, for files of any length."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import anyio
from sqlalchemy import Select, func
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.bulk_rows import postgresql_driver
from app.platform.csv_cells import FORMULA_CHARACTERS, INVISIBLE_CHARACTERS, write_guarded_line, write_line
from app.platform.threads import compute

_ROWS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 131_072
# How many parts are buffered for a slow reader before the database has to wait.
_PARTS_AHEAD = 4

# What a cell that has to be guarded may begin with, as bytes of UTF-8.
_GUARDED_BEGINNINGS = {character.encode()[0] for character in "'" + FORMULA_CHARACTERS + INVISIBLE_CHARACTERS}


@dataclass(frozen=True, slots=True)
class _Notation:
    """How a database writes the lines that it sends. They end with LF and have no quotes."""

    # The byte between two cells.
    between: bytes
    # A line without these bytes has no cell to quote.
    special: tuple[bytes, ...]
    # Read the cells of a line.
    split: Callable[[str], list[str]]

    @property
    def beginnings(self) -> bytes:
        """A table for `translate` that makes `,=` of the beginning of each cell that may have to be guarded."""
        to = bytearray(b" " * 256)
        for byte in _GUARDED_BEGINNINGS:
            to[byte] = ord("=")
        for byte in self.between + b"\n":
            to[byte] = ord(",")
        return bytes(to)


def _split_copied(line: str) -> list[str]:
    r"""Read a line that COPY wrote: `\\` is a backslash, and `\,` is a comma in a cell."""
    if "\\" not in line:
        return line.split(",")
    cells = line.replace(r"\\", "\1").replace(r"\,", "\2").split(",")
    return [cell.replace("\2", ",").replace("\1", "\\") for cell in cells]


_COPIED = _Notation(b",", (b'"', b";", b"|", b"\\"), _split_copied)
# No text contains this control character.
_JOINED = _Notation(b"\x1f", (b'"', b";", b"|", b","), lambda line: line.split("\x1f"))


@asynccontextmanager
async def open_lines(
    connection: AsyncConnection, header: Sequence[str], query: Select[Any]
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield the header, then a line for each row of a query, with guarded cells. NULL becomes an empty cell.

    Cells are texts without control characters and outer white space, or dates. Read the parts inside the context. If
    you stop early, do not use the connection again.
    """
    is_postgresql = connection.dialect.name == "postgresql"
    read, notation = (_copy_rows, _COPIED) if is_postgresql else (_fetch_rows, _JOINED)
    async with read(connection, query) as blocks:
        yield prepend(write_line(header).encode(), _make_parts(blocks, notation))


async def prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `first`, then every part of `rest`."""
    yield first
    async for part in rest:
        yield part


async def _make_parts(blocks: AsyncIterator[bytes], notation: _Notation) -> AsyncIterator[bytes]:
    """Yield each block of lines from a database as CSV."""
    beginnings = notation.beginnings
    async for block in blocks:
        special = _find_special_lines(block, notation, beginnings)
        yield await compute(len(special), partial(_write_lines, block, special, notation))


def _find_special_lines(block: bytes, notation: _Notation, beginnings: bytes) -> list[int]:
    """Return where the lines begin that may have a cell to guard or to quote.

    These searches take a third of the time of a regular expression.
    """
    found: set[int] = set()
    for byte in notation.special:
        found.update(_find_lines(block, block, byte))
    guarded = block.translate(beginnings)
    if guarded.startswith(b"="):
        found.add(0)
    found.update(_find_lines(block, guarded, b",="))
    return sorted(found)


def _find_lines(block: bytes, searched: bytes, sign: bytes) -> Iterator[int]:
    """Yield where the lines of `block` begin that have this sign in `searched`, which is as long."""
    place = searched.find(sign)
    while place >= 0:
        # The line break before a line may be part of the sign.
        yield block.rfind(b"\n", 0, place + 1) + 1
        place = searched.find(sign, block.find(b"\n", place + 1))


def _write_lines(block: bytes, special: Sequence[int], notation: _Notation) -> bytes:
    """Return a block of lines as CSV. `special`: where the lines begin that may have cells to guard or to quote."""
    written: list[bytes] = []
    done = 0
    for start in special:
        end = block.index(b"\n", start)
        cells = notation.split(block[start:end].decode())
        written += _write_plain(block[done:start], notation), write_guarded_line(cells).encode()
        done = end + 1
    written.append(_write_plain(block[done:], notation))
    return b"".join(written)


def _write_plain(lines: bytes, notation: _Notation) -> bytes:
    return lines.replace(notation.between, b",").replace(b"\n", b"\r\n")


def _compile(connection: AsyncConnection, query: Select[Any]) -> tuple[str, list[Any]]:
    """Return the statement and the parameters as the driver takes them."""
    expanded = query.compile(dialect=connection.dialect).construct_expanded_state()
    return expanded.statement, [
        expanded.processors[name](value) if name in expanded.processors else value
        for name, value in zip(expanded.positiontup or (), expanded.positional_parameters, strict=True)
    ]


@asynccontextmanager
async def _fetch_rows(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield lines that SQLite joins, because fetching and writing each cell takes longer."""
    cells = list(query.selected_columns)
    line = func.printf(_JOINED.between.decode().join(["%s"] * len(cells)), *cells)
    statement, parameters = _compile(connection, query.with_only_columns(line, maintain_column_froms=True))
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with driver.execute(statement, parameters) as cursor:

            async def blocks() -> AsyncIterator[bytes]:
                while rows := await cursor.fetchmany(_ROWS_AT_ONCE):
                    yield "\n".join([*chain.from_iterable(rows), ""]).encode()

            yield blocks()
    except sqlite3.Error as error:
        # Code that tries again knows SQLAlchemy's errors, not the driver's.
        raise DBAPIError(None, None, error) from error


@asynccontextmanager
async def _copy_rows(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield lines that COPY writes."""
    statement, parameters = _compile(connection, query)
    sending, receiving = anyio.create_memory_object_stream[bytes](_PARTS_AHEAD)
    async with postgresql_driver(connection) as driver:
        # Another style of dates could be set for the server or the database.
        await driver.execute("SET LOCAL datestyle = 'ISO'")

        async def copy() -> None:
            async with sending:
                block = bytearray()

                async def gather(rows: bytes) -> None:
                    nonlocal block
                    block += rows
                    if len(block) >= _BYTES_AT_ONCE:
                        full, block = block, bytearray()
                        await sending.send(bytes(full))

                await driver.copy_from_query(
                    statement, *parameters, output=gather, format="text", delimiter=",", null=""
                )
                if block:
                    await sending.send(bytes(block))

        async def blocks() -> AsyncIterator[bytes]:
            async for block in receiving:
                yield block
            await copying

        copying = asyncio.create_task(copy())
        try:
            yield blocks()
        finally:
            is_cut_off = not copying.done()
            if is_cut_off:
                # A COPY can only be cut off by closing its connection.
                driver.terminate()
            receiving.close()
            await asyncio.gather(copying, return_exceptions=True)
            if is_cut_off:
                await connection.invalidate()
