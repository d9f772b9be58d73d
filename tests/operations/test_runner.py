"""Chunks and cursor: whatever breaks, whenever, nothing is lost and nothing is done twice."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from app.imports.worker import CsvImportWorker
from app.main import WORKERS
from app.operations import repository
from app.operations.bulk_actions import BulkActionWorker
from app.operations.housekeeping import tidy
from app.operations.operation import Chunk, Kind, Operation, State, Worker
from app.operations.reverts import RevertWorker
from app.operations.runner import Runner
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.service import NOON, run_service
from tests.support.stored import (
    all_learners,
    another,
    comparable,
    count_stages,
    ended,
    follow,
    stored_state,
)

pytestmark = pytest.mark.anyio

CHUNK = 50  # enough that rows go to the database in bulk
# Imports that are judged: one that does what it says, and one that is too much.
ALLOWED = {"missing": "deactivate", "max_deactivations": "100%"}
REFUSED = {"missing": "deactivate", "max_deactivations": "50%"}


async def nothing(_connection: AsyncConnection, _chunk: Chunk) -> None:
    """Happens before or after an undisturbed chunk."""


@dataclass
class Disturbed:
    """The real worker, and what is to happen in each chunk's transaction before and after its work."""

    real: Worker
    before: Callable[[AsyncConnection, Chunk], Awaitable[Any]] = nothing
    after: Callable[[AsyncConnection, Chunk], Awaitable[Any]] = nothing

    async def remove_work(self, connection, operation, limit):
        return await self.real.remove_work(connection, operation, limit)

    def read_chunk(self, operation, chunk):
        return self.real.read_chunk(operation, chunk)

    async def run_chunk(self, connection, operation, chunk, work, cause):
        await self.before(connection, chunk)
        counted = await self.real.run_chunk(connection, operation, chunk, work, cause)
        await self.after(connection, chunk)
        return counted

    async def find_more(self, connection, operation, limit):
        return await self.real.find_more(connection, operation, limit)

    async def judge(self, connection, operation, organization):
        return await self.real.judge(connection, operation, organization)

    report_header = report_cells = None


def make_runner(api, database=None, **disturbances):
    """A runner as another process would have it."""
    workers = {
        Kind.CSV_IMPORT: Disturbed(CsvImportWorker(), **disturbances),
        Kind.BULK_ACTION: Disturbed(BulkActionWorker(), **disturbances),
        Kind.REVERT: Disturbed(RevertWorker(), **disturbances),
    }
    return Runner(database or api.service.database, api.service.clock, workers, api.service.limits)


@pytest.fixture
async def second_database(service):
    """The same database as another process sees it."""
    database = Database(service.url)
    yield database
    await database.close()


