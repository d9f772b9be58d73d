"""Steps and cursor: whatever breaks, whenever, nothing is lost and nothing is done twice."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.background import HANDLERS
from app.operations import repository
from app.operations.housekeeping import tidy
from app.operations.operation import Chunk, Kind, Operation, Phase, Position, State
from app.operations.runner import Runner
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.logs import Logs
from tests.support.runners import (
    ALLOWED,
    CHUNK,
    REFUSED,
    crash_everywhere,
    finish,
    is_reading_ahead,
    lose_connection_everywhere,
    make_runner,
    own_turn,
    paused_in_the_first_chunk,
    reads_ahead,
    run_until,
    state_of,
    stored,
    submit,
    submit_guarded,
    undisturbed,
)
from tests.support.service import NOON, Api, run_service
from tests.support.stored import (
    all_learners,
    another,
    comparable,
    count_stages,
    ended,
    follow,
)

pytestmark = pytest.mark.anyio


KINDS = [Kind.CSV_IMPORT, Kind.BULK_ACTION, Kind.REVERT]


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_at_any_statement_of_any_step_leaves_everything_as_before_the_step(
    api: Api, second_database: Database, kind: Kind
) -> None:
    expected = await undisturbed(api, kind)
    async with own_turn(api):
        operation = await submit(api, kind)
        steps = await crash_in_every_step(api, second_database, operation)

    assert steps[:3] == [Position(Phase.PLAN, chunk, 3) for chunk in range(3)]
    assert {step.phase for step in steps} == set(Phase)
    moving = [step for step in steps if step.phase is Phase.MOVE]
    assert len(moving) == (1 if kind is Kind.BULK_ACTION else 2)  # the last finds nothing left to move
    assert steps[-3:] == [Position(Phase.APPLY, chunk, 3) for chunk in range(3)]
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("guards", [ALLOWED, REFUSED], ids=["allowed", "refused"])
async def test_a_crash_at_any_statement_of_a_guarded_import_leaves_everything_as_before_the_step(
    api: Api, second_database: Database, guards: dict[str, Any]
) -> None:
    expected = await undisturbed(api, Kind.CSV_IMPORT, guards)
    async with own_turn(api):
        operation = await submit_guarded(api, guards)
        steps = await crash_in_every_step(api, second_database, operation)

    # Two chunks of rows, and two of the missing learners.
    assert [step.chunks for step in steps if step.phase is Phase.ADD_MISSING] == [2, 3, 4]
    assert (Phase.MOVE in {step.phase for step in steps}) == (guards is ALLOWED)
    assert steps[-4:] == [Position(Phase.APPLY, chunk, 4) for chunk in range(4)]
    ended_operation = await stored(api, operation.id)
    assert ended_operation.state is (State.SUCCEEDED if guards is ALLOWED else State.REFUSED)
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("guards", [ALLOWED, REFUSED], ids=["allowed", "refused"])
async def test_two_runners_on_a_guarded_import_do_each_step_once(
    api: Api, second_database: Database, guards: dict[str, Any]
) -> None:
    expected = await undisturbed(api, Kind.CSV_IMPORT, guards)
    done: list[Position] = []

    async with own_turn(api):
        operation = await submit_guarded(api, guards)
        await run_twice(api, second_database, operation, done)

    assert chunks_of(done, Phase.PLAN) == [0, 1]
    assert chunks_of(done, Phase.APPLY) == [0, 1, 2, 3]
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_lost_after_any_statement_leaves_everything_as_before_the_step(
    api: Api, second_database: Database, kind: Kind
) -> None:
    if second_database.is_sqlite:
        pytest.skip("SQLite has no connection to lose; see the full disk")
    expected = await undisturbed(api, kind)
    async with own_turn(api):
        operation = await submit(api, kind)
        other_process = make_runner(api, second_database)
        while not operation.is_finished:
            operation, losses = await lose_connection_everywhere(
                api, second_database, other_process, operation
            )
            assert losses > 3

    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", Phase)
async def test_two_processes_that_have_both_read_for_a_step_take_it_once(
    api: Api, second_database: Database, kind: Kind, phase: Phase
) -> None:
    expected = await undisturbed(api, kind)
    async with own_turn(api):
        operation = await run_until(make_runner(api), await submit(api, kind), phase)
        both_read = asyncio.Barrier(2)
        here, there = (
            ReadingTogether(database, api.service.clock, HANDLERS, api.service.limits, both_read)
            for database in (api.service.database, second_database)
        )
        first, second = await asyncio.gather(here.run_next_step(operation), there.run_next_step(operation))
        assert {first.phase, second.phase} <= {phase, Phase(min(phase + 1, Phase.APPLY))}
        await finish(make_runner(api), max(first, second, key=lambda each: each.position))

    assert comparable(await state_of(api)) == expected


class ReadingTogether(Runner):
    """A runner that takes a step only when another one has read for it, too."""

    def __init__(self, database: Database, clock: Any, handlers: Any, limits: Any, barrier: Any) -> None:
        super().__init__(database, clock, handlers, limits)
        self._barrier = barrier

    async def _read(self, operation: Operation) -> Any:
        read = await super()._read(operation)
        if not is_reading_ahead():
            await self._barrier.wait()
        return read


async def run_twice(api: Api, other: Database, operation: Operation, done: list[Position]) -> None:
    """Run an operation in two processes at once, and note the steps that are taken."""

    async def note(_connection: AsyncConnection, before: Operation) -> None:
        done.append(before.position)

    here, there = make_runner(api, after=note), make_runner(api, other, after=note)
    await asyncio.gather(here.run(operation), there.run(operation))


def chunks_of(steps: Sequence[Position], phase: Phase) -> list[int]:
    return [step.chunk for step in steps if step.phase is phase]


async def crash_in_every_step(api: Api, database: Database, operation: Operation) -> list[Position]:
    """Finish the operation with a new process for each step, which crashes before each statement. Return the steps."""
    steps = []
    while not operation.is_finished:
        steps.append(operation.position)
        operation, crashes = await crash_everywhere(api, database, make_runner(api, database), operation)
        assert crashes > 4
    return steps


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", KINDS)
async def test_when_the_database_is_away_or_full_the_chunk_is_tried_again(
    api: Api, second_database: Database, kind: Kind, logged: Logs
) -> None:
    api.service.limit(first_retry_seconds=0.001)
    expected = await undisturbed(api, kind)
    faults = iter([False, True, True, False] * 2)

    async def fail(connection: AsyncConnection, before: Operation) -> None:
        if before.phase not in (Phase.PLAN, Phase.APPLY) or not next(faults, False):
            return
        if not second_database.is_sqlite:
            await connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        try:
            await connection.exec_driver_sql(
                "PRAGMA max_page_count = 1"
            )  # as many as there are: the disk is full
            await connection.exec_driver_sql("CREATE TABLE too_large AS SELECT zeroblob(100000000)")
        finally:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1000000000")

    async with own_turn(api):
        operation = await submit(api, kind)
        other_process = make_runner(api, second_database, after=fail)
        await other_process.run(operation)

    assert (await stored(api, operation.id)).state is State.SUCCEEDED
    pauses = [line["pause_seconds"] for line in logged if line["log_level"] == "error"]
    assert pauses == [0.001, 0.002] * 2
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", KINDS)
async def test_chunk_whose_read_ahead_fails_is_read_again(
    api: Api, kind: Kind, monkeypatch: pytest.MonkeyPatch, logged: Logs
) -> None:
    api.service.limit(first_retry_seconds=0.001)
    expected = await undisturbed(api, kind)
    read = repository.get_chunk
    # Small operations read their chunk, too, so only the large one's reads are counted.
    faults = iter([False, True, False])
    read_of: list[str] = []

    async def get_chunk(connection: AsyncConnection, operation_id: str, number: int) -> Any:
        if operation_id in read_of and next(faults, False):
            raise OperationalError(None, None, Exception("the connection is gone"))
        return await read(connection, operation_id, number)

    monkeypatch.setattr(repository, "get_chunk", get_chunk)
    async with own_turn(api):
        operation = await submit(api, kind)
        read_of.append(operation.id)
        process = make_runner(api)
        await process.run(operation)

    assert next(faults, None) is None
    assert [line["pause_seconds"] for line in logged if line["log_level"] == "error"] == [0.001]
    assert not reads_ahead()
    assert comparable(await state_of(api)) == expected


# Several runners


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", KINDS)
async def test_two_runners_on_one_operation_do_each_chunk_once(
    api: Api, second_database: Database, kind: Kind
) -> None:
    expected = await undisturbed(api, kind)
    done: list[Position] = []

    async with own_turn(api):
        await run_twice(api, second_database, await submit(api, kind), done)

    for phase in (Phase.PLAN, Phase.APPLY):
        assert chunks_of(done, phase) == [0, 1, 2]
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
async def test_starting_process_continues_unfinished_operations(api: Api, second_database: Database) -> None:
    expected = await undisturbed(api, Kind.CSV_IMPORT)
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        left = await run_until(make_runner(api), operation, Phase.APPLY, 1)
        assert (left.state, left.cursor, left.done) == (State.RUNNING, 1, CHUNK)
        finished = await another(api)
        await finished.import_csv("Username\na\n")
        before = await state_of(finished)

        async with second_database.read() as connection:
            [listed] = await repository.list_unfinished(connection)
            unfinished = await repository.get_operation(connection, listed.number)
        assert unfinished == left
        await make_runner(api, second_database).run(unfinished)

    assert comparable(await state_of(api)) == expected
    assert await state_of(finished) == before
    await finished.client.aclose()


@pytest.mark.usefixtures("chunk_sizes")
async def test_service_continues_unfinished_operations_when_it_starts(api: Api) -> None:
    expected = await undisturbed(api, Kind.BULK_ACTION)
    async with own_turn(api):
        operation = await submit(api, Kind.BULK_ACTION)
        await run_until(make_runner(api), operation, Phase.APPLY, 1)
        async with run_service(api.service.url):
            document = await ended(api, {"id": operation.id})

    assert document["state"] == "succeeded"
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
async def test_operation_run_twice_is_done_once(api: Api) -> None:
    done: list[Position] = []

    async def note(_connection: AsyncConnection, before: Operation) -> None:
        done.append(before.position)

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        here = make_runner(api, after=note)
        first, second = await asyncio.gather(here.run(operation), here.run(operation))
        assert first == second
        assert not reads_ahead()
        assert (await here.run_next_step(operation)).state is State.SUCCEEDED

    assert len(done) > 3 * 2
    assert chunks_of(done, Phase.PLAN) == chunks_of(done, Phase.APPLY) == [0, 1, 2]


@pytest.mark.usefixtures("chunk_sizes")
async def test_finished_turn_leaves_the_remaining_steps(api: Api, second_database: Database) -> None:
    expected = await undisturbed(api, Kind.CSV_IMPORT)
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        over = iter([False, False, True])
        here = make_runner(api)
        left = await here.run(operation, is_over=lambda: next(over))
        assert (left.state, left.position, left.finished_at) == (
            State.RUNNING,
            Position(Phase.PLAN, 2, 3),
            None,
        )
        assert not reads_ahead()
        await make_runner(api, second_database).run(left)

    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
async def test_operations_of_one_organization_take_turns_beside_those_of_others(api: Api) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    order = []
    other = await another(api)

    class Observed(Runner):
        async def run_next_step(self, operation: Operation) -> Operation:
            order.append(operation.number)
            if operation.number == first.number:
                begun.set()
                await may_go_on.wait()
            return await super().run_next_step(operation)

    async with own_turn(api), own_turn(other):
        first, second = await submit(api, Kind.CSV_IMPORT), await submit(api, Kind.BULK_ACTION)
        theirs = await submit(other, Kind.CSV_IMPORT)
        here = Observed(api.service.database, api.service.clock, HANDLERS, api.service.limits)
        running = [asyncio.create_task(here.run(operation)) for operation in (first, second, theirs)]
        await begun.wait()
        assert (await here.wait(theirs, 60)).state is State.SUCCEEDED
        assert (await stored(api, second.id)).state is State.PENDING
        may_go_on.set()
        await asyncio.gather(*running)

    mine = [number for number in order if number != theirs.number]
    assert mine == sorted(mine)
    assert set(mine) == {first.number, second.number}
    await other.client.aclose()


# Waiting and stopping


@pytest.mark.usefixtures("chunk_sizes")
async def test_waiting_ends_before_the_operation(api: Api) -> None:
    async with paused_in_the_first_chunk(api) as (here, operation, may_go_on, _):
        for seconds in (0, 0.001):
            waited = await here.wait(operation, seconds)
            assert (waited.state, waited.cursor, waited.done) == (State.RUNNING, 0, 0)
        may_go_on.set()
        assert (await here.wait(operation, 60)).state is State.SUCCEEDED


@pytest.mark.usefixtures("chunk_sizes")
async def test_stopping_ends_after_the_running_chunk(api: Api, second_database: Database) -> None:
    expected = await undisturbed(api, Kind.CSV_IMPORT)
    async with paused_in_the_first_chunk(api) as (here, operation, may_go_on, running):
        here.stop()
        await asyncio.sleep(0)
        assert not running.done()
        may_go_on.set()
        await running
        left = await stored(api, operation.id)
        assert (left.state, left.cursor, left.done, left.finished_at) == (State.RUNNING, 1, CHUNK, None)
        assert sum(left.counts.values()) == CHUNK
        await finish(make_runner(api, second_database), operation)

    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes", "logged")
async def test_a_stopped_runner_does_not_wait_for_a_database_that_is_away(api: Api) -> None:
    attempted = asyncio.Event()

    async def fail(_connection: AsyncConnection, _before: Operation) -> None:
        attempted.set()
        raise OSError("the disk is full")

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        here = make_runner(api, before=fail)
        running = asyncio.create_task(here.run(operation))
        await attempted.wait()
        here.stop()
        await running
        left = await stored(api, operation.id)
        assert (left.state, left.cursor) == (State.PENDING, 0)
        await finish(make_runner(api), operation)


@pytest.mark.usefixtures("chunk_sizes")
async def test_while_a_chunk_runs_access_is_answered_from_what_is_committed(api: Api) -> None:
    async with paused_in_the_first_chunk(api):
        learners = await all_learners(api)
        assert len(learners) == 3 * CHUNK // 2
        access = await api.client.get(f"/learners/{learners['known6']['id']}/access")
        assert access.json()["allowed"] is True
        listed = await follow(api.client, "/operations", kind="csv-import")
        assert sorted(each["state"] for each in listed) == ["running", "succeeded"]


# Faults of a handler


@pytest.mark.usefixtures("chunk_sizes")
async def test_bug_in_a_handler_fails_the_operation_and_keeps_earlier_changes(api: Api, logged: Logs) -> None:
    async def fail(_connection: AsyncConnection, before: Operation) -> None:
        if (before.phase, before.cursor) == (Phase.APPLY, 1):
            raise ZeroDivisionError("secret of the learner")

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        here = make_runner(api, after=fail)
        await here.run(operation)

    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["operation failed"]
    document = await ended(api, {"id": operation.id})
    assert document["state"] == "failed"
    assert document["problem"]["code"] == "internal-error"
    assert "secret" not in str(document)
    done = document["progress"]["done"]
    # A row of a later chunk was applied with the first one, because names move between their learners.
    assert CHUNK < done < 2 * CHUNK
    assert sum(document["counts"].values()) == done
    assert document["finished_at"] == "2026-11-02T12:00:00Z"
    outcomes = await api.outcomes(document)
    assert len(outcomes) == done
    learners = await all_learners(api)
    created = [each["username"] for each in outcomes if each["outcome"] == "created"]
    assert set(created) <= set(learners)
    assert {name for name in learners if name.startswith("new")} == set(created)
    state = await state_of(api)
    changes = [each for each in state["events"] if each["operation_id"] == operation.id]
    assert len(changes) == document["counts"]["created"] + document["counts"]["changed"]
    assert (await api.import_csv("Username\nafterwards\n"))["counts"]["created"] == 1


@pytest.mark.usefixtures("chunk_sizes", "logged")
@pytest.mark.parametrize("phase", [each for each in Phase if each is not Phase.APPLY])
async def test_operation_that_fails_before_it_is_applied_changes_nothing(api: Api, phase: Phase) -> None:
    async def fail(_connection: AsyncConnection, before: Operation) -> None:
        if before.phase is phase:
            raise ZeroDivisionError

    async with own_turn(api):
        operation = await submit_guarded(api, ALLOWED)
        before = await state_of(api)
        await make_runner(api, after=fail).run(operation)

    document = await ended(api, {"id": operation.id})
    assert (document["state"], document["problem"]["code"]) == ("failed", "internal-error")
    assert (document["progress"]["done"], sum(document["counts"].values())) == (0, 0)
    assert await api.outcomes(document) == []
    after = await state_of(api)
    assert (after["learners"], after["events"]) == (before["learners"], before["events"])


@pytest.mark.usefixtures("chunk_sizes", "logged")
async def test_refused_import_that_fails_while_recording_stays_refused(api: Api) -> None:
    async def fail(_connection: AsyncConnection, before: Operation) -> None:
        if (before.phase, before.cursor) == (Phase.APPLY, 1):
            raise ZeroDivisionError

    async with own_turn(api):
        operation = await submit_guarded(api, REFUSED)
        before = await state_of(api)
        await make_runner(api, after=fail).run(operation)

    document = await ended(api, {"id": operation.id})
    assert (document["state"], document["problem"]["code"]) == ("refused", "too-many-deactivations")
    assert document["progress"]["done"] == len(await api.outcomes(document)) == CHUNK
    after = await state_of(api)
    assert (after["learners"], after["events"]) == (before["learners"], before["events"])
    revert = await api.client.post(f"/operations/{operation.id}/revert")
    assert (revert.status_code, revert.json()["code"]) == (409, "operation-not-revertible")


@pytest.mark.usefixtures("chunk_sizes", "logged")
async def test_failed_operation_is_not_continued(api: Api) -> None:
    async def fail(_connection: AsyncConnection, _before: Operation) -> None:
        raise ZeroDivisionError

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        here = make_runner(api, before=fail)
        await here.run(operation)
        before = await state_of(api)
        async with api.service.database.read() as connection:
            assert await repository.list_unfinished(connection) == []
        successor = make_runner(api)
        await successor.run(operation)
        assert (await successor.run_next_step(operation)).state is State.FAILED

    assert await state_of(api) == before
    document = (await api.client.get(f"/operations/{operation.id}")).json()
    assert (document["started_at"], document["progress"]["done"]) == ("2026-11-02T12:00:00Z", 0)


# Stages of uploads that were cut off


async def stage(api: Api, at: datetime, chunks: int = 2) -> None:
    """Chunks without an operation, staged at this instant."""
    operation_id = new_id(at)

    async def insert(connection: AsyncConnection) -> None:
        for number in range(chunks):
            await repository.insert_chunk(connection, operation_id, Chunk(number, number, 1, b"[]"))

    await api.service.database.write(insert)


async def test_abandoned_stages_are_removed_after_a_day(api: Api) -> None:
    await api.import_csv("Username\na\n")  # its chunk is old, but has its operation
    await stage(api, NOON)
    api.service.clock.advance(hours=2)
    await stage(api, NOON + timedelta(hours=2))
    assert await count_stages(api.service.database) == 4

    for hours, left in ((21, 4), (2, 2), (2, 0)):
        api.service.clock.advance(hours=hours)
        await tidy(make_runner(api), timedelta(days=30))
        assert await count_stages(api.service.database) == left
    assert len((await state_of(api))["chunks"]) == 1


async def test_upload_whose_client_disconnects_leaves_no_stage(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.service.limit(chunk_rows=1)
    staged, goes_on = asyncio.Event(), asyncio.Event()
    insert_chunk = repository.insert_chunk

    async def insert_and_wait(connection: AsyncConnection, operation_id: str, chunk: Chunk) -> None:
        await insert_chunk(connection, operation_id, chunk)
        if chunk.number == 2:
            staged.set()
            await goes_on.wait()

    monkeypatch.setattr(repository, "insert_chunk", insert_and_wait)
    request = asyncio.create_task(api.import_csv("Username\n" + "".join(f"u{n}\n" for n in range(5))))
    await staged.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert await count_stages(api.service.database) == 0
    assert await follow(api.client, "/operations") == []
    assert await all_learners(api) == {}
