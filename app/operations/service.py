"""Starts and cancels operations.

A small operation is done at once. A large one is staged, stored and left to the engine.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations import repository
from app.operations.errors import OperationNotCancellable, OperationNotFound
from app.operations.operation import Chunk, Kind, Operation, State, Step
from app.operations.parameters import Parameters
from app.operations.runner import Runner, TooLargeAtOnce, report_progress
from app.operations.steps import close
from app.organizations.organization import Organization
from app.organizations.principal import Actor
from app.platform.database import Database
from app.platform.ids import new_id, parse_id

# Called with the stored operation, in the transaction that stores it.
OnStored = Callable[[AsyncConnection, Operation], Awaitable[None]]
# Called with the number of learners or rows, once it is known; raises if the operation must not begin.
CheckTotal = Callable[[int], None]
# Called at the beginning of the transaction that stores the operation; raises if the operation must not begin.
Require = Callable[[AsyncConnection], Awaitable[None]]


async def _do_nothing(_connection: AsyncConnection, _operation: Operation) -> None:
    pass


async def _require_nothing(_connection: AsyncConnection) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for an operation, and when."""

    organization: Organization
    actor: Actor
    now: datetime
    # Stores what must be stored together with the operation.
    on_stored: OnStored = _do_nothing


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for; see Operation."""

    kind: Kind
    request: Mapping[str, Any]
    parameters: Parameters
    dry_run: bool = False
    action: str | None = None
    reason: str | None = None
    reverts: str | None = None
    warnings: Sequence[Mapping[str, str]] = ()
    check_total: CheckTotal = lambda _total: None
    require: Require = _require_nothing


async def submit(runner: Runner, asker: Asker, order: Order, chunks: AsyncGenerator[Chunk]) -> Operation:
    """Stage `chunks` and store the operation. Every kind of operation begins here.

    A single chunk is done in one transaction together with the operation's row, unless its plan has too much more
    to do. Several chunks are staged in short transactions. The row comes last and makes the stage count, so a
    crash before it leaves no operation. If `check_total` or `require` raises, nothing is left either.
    """
    draft = Operation(
        id=new_id(asker.now),
        organization_id=asker.organization.id,
        kind=order.kind,
        dry_run=order.dry_run,
        action=order.action,
        reason=order.reason,
        reverts=order.reverts,
        warnings=order.warnings,
        request=order.request,
        parameters=order.parameters,
        created_by=asker.actor.document(),
        created_at=asker.now,
    )
    async with aclosing(chunks):
        first = await anext(chunks, None)
        second = None if first is None else await anext(chunks, None)
        if first is not None and second is not None:
            return await _stage_all(runner, draft, asker, order, _chain(first, second, chunks))
    order.check_total(first.items if first else 0)
    only = first or Chunk(number=0, first_item=0, items=0, content=b"")
    try:
        done = await runner.database.write(_run_at_once, runner, draft, asker, order, only)
    except TooLargeAtOnce:
        return await _stage_all(runner, draft, asker, order, _chain(only))
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
    now = runner.clock.now()
    closed = await close(connection, current)
    cancelled = replace(closed, state=State.CANCELLED, finished_at=now)
    await repository.store_progress(connection, cancelled)
    return Step(current, cancelled)


async def _stage_all(
    runner: Runner, draft: Operation, asker: Asker, order: Order, chunks: AsyncIterator[Chunk]
) -> Operation:
    staged = total = 0
    storing = _Storing(order.require, asker.on_stored)
    try:
        async for chunk in chunks:
            await runner.database.write(repository.insert_chunk, draft.id, chunk)
            staged, total = staged + 1, total + chunk.items
        order.check_total(total)
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

    def __init__(self, require: Require, on_stored: OnStored) -> None:
        self._require, self._on_stored = require, on_stored
        self.may_be_stored = False

    async def store(self, connection: AsyncConnection, operation: Operation) -> Operation:
        """Store the operation's row, in the caller's transaction."""
        self.may_be_stored = False
        await self._require(connection)
        stored = await repository.insert_operation(connection, operation)
        await self._on_stored(connection, stored)
        self.may_be_stored = True
        return stored


async def _run_at_once(
    connection: AsyncConnection, runner: Runner, draft: Operation, asker: Asker, order: Order, only: Chunk
) -> Operation:
    await order.require(connection)
    await repository.insert_chunk(connection, draft.id, only)
    whole = replace(draft, chunks=1, total=only.items)
    done = await runner.run_at_once(connection, whole, asker.organization)
    await asker.on_stored(connection, done)
    return done


async def _chain(*parts: Chunk | AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    for part in parts:
        if isinstance(part, Chunk):
            yield part
            continue
        async for chunk in part:
            yield chunk