@pytest.fixture
def logged():
    """The lines of the log, kept as they are: to render a traceback with all its locals takes seconds."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def chunk_sizes(service):
    service.limit(chunk_rows=CHUNK)


@asynccontextmanager
async def own_turn(api):
    """The service itself runs nothing of the organization meanwhile: the test does."""
    async with api.service.runner.turn(api.organization.id):
        yield


async def submit(api, kind, chunks=3, **guards) -> Operation:
    """A large operation, stored and not begun: an import, or a bulk action on those whom it changes."""
    known = [f"known{number}" for number in range(chunks * CHUNK // 2)]
    with api.service.limited(chunk_rows=5000):
        await api.import_csv(
            "Username,Active,Expiration Date\n"
            + "".join(
                f"{name},{'No' if number % 3 else ''},{'2026-11-01' if number % 10 == 0 else ''}\n"
                for number, name in enumerate(known)
            )
        )
    prefer = {"Prefer": "respond-async"}
    if kind is Kind.BULK_ACTION:
        body = {
            "action": "activate",
            "selection": {"usernames": known + [f"nobody{number}" for number in range(len(known))]},
            "reason": "back to school",
        }
        answer = await api.client.post("/learners/bulk-actions", json=body, headers=prefer)
    else:
        rows = []
        for number, name in enumerate(known):
            # Each chunk creates and changes more than a few; some rows are refused, broken or there twice.
            twice = known[0] if number % 24 == 7 else name
            active = "Yes" if number % 10 == 0 else "Maybe" if number % 20 == 9 else ""
            rows += [f"{twice},HR-{number},{active},Ada\n", f"new{number},,No,Grace\n"]
        answer = await api.client.post(
            "/imports/csv",
            params=guards,
            content="Username,External ID,Active,First Name\n" + "".join(rows),
            headers={"Content-Type": "text/csv", **prefer},
        )
    assert answer.status_code == 202, answer.text
    return await stored(api, answer.json()["id"])


async def stored(api, operation_id) -> Operation:
    async with api.service.database.read() as connection:
        operation = await repository.find(connection, api.organization.id, operation_id)
    assert operation is not None
    return operation


async def finish(a_runner, operation) -> Operation:
    while not operation.is_finished:
        operation = await a_runner.run_next_chunk(operation)
    return operation


async def state_of(api):
    return await stored_state(api.service.database, api.organization.id)


async def submit_guarded(api, guards) -> Operation:
    """A large import, stored and not begun, that misses more than one chunk of learners."""
    with api.service.limited(chunk_rows=5000):
        await api.import_csv("Username\n" + "".join(f"missed{number}\n" for number in range(CHUNK + 25)))
    return await submit(api, Kind.CSV_IMPORT, 2, **guards)


async def undisturbed(api, kind, guards=None):
    """What the operation comes to where nothing happens to it."""
    other = await another(api)
    async with own_turn(other):
        operation = await (submit_guarded(other, guards) if guards else submit(other, kind))
        await finish(make_runner(other), operation)
    await other.client.aclose()
    return comparable(await state_of(other))


# Crashes


class Crash(Exception):
    """Stands for the end of the process."""


def is_reading_ahead(statement):
    """Whether it is no part of a chunk's transaction: chunks are read before it, on another connection."""
    return "FROM operation_chunks" in statement


@asynccontextmanager
async def crashing(database, at):
    """Crash before statement `at`, or before the commit after the last; answers whether it came to that."""
    reached = []

    def before_statement(_connection, _cursor, statement, *_):
        if is_reading_ahead(statement):
            return
        reached.append("statement")
        if len(reached) == at:
            raise Crash

    def before_commit(*_):
        reached.append("commit")
        if len(reached) == at:
            raise Crash

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", before_statement)
    event.listen(engine, "commit", before_commit)
    try:
        yield reached
    finally:
        event.remove(engine, "before_cursor_execute", before_statement)
        event.remove(engine, "commit", before_commit)


@asynccontextmanager
async def losing_connection(database, at):
    """Lose the connection to PostgreSQL after statement `at`; answers which were reached."""
    reached = []

    def after_statement(connection, _cursor, statement, *_):
        if is_reading_ahead(statement):
            return
        reached.append("statement")
        if len(reached) == at:
            connection.connection.driver_connection._transport.abort()

    engine = database.engine.sync_engine
    event.listen(engine, "after_cursor_execute", after_statement)
    try:
        yield reached
    finally:
        event.remove(engine, "after_cursor_execute", after_statement)


async def crash_everywhere(api, database, process, operation):
    """Run the next chunk with a crash before each statement and the commit, until one run is through.

    Each crash must leave everything as it was. Answers the operation and how many crashes there were.
    """
    after, faults, reached = await _disturb_everywhere(api, database, process, operation, crashing, Crash)
    assert reached[-1] == "commit"
    return after, faults


async def lose_connection_everywhere(api, database, process, operation):
    """`crash_everywhere`, with the connection to PostgreSQL lost after each statement."""
    # What the runner knows to be no fault of the worker's.
    faults_known = (SQLAlchemyError, OSError)
    after, faults, _ = await _disturb_everywhere(
        api, database, process, operation, losing_connection, faults_known
    )
    return after, faults


