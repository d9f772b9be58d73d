"""Measures what an import stores: the bytes of each table, index and column, and what each index costs to write.

The service imports a file into a database of its own. So the sizes include everything that an import leaves behind,
and the free space in indexes that were filled in random order.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from sqlalchemy import (
    ColumnElement,
    Executable,
    LargeBinary,
    Table,
    Text,
    cast,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.recording import STORED_COLUMNS
from app.learners.tables import events, learner_search, learners
from app.platform.clock import SystemClock
from app.platform.column_types import Id
from app.platform.database import Database
from app.platform.ids import new_id
from app.platform.metadata import is_kept_for
from bench.databases import Databases, open_prepared, server_version
from bench.population import draw_learners, gather_statistics
from bench.rosters import serve, write_roster

_ORGANIZATION = 1
# The tables whose columns are listed one by one.
_LARGE = (learners, learner_search, events)
_WRITTEN = 100_000
# Bytes. Smaller parts are not listed.
_LEAST = 100_000
_MIB = 1024 * 1024
# Until PostgreSQL's processes have read a new setting.
_RELOAD_SECONDS = 1
_TRIGRAMS = "learner_search_trigrams"


@dataclass(frozen=True)
class Part:
    """A table without its indexes, or an index."""

    table: str
    name: str
    size: int


@dataclass(frozen=True)
class Cost:
    """What one row costs to write. `log_bytes` goes to PostgreSQL's log, `hot` is the share of HOT updates."""

    microseconds: float
    log_bytes: float = 0.0
    hot: float = 0.0

    def __str__(self) -> str:
        """Return the cost as a part of a line."""
        log = f"{self.log_bytes:>9,.0f} B of log, {self.hot:>4.0%} HOT" if self.log_bytes else ""
        return f"{self.microseconds:>7.1f} µs {log}"


def measure(databases: Databases, rows: int) -> None:
    """Print the sizes and the costs per row after an import of `rows` new learners."""
    roster = write_roster(databases.new_folder() / "roster.csv", draw_learners(rows, SystemClock().now()))
    with serve(databases) as service:
        operation, seconds = service.run(roster)
        if operation["state"] != "succeeded" or operation["counts"]["created"] != rows:
            raise SystemExit(f"the import failed: {operation}")
        url = service.server.database_url
    asyncio.run(_report(url, rows, seconds))


async def _report(url: str, rows: int, seconds: float) -> None:
    async with open_prepared(url) as database:
        print(f"\n{await server_version(database)}, {rows:,} rows imported in {seconds:.0f} s")
        await gather_statistics(database)
        await _print_sizes(database, rows)
        for table in _LARGE:
            await _print_columns(database, table)
        await _print_write_costs(database, min(_WRITTEN, rows))


async def _print_sizes(database: Database, rows: int) -> None:
    parts = [part for part in await _list_parts(database) if part.size >= max(rows, _LEAST)]
    total = sum(part.size for part in parts)
    print(f"\n{'Size':<38} {'MiB':>10} {'bytes/row':>12} {'share':>8}")
    for part in parts:
        name = part.table if part.name == part.table else f"  {part.name}"
        print(f"{name:<38} {part.size / _MIB:>10.1f} {part.size / rows:>12.1f} {part.size / total:>8.1%}")
    for table in dict.fromkeys(part.table for part in parts):
        size = sum(part.size for part in parts if part.table == table)
        print(f"{'all of ' + table:<38} {size / _MIB:>10.1f} {size / rows:>12.1f} {size / total:>8.1%}")
    print(f"{'all':<38} {total / _MIB:>10.1f} {total / rows:>12.1f} {1:>8.1%}")


