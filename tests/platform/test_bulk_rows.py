"""Statements for thousands of rows work like those for a few, on both databases and for every column type."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.bulk_rows import hand_over, insert_rows, is_one_of, rows_as_table, update_rows
from app.platform.column_types import BinaryText, Id, Instant
from app.platform.database import Database
from app.platform.ids import new_id
from app.platform.metadata import metadata
from tests.support.service import NOON, Service

pytestmark = pytest.mark.anyio

FEW, MANY = 5, 300
things = Table(
    "bulk_things",
    MetaData(),
    Column("id", Id, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("instant", Instant),
    Column("day", Date),
    Column("flag", Boolean),
    Column("count", Integer),
    Column("name", Text),
    Column("key", BinaryText),
    Column("document", JSON(none_as_null=True)),
    Column("content", LargeBinary),
)
# Rows that a statement is given: no documents and contents, which plans do not need.
handed = Table(
    "bulk_given",
    MetaData(),
    *(Column(column.name, column.type) for column in list(things.columns)[:8]),
)
COLUMNS = [column.name for column in things.columns]
HARD_TEXTS = ["", "Žofie 🎓", "NULL", "\\N", "a\tb\nc\\d", "'; --", '"', "%s", "\u2028", "ﬃ", "A" * 3000]
DOCUMENTS: list[Any] = [{}, [], {"a": [1, None, "é", {"b": True}], "": 0.5}, ["é"], {"a": {}}, [None]]


def row(number: int) -> tuple[Any, ...]:
    """Return a row with values of every type. Every third value is missing."""

    def maybe(value: Any, place: int) -> Any:
        return None if (number + place) % 3 == 0 else value

    return (
        new_id(NOON + timedelta(seconds=number)),
        number - 2**62 if number % 2 else number + 2**62,
        maybe(datetime(1970 + number % 100, 2, 28, 23, 59, 59, number % 1_000_000, UTC), 0),
        maybe(date(1 + number * 7 % 9999, 1 + number % 12, 28), 1),
        maybe(number % 2 == 0, 2),
        maybe(-number, 3),
        maybe(HARD_TEXTS[number % len(HARD_TEXTS)], 4),
        maybe(HARD_TEXTS[-1 - number % len(HARD_TEXTS)], 5),
        maybe(DOCUMENTS[number % len(DOCUMENTS)], 6),
        maybe(bytes(range(number % 256)), 7),
    )


@pytest.fixture
async def table(service: Service) -> AsyncIterator[Database]:
    """Open the database with an empty table that has every column type."""
    database = service.database

    async def drop_and_create(connection: Any) -> None:
        await connection.run_sync(things.drop, checkfirst=True)
        await connection.run_sync(things.create)

    await database.write(drop_and_create)
    yield database
    await database.write(lambda connection: connection.run_sync(things.drop))


async def stored(database: Database) -> list[tuple[Any, ...]]:
    """Return all rows by number."""
    async with database.read() as connection:
        return [tuple(each) for each in await connection.execute(select(things).order_by(things.c.id))]


async def put(database: Database, rows: Sequence[Sequence[Any]]) -> None:
    await database.write(lambda connection: insert_rows(connection, things, COLUMNS, rows))


@pytest.mark.parametrize("size", [0, 1, FEW, 19, 20, 21, MANY])
async def test_inserted_values_of_every_type_are_read_back(table: Database, size: int) -> None:
    rows = [row(number) for number in range(size)]
    await put(table, rows)
    assert await stored(table) == rows


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_none_is_stored_as_null(table: Database, size: int) -> None:
    await put(table, [(new_id(NOON), number, *[None] * 8) for number in range(size)])
    async with table.read() as connection:
        for name in COLUMNS[2:]:
            found = await connection.execute(text(f"SELECT count(*) FROM bulk_things WHERE {name} IS NULL"))
            assert found.scalar_one() == size, name


async def test_few_and_many_rows_are_stored_alike(table: Database) -> None:
    """The stored bytes are the same, whether many rows or few are written at once."""

    async def raw() -> list[tuple[Any, ...]]:
        async with table.read() as connection:
            names = [*COLUMNS[:8], "CAST(document AS text)", "content"]
            found = await connection.execute(text(f"SELECT {', '.join(names)} FROM bulk_things ORDER BY id"))
            return [tuple(each) for each in found]

    rows = [row(number) for number in range(MANY)]
    await put(table, rows)
    as_many = await raw()
    await table.write(lambda connection: connection.execute(text("DELETE FROM bulk_things")))
    for start in range(0, MANY, FEW):
        await put(table, rows[start : start + FEW])
    assert await raw() == as_many


@pytest.mark.parametrize("size", [0, 1, FEW, 19, 20, MANY])
async def test_update_keeps_other_columns(table: Database, size: int) -> None:
    rows = [row(number) for number in range(MANY + 10)]
    await put(table, rows)
    changed = [
        (each[0], f"new {place}", DOCUMENTS[place % len(DOCUMENTS)]) for place, each in enumerate(rows[:size])
    ]
    await table.write(
        lambda connection: update_rows(connection, things, ["id"], ["name", "document"], changed)
    )
    expected = [
        (*each[:6], f"new {place}", each[7], DOCUMENTS[place % len(DOCUMENTS)], each[9])
        if place < size
        else each
        for place, each in enumerate(rows)
    ]
    assert await stored(table) == expected


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_update_sets_values_of_every_type(table: Database, size: int) -> None:
    rows = [row(number) for number in range(size)]
    await put(table, rows)
    changed = [(each[0], *row(number + 1000)[1:]) for number, each in enumerate(rows)]
    await table.write(lambda connection: update_rows(connection, things, ["id"], COLUMNS[1:], changed))
    assert await stored(table) == changed
    nothing = [(each[0], *[None] * 8) for each in rows]
    await table.write(lambda connection: update_rows(connection, things, ["id"], COLUMNS[2:], nothing))
    assert [each[2:] for each in await stored(table)] == [(None,) * 8] * size


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_update_finds_rows_by_all_keys(table: Database, size: int) -> None:
    rows = [row(number) for number in range(size)]
    await put(table, rows)
    wrong_number = [(each[0], each[1] + 1, "changed") for each in rows[::2]]
    unknown = [(new_id(NOON), 0, "changed") for _ in rows]
    right = [(each[0], each[1], "right") for each in rows[1::2]]
    changes = wrong_number + unknown + right
    await table.write(lambda connection: update_rows(connection, things, ["id", "number"], ["name"], changes))
    assert [each[6] for each in await stored(table)] == [
        "right" if place % 2 else each[6] for place, each in enumerate(rows)
    ]


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_many_rows_are_rolled_back_with_their_transaction(table: Database, size: int) -> None:
    rows = [row(number) for number in range(size)]

    async def fail(connection: Any) -> None:
        # The first statement of its transaction: COPY must not run before the transaction begins.
        await insert_rows(connection, things, COLUMNS, rows)
        await update_rows(connection, things, ["id"], ["name"], [(each[0], "x") for each in rows])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await table.write(fail)
    assert await stored(table) == []


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_duplicate_is_a_database_error(table: Database, size: int) -> None:
    rows = [row(number) for number in range(size)]
    await put(table, rows)

    async def once(connection: Any) -> None:
        try:
            await insert_rows(connection, things, COLUMNS, [(new_id(NOON), *each[1:]) for each in rows])
        except DBAPIError as error:
            raise LookupError from error  # otherwise it is tried again

    with pytest.raises(LookupError):
        await table.write(once)
    assert await stored(table) == rows


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_second_insert_of_the_same_key_is_tried_again(table: Database, size: int) -> None:
    async def insert_missing(connection: Any) -> int:
        known = set((await connection.execute(select(things.c.number))).scalars())
        missing = [row(number) for number in range(size) if row(number)[1] not in known]
        await insert_rows(connection, things, COLUMNS, missing)
        return len(missing)

    inserted = await asyncio.gather(*(table.write(insert_missing) for _ in range(4)))
    assert sum(inserted) == size
    assert len(await stored(table)) == size


async def test_value_that_a_column_cannot_hold_stores_nothing(table: Database) -> None:
    good = [row(number) for number in range(MANY)]
    naive = [*good[0][:2], datetime(2026, 1, 1), *good[0][3:]]  # noqa: DTZ001
    for rows in ([naive], [*good[1:], naive]):
        with pytest.raises(Exception, match="time zone"):
            await put(table, rows)
    assert await stored(table) == []


@pytest.mark.parametrize("size", [0, 1, FEW, 2000])
async def test_is_one_of_takes_any_number_of_values(table: Database, size: int) -> None:
    rows = [row(number) for number in range(MANY)]
    await put(table, rows)
    dialect = table.engine.dialect.name
    wanted = [each[0] for each in rows[:size]] + [new_id(NOON) for _ in range(size - MANY)]
    async with table.read() as connection:
        found = await connection.execute(
            select(things.c.id).where(is_one_of(things.c.id, wanted, dialect)).order_by(things.c.id)
        )
        assert list(found.scalars()) == [each[0] for each in rows[:size]]
        hard = {each[7] for each in rows if each[7] is not None} | {"nowhere"}
        found = await connection.execute(select(things.c.key).where(is_one_of(things.c.key, hard, dialect)))
        assert len(list(found.scalars())) == len([each for each in rows if each[7] is not None])


async def hand_to(connection: AsyncConnection, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return the rows as a statement reads them."""
    given = rows_as_table(handed, connection.dialect.name)
    statement = select(*given.c).order_by(given.c.number)
    parameters = await hand_over(connection, handed, rows)
    return [tuple(each) for each in await connection.execute(statement, parameters)]


