"""Cancelling: changes made so far remain and are counted, and the rest is not started, in whatever process."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from app.learners import plan_repository
from app.operations import repository
from app.operations.operation import Kind, Operation, Phase, State
from app.organizations.api_keys import Scope
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.answers import problem
from tests.support.runners import (
    CHUNK,
    finish,
    make_runner,
    own_turn,
    paused_in_the_first_chunk,
    run_until,
    state_of,
    stored,
    submit,
)
from tests.support.service import NOON, Api
from tests.support.stored import another, ended, follow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("chunk_sizes")]


async def cancel(api: Api, operation_id: str) -> dict[str, Any]:
    answer = await api.client.post(f"/operations/{operation_id}/cancel")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def count_moved(api: Api, operation: Operation) -> int:
    """Count the rows that are applied although their chunk is not."""
    async with api.service.database.read() as connection:
        return len(await plan_repository.list_applied(connection, operation.number))


async def finished_count(api: Api, state: Any) -> Any:
    metrics = (await api.client.get("/metrics")).text
    for line in metrics.splitlines():
        if line.startswith(f'rollcall_operations_finished_total{{kind="csv-import",state="{state}"}}'):
            return float(line.split()[-1])
    return 0.0


async def until_a_writer_waits(database: Database) -> None:
    """Return when a transaction waits for a lock of another one."""
    if database.is_sqlite:
        for _ in range(20):  # turns of the event loop are all that it takes to queue for the one writer
            await asyncio.sleep(0)
        return
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with database.read() as connection:
        while not await connection.scalar(waiting):
            pass


@pytest.mark.parametrize("kind", [Kind.CSV_IMPORT, Kind.BULK_ACTION, Kind.REVERT])
async def test_cancelled_operation_keeps_its_changes_and_does_no_more(
    api: Api, second_database: Database, kind: Kind
) -> None:
    async with own_turn(api):
        operation = await submit(api, kind)
        other_process = make_runner(api, second_database)
        left = await run_until(other_process, operation, Phase.APPLY, 1)
        moved = await count_moved(api, left)
        before = await state_of(api)
        api.service.clock.advance(minutes=1)

        document = await cancel(api, operation.id)

        assert document["state"] == "cancelled"
        assert (moved > 0) == (kind is not Kind.BULK_ACTION)
        assert left.done > 0
        assert document["progress"] == {"done": left.done + moved, "total": operation.total}
        assert sum(document["counts"].values()) == left.done + moved
        assert document["problem"] is None
        assert (document["started_at"], document["finished_at"]) == (
            "2026-11-02T12:00:00Z",
            "2026-11-02T12:01:00Z",
        )
        # Whoever runs the next chunk, with or without having read it ahead, finds that there is none.
        assert (await other_process.run_next_step(left)).state is State.CANCELLED
        assert (await finish(make_runner(api), left)).state is State.CANCELLED

    after = await state_of(api)
    for part in ("learners", "texts", "events", "plan"):
        assert after[part] == before[part]
    assert len(await api.outcomes(document)) == left.done + moved
    report = await api.client.get(f"/operations/{operation.id}/outcomes", headers={"Accept": "text/csv"})
    assert len(report.text.splitlines()) == 1 + left.done + moved
    assert await ended(api, document) == document


async def test_cancelled_pending_operation_never_begins(api: Api) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        before = await state_of(api)
        document = await cancel(api, operation.id)
        assert (document["state"], document["started_at"]) == ("cancelled", None)
        assert document["progress"]["done"] == sum(document["counts"].values()) == 0
    # By now the service has had its turn with it.
    assert (await api.import_csv("Username\nafterwards\n"))["counts"]["created"] == 1
    after = await state_of(api)
    assert [each for each in after["events"] if each["operation_id"] == operation.id] == []
    assert len(after["learners"]) == len(before["learners"]) + 1
    assert (await stored(api, operation.id)).state is State.CANCELLED
    async with api.service.database.read() as connection:
        assert await repository.list_unfinished(connection) == []


async def test_cancelling_waits_for_the_whole_running_chunk(api: Api) -> None:
    async with paused_in_the_first_chunk(api) as (_, operation, may_go_on, running):
        cancelling = asyncio.create_task(cancel(api, operation.id))
        await until_a_writer_waits(api.service.database)
        assert not cancelling.done()
        may_go_on.set()
        document = await cancelling
        await running

    # Either the chunk after it was quicker to ask for the lock, or there is none. Of the rest, names have moved.
    assert CHUNK <= document["progress"]["done"] < 3 * CHUNK
    assert await ended(api, document) == document
    assert sum(document["counts"].values()) == document["progress"]["done"]


async def test_a_request_that_waits_is_answered_with_the_cancelled_operation(api: Api) -> None:
    async with own_turn(api):
        rows = "".join(f"u{number}\n" for number in range(2 * CHUNK))
        waiting = asyncio.create_task(
            api.client.post(
                "/imports/csv",
                content="Username\n" + rows,
                headers={"Content-Type": "text/csv", "Idempotency-Key": "feed", "Prefer": "wait=30"},
            )
        )
        for _ in range(10_000):
            if listed := await follow(api.client, "/operations"):
                break
        await cancel(api, listed[0]["id"])
    answer = await waiting
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


async def test_cancelling_again_answers_the_same(api: Api) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        counted = await finished_count(api, "cancelled")
        with capture_logs() as lines:
            first = await cancel(api, operation.id)
            api.service.clock.advance(minutes=1)
            assert await cancel(api, operation.id.upper()) == first

    assert await finished_count(api, "cancelled") == counted + 1
    (line,) = (each for each in lines if each["event"] == "operation ended")
    assert (line["operation"], line["state"], line["kind"]) == (operation.id, "cancelled", "csv-import")


async def test_ended_operation_cannot_be_cancelled(api: Api) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)

        async def fail(_connection: AsyncConnection, _before: Operation) -> None:
            raise ZeroDivisionError

        here = make_runner(api, before=fail)
        with capture_logs():
            await here.run(operation)
    succeeded = await api.import_csv("Username\na\n")
    before = await state_of(api)

    for operation_id, state in ((operation.id, "failed"), (succeeded["id"], "succeeded")):
        told = problem(
            await api.client.post(f"/operations/{operation_id}/cancel"), 409, "operation-not-cancellable"
        )
        assert told["state"] == state
        assert state in told["detail"]
    assert await state_of(api) == before


async def test_failure_after_cancelling_leaves_the_operation_cancelled(api: Api) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        document = await cancel(api, operation.id)
        assert (await make_runner(api).fail(operation)).state is State.CANCELLED
    assert await ended(api, document) == document


async def test_unknown_operation_or_that_of_others_is_404(api: Api) -> None:
    other = await another(api)
    async with own_turn(other):
        theirs = await submit(other, Kind.CSV_IMPORT)
        for an_id in (theirs.id, new_id(NOON), "42", "%00"):
            problem(await api.client.post(f"/operations/{an_id}/cancel"), 404, "not-found")
        assert (await stored(other, theirs.id)).state is State.PENDING
    await ended(other, {"id": theirs.id})
    await other.client.aclose()


async def test_needs_the_bulk_scope(api: Api) -> None:
    async with own_turn(api), AsyncExitStack() as stack:
        operation = await submit(api, Kind.CSV_IMPORT)
        path = f"/operations/{operation.id}/cancel"
        problem(
            await (await stack.enter_async_context(api.service.client())).post(path), 401, "not-authenticated"
        )
        for scope in Scope:
            client = await stack.enter_async_context(await api.client_with(scope))
            answer = await client.post(path)
            if scope in (Scope.LEARNERS_BULK, Scope.ADMIN):
                assert answer.status_code == 200
            else:
                assert problem(answer, 403, "not-permitted")["required_scope"] == "learners:bulk"
