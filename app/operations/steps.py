"""The steps of an operation: plan each chunk, settle names, add missing learners, judge, move names, apply each chunk.

A step first reads what it needs, then changes everything in one transaction that also stores how far the operation is.
So a crash at any point loses nothing and repeats nothing. Reading comes first because it can take long, and SQLite lets
only one transaction write.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import plan_apply, plan_claims, plan_repository
from app.learners.plan import (
    PlanRow,
    Rules,
)
from app.learners.plan_conditions import Scope
from app.learners.plan_conflicts import Conflict, find_conflicts, group_movers, take_groups
from app.limits import Limits
from app.operations import outcomes, repository
from app.operations.deciding import Context, add_rows, decide_again, decide_outdated_again, reject
from app.operations.handler import Handler, Judgement
from app.operations.operation import Chunk, Operation, Phase, State
from app.organizations.organization import Organization


class PlannedChunk(NamedTuple):
    """A chunk, and what is asked for its learners or rows."""

    chunk: Chunk
    rows: Sequence[PlanRow]


async def read_step(
    connection: AsyncConnection,
    operation: Operation,
    handler: Handler,
    limits: Limits,
    organization: Organization,
) -> Any:
    """Read what the next step needs, without changing anything."""
    match operation.phase:
        case Phase.PLAN:
            return await _read_chunk(connection, operation, handler)
        case Phase.SETTLE:
            return await _find_disputes(connection, operation, handler, limits)
        case Phase.ADD_MISSING:
            return await handler.find_missing(connection, operation, limits.chunk_rows)
        case Phase.JUDGE:
            return await handler.judge(connection, operation, organization)
        case Phase.MOVE:
            movers = await plan_claims.list_movers(connection, operation.number)
            return take_groups(group_movers(movers), limits.chunk_rows)
        case Phase.APPLY:
            return None


async def take_step(
    connection: AsyncConnection, operation: Operation, read: Any, context: Context
) -> Operation:
    """Take the next step with what `read_step` has read. The caller stores how far the operation is then."""
    after = await _STEPS[operation.phase](connection, operation, read, context)
    return after if after.is_finished else replace(after, state=State.RUNNING)


async def _read_chunk(connection: AsyncConnection, operation: Operation, handler: Handler) -> PlannedChunk:
    chunk = await repository.get_chunk(connection, operation.id, operation.cursor)
    return PlannedChunk(chunk, await handler.read_rows(connection, operation, chunk))


async def _plan_chunk(
    connection: AsyncConnection, operation: Operation, read: PlannedChunk, context: Context
) -> Operation:
    begun = operation
    if operation.started_at is None:
        today = context.organization.today(context.now)
        begun = replace(operation, started_at=context.now, planned_on=today)
    await add_rows(connection, begun, read.rows, read.chunk, context)
    planned = replace(begun, cursor=begun.cursor + 1)
    if planned.cursor < planned.chunks:
        return planned
    # An operation that an earlier version has begun has applied its first chunks already.
    applied = await repository.count_applied(connection, operation.id)
    return replace(planned, phase=Phase.SETTLE, cursor=applied)


class Disputes(NamedTuple):
    """Rows that want the same learner or name as other rows, and must give way."""

    # The items of rows that may not take over a learner, because that learner has a row of their own.
    yielding: Sequence[int] = ()
    conflicts: Sequence[Conflict] = ()


async def _find_disputes(
    connection: AsyncConnection, operation: Operation, handler: Handler, limits: Limits
) -> Disputes:
    """Return the next rows that must give way; none if every learner and name has one row."""
    rules = handler.rules(operation)
    if rules.rekey:
        yielding = await plan_claims.find_yielding_rows(connection, operation.number, limits.chunk_rows)
        if yielding:
            return Disputes(yielding=yielding)
    return Disputes(conflicts=(await _find_conflicts(connection, operation, rules))[: limits.chunk_rows])


async def _find_conflicts(connection: AsyncConnection, operation: Operation, rules: Rules) -> list[Conflict]:
    if rules.finds_by_names:
        repeated = await plan_claims.find_repeated_rows(connection, operation.number)
        if repeated:
            return repeated
    return find_conflicts(await plan_claims.list_movers(connection, operation.number))


async def _settle(
    connection: AsyncConnection, operation: Operation, read: Disputes, context: Context
) -> Operation:
    if read.yielding:
        await decide_again(connection, operation, read.yielding, context, yielding=read.yielding)
    elif read.conflicts:
        await reject(connection, operation, read.conflicts, context)
    else:
        return replace(operation, phase=Phase.ADD_MISSING)
    return operation


async def _add_missing(
    connection: AsyncConnection, operation: Operation, read: Chunk | None, context: Context
) -> Operation:
    if read is None:
        return replace(operation, phase=Phase.JUDGE)
    await repository.insert_chunk(connection, operation.id, read)
    rows = await context.handler.read_rows(connection, operation, read)
    await add_rows(connection, operation, rows, read, context)
    return replace(operation, chunks=operation.chunks + 1, total=operation.total + read.items)


async def _judge(
    _connection: AsyncConnection, operation: Operation, read: Judgement, _context: Context
) -> Operation:
    judged = replace(
        operation,
        problem=operation.problem or read.problem,
        warnings=[*operation.warnings, *read.warnings],
        phase=Phase.MOVE,
    )
    return replace(judged, phase=Phase.APPLY) if judged.changes_nothing else judged


async def _move(
    connection: AsyncConnection, operation: Operation, read: Sequence[int], context: Context
) -> Operation:
    """Apply rows whose names move between learners, a few whole groups at a time."""
    if not read:
        return replace(operation, phase=Phase.APPLY)
    scope = Scope(operation.number, items=read)
    if await plan_repository.count_waiting(connection, scope) < len(read):
        return operation  # another process has moved or rejected some of them meanwhile
    if await decide_outdated_again(connection, operation, scope, context):
        groups = group_movers(await plan_claims.list_movers(connection, operation.number))
        mine = [item for group in groups if not set(read).isdisjoint(group) for item in group]
        if sorted(mine) != sorted(read):
            return operation  # the groups are others now, and are found again in the next step
    cause = operation.cause(context.organization, context.now)
    await plan_apply.apply(
        connection, operation.organization_id, scope, cause, _planned_at(operation), moves_names=True
    )
    return operation


async def _apply_chunk(
    connection: AsyncConnection, operation: Operation, _read: None, context: Context
) -> Operation:
    chunk = await repository.get_chunk(connection, operation.id, operation.cursor)
    scope = Scope(operation.number, chunk.first_item, chunk.first_item + chunk.items)
    if not operation.changes_nothing:
        if await decide_outdated_again(connection, operation, scope, context):
            movers = await plan_claims.list_movers(connection, operation.number)
            if group_movers(movers):
                # Names have come to move between learners since the plan was made.
                return replace(operation, phase=Phase.MOVE)
        cause = operation.cause(context.organization, context.now)
        await plan_apply.apply(connection, operation.organization_id, scope, cause, _planned_at(operation))
    totals = await plan_repository.count_rows(connection, scope)
    await outcomes.store(connection, operation, chunk, scope, totals, context.now)
    await plan_repository.delete_rows(connection, scope)
    return await _count(connection, operation, totals, context)


async def close(connection: AsyncConnection, operation: Operation) -> Operation:
    """Count the rows that were applied before their chunks, and store their outcomes: the operation ends now."""
    left = await plan_repository.list_applied(connection, operation.number)
    while left:
        chunk = await repository.find_chunk_of(connection, operation.id, left[0])
        mine = [item for item in left if item < chunk.first_item + chunk.items]
        left = left[len(mine) :]
        scope = Scope(operation.number, items=mine)
        totals = await plan_repository.count_rows(connection, scope)
        # Their instants stand in the plan already.
        await outcomes.store(connection, operation, chunk, scope, totals, _planned_at(operation))
        operation = await _add_totals(connection, operation, totals)
    return operation


async def _count(
    connection: AsyncConnection,
    operation: Operation,
    totals: plan_repository.Totals,
    context: Context,
) -> Operation:
    applied = await _add_totals(connection, replace(operation, cursor=operation.cursor + 1), totals)
    if applied.cursor < applied.chunks:
        return applied
    state = State.SUCCEEDED if operation.problem is None else State.REFUSED
    # Rows of a revert that had nothing left to undo are not counted.
    return replace(applied, state=state, total=applied.done, finished_at=context.now)


async def _add_totals(
    connection: AsyncConnection, operation: Operation, totals: plan_repository.Totals
) -> Operation:
    counted = replace(
        operation,
        done=operation.done + totals.outcomes.total(),
        counts=dict(Counter(operation.counts) + totals.outcomes),
        effects=dict(Counter(operation.effects) + totals.effects),
    )
    if operation.changes_nothing:
        return counted
    changed = totals.outcomes["created"] + totals.outcomes["changed"] + totals.partly_kept
    if operation.reverts is not None:
        undone = totals.outcomes.total() - totals.outcomes["kept"]
        await repository.count_undone(connection, operation.organization_id, operation.reverts, undone)
    return replace(counted, revertible=operation.revertible + changed)


def _planned_at(operation: Operation) -> datetime:
    if operation.started_at is None:
        raise ValueError(f"the plan of {operation.id} has not begun")
    return operation.started_at


_Step = Callable[[AsyncConnection, Operation, Any, Context], Awaitable[Operation]]
_STEPS: Mapping[Phase, _Step] = {
    Phase.PLAN: _plan_chunk,
    Phase.SETTLE: _settle,
    Phase.ADD_MISSING: _add_missing,
    Phase.JUDGE: _judge,
    Phase.MOVE: _move,
    Phase.APPLY: _apply_chunk,
}