async def _disturb_everywhere(api, database, process, operation, disturbing, fault):
    before = await state_of(api)
    faults = 0
    while True:
        async with disturbing(database, faults + 1) as reached:
            try:
                after = await process.run_next_chunk(operation)
            except fault:
                faults += 1
                assert await state_of(api) == before, f"disturbed at {reached} of {operation.position}"
            else:
                break
    assert faults == len(reached)
    return after, faults, reached


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", [Kind.CSV_IMPORT, Kind.BULK_ACTION])
async def test_a_crash_at_any_statement_leaves_everything_as_before_the_chunk(api, second_database, kind):
    expected = await undisturbed(api, kind)
    async with own_turn(api):
        operation = await submit(api, kind)
        other_process = make_runner(api, second_database)
        operation = await other_process.run_next_chunk(operation)
        after, crashes = await crash_everywhere(api, second_database, other_process, operation)
        assert crashes > 8
        await finish(other_process, after)

    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("guards", [ALLOWED, REFUSED], ids=["allowed", "refused"])
async def test_a_crash_at_any_statement_of_either_pass_leaves_everything_as_before_the_step(
    api, second_database, guards
):
    expected = await undisturbed(api, Kind.CSV_IMPORT, guards)
    steps = []
    async with own_turn(api):
        operation = await submit_guarded(api, guards)
        while not operation.is_finished:
            steps.append(operation.position)
            other_process = make_runner(api, second_database)
            operation, crashes = await crash_everywhere(api, second_database, other_process, operation)
            assert crashes > 4

    rehearsed = [
        (True, number) for number in range(5)
    ]  # two chunks of rows, two of the missing, the judgement
    assert steps == rehearsed + [(False, number) for number in range(4)]
    assert operation.state is (State.SUCCEEDED if guards is ALLOWED else State.REFUSED)
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("guards", [ALLOWED, REFUSED], ids=["allowed", "refused"])
async def test_two_runners_on_a_guarded_import_do_each_step_once(api, second_database, guards):
    expected = await undisturbed(api, Kind.CSV_IMPORT, guards)
    done = []

    async def note(_connection, chunk):
        done.append(chunk.number)

    async with own_turn(api):
        operation = await submit_guarded(api, guards)
        here, there = make_runner(api, after=note), make_runner(api, second_database, after=note)
        await asyncio.gather(here.run(operation), there.run(operation))

    assert done == [0, 1, 2, 3] * 2
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", [Kind.CSV_IMPORT, Kind.BULK_ACTION])
async def test_a_connection_lost_after_any_statement_leaves_everything_as_before_the_chunk(
    api, second_database, kind
):
    if second_database.is_sqlite:
        pytest.skip("SQLite has no connection to lose; see the full disk")
    expected = await undisturbed(api, kind)
    async with own_turn(api):
        operation = await submit(api, kind)
        other_process = make_runner(api, second_database)
        operation = await other_process.run_next_chunk(operation)
        after, losses = await lose_connection_everywhere(api, second_database, other_process, operation)
        assert losses > 8
        await finish(other_process, after)

    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", [Kind.CSV_IMPORT, Kind.BULK_ACTION])
async def test_when_the_database_is_away_or_full_the_chunk_is_tried_again(api, second_database, kind, logged):
    api.service.limit(first_retry_seconds=0.001)
    expected = await undisturbed(api, kind)
    faults = iter([False, True, True, False])

    async def fail(connection, _chunk):
        if not next(faults, False):
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
    assert next(faults, None) is None
    assert [line["pause_seconds"] for line in logged if line["log_level"] == "error"] == [0.001, 0.002]
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", [Kind.CSV_IMPORT, Kind.BULK_ACTION])
async def test_a_chunk_that_could_not_be_read_ahead_is_read_again(api, kind, monkeypatch, logged):
    api.service.limit(first_retry_seconds=0.001)
    expected = await undisturbed(api, kind)
    read = repository.get_chunk
    faults = iter([False, True, False])

    async def get_chunk(connection, operation_id, number):
        if next(faults, False):
            raise OperationalError(None, None, Exception("the connection is gone"))
        return await read(connection, operation_id, number)

    monkeypatch.setattr(repository, "get_chunk", get_chunk)
    async with own_turn(api):
        operation = await submit(api, kind)
        process = make_runner(api)
        await process.run(operation)

    assert next(faults, None) is None
    assert [line["pause_seconds"] for line in logged if line["log_level"] == "error"] == [0.001]
    assert process._ahead == {}
    assert comparable(await state_of(api)) == expected


