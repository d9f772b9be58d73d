"""Operations run chunk by chunk by a test's own runner, and disturbed at any statement."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.background import HANDLERS
from app.operations import repository
from app.operations.operation import Kind, Operation, Phase, State, Step
from app.operations.runner import Runner
from app.platform.database import Database
from tests.support.service import Api
from tests.support.stored import (
    StoredState,
    another,
    comparable,
    stored_state,
)

CHUNK = 50  # enough that rows go to the database in bulk
# Imports that are judged: one that does what it says, and one that is too much.
ALLOWED = {"missing": "deactivate", "max_deactivations": "100%"}
REFUSED = {"missing": "deactivate", "max_deactivations": "50%"}


async def nothing(_connection: AsyncConnection, _operation: Operation) -> None:
    """Happens before or after an undisturbed step."""


class DisturbedRunner(Runner):
    """A real runner, and what is to happen in each step's transaction before and after its work."""

    before: Callable[[AsyncConnection, Operation], Awaitable[Any]] = staticmethod(nothing)
    after: Callable[[AsyncConnection, Operation], Awaitable[Any]] = staticmethod(nothing)

    async def _take_step(self, connection: AsyncConnection, operation: Operation, read: Any) -> Step:
        await self.before(connection, operation)
        step = await super()._take_step(connection, operation, read)
        if step.after is not step.before:  # otherwise another runner has taken it
            await self.after(connection, operation)
        return step


def make_runner(
    api: Api, database: Database | None = None, *, before: Any = nothing, after: Any = nothing
) -> Runner:
    """A runner as another process would have it."""
    runner = DisturbedRunner(
        database or api.service.database, api.service.clock, HANDLERS, api.service.limits
    )
    runner.before, runner.after = before, after
    return runner


def reads_ahead() -> bool:
    """Return whether any runner is reading a chunk ahead of its turn."""
    return any(task.get_name() == "read-ahead" for task in asyncio.all_tasks())


@asynccontextmanager
async def own_turn(api: Api) -> AsyncIterator[None]:
    """The service itself runs nothing of the organization meanwhile: the test does."""
    async with api.service.runner.turn(api.organization.id):
        yield


