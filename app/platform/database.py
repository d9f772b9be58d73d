"""The database: engine, transactions, and the column types in which SQLite and PostgreSQL differ.

Everything that must know which of the two it talks to is here or in bulk_rows.py and search SQL.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg  # type: ignore[import-untyped]
import orjson
from sqlalchemy import ColumnElement, DateTime, MetaData, Text, Uuid, event, func, type_coerce
from sqlalchemy.connectors.asyncio import AsyncAdapt_Error
from sqlalchemy.engine import URL, Connection, Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator, TypeEngine

T = TypeVar("T")
P = ParamSpec("P")

# One convention for every constraint, so that migrations and tables agree on names.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SQLITE_BUSY_TIMEOUT_MS = 15_000
_SERIALIZATION_FAILURES = frozenset({"40001", "40P01"})
_UNIQUE_VIOLATION = "23505"
_ATTEMPTS = 8
# From which PostgreSQL counts the days.
_DAY_ZERO = date(2000, 1, 1).toordinal()

# Text that is compared byte by byte on both databases, whatever the server's locale.
BinaryText = Text().with_variant(Text(collation="C"), "postgresql")


class Id(TypeDecorator[str]):
    """A UUID as its canonical 36 characters in Python; `uuid` on PostgreSQL, TEXT on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The native type where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Uuid(as_uuid=False))
        return dialect.type_descriptor(Text())

    @property
    def python_type(self) -> type[str]:
        """By which a cursor's texts become values again."""
        return str


class Instant(TypeDecorator[datetime]):
    """An aware instant in UTC, to the microsecond; TEXT in RFC 3339 form on SQLite, which sorts by time."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The native type where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(Text())

    @property
    def python_type(self) -> type[datetime]:
        """By which a cursor's texts become values again."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive datetimes: an instant without a zone is a mistake of ours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value if dialect.name == "postgresql" else instant_text(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Back to an aware datetime."""
        return _aware_instant if dialect.name == "postgresql" else _parse_instant


def _aware_instant(value: datetime | None) -> datetime | None:
    # The driver stores the last microsecond of the year 9999 as `infinity`, and loses its zone.
    return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


# Whoever was changed by one operation was changed at one of few instants.
@lru_cache(1024)
def _parse_instant(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


@lru_cache(1024)
def instant_text(value: datetime) -> str:
    """RFC 3339 in UTC with `Z` and six digits: how instants stand in JSON documents and on SQLite."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def instant_as_text(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """SQL for `instant_text` of a column of the type Instant."""
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    return type_coerce(column, Text)


class Database:
    """A pool of connections to one database, and the three ways to use one.

    `read` runs single statements, `snapshot` sees one state throughout, `write` commits as a whole.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """`url`: `sqlite:///path` or `postgresql://…`; `pool_size`: connections at the most, per process."""
        self.url = driver_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # SQLite lets one connection write at a time. Queueing here is fair and costs no busy-waiting,
        # which many threads at SQLite's file lock do; other processes still meet at the file lock.
        self._writer = asyncio.Lock() if self.is_sqlite else None
        self.engine = _create_engine(self.url, pool_size)

    @property
    def libpq_url(self) -> str:
        """The address of a PostgreSQL database as libpq takes it, for connections apart from the pool."""
        query = {("sslmode" if key == "ssl" else key): value for key, value in self.url.query.items()}
        return self.url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection in which every statement stands for itself: one round trip each."""
        options = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        async with self._connect(options) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements all see the database as it was at the first one."""
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
                # SQLAlchemy lets through what the driver raises here: the connection is lost as soon as made.
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
        at the same moment), everything is rolled back and run again. So `work` must have no effects elsewhere, and
        it decides again on what it then finds.
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


def lost_a_race(error: Exception) -> bool:
    """Whether the same work, run again, may well succeed: PostgreSQL's 40001, 40P01 and 23505."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state in _SERIALIZATION_FAILURES or state == _UNIQUE_VIOLATION


def is_unavailable(error: BaseException) -> bool:
    """Whether the database refuses, is gone, is locked or full: the same work may succeed later."""
    if isinstance(error, OperationalError | InterfaceError | ConnectionError | TimeoutError):
        return True
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    # PostgreSQL's classes for broken connections, exhausted resources, and starting up or shutting down.
    return isinstance(error, DBAPIError) and (error.connection_invalidated or state[:2] in ("08", "53", "57"))


def driver_url(url: str) -> URL:
    """The URL with the driver that the service uses. Raises ValueError for any other kind of database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("this is no database's address: sqlite:///… or postgresql://…") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("an SQLite database needs a file: sqlite:///path/to/rollcall.db")
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        # libpq's name for it; asyncpg calls the same values `ssl`.
        query = {("ssl" if key == "sslmode" else key): value for key, value in parsed.query.items()}
        return parsed.set(drivername="postgresql+asyncpg", query=query)
    raise ValueError(f"the database must be sqlite:///… or postgresql://…, not {backend}")


_JSON: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


def _create_engine(url: URL, pool_size: int) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            pool_use_lifo=True,  # each connection has a cache of its own: as few as possible in use
            hide_parameters=True,
            **_JSON,
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        hide_parameters=True,
        pool_pre_ping=True,
        **_JSON,
        connect_args={
            "async_creator_fn": _connect_postgresql,
            "server_settings": {"application_name": "rollcall"},
            "timeout": 10,
        },
    )
    event.listen(engine.sync_engine, "connect", _prepare_postgresql)
    return engine


async def _connect_postgresql(*arguments: Any, **options: Any) -> Any:
    # SQLAlchemy lets through what the driver raises here: too many connections, starting, no such host.
    try:
        return await asyncpg.connect(*arguments, **options)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise OperationalError(None, None, error) from error


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    # Compiling a query costs more than any of ours takes; set here, since a pooler refuses it at start-up.
    cursor = connection.cursor()
    cursor.execute("SET jit = off")
    cursor.close()
    # Left alone, the driver sends 9999-12-31 as `infinity`, which the server sorts after that day.
    connection.run_async(
        lambda driver: driver.set_type_codec(
            "date",
            schema="pg_catalog",
            format="tuple",
            encoder=lambda day: (day.toordinal() - _DAY_ZERO,),
            decoder=lambda days: date.fromordinal(days[0] + _DAY_ZERO),
        )
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction control would commit behind our back: BEGIN is ours alone.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # NORMAL loses acknowledged commits when the power fails
        "foreign_keys = ON",
        "recursive_triggers = ON",  # else INSERT OR REPLACE removes rows past the triggers that forbid it
        f"busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}",
        "cache_size = -8192",  # 8 MiB a connection, of which there are ten: the system caches the file too
        "wal_autocheckpoint = 8000",  # pages: fewer, larger checkpoints while an import writes
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("sqlite_begin")
    if begin:
        connection.exec_driver_sql(begin)
