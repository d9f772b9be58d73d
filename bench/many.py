"""Measures a bulk deactivation and an export of all learners, through the API and with minimal SQL."""

import asyncio
import csv
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from app.limits import Limits
from app.organizations.service import ensure_default_organization
from app.platform.clock import SystemClock
from app.platform.instants import instant_text
from bench.databases import Databases, open_prepared
from bench.population import gather_statistics, populate
from bench.rosters import Service, serve

_ORGANIZATION = 1
_ROUNDS = 2
_CELLS = (
    "username, external_id, email, first_name, last_name, CASE WHEN deactivated_at IS NULL THEN 'Yes' ELSE 'No' END, "
    "expires_on"
)
# Everything that a deactivation stores for a chunk. {chosen} selects its learners.
_OUTCOMES = (
    "INSERT INTO operation_chunks (operation_id, number, first_item, items, content, outcomes)"
    " SELECT '019a4400-0000-7000-8000-000000000000', {first}, {first}, count(*), {empty}, {outcomes}"
    " FROM learners WHERE {chosen}"
)
_EVENTS = (
    "INSERT INTO events (organization_id, id, learner_id, version, type, occurred_at, actor, operation_id, before,"
    " after) SELECT organization_id, {new_id}, id, version + 1, 'learner.deactivated', {now}, '{{}}', NULL,"
    """ '{{"deactivated_at":null,"status":"active"}}', '{{"deactivated_at":"{instant}","status":"deactivated"}}'"""
    " FROM learners WHERE {chosen} AND deactivated_at IS NULL"
)
_UPDATE = (
    "UPDATE learners SET deactivated_at = {now}, sessions_valid_from = {now}, updated_at = {now},"
    " version = version + 1 WHERE {chosen} AND deactivated_at IS NULL"
)
_STATEMENTS = (_OUTCOMES, _EVENTS, _UPDATE)


def measure(databases: Databases, learners: int) -> None:
    """Print the seconds of both, their ratio, and the growth of the process."""
    bare_url = databases.new_url()
    asyncio.run(_populate(bare_url, learners))
    with serve(databases) as service:
        asyncio.run(_populate(service.server.database_url, learners))
        idle = service.resident_mib()
        print(
            f"\n{f'{learners:,} learners':<38} {'service':>12} {'bare SQL':>12} {'ratio':>8} {'memory':>12}"
        )
        service.forget_peak()
        target = databases.new_folder() / "learners.csv"
        ours, theirs = [], []
        for _ in range(_ROUNDS):
            theirs.append(asyncio.run(_export(bare_url, target)))
            ours.append(_export_by(service))
        _print("export of all", sum(ours) / _ROUNDS, sum(theirs) / _ROUNDS, service, idle)
        service.forget_peak()
        taken = _deactivate_by(service, learners)
        _print("bulk deactivation of all", taken, asyncio.run(_deactivate(bare_url)), service, idle)


def _print(what: str, ours: float, theirs: float, service: Service, idle: float) -> None:
    grown = service.resident_mib("VmHWM") - idle
    print(f"{what:<38} {ours:>10.1f} s {theirs:>10.1f} s {ours / theirs:>8.2f} {grown:>+8.0f} MiB")


async def _populate(url: str, learners: int) -> None:
    async with open_prepared(url) as database:
        now = SystemClock().now()
        await database.write(ensure_default_organization, now)
        await populate(database, _ORGANIZATION, learners)
        await gather_statistics(database)


def _export_by(service: Service) -> float:
    started = time.perf_counter()
    with service.client.stream("GET", "/learners", headers={"Accept": "text/csv"}, timeout=600) as answer:
        answer.raise_for_status()
        for _ in answer.iter_raw():
            pass
    return time.perf_counter() - started


