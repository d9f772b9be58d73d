"""Adds rows to the plan of an operation, rejects them, and decides them again if they are outdated."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import plan_apply, plan_claims, plan_repository, plan_sql
from app.learners.plan import Effect, Fields, OutcomeName, PlanRow, Unexplained, leave_out_names
from app.learners.plan_conditions import Scope
from app.learners.plan_conflicts import TAKEN, Conflict, find_conflicts
from app.learners.plan_repository import Verdict
from app.limits import Limits
from app.operations import repository
from app.operations.handler import Handler
from app.operations.operation import Chunk, Operation
from app.organizations.organization import Organization


@dataclass(frozen=True, slots=True)
class Context:
    """What every step of an operation uses."""

    handler: Handler
    limits: Limits
    organization: Organization
    now: datetime


async def add_rows(
    connection: AsyncConnection,
    operation: Operation,
    rows: Sequence[PlanRow],
    chunk: Chunk,
    context: Context,
) -> None:
    """Decide rows of this chunk by the rules of the operation, add them to the plan, and explain those rejected."""
    if operation.started_at is None or operation.planned_on is None:
        raise ValueError(f"the plan of {operation.id} has not begun")
    await plan_sql.add_rows(
        connection,
        operation.organization_id,
        operation.number,
        rows,
        context.handler.rules(operation),
        today=operation.planned_on,
        planned_at=operation.started_at,
    )
    scope = Scope(operation.number, chunk.first_item, chunk.first_item + chunk.items)
    await context.handler.refine(connection, operation, scope)
    unexplained = await plan_repository.list_unexplained(connection, operation.organization_id, scope)
    explained = [(row.item, context.handler.explain(operation, row)) for row in unexplained]
    await plan_repository.explain(connection, operation.number, explained)


async def reject(
    connection: AsyncConnection, operation: Operation, conflicts: Sequence[Conflict], context: Context
) -> None:
    """Store that these rows cannot have the names that they want, or are not the first of their learner."""
    if not conflicts:
        return
    by_item = {conflict.item: conflict for conflict in conflicts}
    handler = context.handler
    if handler.conflict_outcome is OutcomeName.KEPT:
        names = {item: conflict.names for item, conflict in by_item.items()}
        await decide_again(connection, operation, list(by_item), context, give_up=names)
        return
    verdicts = []
    scope = Scope(operation.number, items=list(by_item))
    for row in await plan_repository.list_rows(connection, operation.organization_id, scope):
        conflict = by_item[row.item]
        if row.line is None:
            # A missing learner now has a row: a change since the plan was made has led to it.
            verdicts.append(Verdict(row.item, OutcomeName.UNCHANGED))
            continue
        explained = row._replace(reason=conflict.reason, first_line=conflict.first_line)
        problems = handler.explain(operation, explained)
        verdicts.append(Verdict(row.item, handler.conflict_outcome, conflict.reason, problems))
    await plan_repository.reject(connection, operation.number, verdicts)


async def decide_outdated_again(
    connection: AsyncConnection, operation: Operation, scope: Scope, context: Context
) -> bool:
    """Lock the learners of these rows, and decide rows again that are outdated. Return whether there were any.

    The learner has changed since the row was decided, or who has the name that it wants, or the organization's
    calendar day.
    """
    today = context.organization.today(context.now)
    # Later chunks are decided again in their turn, so the operation's own day stays.
    current = replace(operation, planned_on=today)
    outdated: list[int] = []
    if today != operation.planned_on:
        outdated = await plan_repository.list_items(connection, scope)
        await decide_again(connection, current, outdated, context)
    decided = set(outdated)
    while True:
        # A row that was decided again can be about another learner, who is to be locked, too.
        await plan_apply.lock(connection, operation.organization_id, scope)
        outdated = await plan_apply.find_stale(connection, operation.organization_id, scope)
        if not outdated:
            break
        await decide_again(connection, current, outdated, context)
        decided |= set(outdated)
    if decided:
        await _settle_again(connection, current, sorted(decided), context)
    return bool(decided)


async def _settle_again(
    connection: AsyncConnection, operation: Operation, items: Sequence[int], context: Context
) -> None:
    """Reject rows that have come to be about the learner of another row, or whose names were taken meanwhile."""
    if context.handler.rules(operation).finds_by_names:
        repeated = await plan_claims.find_rows_beside(connection, operation.number, items)
        await reject(connection, operation, repeated, context)
    given_up: dict[int, Fields] = defaultdict(lambda: Fields(0))
    while conflicts := find_conflicts(await plan_claims.list_movers(connection, operation.number)):
        # A row that is kept gives up all the names that it cannot have, and is decided again without them.
        for conflict in conflicts:
            given_up[conflict.item] |= conflict.names
        conflicts = [conflict._replace(names=given_up[conflict.item]) for conflict in conflicts]
        await reject(connection, operation, conflicts, context)


async def decide_again(
    connection: AsyncConnection,
    operation: Operation,
    items: Sequence[int],
    context: Context,
    *,
    give_up: Mapping[int, Fields] | None = None,
    yielding: Sequence[int] = (),
) -> None:
    """Decide rows again by what was asked for them, without the names that they are to `give_up`, by item.

    Those in `yielding` take over no learner.
    """
    left = sorted(items)
    yields = set(yielding)
    if left and context.handler.rules(operation).rekey:
        scope = Scope(operation.number, items=left)
        yields |= {row.item for row in await plan_repository.list_with(connection, scope, Effect.YIELDS)}
    while left:
        chunk = await repository.find_chunk_of(connection, operation.id, left[0])
        before_item = chunk.first_item + chunk.items
        mine = {item for item in left if item < before_item}
        left = [item for item in left if item >= before_item]
        rows = await context.handler.read_rows(connection, operation, chunk)
        await plan_repository.delete_rows(connection, Scope(operation.number, items=sorted(mine)))
        again = [row for row in rows if row.item in mine]
        if give_up is not None:
            again = [_give_up(row, give_up[row.item], operation, context.handler) for row in again]
        if yields:
            again = [
                row._replace(effects=row.effects | int(Effect.YIELDS)) if row.item in yields else row
                for row in again
            ]
        await add_rows(connection, operation, again, chunk, context)


def _give_up(row: PlanRow, names: Fields, operation: Operation, handler: Handler) -> PlanRow:
    """Make the row without these names, and with the problem of each that it wants."""
    wanted = Unexplained(row.item, row.line, None, row.learner_id, row.username, row.external_id)
    problems = [
        problem
        for field, reason in TAKEN.items()
        if row.fields & names & field
        for problem in handler.explain(operation, wanted._replace(reason=reason))
    ]
    return leave_out_names(row, names, problems)