async def _list_parts(database: Database) -> list[Part]:
    statement = (
        "SELECT coalesce(tbl_name, name) AS table_name, name, sum(pgsize) AS size"
        " FROM dbstat LEFT JOIN sqlite_master USING (name) GROUP BY 1, 2 ORDER BY 1, name <> tbl_name, 3 DESC"
        if database.is_sqlite
        else "SELECT coalesce(of.relname, part.relname) AS table_name, part.relname AS name,"
        " pg_table_size(part.oid) AS size FROM pg_class AS part"
        " LEFT JOIN pg_index ON indexrelid = part.oid LEFT JOIN pg_class AS of ON of.oid = indrelid"
        " WHERE part.relnamespace = 'public'::regnamespace AND part.relkind IN ('r', 'i')"
        " ORDER BY 1, part.relkind <> 'r', 3 DESC"
    )
    async with database.read() as connection:
        found = (await connection.exec_driver_sql(statement)).all()
    return [Part(row.table_name, row.name, row.size) for row in found]


async def _print_columns(database: Database, table: Table) -> None:
    def measure_column(column: ColumnElement[object]) -> ColumnElement[str]:
        stored = func.length(cast(column, LargeBinary)) if database.is_sqlite else func.pg_column_size(column)
        return cast(func.sum(stored), Text).label(column.name)

    async with database.read() as connection:
        row = (await connection.execute(select(func.count(), *map(measure_column, table.c)))).one()
    count, *sizes = row
    print(f"\n{f'Columns of {table.name}':<38} {'bytes/row':>12}")
    for name, size in zip(table.c.keys(), sizes, strict=True):
        print(f"  {name:<36} {float(size or 0) / max(count, 1):>12.1f}")


async def _print_write_costs(database: Database, rows: int) -> None:
    print(f"\n{f'Cost per row of writing {rows:,}':<52} {'all indexes':>10}")
    if not database.is_sqlite:
        # Without copies of whole pages in the log, which depend on the last checkpoint.
        async with database.read() as connection:
            await connection.exec_driver_sql("ALTER SYSTEM SET full_page_writes = off")
            await connection.exec_driver_sql("SELECT pg_reload_conf()")
            await asyncio.sleep(_RELOAD_SECONDS)
            await connection.exec_driver_sql("CHECKPOINT")
    copies = _copy_learners(database, rows)
    indexes = _list_indexes(database, learners)
    await _print_costs(database, "insert into learners", copies, indexes, rows)
    await _print_costs(database, "deactivate", _deactivate(rows), indexes, rows)
    ids = _make_ids(database, learner_search.c.number)
    texts = insert(learner_search).from_select(
        ["organization_id", "learner_id", "text"],
        select(learner_search.c.organization_id, ids, learner_search.c.text).limit(rows),
    )
    found = _list_indexes(database, learner_search)
    if not database.is_sqlite:
        found.append("ix_" + _TRIGRAMS)
    await _print_costs(database, "insert into learner_search", texts, found, rows)
    await _print_search_index(database, rows)
    names = [column.name for column in events.c if column.name not in ("position", "version")]
    copied = [events.c[name] for name in names]
    again = insert(events).from_select(
        [*names, "version"], select(*copied, events.c.version + 1_000_000).limit(rows)
    )
    await _print_costs(database, "insert into events", again, _list_indexes(database, events), rows)


def _list_indexes(database: Database, table: Table) -> list[str]:
    dialect = database.engine.dialect.name
    return sorted(str(index.name) for index in table.indexes if is_kept_for(dialect, index))


async def _print_costs(
    database: Database, what: str, statement: Executable, indexes: Sequence[str], rows: int
) -> None:
    # The first run splits pages, and a rollback does not undo that. So it would cost more than the others.
    await _run(database, statement, rows)
    whole = await _run(database, statement, rows)
    print(f"{what:<52} {whole}")
    for index in indexes:
        print(f"  {'without ' + index:<50} {await _run(database, statement, rows, without=[index])}")
    if len(indexes) > 1:
        print(f"  {'without all of these':<50} {await _run(database, statement, rows, without=indexes)}")