async def _export(url: str, target: Path) -> float:
    query = f"SELECT {_CELLS} FROM learners WHERE organization_id = {_ORGANIZATION} ORDER BY username_key"
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        started = time.perf_counter()
        with target.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(connection.execute(query))
        taken = time.perf_counter() - started
        connection.close()
        return taken
    driver = await asyncpg.connect(url)
    started = time.perf_counter()
    with target.open("wb") as file:
        await driver.copy_from_query(query, output=file, format="csv")
    taken = time.perf_counter() - started
    await driver.close()
    return taken


def _deactivate_by(service: Service, learners: int) -> float:
    begun = datetime.now(UTC)
    answer = service.client.post(
        "/learners/bulk-actions",
        json={"action": "deactivate", "selection": {"filter": {}}, "expected_count": learners},
        headers={"Prefer": "respond-async"},
        timeout=600,
    )
    operation = answer.raise_for_status().json()
    while operation["finished_at"] is None:
        time.sleep(0.5)
        operation = service.look(operation)
    if operation["state"] != "succeeded":
        raise SystemExit(f"the bulk action failed: {operation}")
    return (datetime.fromisoformat(operation["finished_at"]) - begun).total_seconds()


async def _deactivate(url: str) -> float:
    run = _deactivate_on_sqlite if url.startswith("sqlite") else _deactivate_on_postgresql
    return await run(url)


def _statements(first: int, dialect: dict[str, str], instant: str) -> list[str]:
    return [each.format(first=first, instant=instant, **dialect) for each in _STATEMENTS]


async def _deactivate_on_sqlite(url: str) -> float:
    async with open_prepared(url) as database, database.read() as read:
        pragmas = ("synchronous", "cache_size", "wal_autocheckpoint")
        settings = {name: (await read.exec_driver_sql(f"PRAGMA {name}")).scalar_one() for name in pragmas}
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for name, value in settings.items():
        connection.execute(f"PRAGMA {name} = {value}")
    instant = instant_text(SystemClock().now())
    dialect = {
        "chosen": f"organization_id = {_ORGANIZATION} AND id IN (SELECT value FROM json_each(:ids))",
        "new_id": "lower(hex(randomblob(16)))",
        "now": f"'{instant}'",
        "empty": "x''",
        "outcomes": "CAST(json_group_array(json_array('changed', id, username)) AS BLOB)",
    }
    started = time.perf_counter()
    ids = [row[0] for row in connection.execute("SELECT id FROM learners ORDER BY id")]
    for first in range(0, len(ids), Limits().chunk_rows):
        parameters = {"ids": orjson.dumps(ids[first : first + Limits().chunk_rows]).decode()}
        connection.execute("BEGIN IMMEDIATE")
        for statement in _statements(first, dialect, instant):
            connection.execute(statement, parameters)
        connection.execute("COMMIT")
    taken = time.perf_counter() - started
    connection.close()
    return taken


async def _deactivate_on_postgresql(url: str) -> float:
    driver = await asyncpg.connect(url)
    now = SystemClock().now()
    dialect = {
        "chosen": f"organization_id = {_ORGANIZATION} AND id = ANY(ARRAY(SELECT unnest($1::uuid[])))",
        "new_id": "gen_random_uuid()",
        "now": f"'{instant_text(now)}'::timestamptz",
        "empty": "''::bytea",
        "outcomes": "convert_to(json_agg(json_build_array('changed', id, username))::text, 'UTF8')",
    }
    started = time.perf_counter()
    ids: list[Any] = [row[0] for row in await driver.fetch("SELECT id FROM learners ORDER BY id")]
    for first in range(0, len(ids), Limits().chunk_rows):
        chunk = ids[first : first + Limits().chunk_rows]
        async with driver.transaction():
            await driver.fetch(
                f"SELECT id FROM learners WHERE {dialect['chosen']} ORDER BY id FOR UPDATE", chunk
            )
            for statement in _statements(first, dialect, instant_text(now)):
                await driver.execute(statement, chunk)
    taken = time.perf_counter() - started
    await driver.close()
    return taken