# Several runners


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize("kind", [Kind.CSV_IMPORT, Kind.BULK_ACTION])
async def test_two_runners_on_one_operation_do_each_chunk_once(api, second_database, kind):
    expected = await undisturbed(api, kind)
    done = []

    async def note(_connection, chunk):
        done.append(chunk.number)

    async with own_turn(api):
        operation = await submit(api, kind)
        here, there = make_runner(api, after=note), make_runner(api, second_database, after=note)
        await asyncio.gather(here.run(operation), there.run(operation))

    assert done == [0, 1, 2]
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
async def test_a_process_that_starts_goes_on_with_what_another_left(api, second_database):
    expected = await undisturbed(api, Kind.CSV_IMPORT)
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        left = await make_runner(api).run_next_chunk(operation)
        assert (left.state, left.cursor, left.done) == (State.RUNNING, 1, CHUNK)
        finished = await another(api)
        await finished.import_csv("Username\na\n")
        before = await state_of(finished)

        async with second_database.read() as connection:
            [unfinished] = await repository.list_unfinished(connection)
        assert unfinished == left
        await make_runner(api, second_database).run(unfinished)

    assert comparable(await state_of(api)) == expected
    assert await state_of(finished) == before
    await finished.client.aclose()


@pytest.mark.usefixtures("chunk_sizes")
async def test_a_service_takes_up_unfinished_operations_when_it_starts(api):
    expected = await undisturbed(api, Kind.BULK_ACTION)
    async with own_turn(api):
        operation = await submit(api, Kind.BULK_ACTION)
        await make_runner(api).run_next_chunk(operation)
        async with run_service(api.service.url):
            document = await ended(api, {"id": operation.id})

    assert document["state"] == "succeeded"
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
async def test_an_operation_that_is_run_twice_is_done_once(api):
    done = []

    async def note(_connection, chunk):
        done.append(chunk.number)

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        here = make_runner(api, after=note)
        first, second = await asyncio.gather(here.run(operation), here.run(operation))
        assert first == second
        assert here._ahead == {}
        assert (await here.run_next_chunk(operation)).state is State.SUCCEEDED

    assert done == [0, 1, 2]


@pytest.mark.usefixtures("chunk_sizes")
async def test_a_turn_that_is_over_leaves_the_rest(api, second_database):
    expected = await undisturbed(api, Kind.CSV_IMPORT)
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        over = iter([False, False, True])
        here = make_runner(api)
        left = await here.run(operation, is_over=lambda: next(over))
        assert (left.state, left.cursor, left.finished_at) == (State.RUNNING, 2, None)
        assert here._ahead == {}
        await make_runner(api, second_database).run(left)

    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("chunk_sizes")
async def test_operations_of_one_organization_take_turns_and_those_of_others_go_on(api):
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    order = []
    other = await another(api)

    class Observed(Runner):
        async def run_next_chunk(self, operation):
            order.append(operation.number)
            if operation.number == first.number:
                begun.set()
                await may_go_on.wait()
            return await super().run_next_chunk(operation)

    async with own_turn(api), own_turn(other):
        first, second = await submit(api, Kind.CSV_IMPORT), await submit(api, Kind.BULK_ACTION)
        theirs = await submit(other, Kind.CSV_IMPORT)
        here = Observed(api.service.database, api.service.clock, WORKERS, api.service.limits)
        running = [asyncio.create_task(here.run(operation)) for operation in (first, second, theirs)]
        await begun.wait()
        assert (await here.wait(theirs, 60)).state is State.SUCCEEDED
        assert (await stored(api, second.id)).state is State.PENDING
        may_go_on.set()
        await asyncio.gather(*running)

    mine = [number for number in order if number != theirs.number]
    assert mine == [first.number] * 3 + [second.number] * 3
    await other.client.aclose()


# Waiting and stopping


@asynccontextmanager
async def paused_in_the_first_chunk(api):
    """A runner in the middle of the first chunk of its operation, and the event that lets it go on."""
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def pause(_connection, _chunk):
        begun.set()
        await may_go_on.wait()

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        here = make_runner(api, after=pause)
        running = asyncio.create_task(here.run(operation))
        await begun.wait()
        try:
            yield here, operation, may_go_on, running
        finally:
            may_go_on.set()
            await running