@pytest.mark.parametrize("size", [1, FEW, 20, MANY])
async def test_statement_reads_the_values_of_every_type_that_it_is_given(table: Database, size: int) -> None:
    rows = sorted((row(number)[:8] for number in range(size)), key=itemgetter(1))
    async with table.read() as connection:
        assert await hand_to(connection, rows) == rows


async def test_statement_reads_none_as_null_in_every_column(table: Database) -> None:
    rows = [(None,) * 8 for _ in range(FEW)]
    async with table.read() as connection:
        assert await hand_to(connection, rows) == rows


async def test_statement_reads_only_the_rows_of_its_own_transaction(table: Database) -> None:
    """Each hand-over replaces the one before, also after a rollback and beside another transaction."""
    first, second = [row(1)[:8]], [row(number)[:8] for number in (2, 4)]
    async with table.engine.connect() as connection, table.engine.connect() as other:
        assert await hand_to(connection, first) == first
        assert await hand_to(other, second) == second
        assert await hand_to(connection, second) == second
        await connection.rollback()
        assert await hand_to(connection, first) == first


async def test_given_rows_can_be_joined_and_inserted(table: Database) -> None:
    """A date is compared as a date, an instant as an instant, and an id as an id."""
    rows = [row(number) for number in range(MANY)]
    await put(table, rows[::2])

    async def insert_others(connection: AsyncConnection) -> None:
        given = rows_as_table(handed, connection.dialect.name)
        names = [column.name for column in handed.columns]
        is_known = select(things.c.id).where(
            things.c.id == given.c.id,
            things.c.instant.is_not_distinct_from(given.c.instant),
            things.c.day.is_not_distinct_from(given.c.day),
            things.c.flag.is_not_distinct_from(given.c.flag),
        )
        new = select(*(given.c[name].label(f"new_{name}") for name in names)).where(~is_known.exists())
        parameters = await hand_over(connection, handed, [each[:8] for each in rows])
        await connection.execute(insert(things).from_select(names, new), parameters)

    await table.write(insert_others)
    assert [each[:8] for each in await stored(table)] == [each[:8] for each in rows]


async def test_ordinary_insert_is_read_back_alike(table: Database) -> None:
    rows = [row(number) for number in range(50)]
    await table.write(
        lambda connection: connection.execute(
            insert(things), [dict(zip(COLUMNS, each, strict=True)) for each in rows]
        )
    )
    assert await stored(table) == rows


def test_json_column_has_one_kind_of_null() -> None:
    columns = [column for each in metadata.tables.values() for column in each.columns]
    nullable = [column for column in columns if isinstance(column.type, JSON) and column.nullable]
    assert nullable
    assert all(isinstance(column.type, JSON) and column.type.none_as_null for column in nullable)
