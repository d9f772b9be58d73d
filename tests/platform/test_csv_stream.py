"""CSV lines of a query are the same on both databases, for any length and wherever the reader stops."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Date, Integer, String, Text, case, cast, func, literal, select, type_coerce, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.csv_cells import guard_formula, unguard_formula, write_line
from app.platform.csv_stream import open_lines
from tests.support.examples import limit_examples
from tests.support.service import Service

pytestmark = pytest.mark.anyio

MANY = 60_000


@pytest.fixture
async def connection(service: Service) -> AsyncIterator[AsyncConnection]:
    async with service.database.snapshot() as connection:
        yield connection


HEADER = b"Number,Text\r\n"


async def read(connection: AsyncConnection, query: Any) -> Any:
    async with open_lines(connection, ("Number", "Text"), query) as parts:
        found = [part async for part in parts]
    assert found.pop(0) == HEADER
    return found


def numbers(up_to: int) -> Any:
    """Return a query for the numbers from 0 to `up_to` (excluded), each with a text as long as a name."""
    first = select(literal(0).label("number")).cte("numbers", recursive=True)
    each = first.union_all(select(first.c.number + 1).where(first.c.number < up_to - 1))
    return select(cast(each.c.number, Text), literal("x" * 40, Text)).order_by(each.c.number)


async def test_cells_survive_a_csv_reader(connection: AsyncConnection) -> None:
    rows = [
        ["plain", "two words"],
        ["a, b", 'she said "no"'],
        ["Özil", "山田 太郎"],
        [" outer ", "\\."],
        ["x;y", "x|y"],
        ["O'Neill", "‘t Hooft"],  # noqa: RUF001
    ]
    query = union_all(
        *(
            select(literal(place, Integer).label("place"), *(literal(cell, Text) for cell in row))
            for place, row in enumerate(rows)
        )
    ).subquery()
    columns = list(query.c)
    text = b"".join(await read(connection, select(*columns[1:]).order_by(columns[0])))
    assert list(csv.reader(text.decode().splitlines(keepends=True), strict=True)) == rows
    assert text.count(b"\r\n") == text.count(b"\n") == len(rows)


CHARACTERS = st.sampled_from("=+-@＝'\",;|\\ a山\u2019\ufeff\u200b") | st.characters(exclude_categories=["C"])  # noqa: RUF001
CELLS = st.text(CHARACTERS, max_size=9).map(str.strip)


@limit_examples(50)
@given(rows=st.lists(st.tuples(CELLS, st.none() | CELLS), min_size=1, max_size=9))
async def test_any_cells_are_guarded_and_come_back(connection: AsyncConnection, rows: Any) -> None:
    query = union_all(
        *(
            select(literal(place, Integer).label("place"), *(literal(cell, Text) for cell in row))
            for place, row in enumerate(rows)
        )
    ).subquery()
    columns = list(query.c)
    text = b"".join(await read(connection, select(*columns[1:]).order_by(columns[0]))).decode()
    expected = [[guard_formula(cell or "") for cell in row] for row in rows]
    assert text == "".join(map(write_line, expected))
    found = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert [[*map(unguard_formula, cells)] for cells in found] == [
        [cell or "" for cell in row] for row in rows
    ]


async def test_dates_are_iso_dates_whatever_the_database_prefers(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("SET LOCAL datestyle = 'German'")
    day = select(literal(date(2026, 11, 2), Date).label("day")).subquery().c.day
    query = select(type_coerce(day, Text), literal("x", Text))
    assert await read(connection, query) == [b"2026-11-02,x\r\n"]


async def test_none_is_an_empty_cell(connection: AsyncConnection) -> None:
    query = select(literal(None, Text), literal("x", Text), literal(None, Text))
    assert await read(connection, query) == [b",x,\r\n"]


async def test_empty_result_has_only_a_header(connection: AsyncConnection) -> None:
    query = select(literal("x", Text)).where(literal("a", String) == "b")
    assert await read(connection, query) == []


async def test_many_rows_are_whole_lines_in_order(connection: AsyncConnection) -> None:
    parts = await read(connection, numbers(MANY))
    assert len(parts) > 1
    assert all(part.endswith(b"\r\n") for part in parts)
    found = [int(line.partition(b",")[0]) for line in b"".join(parts).splitlines()]
    assert found == list(range(MANY))


async def test_reader_that_stops_early_leaves_the_pool_usable(service: Service) -> None:
    async def export() -> AsyncGenerator[Any]:
        async with (
            service.database.snapshot() as connection,
            open_lines(connection, ("Number", "Text"), numbers(MANY)) as parts,
        ):
            async for part in parts:
                yield part

    for _ in range(20):  # more than the pool has connections
        async with aclosing(export()) as parts:
            assert await anext(parts) == HEADER
            assert await anext(parts)
    async with service.database.snapshot() as connection:
        counting = select(func.count()).select_from(numbers(7).subquery())
        assert (await connection.execute(counting)).scalar_one() == 7


async def test_error_in_the_middle_is_a_database_error(service: Service) -> None:
    query = numbers(MANY)
    number = cast(query.selected_columns[0], Integer)
    failing: Any
    async with service.database.snapshot() as connection:
        if connection.dialect.name == "sqlite":  # which divides by zero without an error
            failing, message = func.json(case((number == MANY - 5, "{"), else_="1")), "malformed JSON"
        else:
            failing, message = cast(1 / (number - literal(MANY - 5, Integer)), Text), "division"
        with pytest.raises(DBAPIError, match=message):
            await read(connection, query.add_columns(failing))