@pytest.mark.usefixtures("chunk_sizes")
async def test_a_wait_ends_without_the_operation(api):
    async with paused_in_the_first_chunk(api) as (here, operation, may_go_on, _):
        for seconds in (0, 0.001):
            waited = await here.wait(operation, seconds)
            assert (waited.state, waited.cursor) == (State.PENDING, 0)
        may_go_on.set()
        assert (await here.wait(operation, 60)).state is State.SUCCEEDED


@pytest.mark.usefixtures("chunk_sizes")
async def test_stopping_lets_the_running_chunk_end_and_leaves_the_rest(api, second_database):
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
async def test_a_stopped_runner_does_not_wait_for_a_database_that_is_away(api):
    attempted = asyncio.Event()

    async def fail(_connection, _chunk):
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
async def test_while_a_chunk_runs_access_is_answered_from_what_is_committed(api):
    async with paused_in_the_first_chunk(api):
        learners = await all_learners(api)
        assert len(learners) == 3 * CHUNK // 2
        access = await api.client.get(f"/learners/{learners['known3']['id']}/access")
        assert access.json()["allowed"] is True
        listed = await follow(api.client, "/operations", kind="csv-import")
        assert sorted(each["state"] for each in listed) == ["pending", "succeeded"]


# Faults of a worker


@pytest.mark.usefixtures("chunk_sizes")
async def test_a_workers_fault_ends_the_operation_and_what_is_done_stays_done(api, logged):
    async def fail(_connection, chunk):
        if chunk.number == 1:
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
    assert document["progress"] == {"done": CHUNK, "total": 3 * CHUNK}
    assert sum(document["counts"].values()) == CHUNK
    assert document["finished_at"] == "2026-11-02T12:00:00Z"
    outcomes = await api.outcomes(document)
    assert len(outcomes) == CHUNK
    learners = await all_learners(api)
    created = [each["username"] for each in outcomes if each["outcome"] == "created"]
    assert set(created) <= set(learners)
    assert {name for name in learners if name.startswith("new")} == set(created)
    state = await state_of(api)
    changes = [each for each in state["events"] if each["operation_id"] == operation.id]
    assert len(changes) == document["counts"]["created"] + document["counts"]["changed"]
    assert (await api.import_csv("Username\nafterwards\n"))["counts"]["created"] == 1


@pytest.mark.usefixtures("chunk_sizes", "logged")
async def test_an_import_that_fails_before_it_was_judged_has_done_nothing(api):
    async def fail(_connection, chunk):
        if chunk.number == 2:
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
async def test_a_refused_import_that_fails_while_it_records_is_refused_all_the_same(api):
    seen: list[int] = []

    async def fail(_connection, chunk):
        seen.append(chunk.number)
        if seen.count(1) == 2:  # in the second pass
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
async def test_a_failed_operation_is_not_taken_up_again(api):
    async def fail(_connection, _chunk):
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
        assert (await successor.run_next_chunk(operation)).state is State.FAILED

    assert await state_of(api) == before
    document = (await api.client.get(f"/operations/{operation.id}")).json()
    assert (document["started_at"], document["progress"]["done"]) == ("2026-11-02T12:00:00Z", 0)


# Stages of uploads that were cut off


async def stage(api, at, chunks=2):
    """Chunks without an operation, staged at this instant."""
    operation_id = new_id(at)

    async def insert(connection):
        for number in range(chunks):
            await repository.insert_chunk(connection, operation_id, Chunk(number, number, 1, b"[]"))

    await api.service.database.write(insert)


async def test_stages_whose_operation_never_came_are_cleaned_up_after_a_day(api):
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


async def test_an_upload_whose_client_goes_away_leaves_nothing_staged(api, monkeypatch):
    api.service.limit(chunk_rows=1)
    staged, goes_on = asyncio.Event(), asyncio.Event()
    insert_chunk = repository.insert_chunk

    async def insert_and_wait(connection, operation_id, chunk):
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
