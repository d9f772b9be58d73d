"""What is removed when its time has come, and what stays for ever."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports.tables import import_keys
from app.learners.tables import event_causes, events
from app.operations import repository
from app.operations.housekeeping import tidy
from app.operations.runner import Runner
from app.operations.tables import operation_chunks, operation_outcomes
from tests.support.service import Api, Service, run_service

pytestmark = pytest.mark.anyio

DAYS = timedelta(days=30)
_names = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Service]:
    """A database of its own: housekeeping goes through the operations of all organizations."""
    url = f"sqlite:///{tmp_path}/rollcall.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").create_database(f"rollcall_housekeeping_{next(_names)}")
    async with run_service(url) as running:
        yield running


@pytest.fixture
def runner(api: Api) -> Runner:
    api.service.limit(removed_rows=7)
    return api.service.runner


async def rows(api: Api, operation: dict[str, Any]) -> list[Any]:
    """How many rows there are of this operation: keys, chunks, outcomes, events."""
    async with api.service.database.read() as connection:
        number = (
            await connection.exec_driver_sql(f"SELECT number FROM operations WHERE id = '{operation['id']}'")
        ).scalar_one()
        conditions = (
            import_keys.c.operation_number == number,
            operation_chunks.c.operation_id == operation["id"],
            operation_outcomes.c.operation_number == number,
            events.c.cause_id.in_(
                select(event_causes.c.id).where(event_causes.c.operation_id == operation["id"])
            ),
        )
        return [
            (await connection.execute(select(func.count()).where(condition))).scalar_one()
            for condition in conditions
        ]


async def test_keys_are_removed_after_an_import_and_outcomes_after_their_days(
    api: Api, runner: Runner
) -> None:
    api.service.limit(chunk_rows=50)
    roster = "Username\n" + "".join(f"u{number}\n" for number in range(120))
    operation = await api.import_csv(roster)
    keys, chunks, outcomes, changes = await rows(api, operation)
    assert (keys > 0, chunks, outcomes, changes) == (True, 3, 120, 120)

    await tidy(runner, DAYS)
    assert await rows(api, operation) == [0, 3, 120, 120]

    api.service.clock.advance(days=29, hours=23)
    await tidy(runner, DAYS)
    assert await rows(api, operation) == [0, 3, 120, 120]
    assert len(await api.outcomes(operation)) == 120

    api.service.clock.advance(hours=2)
    await tidy(runner, DAYS)
    assert await rows(api, operation) == [0, 0, 0, 120]
    for accept in ("application/json", "text/csv"):
        answer = await api.client.get(f"/operations/{operation['id']}/outcomes", headers={"Accept": accept})
        assert answer.status_code == 410
        assert answer.json()["code"] == "outcomes-removed"
    shown = (await api.client.get(f"/operations/{operation['id']}")).json()
    assert shown["counts"] == operation["counts"]
    await tidy(runner, DAYS)


async def test_next_round_removes_what_a_crash_left(
    api: Api, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(20)))
    await tidy(runner, DAYS)
    api.service.clock.advance(days=31)
    real, times = repository.delete_outcomes, iter([True, False])

    async def delete_outcomes(connection: AsyncConnection, removed_of: Any, limit: int) -> Any:
        if removed_of.id == operation["id"] and not next(times):
            raise ConnectionError
        return await real(connection, removed_of, limit)

    with monkeypatch.context() as patched:
        patched.setattr(repository, "delete_outcomes", delete_outcomes)
        with pytest.raises(ConnectionError):
            await tidy(runner, DAYS)
    assert (await rows(api, operation))[2] == 13
    assert (await api.client.get(f"/operations/{operation['id']}/outcomes")).status_code == 410

    await tidy(runner, DAYS)
    assert (await rows(api, operation))[2] == 0


async def test_unfinished_operations_are_kept(api: Api, runner: Runner) -> None:
    organization = api.organization.id
    async with api.service.runner.turn(organization):
        roster = "Username\n" + "".join(f"u{number}\n" for number in range(5_001))
        answer = await api.client.post(
            "/imports/csv", content=roster, headers={"Content-Type": "text/csv", "Prefer": "respond-async"}
        )
        api.service.clock.advance(days=31)
        await tidy(runner, DAYS)
        assert (await rows(api, answer.json()))[1] == 2
