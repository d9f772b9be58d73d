"""The database: transactions that are tried again, snapshots, and column types, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.bulk_rows import insert_rows
from app.platform.column_types import Id, Instant, instant_as_text
from app.platform.database import Database
from app.platform.database_errors import is_unavailable
from app.platform.database_urls import driver_url
from app.platform.ids import new_id
from app.platform.instants import instant_text
from tests.support.postgres import PostgresServer
from tests.support.relay import Relay
from tests.support.service import NOON, Service

pytestmark = pytest.mark.anyio

things = Table(
    "database_things",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("value", Integer, nullable=False),
    Column("instant", Instant),
    Column("id", Id),
)


@pytest.fixture
async def database(service: Service) -> AsyncIterator[Database]:
    """Open either database with one table for the tests."""
    await service.database.write(lambda connection: connection.run_sync(things.create))
    yield service.database
    await service.database.write(lambda connection: connection.run_sync(things.drop))


@pytest.fixture
async def postgresql(postgres: PostgresServer) -> AsyncIterator[Database]:
    """Open a PostgreSQL database with the same table, for cases that need several writers."""
    async with opened(postgres.create_database("races")) as database:
        yield database
    postgres.drop_database("races")


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """Open an SQLite database with the same table, for cases that only SQLite has."""
    async with opened(f"sqlite:///{tmp_path}/rollcall.db") as database:
        yield database


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await database.write(lambda connection: connection.run_sync(things.create))
    yield database
    await database.close()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the pauses between attempts."""
    monkeypatch.setattr("app.platform.database.random.uniform", lambda *_: 0.0)