async def submit(api: Api, kind: Kind, chunks: int = 3, **guards: Any) -> Operation:
    """A large operation, stored and not begun: an import, a revert of it, or a bulk action on those whom it changes."""
    known = [f"known{number}" for number in range(chunks * CHUNK // 2)]
    with api.service.limited(chunk_rows=5000):
        await api.import_csv(
            "Username,External ID,Active,Expiration Date\n"
            + "".join(
                f"{name},HR-{number},{'No' if number % 3 else ''},{'2026-11-01' if number % 10 == 0 else ''}\n"
                for number, name in enumerate(known)
            )
        )
    prefer = {"Prefer": "respond-async"}
    if kind is Kind.REVERT:
        original = await _submit_import(api, known, guards)
        assert (await finish(make_runner(api), original)).state is State.SUCCEEDED
        answer = await api.client.post(f"/operations/{original.id}/revert", headers=prefer)
    elif kind is Kind.BULK_ACTION:
        body = {
            "action": "activate",
            "selection": {"usernames": known + [f"nobody{number}" for number in range(len(known))]},
            "reason": "back to school",
        }
        answer = await api.client.post("/learners/bulk-actions", json=body, headers=prefer)
    else:
        return await _submit_import(api, known, guards)
    assert answer.status_code == 202, answer.text
    return await stored(api, answer.json()["id"])


async def _submit_import(api: Api, known: Sequence[str], guards: dict[str, Any]) -> Operation:
    wanted = list(known)
    for first, last in ((3, -4), (28, -29)):  # names are swapped across chunks
        wanted[first], wanted[last] = wanted[last], wanted[first]
    rows = []
    for number, name in enumerate(wanted):
        # Each chunk creates and changes more than a few; some rows are refused, broken or there twice.
        keys = f"{known[0]}," if number % 24 == 7 else f"{name},HR-{number}"
        if number == 12:
            keys = f"{known[0]},HR-12"  # a name that its holder keeps
        active = "Yes" if number % 10 == 0 else "Maybe" if number % 20 == 9 else ""
        rows += [f"{keys},{active},Ada\n", f"new{number},,No,Grace\n"]
    answer = await api.client.post(
        "/imports/csv",
        params=guards,
        content="Username,External ID,Active,First Name\n" + "".join(rows),
        headers={"Content-Type": "text/csv", "Prefer": "respond-async"},
    )
    assert answer.status_code == 202, answer.text
    return await stored(api, answer.json()["id"])


async def stored(api: Api, operation_id: str) -> Operation:
    async with api.service.database.read() as connection:
        operation = await repository.find_operation(connection, api.organization.id, operation_id)
    assert operation is not None
    return operation


async def finish(a_runner: Runner, operation: Operation) -> Operation:
    while not operation.is_finished:
        operation = await a_runner.run_next_step(operation)
    return operation


async def run_until(a_runner: Runner, operation: Operation, phase: Phase, chunk: int = 0) -> Operation:
    """Take steps until the next one is of this phase, and of this chunk of it."""
    while (operation.phase, operation.cursor) < (phase, chunk):
        operation = await a_runner.run_next_step(operation)
    assert operation.phase is phase
    return operation


async def state_of(api: Api) -> StoredState:
    return await stored_state(api.service.database, api.organization.id)


async def submit_guarded(api: Api, guards: Any) -> Operation:
    """A large import, stored and not begun, that misses more than one chunk of learners."""
    with api.service.limited(chunk_rows=5000):
        await api.import_csv("Username\n" + "".join(f"missed{number}\n" for number in range(CHUNK + 25)))
    return await submit(api, Kind.CSV_IMPORT, 2, **guards)


async def undisturbed(api: Api, kind: Kind, guards: Any = None) -> dict[str, Any]:
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


def is_reading_ahead() -> bool:
    """Whether a statement is no part of a step: the next chunk is read on another connection meanwhile."""
    task = asyncio.current_task()
    return task is not None and task.get_name() == "read-ahead"


@asynccontextmanager
async def crashing(database: Database, at: int) -> AsyncIterator[Any]:
    """Crash before statement `at`, or before the commit after the last; answers whether it came to that."""
    reached = []

    def before_statement(*_: object) -> None:
        if is_reading_ahead():
            return
        reached.append("statement")
        if len(reached) == at:
            raise Crash

    def before_commit(*_: object) -> None:
        if is_reading_ahead():
            return
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
async def losing_connection(database: Database, at: int) -> AsyncIterator[Any]:
    """Lose the connection to PostgreSQL after statement `at` of the transaction; answers which were reached.

    What a step has read before stays read, so such a connection can be lost without a fault.
    """
    reached = []

    def after_statement(connection: Connection, *_: object) -> None:
        if is_reading_ahead() or connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return
        reached.append("statement")
        if len(reached) == at:
            lost: Any = connection.connection.driver_connection
            lost._transport.abort()  # noqa: SLF001 - asyncpg gives it no other way

    engine = database.engine.sync_engine
    event.listen(engine, "after_cursor_execute", after_statement)
    try:
        yield reached
    finally:
        event.remove(engine, "after_cursor_execute", after_statement)


async def crash_everywhere(
    api: Api, database: Database, process: Runner, operation: Operation
) -> tuple[Any, Any]:
    """Take the next step with a crash before each statement and the commit, until one run is through.

    Each crash must leave everything as it was. Answers the operation and how many crashes there were.
    """
    after, faults, reached = await _disturb_everywhere(api, database, process, operation, crashing, Crash)
    assert reached[-1] == "commit"
    return after, faults


async def lose_connection_everywhere(
    api: Api, database: Database, process: Runner, operation: Operation
) -> tuple[Any, Any]:
    """`crash_everywhere`, with the connection to PostgreSQL lost after each statement."""
    # What the runner knows to be no fault of the worker's.
    faults_known = (SQLAlchemyError, OSError)
    after, faults, _ = await _disturb_everywhere(
        api, database, process, operation, losing_connection, faults_known
    )
    return after, faults


async def _disturb_everywhere(
    api: Api, database: Database, process: Runner, operation: Operation, disturbing: Any, fault: Any
) -> tuple[Any, Any, Any]:
    before = await state_of(api)
    faults = 0
    while True:
        async with disturbing(database, faults + 1) as reached:
            try:
                after = await process.run_next_step(operation)
            except fault:
                faults += 1
                assert await state_of(api) == before, f"disturbed at {reached} of {operation.position}"
            else:
                break
    assert faults == len(reached), f"{reached} of {operation.position}, {faults} faults"
    return after, faults, reached


@asynccontextmanager
async def paused_in_the_first_chunk(api: Api) -> AsyncIterator[tuple[Any, Operation, Any, Any]]:
    """A runner that is applying the first chunk of its operation, and the event that lets it go on."""
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def pause(_connection: AsyncConnection, operation: Operation) -> None:
        if operation.phase is Phase.APPLY:
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
