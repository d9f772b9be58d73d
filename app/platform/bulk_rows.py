"""Many rows in one statement: how thousands of rows are inserted or updated without a round trip each.

PostgreSQL takes COPY and arrays, SQLite an `executemany` inside the process; a few rows go the same
ordinary way on both.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnElement,
    Exists,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    column,
    delete,
    func,
    insert,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.threads import compute

Values = Sequence[Any]

# Below this an ordinary INSERT or UPDATE costs less than setting up COPY or arrays.
_FEW = 20


async def expect_many_rows(connection: AsyncConnection) -> None:
    """Have PostgreSQL plan the statements of this transaction for thousands of rows in tables of any size.

    Each anew: a plan that was kept from when a table was small goes through all of it. And with an index as the
    likelier way: for a few thousand rows of a million, the usual cost of a page that is not the next one makes the
    whole table seem cheaper.
    """
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(
            "SELECT set_config('plan_cache_mode', 'force_custom_plan', true),"
            " set_config('random_page_cost', '1.1', true)"
        )


async def insert_rows(
    connection: AsyncConnection, table: Table, columns: Sequence[str], rows: Sequence[Values]
) -> None:
    """Insert `rows`, each a sequence of values in the order of `columns`."""
    if not rows:
        return
    if len(rows) < _FEW:
        await connection.execute(insert(table), [dict(zip(columns, values, strict=True)) for values in rows])
        return
    dialect = connection.dialect
    converted = await compute(
        len(rows), lambda: list(zip(*_columns(rows, table, columns, dialect), strict=True))
    )
    if dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        await connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own tables
            converted,
        )
        return
    async with postgresql_driver(connection) as driver:
        await driver.copy_records_to_table(table.name, records=converted, columns=list(columns))


async def delete_some(
    connection: AsyncConnection, table: Table, condition: ColumnElement[bool], limit: int
) -> int:
    """Remove up to `limit` of the rows that meet `condition`; how many there were."""
    key = table.primary_key.columns.values()
    some = select(*key).where(condition).limit(limit)
    return (await connection.execute(delete(table).where(condition, tuple_(*key).in_(some)))).rowcount


async def update_rows(
    connection: AsyncConnection,
    table: Table,
    keys: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Values],
) -> None:
    """Set `columns` of the rows that `keys` name; each of `rows` holds the keys first, then the new values."""
    if not rows:
        return
    names = [*keys, *columns]
    if len(rows) < _FEW:
        statement = (
            update(table)
            .where(and_(*(table.c[name] == bindparam(f"key_{name}") for name in keys)))
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        labels = [f"key_{name}" for name in keys] + [f"new_{name}" for name in columns]
        await connection.execute(statement, [dict(zip(labels, values, strict=True)) for values in rows])
        return
    dialect = connection.dialect
    converted = await compute(len(rows), lambda: _columns(rows, table, names, dialect))
    if dialect.name == "sqlite":
        assignments = ", ".join(f"{name} = ?{len(keys) + place}" for place, name in enumerate(columns, 1))
        condition = " AND ".join(f"{name} = ?{place}" for place, name in enumerate(keys, 1))
        await connection.exec_driver_sql(
            f"UPDATE {table.name} SET {assignments} WHERE {condition}",  # noqa: S608
            list(zip(*converted, strict=True)),
        )
        return
    assignments = ", ".join(f"{name} = new.{name}" for name in columns)
    condition = " AND ".join(f"{table.name}.{name} = new.{name}" for name in keys)
    arrays = ", ".join(
        f"${place}::{_type_name(table.c[name], dialect)}[]" for place, name in enumerate(names, 1)
    )
    async with postgresql_driver(connection) as driver:
        await driver.execute(
            f"UPDATE {table.name} SET {assignments} FROM unnest({arrays}) AS new({', '.join(names)})"  # noqa: S608
            f" WHERE {condition}",
            *converted,
        )


def _columns(rows: Sequence[Values], table: Table, names: Sequence[str], dialect: Dialect) -> list[Values]:
    """The values of each column, in the form that the driver takes."""
    processors = [_bind_processor(table.c[name], dialect) for name in names]
    return [
        values if processor is None else _convert(processor, values)
        for processor, values in zip(processors, zip(*rows, strict=True), strict=True)
    ]


def _convert(processor: Callable[[Any], Any], values: Values) -> list[Any]:
    converted: list[Any] = []
    # Rows of one batch share many values, the instant and the actor among them: convert each run once.
    last, last_converted = None, None
    for value in values:
        if value is not last:
            last, last_converted = value, None if value is None else processor(value)
        converted.append(last_converted)
    return converted


def _bind_processor(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def _type_name(column: Column[Any], dialect: Dialect) -> str:
    return column.type.compile(dialect).partition(" COLLATE ")[0]


@asynccontextmanager
async def postgresql_driver(connection: AsyncConnection) -> AsyncIterator[Any]:
    """The driver's own connection, in the transaction that SQLAlchemy has begun, for what SQLAlchemy cannot say."""
    # COPY before the first statement would run outside SQLAlchemy's transaction, which begins lazily.
    await connection.exec_driver_sql("SELECT 1")
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        yield driver
    except (PostgresError, InterfaceError) as error:
        # Whoever retries, or waits for the database to return, knows SQLAlchemy's errors, not the driver's.
        raise DBAPIError(None, None, error, connection_invalidated=driver.is_closed()) from error


def one_by_one(subquery: Select[Any]) -> Exists:
    """`EXISTS (subquery)`, asked of the subquery's index for each row and not made a join of.

    Right after a large import the planner takes the table for a small one, and would compare each row with each.
    """
    return subquery.offset(0).exists()


def is_one_of(column: ColumnElement[Any], values: Collection[str], dialect: str) -> ColumnElement[bool]:
    """`column IN (values)` with one parameter, however many values there are."""
    if dialect == "postgresql":
        return column == any_(_array(column, values))
    each = func.json_each(bindparam(None, orjson.dumps(list(values)).decode(), type_=Text)).table_valued(
        "value"
    )
    return column.in_(select(each.c.value))


def looked_up(
    columns: Sequence[ColumnElement[Any]],
    conditions: Sequence[ColumnElement[bool]],
    key: Column[str],
    values: Collection[str],
    dialect: str,
) -> Select[Any]:
    """A query for `columns` of the rows that have one of these values as `key`, which is unique under `conditions`.

    By one look into the key's index for each value, whatever the planner believes: with thousands of values, or
    without statistics, it would rather go through the whole table, in an import once for each chunk.
    """
    if dialect == "sqlite":
        return select(*columns).where(*conditions, is_one_of(key, values, dialect))
    each = func.unnest(_array(key, values)).table_valued(column("value", key.type)).render_derived()
    found = select(*columns).where(*conditions, key == each.c.value).limit(1).lateral()
    return select(*found.c).select_from(each).join(found, true())


def _array(column: ColumnElement[Any], values: Collection[str]) -> BindParameter[Any]:
    return bindparam(None, list(values), type_=ARRAY(column.type))