async def _print_search_index(database: Database, rows: int) -> None:
    """Print what filling the trigram index costs in the ways that the database offers."""
    if database.is_sqlite:
        add = (
            f"INSERT INTO {_TRIGRAMS} (rowid, text)"
            f" SELECT number + 100000000, text FROM learner_search LIMIT {rows}"
        )
        print(f"{'insert into ' + _TRIGRAMS:<52} {await _run(database, add, rows)}")
        return
    add = (
        "INSERT INTO learner_search (organization_id, learner_id, text)"
        f" SELECT organization_id, gen_random_uuid(), text FROM learner_search LIMIT {rows}"
    )
    for setting in ("fastupdate = off", "gin_pending_list_limit = 64", "gin_pending_list_limit = 65536"):
        change = f"ALTER INDEX ix_{_TRIGRAMS} SET ({setting})"
        cost = await _run(database, add, rows, first=change)
        print(f"  {'with ' + setting:<50} {cost}")


def _copy_learners(database: Database, rows: int) -> Executable:
    """Make the statement that inserts copies of learners under new ids and names."""
    now = SystemClock().now()
    renamed = {
        name: learners.c[name] + literal("~", Text) for name in ("username", "username_key", "external_id")
    }
    values = {name: learners.c[name] for name in STORED_COLUMNS} | renamed
    values["id"] = _make_ids(database, learners.c.id)
    values["updated_at"] = literal(now, learners.c.updated_at.type)
    copied = select(*(values[name].label(f"new_{name}") for name in STORED_COLUMNS))
    return insert(learners).from_select(list(STORED_COLUMNS), copied.order_by(learners.c.id).limit(rows))


def _make_ids(database: Database, order: ColumnElement[object]) -> ColumnElement[str]:
    """Return SQL that makes increasing ids."""
    begin = f"{new_id(SystemClock().now())[:13]}-7000-8000-"
    number = func.row_number().over(order_by=order)
    if database.is_sqlite:
        return func.printf("%s%012x", begin, number, type_=Id())
    return cast(literal(begin, Text) + func.lpad(func.to_hex(number), 12, "0"), Id())


def _deactivate(rows: int) -> Executable:
    now = SystemClock().now()
    mine = learners.c.organization_id == _ORGANIZATION
    last = (
        select(learners.c.id).where(mine).order_by(learners.c.id).offset(rows - 1).limit(1).scalar_subquery()
    )
    return (
        update(learners)
        .where(mine, learners.c.id <= last)
        .values(deactivated_at=now, sessions_valid_from=now, updated_at=now, version=learners.c.version + 1)
    )


async def _run(
    database: Database,
    statement: Executable | str,
    rows: int,
    *,
    without: Sequence[str] = (),
    first: str | None = None,
) -> Cost:
    """Run a statement without these indexes, and undo it. `first` is a statement that runs before."""
    async with _undone(database) as connection:
        for index in without:
            await connection.exec_driver_sql(f"DROP INDEX {index}")
        if first is not None:
            await connection.exec_driver_sql(first)
        begun, started = await _look(connection), perf_counter()
        if isinstance(statement, str):
            await connection.exec_driver_sql(statement)
        else:
            await connection.execute(statement)
        seconds = perf_counter() - started
        ended = await _look(connection)
    written, hot = (after - before for before, after in zip(begun, ended, strict=True))
    return Cost(1_000_000 * seconds / rows, written / rows, hot / rows)


async def _look(connection: AsyncConnection) -> tuple[int, int]:
    """Return the position in PostgreSQL's log, and how many HOT updates this transaction has made."""
    if connection.dialect.name == "sqlite":
        return 0, 0
    row = (
        await connection.exec_driver_sql(
            "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS written, coalesce("
            "(SELECT n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'learners'), 0) AS hot"
        )
    ).one()
    return int(row.written), int(row.hot)


@asynccontextmanager
async def _undone(database: Database) -> AsyncIterator[AsyncConnection]:
    """Yield a connection whose transaction is rolled back at the end."""
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            await connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        transaction = await connection.begin()
        try:
            yield connection
        finally:
            await transaction.rollback()