def add(number: int, value: int = 0, **more: Any) -> Any:
    """Return work that inserts one row."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(things).values(number=number, value=value, **more))

    return work


async def numbers(database: Database) -> list[int]:
    async with database.read() as connection:
        return list((await connection.execute(select(things.c.number).order_by(things.c.number))).scalars())


# Writing


async def test_write_commits_and_returns_the_result(
    database: Database,
) -> None:
    async def work(connection: AsyncConnection) -> str:
        await add(1)(connection)
        return "done"

    assert await database.write(work) == "done"
    assert await numbers(database) == [1]


async def test_failed_write_leaves_nothing(database: Database) -> None:
    async def fail(connection: AsyncConnection) -> None:
        await add(1)(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(fail)
    assert await numbers(database) == []
    await database.write(add(2))
    assert await numbers(database) == [2]


async def test_cancelled_write_leaves_nothing_and_frees_the_lock(database: Database) -> None:
    has_begun = asyncio.Event()

    async def hang(connection: AsyncConnection) -> None:
        await add(1)(connection)
        has_begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(database.write(hang))
    await has_begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(add(2))
    assert await numbers(database) == [2]


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("state", ["40001", "40P01", "23505"])
async def test_write_that_lost_a_race_is_tried_again(postgresql: Database, state: str) -> None:
    attempts = 0

    async def work(connection: AsyncConnection) -> int:
        nonlocal attempts
        attempts += 1
        await add(attempts)(connection)
        if attempts < 3:
            await connection.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))
        return attempts

    assert await postgresql.write(work) == 3
    assert await numbers(postgresql) == [3]


@pytest.mark.usefixtures("no_pauses")
async def test_write_that_always_loses_gives_up(postgresql: Database) -> None:
    attempts = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

    with pytest.raises(DBAPIError):
        await postgresql.write(work)
    assert attempts == 8


@pytest.mark.usefixtures("no_pauses")
async def test_invalid_write_is_not_tried_again(database: Database) -> None:
    attempts = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("INSERT INTO database_things (number) VALUES (1)"))  # without a value

    with pytest.raises(IntegrityError):
        await database.write(work)
    assert attempts == 1


async def test_second_insert_of_one_key_runs_again(database: Database) -> None:
    async def work(connection: AsyncConnection) -> str:
        if (await connection.execute(select(things).where(things.c.number == 1))).one_or_none():
            return "found"
        await add(1)(connection)
        return "inserted"

    results = await asyncio.gather(*(database.write(work) for _ in range(8)))
    assert sorted(results) == ["found"] * 7 + ["inserted"]


async def test_deadlock_is_tried_again(postgresql: Database) -> None:
    for number in (1, 2):
        await postgresql.write(add(number))
    both_hold_one = asyncio.Barrier(2)
    is_first = {1: True, 2: True}

    def work(first: int, second: int) -> Any:
        async def change(connection: AsyncConnection) -> None:
            await connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
            for number in (first, second):
                await connection.execute(
                    update(things).where(things.c.number == number).values(value=things.c.value + 1)
                )
                if number == first and is_first[first]:
                    is_first[first] = False
                    await both_hold_one.wait()

        return change

    await asyncio.gather(postgresql.write(work(1, 2)), postgresql.write(work(2, 1)))
    async with postgresql.read() as connection:
        assert list((await connection.execute(select(things.c.value))).scalars()) == [2, 2]


async def test_many_writers_lose_no_update(database: Database) -> None:
    await database.write(add(1))

    async def increment(connection: AsyncConnection) -> None:
        value = (await connection.execute(select(things.c.value).with_for_update())).scalar_one()
        await connection.execute(update(things).values(value=value + 1))

    await asyncio.gather(*(database.write(increment) for _ in range(30)))
    async with database.read() as connection:
        assert (await connection.execute(select(things.c.value))).scalar_one() == 30


async def test_sqlite_queues_writers_but_not_readers(sqlite: Database) -> None:
    is_writing, may_end = asyncio.Event(), asyncio.Event()

    async def hold(connection: AsyncConnection) -> None:
        await add(0)(connection)
        is_writing.set()
        await may_end.wait()

    order: list[int] = []

    def take_turn(number: int) -> Any:
        async def work(connection: AsyncConnection) -> None:
            order.append(number)
            await add(number)(connection)

        return work

    holder = asyncio.create_task(sqlite.write(hold))
    await is_writing.wait()
    waiting = []
    for number in range(1, 9):
        waiting.append(asyncio.create_task(sqlite.write(take_turn(number))))
        await asyncio.sleep(0)
    assert await numbers(sqlite) == []  # readers do not wait
    assert order == []
    may_end.set()
    await asyncio.gather(holder, *waiting)
    assert order == list(range(1, 9))


async def test_two_processes_can_write_to_one_database(database: Database, service: Service) -> None:
    other = Database(service.url)
    try:
        await asyncio.gather(
            *((database if number % 2 else other).write(add(number)) for number in range(20))
        )
    finally:
        await other.close()
    assert await numbers(database) == list(range(20))


# Reading


async def test_read_sees_commits_between_statements(database: Database) -> None:
    async with database.read() as connection:
        statement = select(things.c.number)
        assert (await connection.execute(statement)).scalars().all() == []
        await database.write(add(1))
        assert (await connection.execute(statement)).scalars().all() == [1]


async def test_snapshot_sees_one_state(database: Database) -> None:
    await database.write(add(1))
    async with database.snapshot() as connection:
        statement = select(things.c.number)
        assert (await connection.execute(statement)).scalars().all() == [1]
        await database.write(add(2))
        assert (await connection.execute(statement)).scalars().all() == [1]
    async with database.snapshot() as connection:
        assert (await connection.execute(statement.order_by(things.c.number))).scalars().all() == [1, 2]


async def test_postgresql_snapshot_is_read_only(postgresql: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with postgresql.snapshot() as connection:
            await add(1)(connection)
    await postgresql.write(add(2))
    assert await numbers(postgresql) == [2]


async def test_database_error_hides_its_parameters(database: Database) -> None:
    await database.write(add(7_654_321))
    with pytest.raises(DBAPIError) as raised:
        async with database.engine.begin() as connection:
            await add(7_654_321)(connection)
    assert "[SQL parameters hidden" in str(raised.value)


# Types


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_instant_text_is_rfc_3339_in_utc_with_six_digits(instant: datetime) -> None:
    written = instant_text(instant.astimezone(timezone(timedelta(hours=-7, minutes=-30))))
    assert len(written) == 27
    assert written.endswith("Z")
    assert datetime.fromisoformat(written) == instant


async def test_stored_instants_sort_by_time(
    database: Database,
) -> None:
    zone = timezone(timedelta(hours=14))
    instants = [
        NOON,
        NOON + timedelta(microseconds=1),
        (NOON + timedelta(seconds=1)).astimezone(zone),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_998, UTC),
        datetime(1, 1, 2, tzinfo=UTC),
    ]
    for number, instant in enumerate(instants):
        await database.write(add(number, instant=instant))
    dialect = database.engine.dialect.name
    async with database.read() as connection:
        found = list(
            await connection.execute(
                select(things.c.instant, instant_as_text(things.c.instant, dialect)).order_by(
                    things.c.instant
                )
            )
        )
    assert [each[0] for each in found] == sorted(instants)
    assert {each[0].utcoffset() for each in found} == {timedelta(0)}
    assert [each[1] for each in found] == [instant_text(each) for each in sorted(instants)]


async def test_last_possible_instant_keeps_its_zone(database: Database) -> None:
    last = datetime.max.replace(tzinfo=UTC)  # which the driver takes for infinity
    await database.write(add(1, instant=last))
    async with database.read() as connection:
        assert (await connection.execute(select(things.c.instant))).scalar_one() == last


async def test_instant_without_zone_is_an_error(database: Database) -> None:
    with pytest.raises((StatementError, ValueError), match="time zone"):
        await database.write(add(1, instant=datetime(2026, 1, 1)))  # noqa: DTZ001
    assert await numbers(database) == []


async def test_stored_id_is_read_in_canonical_form(database: Database) -> None:
    identifier = new_id(NOON)
    await database.write(add(1, id=identifier))
    async with database.read() as connection:
        assert (await connection.execute(select(things.c.id))).scalar_one() == identifier


# Connections


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sqlite:///var/rollcall.db", "sqlite+aiosqlite:///var/rollcall.db"),
        ("sqlite:////abs/rollcall.db", "sqlite+aiosqlite:////abs/rollcall.db"),
        ("sqlite+pysqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("postgresql://u:p%40ss@host:5433/name", "postgresql+asyncpg://u:p%40ss@host:5433/name"),
        ("postgres://host/name", "postgresql+asyncpg://host/name"),
        ("postgresql+psycopg://host/name", "postgresql+asyncpg://host/name"),
        ("postgresql://host/name?sslmode=require", "postgresql+asyncpg://host/name?ssl=require"),
        ("postgresql://host/name?ssl=verify-full", "postgresql+asyncpg://host/name?ssl=verify-full"),
    ],
)
def test_url_gets_its_driver(given: str, expected: str) -> None:
    assert driver_url(given).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "://x"]
)
def test_url_of_another_database_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match="database"):
        driver_url(url)


async def test_sqlite_connection_is_durable(sqlite: Database) -> None:
    async with sqlite.read() as connection:
        found = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15_000}


async def test_missing_folder_of_an_sqlite_file_is_created(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a/b/rollcall.db")
    await database.write(lambda connection: connection.execute(text("CREATE TABLE t (n INTEGER)")))
    await database.close()
    assert (tmp_path / "a" / "b" / "rollcall.db").is_file()


@pytest.mark.parametrize("sslmode", ["disable", "prefer"])
async def test_sslmode_is_understood(postgres: PostgresServer, sslmode: str) -> None:
    database = Database(f"{postgres.url()}?sslmode={sslmode}")
    try:
        async with database.read() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    finally:
        await database.close()


async def test_required_encryption_that_is_missing_is_an_error(postgres: PostgresServer) -> None:
    database = Database(f"{postgres.url()}?sslmode=require")
    try:
        with pytest.raises(OperationalError):
            async with database.read():
                pass
    finally:
        await database.close()


async def test_failed_connection_is_a_database_error(postgres: PostgresServer) -> None:
    elsewhere = postgres.url().replace("127.0.0.1", "nowhere.invalid")
    for url in (postgres.url("no_such_database"), elsewhere):
        database = Database(url)
        with pytest.raises(OperationalError):
            async with database.read():
                pass
        await database.close()


async def write_many(database: Database) -> None:
    """Write by COPY, which bypasses SQLAlchemy."""
    rows = [(number, 0) for number in range(100)]
    await database.write(lambda connection: insert_rows(connection, things, ("number", "value"), rows))


async def read_one(database: Database) -> None:
    await numbers(database)


async def read_many(database: Database) -> None:
    """Read in parts that are fetched one by one."""
    statement = text("SELECT generate_series(1, 100)")
    async with (
        database.snapshot() as connection,
        connection.stream(statement, execution_options={"yield_per": 10}) as stream,
    ):
        async for _ in stream.partitions():
            pass


@pytest.mark.parametrize("work", [write_many, read_one, read_many])
@pytest.mark.parametrize("connected", ["before", "for this"])
async def test_any_unanswered_message_means_database_unavailable(
    postgresql: Database, work: Callable[[Database], Awaitable[None]], connected: str
) -> None:
    with closing(Relay(postgresql.libpq_url)) as relay:
        for passing in count():
            database = Database(relay.url)
            if connected == "before":
                await numbers(database)
            relay.lose_answer(passing, to=b"")
            caught: Exception | None = None
            try:
                await work(database)
            except Exception as error:  # noqa: BLE001 - whatever it is
                caught = error
            has_lost = relay.has_lost
            relay.forget()
            await database.close()
            assert caught is None or (has_lost and is_unavailable(caught)), (
                f"message {passing + 1}: {caught!r}"
            )
            await postgresql.write(lambda connection: connection.execute(delete(things)))
            if not has_lost:
                break
    assert passing > 3


async def test_connection_has_jit_off_and_its_name(postgresql: Database) -> None:
    async with postgresql.read() as connection:
        assert (await connection.execute(text("SHOW jit"))).scalar_one() == "off"
        assert (await connection.execute(text("SHOW application_name"))).scalar_one() == "rollcall"


@pytest.mark.parametrize("query", ["", "?sslmode=require", "?ssl=require"])
async def test_libpq_url_keeps_the_encryption(query: str) -> None:
    database = Database(f"postgresql://rollcall:p%40ss@db.example.org:5433/name{query}")
    wanted = f"postgresql://rollcall:p%40ss@db.example.org:5433/name{query and '?sslmode=require'}"
    assert database.libpq_url == wanted
    await database.close()
