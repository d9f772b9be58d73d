"""What is removed when its time has come, and what stays for ever."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.tables import event_causes, events, plan_rows
from app.operations import repository
from app.operations.housekeeping import tidy
from app.operations.operation import Phase
from app.operations.runner import Runner
from app.operations.tables import operation_chunks
from tests.support.answers import problem
from tests.support.runners import make_runner, own_turn, stored
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


class Left(NamedTuple):
    """How much there is of an operation."""

    planned: int
    chunks: int
    changes: int


async def find_left(api: Api, operation: dict[str, Any]) -> Left:
    async with api.service.database.read() as connection:
        found = await repository.find_operation(connection, api.organization.id, operation["id"])
        assert found is not None
        conditions = (
            plan_rows.c.plan == found.number,
            operation_chunks.c.operation_id == found.id,
            events.c.cause_id.in_(
                select(event_causes.c.id).where(event_causes.c.operation_id == operation["id"])
            ),
        )
        return Left(
            *[
                (await connection.execute(select(func.count()).where(condition))).scalar_one()
                for condition in conditions
            ]
        )


async def test_outcomes_are_removed_after_their_days_and_events_stay(api: Api, runner: Runner) -> None:
    api.service.limit(chunk_rows=50)
    roster = "Username\n" + "".join(f"u{number}\n" for number in range(120))
    operation = await api.import_csv(roster)
    assert await find_left(api, operation) == (0, 3, 120)

    await tidy(runner, DAYS)
    assert await find_left(api, operation) == (0, 3, 120)

    api.service.clock.advance(days=29, hours=23)
    await tidy(runner, DAYS)
    assert await find_left(api, operation) == (0, 3, 120)
    assert len(await api.outcomes(operation)) == 120
    assert operation["revertible"] == 120

    api.service.clock.advance(hours=2)
    await tidy(runner, DAYS)
    assert await find_left(api, operation) == (0, 0, 120)
    for accept in ("application/json", "text/csv"):
        answer = await api.client.get(f"/operations/{operation['id']}/outcomes", headers={"Accept": accept})
        assert problem(answer, 410, "outcomes-removed")
    shown = (await api.client.get(f"/operations/{operation['id']}")).json()
    assert shown == operation | {"revertible": 0}
    refused = await api.client.post(f"/operations/{operation['id']}/revert")
    assert "have been deleted" in problem(refused, 409, "operation-not-revertible")["detail"]
    await tidy(runner, DAYS)


@pytest.mark.parametrize("kind", ["import", "bulk action"])
async def test_plan_of_a_cancelled_operation_is_removed_in_small_parts(
    api: Api, runner: Runner, kind: str
) -> None:
    api.service.limit(chunk_rows=10, removed_rows=7)
    operation = await cancel_while_planned(api, kind)
    assert (await find_left(api, operation))[:2] == (20, 3)

    await tidy(runner, DAYS)

    # What was asked is kept for a report, as long as outcomes are.
    assert (await find_left(api, operation))[:2] == (0, 3)
    assert await api.outcomes(operation) == []
    api.service.clock.advance(days=31)
    await tidy(runner, DAYS)
    assert await find_left(api, operation) == (0, 0, 0)


async def cancel_while_planned(api: Api, kind: str) -> dict[str, Any]:
    """An operation that was cancelled after two of its three chunks were planned."""
    prefer = {"Prefer": "respond-async"}
    if kind == "bulk action":
        with api.service.limited(chunk_rows=100):
            await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(30)))
    async with own_turn(api):
        if kind == "import":
            answer = await api.client.post(
                "/imports/csv",
                content="Username\n" + "".join(f"u{number}\n" for number in range(30)),
                headers={"Content-Type": "text/csv", **prefer},
            )
        else:
            body = {"action": "deactivate", "selection": {"filter": {}}}
            answer = await api.client.post("/learners/bulk-actions", json=body, headers=prefer)
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        running = await stored(api, document["id"])
        process = make_runner(api)
        for _ in range(2):
            running = await process.run_next_step(running)
        assert running.phase is Phase.PLAN
        cancelled = await api.client.post(f"/operations/{document['id']}/cancel")
        assert cancelled.json()["state"] == "cancelled"
    return document


async def test_next_round_removes_what_a_crash_left(
    api: Api, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(20)))
    await tidy(runner, DAYS)
    api.service.clock.advance(days=31)

    async def delete_stage(_connection: AsyncConnection, _operation_id: str) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(repository, "delete_stage", delete_stage)
        with pytest.raises(ConnectionError):
            await tidy(runner, DAYS)
    assert (await find_left(api, operation)).chunks == 1
    # They are not shown any more.
    assert (await api.client.get(f"/operations/{operation['id']}/outcomes")).status_code == 410

    await tidy(runner, DAYS)
    assert (await find_left(api, operation)).chunks == 0


async def test_unfinished_operations_are_kept(api: Api, runner: Runner) -> None:
    organization = api.organization.id
    async with api.service.runner.turn(organization):
        roster = "Username\n" + "".join(f"u{number}\n" for number in range(5_001))
        answer = await api.client.post(
            "/imports/csv", content=roster, headers={"Content-Type": "text/csv", "Prefer": "respond-async"}
        )
        api.service.clock.advance(days=31)
        await tidy(runner, DAYS)
        assert (await find_left(api, answer.json())).chunks == 2
