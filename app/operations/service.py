"""Starts and cancels operations.

A small operation is done at once. A large one is staged, stored and left to the engine.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations import repository
from app.operations.errors import OperationNotCancellable, OperationNotFound
from app.operations.operation import Chunk, Operation, State, Step
from app.operations.runner import Runner, TooLargeAtOnce, report_progress
from app.organizations.organization import Organization
from app.platform.database import Database
from app.platform.ids import parse_id

# Called with the stored operation, in the transaction that stores it.
OnStored = Callable[[AsyncConnection, Operation], Awaitable[None]]
# Called with the number of learners or rows, once it is known; raises if the operation must not begin.
CheckTotal = Callable[[int], None]


async def submit(
    runner: Runner,
    draft: Operation,
    organization: Organization,
    chunks: AsyncGenerator[Chunk],
    *,
    on_stored: OnStored,
    check_total: CheckTotal | None = None,
) -> Operation:
    """Stage `chunks` and store the operation `draft`, after setting its chunks and total.

    A single chunk is done in one transaction together with the operation's row, unless its rehearsal finds too much
    more to do. Several chunks are staged in short transactions. The row comes last and makes the stage count, so a
    crash before it leaves no operation. If `check_total` raises, nothing is left either.
    """
    async with aclosing(chunks):
        first = await anext(chunks, None)
        second = None if first is None else await anext(chunks, None)
        if first is not None and second is not None:
            return await _stage_all(runner, draft, _chain(first, second, chunks), on_stored, check_total)
    if check_total is not None:
        check_total(first.items if first else 0)
    only = first or Chunk(number=0, first_item=0, items=0, content=b"")
    try:
        done = await runner.database.write(_run_at_once, runner, draft, organization, only, on_stored)
    except TooLargeAtOnce:
        return await _stage_all(runner, draft, _chain(only), on_stored, check_total)
    report_progress(draft, done)
    return done


async def get_operation(database: Database, organization_id: int, operation_id: str) -> Operation:
    """Return the organization's operation with this id, as a client has written it. Raises OperationNotFound."""
    parsed = parse_id(operation_id)
    if parsed is not None:
        async with database.read() as connection:
            operation = await repository.find_operation(connection, organization_id, parsed)
        if operation is not None:
            return operation
    raise OperationNotFound


async def cancel(runner: Runner, operation: Operation) -> Operation:
    """End the operation before its next chunk; safe to repeat. Raises OperationNotCancellable.

    The lock waits for the chunk that is running, in whatever process. Whichever process would run the next chunk
    finds under the same lock that the operation has ended.
    """
    step = await runner.database.write(_cancel, operation.number, runner)
    report_progress(step.before, step.after)
    return step.after


async def _cancel(connection: AsyncConnection, number: int, runner: Runner) -> Step:
    current = await repository.lock_operation(connection, number)
    if current.state is State.CANCELLED:
        return Step(current, current)
    if current.is_finished:
        raise OperationNotCancellable(current.state.value)
    cancelled = replace(current, state=State.CANCELLED, finished_at=runner.clock.now())
    await repository.store_progress(connection, cancelled)
    return Step(current, cancelled)


async def _stage_all(
    runner: Runner,
    draft: Operation,
    chunks: AsyncIterator[Chunk],
    on_stored: OnStored,
    check_total: CheckTotal | None,
) -> Operation:
    staged = total = 0
    storing = _Storing(on_stored)
    try:
        async for chunk in chunks:
            await runner.database.write(repository.insert_chunk, draft.id, chunk)
            staged, total = staged + 1, total + chunk.items
        if check_total is not None:
            check_total(total)
        operation = await runner.database.write(storing.store, replace(draft, chunks=staged, total=total))
    except BaseException:
        # If a commit fails, only the database knows whether the operation counts now and needs its stage. If it
        # does not, housekeeping removes the stage.
        if not storing.may_be_stored:
            await runner.database.write(repository.delete_stage, draft.id)
        raise
    runner.submitted.set()
    return operation


class _Storing:
    """Stores an operation, and knows whether it may have been committed."""

    def __init__(self, on_stored: OnStored) -> None:
        self._on_stored = on_stored
        self.may_be_stored = False

    async def store(self, connection: AsyncConnection, operation: Operation) -> Operation:
        """Store the operation's row, in the caller's transaction."""
        self.may_be_stored = False
        stored = await repository.insert_operation(connection, operation)
        await self._on_stored(connection, stored)
        self.may_be_stored = True
        return stored


async def _run_at_once(
    connection: AsyncConnection,
    runner: Runner,
    draft: Operation,
    organization: Organization,
    only: Chunk,
    on_stored: OnStored,
) -> Operation:
    await repository.insert_chunk(connection, draft.id, only)
    whole = replace(draft, chunks=1, total=only.items)
    done = await runner.run_at_once(connection, whole, only, organization)
    await on_stored(connection, done)
    return done


async def _chain(*parts: Chunk | AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    for part in parts:
        if isinstance(part, Chunk):
            yield part
            continue
        async for chunk in part:
            yield chunk
