"""Looks rows up by thousands of keys: each through its index, however many rows the table has."""

import re
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import plan_apply, plan_claims, plan_sql
from app.learners.plan import Rules, row_of_wish
from app.learners.plan_conditions import Scope
from app.learners.repository import find_ids_by_external_id, find_ids_by_username
from app.learners.tables import learners
from app.learners.wish import Wish
from app.platform.bulk_rows import select_by_keys
from tests.support.learner_rows import CAUSE, TODAY, undone
from tests.support.service import NOON, Api

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


async def test_lookups_find_no_learner_of_another_organization(api: Api, names: list[str]) -> None:
    other = await api.service.found_organization()
    async with api.service.database.read() as connection:
        external_ids = [f"HR-{name}" for name in names]
        assert await find_ids_by_username(connection, other.id, names) == {}
        assert await find_ids_by_external_id(connection, other.id, external_ids) == {}


async def test_sqlite_reads_no_whole_organization(api: Api, names: list[str]) -> None:
    """Neither to find the learners of selected names, nor to decide and apply the rows of a plan."""
    if not api.service.database.is_sqlite:
        pytest.skip("PostgreSQL plans by the size of a table: `make bench` shows its plans at a million rows")
    asked: list[tuple[str, Any]] = []

    def note(
        _connection: AsyncConnection, _cursor: object, statement: str, parameters: Any, *_: object
    ) -> None:
        if "learners" in statement:
            asked.append((statement, parameters))

    organization_id, scope = api.organization.id, Scope(1_000_000)
    wishes = [Wish({"username": name, "external_id": f"X-{name}"}, is_active=False) for name in names]
    rows = [row_of_wish(item, None, wish) for item, wish in enumerate(wishes)]
    async with undone(api.service.database) as connection:
        event.listen(connection.sync_connection, "before_cursor_execute", note)
        await find_ids_by_username(connection, organization_id, names)
        await find_ids_by_external_id(connection, organization_id, names)
        rules = Rules(create=True, rekey=True, finds_by_names=True)
        await plan_sql.add_rows(
            connection, organization_id, scope.plan, rows, rules, today=TODAY, planned_at=NOON
        )
        await plan_claims.list_movers(connection, scope.plan)
        await plan_apply.find_stale(connection, organization_id, scope)
        await plan_apply.apply(connection, organization_id, scope, CAUSE, NOON, moves_names=True)
        event.remove(connection.sync_connection, "before_cursor_execute", note)
        assert len(asked) > 8
        for statement, parameters in asked:
            if "INSERT INTO learners" in statement and "SELECT" not in statement:
                continue
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            accesses = [row.detail for row in plan if re.search(r"\b(learners|by_\w+|learner)\b", row.detail)]
            assert not [each for each in accesses if "SCAN" in each or "AUTOMATIC" in each], statement
            found = [each for each in accesses if each.startswith("SEARCH")]
            assert all(" AND " in each for each in found), (statement, accesses)
