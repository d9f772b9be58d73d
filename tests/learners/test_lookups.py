"""Looks rows up by thousands of keys: each through its index, however many rows the table has."""

from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.repository import find_ids_by_external_id, find_ids_by_username, lock_by_keys
from app.learners.tables import learners
from app.platform.bulk_rows import select_by_keys
from tests.support.service import Api

pytestmark = pytest.mark.anyio

MANY = 300


@pytest.fixture
async def names(api: Api) -> list[str]:
    names = [f"learner.{number:03}" for number in range(MANY)]
    rows = "".join(f"{name},HR-{name}\n" for name in names)
    await api.import_csv(f"Username,External ID\n{rows}")
    return names


async def test_every_known_value_finds_its_row(api: Api, names: list[str]) -> None:
    async with api.service.database.read() as connection:
        found = await connection.execute(
            select_by_keys(
                [learners.c.username, learners.c.external_id],
                [learners.c.organization_id == api.organization.id],
                learners.c.username_key,
                [*names[::2], "nobody", "learner.0"],
                connection.dialect.name,
            )
        )
    assert sorted(map(tuple, found)) == [(name, f"HR-{name}") for name in names[::2]]


async def test_learner_named_by_both_keys_is_locked_once_in_id_order(api: Api, names: list[str]) -> None:
    async with api.service.database.read() as connection:
        own = api.organization.id
        found = await lock_by_keys(
            connection, own, usernames=names[:200], external_ids=[f"HR-{name}" for name in names[100:]]
        )
        ids = (
            await connection.execute(select(learners.c.id).where(learners.c.organization_id == own))
        ).scalars()
        assert [learner.id for learner in found] == sorted(ids)


async def test_lookups_find_no_learner_of_another_organization(api: Api, names: list[str]) -> None:
    other = await api.service.found_organization()
    async with api.service.database.read() as connection:
        external_ids = [f"HR-{name}" for name in names]
        assert await lock_by_keys(connection, other.id, usernames=names, external_ids=external_ids) == []
        assert await find_ids_by_username(connection, other.id, names) == {}
        assert await find_ids_by_external_id(connection, other.id, external_ids) == {}


async def test_sqlite_reads_no_whole_organization(api: Api, names: list[str]) -> None:
    if not api.service.database.is_sqlite:
        pytest.skip("PostgreSQL plans by the size of a table: `make bench` shows its plans at a million rows")
    asked: list[tuple[str, Any]] = []

    def note(
        _connection: AsyncConnection, _cursor: object, statement: str, parameters: Any, *_: object
    ) -> None:
        asked.append((statement, parameters))

    async with api.service.database.read() as connection:
        event.listen(connection.sync_connection, "before_cursor_execute", note)
        await lock_by_keys(connection, api.organization.id, usernames=names, external_ids=names)
        event.remove(connection.sync_connection, "before_cursor_execute", note)
        [(statement, parameters)] = asked
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        accesses = [row.detail for row in plan if "learners" in row.detail]
    assert len(accesses) == 3
    assert all(" AND " in access for access in accesses), accesses
