"""Many rows in one statement: insert, update and find thousands of rows without a round trip each.

PostgreSQL takes COPY and arrays. SQLite takes `executemany` inside the process. A few rows are written in the ordinary
way on both.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import orjson
from asyncpg import InterfaceError, PostgresError
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnElement,
    Exists,
    FromClause,
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

# For fewer rows an ordinary INSERT or UPDATE costs less than setting up COPY or arrays.
_FEW = 20


async def plan_for_many_rows(connection: AsyncConnection) -> None:
    """Make PostgreSQL plan the statements of this transaction for thousands of rows in tables of any size.

    It plans each statement anew, because a plan from when the table was small would read the whole table. It also
    assumes cheaper random reads. Otherwise, for a few thousand rows of a million, it would not use the index.
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
    converted = await compute(len(rows), partial(_convert_rows, rows, table, columns, dialect))
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


async def delete_up_to(
    connection: AsyncConnection, table: Table, condition: ColumnElement[bool], limit: int
) -> int:
    """Delete up to `limit` rows that meet `condition`. Return how many were deleted."""
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
    """Set `columns` of the rows that `keys` name. Each of `rows` has the keys first, then the new values."""
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
    converted = await compute(len(rows), partial(_convert_columns, rows, table, names, dialect))
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


def rows_as_table(table: Table, dialect: str) -> FromClause:
    """Return the rows that `hand_over` gives to a statement, as a table with these columns.

    They are arrays on PostgreSQL, and a temporary table of this name on SQLite.
    """
    if dialect == "sqlite":
        return table
    arrays = [bindparam(f"rows_{each.name}", type_=ARRAY(each.type)) for each in table.columns]
    columns = [column(each.name, each.type) for each in table.columns]
    return func.unnest(*arrays).table_valued(*columns, name=table.name).render_derived()


async def hand_over(connection: AsyncConnection, table: Table, rows: Sequence[Values]) -> dict[str, Any]:
    """Make `rows` those of `rows_as_table` for the next statement, and return its parameters for them."""
    names = [each.name for each in table.columns]
    dialect = connection.dialect
    if dialect.name == "postgresql":
        values = zip(*rows, strict=True)
        return {f"rows_{name}": list(each) for name, each in zip(names, values, strict=True)}
    await connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {table.name} ({', '.join(names)})"
    )
    await connection.exec_driver_sql(f"DELETE FROM {table.name}")  # noqa: S608 - our own table
    converted = await compute(len(rows), partial(_convert_rows, rows, table, names, dialect))
    marks = ", ".join("?" * len(names))
    await connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", converted)  # noqa: S608
    return {}


def _convert_rows(
    rows: Sequence[Values], table: Table, names: Sequence[str], dialect: Dialect
) -> list[Values]:
    """Return the rows in the form that the driver takes."""
    return list(zip(*_convert_columns(rows, table, names, dialect), strict=True))


def _convert_columns(
    rows: Sequence[Values], table: Table, names: Sequence[str], dialect: Dialect
) -> list[Values]:
    """Return the values of each column in the form that the driver takes."""
    processors = [_bind_processor(table.c[name], dialect) for name in names]
    return [
        values if processor is None else _convert(processor, values)
        for processor, values in zip(processors, zip(*rows, strict=True), strict=True)
    ]


def _convert(processor: Callable[[Any], Any], values: Values) -> list[Any]:
    converted: list[Any] = []
    # Rows of one batch share many values, such as the instant. Convert each run of equal values once.
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
    """Yield the driver's own connection, in SQLAlchemy's transaction, for what SQLAlchemy cannot do."""
    # SQLAlchemy begins its transaction at the first statement. Without one, COPY would run outside of it.
    await connection.exec_driver_sql("SELECT 1")
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        yield driver
    except (PostgresError, InterfaceError) as error:
        # Code that tries again knows SQLAlchemy's errors, not the driver's.
        raise DBAPIError(None, None, error, connection_invalidated=driver.is_closed()) from error


def exists_row_by_row(subquery: Select[Any]) -> Exists:
    """Return `EXISTS (subquery)` in a form that PostgreSQL checks row by row with an index, never as a join.

    Right after many rows were inserted, the planner still assumes a small table and would compare each row with each.
    """
    return subquery.offset(0).exists()


def is_one_of(
    column: ColumnElement[Any], values: Collection[str] | Collection[int], dialect: str
) -> ColumnElement[bool]:
    """Return SQL for `column IN (values)` with a single parameter for all values."""
    if dialect == "postgresql":
        return column == any_(_array(column, values))
    each = func.json_each(bindparam(None, orjson.dumps(list(values)).decode(), type_=Text)).table_valued(
        "value"
    )
    return column.in_(select(each.c.value))


def select_by_keys(
    columns: Sequence[ColumnElement[Any]],
    conditions: Sequence[ColumnElement[bool]],
    key: Column[str],
    values: Collection[str],
    dialect: str,
) -> Select[Any]:
    """Return a query for `columns` of the rows that have one of `values` as `key`. `conditions` make `key` unique.

    It looks into the key's index once for each value. Left alone, the planner would read the whole table if there are
    thousands of values or no statistics.
    """
    if dialect == "sqlite":
        return select(*columns).where(*conditions, is_one_of(key, values, dialect))
    each = func.unnest(_array(key, values)).table_valued(column("value", key.type)).render_derived()
    found = select(*columns).where(*conditions, key == each.c.value).limit(1).lateral()
    return select(*found.c).select_from(each).join(found, true())


def _array(column: ColumnElement[Any], values: Collection[str] | Collection[int]) -> BindParameter[Any]:
    return bindparam(None, list(values), type_=ARRAY(column.type))
