"""SQLAlchemy engines for SQLite and PostgreSQL, and how each new connection is prepared."""

from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_SQLITE_BUSY_TIMEOUT_MS = 15_000
# PostgreSQL counts days from here.
_DAY_ZERO = date(2000, 1, 1).toordinal()


def _dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


_POOL: dict[str, Any] = {
    "max_overflow": 0,
    "pool_timeout": 30,
    "hide_parameters": True,
    "json_serializer": _dump_json,
    "json_deserializer": orjson.loads,
}


def create_engine(url: URL, pool_size: int) -> AsyncEngine:
    """Create the engine for a URL from `driver_url`. It opens at most `pool_size` connections."""
    if url.get_backend_name() == "sqlite":
        return _create_sqlite_engine(url, pool_size)
    return _create_postgresql_engine(url, pool_size)


def _create_sqlite_engine(url: URL, pool_size: int) -> AsyncEngine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        pool_use_lifo=True,  # each connection has its own cache: use as few as possible
        **_POOL,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _create_postgresql_engine(url: URL, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        pool_pre_ping=True,
        connect_args={
            "async_creator_fn": _connect_postgresql,
            "server_settings": {"application_name": "rollcall"},
            "timeout": 10,
        },
        **_POOL,
    )
    event.listen(engine.sync_engine, "connect", _prepare_postgresql)
    return engine


async def _connect_postgresql(*arguments: Any, **options: Any) -> Any:
    # SQLAlchemy does not wrap what the driver raises here: too many connections, starting up, unknown host.
    try:
        return await asyncpg.connect(*arguments, **options)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise OperationalError(None, None, error) from error


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    # Compiling costs more than any query here takes. A pooler refuses this setting at start-up, so it is set now.
    cursor = connection.cursor()
    cursor.execute("SET jit = off")
    cursor.close()
    connection.run_async(_send_dates_as_days)


async def _send_dates_as_days(driver: Any) -> None:
    # Otherwise the driver sends 9999-12-31 as `infinity`, which the server sorts after that day.
    await driver.set_type_codec(
        "date", schema="pg_catalog", format="tuple", encoder=_encode_date, decoder=_decode_date
    )


def _encode_date(day: date) -> tuple[int]:
    return (day.toordinal() - _DAY_ZERO,)


def _decode_date(days: tuple[int]) -> date:
    return date.fromordinal(days[0] + _DAY_ZERO)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Turn off the driver's own transaction control, which would commit too early. `_begin_sqlite` sends BEGIN.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # NORMAL loses acknowledged commits when the power fails
        "foreign_keys = ON",
        "recursive_triggers = ON",  # otherwise INSERT OR REPLACE bypasses the triggers that forbid deletion
        f"busy_timeout = {_SQLITE_BUSY_TIMEOUT_MS}",
        "cache_size = -8192",  # 8 MiB for each of ten connections; the system caches the file too
        "wal_autocheckpoint = 8000",  # pages: fewer and larger checkpoints while much is written
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("sqlite_begin")
    if begin:
        connection.exec_driver_sql(begin)
