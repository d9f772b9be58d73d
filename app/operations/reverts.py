"""Reverts: undoes an operation learner by learner, the last change first, and keeps learners who have changed since."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import bulk_sql
from app.learners import repository as learners
from app.learners.learner import Cause, Change, Learner, change_back, username_key
from app.learners.recording import record
from app.learners.unique_keys import (
    EXTERNAL_ID,
    USERNAME,
    UniqueKey,
    split_where_keys_move,
    unique_keys,
)
from app.operations import repository, service
from app.operations.errors import (
    ChangedSince,
    NameTaken,
    Obstacle,
    OperationNotRevertible,
    Reason,
)
from app.operations.handler import LearnerColumns, OnePass
from app.operations.operation import (
    Chunk,
    Kind,
    Operation,
    Outcome,
    OutcomeName,
    State,
    Tally,
    WantedOutcomes,
    count_outcomes,
)
from app.operations.parameters import RevertParameters
from app.operations.problems import describe_reason
from app.operations.runner import Runner
from app.operations.schemas import RevertRequest
from app.operations.service import OnStored
from app.organizations.organization import Organization
from app.organizations.principal import Actor
from app.platform.ids import new_id
from app.platform.threads import compute

# The outcomes that can be reverted.
_DONE = (OutcomeName.CREATED, OutcomeName.CHANGED)


async def submit_revert(
    runner: Runner,
    operation_id: str,
    organization: Organization,
    actor: Actor,
    wanted: RevertRequest,
    now: datetime,
    on_stored: OnStored,
) -> Operation:
    """Begin to revert the operation with this id. Raises OperationNotFound and OperationNotRevertible."""
    original = await service.get_operation(runner.database, organization.id, operation_id)
    async with runner.database.read() as connection:
        require_revertible(original, await _find_earlier(connection, original))
    draft = Operation(
        id=new_id(now),
        organization_id=organization.id,
        kind=Kind.REVERT,
        dry_run=wanted.dry_run,
        reason=wanted.reason,
        reverts=original.id,
        parameters=RevertParameters(),
        created_by=actor.document(),
        created_at=now,
    )
    return await service.submit(
        runner,
        draft,
        organization,
        select_chunks(runner, original),
        on_stored=partial(_mark_reverted, original, on_stored),
        check_total=partial(_check_kept, _count_changed(original)),
    )


def require_revertible(operation: Operation, earlier: Operation | None) -> None:
    """Raise OperationNotRevertible, unless the operation can be reverted.

    `earlier` is its earlier revert. If that was cancelled or failed, there may be something left to revert.
    """
    if not operation.is_finished:
        raise OperationNotRevertible(Obstacle.NOT_ENDED)
    if operation.dry_run:
        raise OperationNotRevertible(Obstacle.DRY_RUN)
    if operation.is_refused:
        raise OperationNotRevertible(Obstacle.REFUSED)
    if earlier is not None and earlier.state not in (State.CANCELLED, State.FAILED):
        raise OperationNotRevertible(Obstacle.ALREADY_REVERTED, earlier.id)
    if not _count_changed(operation):
        raise OperationNotRevertible(Obstacle.CHANGED_NOTHING)


def _count_changed(operation: Operation) -> int:
    return sum(operation.counts.get(name, 0) for name in _DONE)


def _check_kept(changed: int, found: int) -> None:
    if found != changed:
        raise OperationNotRevertible(Obstacle.OUTCOMES_DELETED)


async def _mark_reverted(
    original: Operation, on_stored: OnStored, connection: AsyncConnection, stored: Operation
) -> None:
    if not stored.dry_run:
        current = await repository.lock_operation(connection, original.number)
        require_revertible(current, await _find_earlier(connection, current))
        await repository.mark_reverted(connection, current, stored.id)
    await on_stored(connection, stored)


async def _find_earlier(connection: AsyncConnection, operation: Operation) -> Operation | None:
    if operation.reverted_by is None:
        return None
    return await repository.find_operation(connection, operation.organization_id, operation.reverted_by)


async def select_chunks(runner: Runner, original: Operation) -> AsyncGenerator[Chunk]:
    """Yield the learners that `original` has created or changed, the last first, as chunks."""
    number = first_item = 0
    pending: list[str] = []
    chunk_rows = runner.limits.chunk_rows
    # By ranges of items, each of which is small whatever the planner's statistics of the table say.
    for before_item in range(original.done, 0, -chunk_rows):
        async with runner.database.read() as connection:
            found = await repository.list_outcomes(
                connection,
                original,
                wanted=WantedOutcomes(_DONE),
                first_item=max(0, before_item - chunk_rows),
                before_item=before_item,
            )
        pending += (str(outcome.learner_id) for outcome in reversed(found))
        is_last = before_item <= chunk_rows
        while len(pending) >= chunk_rows or (is_last and pending):
            ids = pending[:chunk_rows]
            del pending[:chunk_rows]
            yield Chunk(number, first_item, len(ids), orjson.dumps(ids))
            number, first_item = number + 1, first_item + len(ids)


class Decision(NamedTuple):
    """The outcome for one learner, who is `learner` from then on; `change` is what there is to store, if anything."""

    outcome: OutcomeName
    learner: Learner
    change: Change | None = None
    reason: Reason | None = None


@dataclass(slots=True)
class Reversal:
    """Reverts changes one after the other, each with the names that the earlier ones have left. Pure.

    `holders`: the learner who has each of the names to be restored (None or absent = no learner).
    """

    cause: Cause
    holders: dict[UniqueKey, str | None]
    # The names that have changed hands, and their new holders.
    moved: dict[UniqueKey, str | None] = field(default_factory=dict)

    def decide(self, learner: Learner, before: Mapping[str, Any] | None) -> Decision:
        """Decide one learner; `before` is from the operation's event, None if a later event exists."""
        if before is None:
            return Decision(OutcomeName.KEPT, learner, reason=ChangedSince())
        change = change_back(learner, before, self.cause)
        if change is None:
            return Decision(OutcomeName.UNCHANGED, learner)
        had, has = unique_keys(learner), unique_keys(change.after)
        taken = {key for key in has - had if self.holders.get(key) is not None}
        if taken:
            return Decision(OutcomeName.KEPT, learner, reason=_name_taken(change.after, taken))
        for key in had - has:
            self.holders[key] = self.moved[key] = None
        for key in has - had:
            self.holders[key] = self.moved[key] = learner.id
        return Decision(OutcomeName.CHANGED, change.after, change)


def _name_taken(wanted: Learner, taken: Collection[UniqueKey]) -> NameTaken:
    # The first that applies, as for a change of one learner.
    if any(kind == USERNAME for kind, _ in taken):
        return NameTaken(USERNAME, wanted.username)
    return NameTaken(EXTERNAL_ID, str(wanted.external_id))


@dataclass(frozen=True, slots=True)
class RevertHandler(OnePass, LearnerColumns):
    """Reverts the changes of an operation to the learners of a chunk."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """Remove the names that a dry run has stored."""
        return await repository.delete_names(connection, operation.number, limit)

    def read_chunk(self, operation: Operation, chunk: Chunk) -> list[str]:
        """Return the ids of the learners, in the order in which they are to be handled."""
        ids: list[str] = orjson.loads(chunk.content)
        return ids

    async def run_chunk(
        self, connection: AsyncConnection, operation: Operation, chunk: Chunk, work: list[str], cause: Cause
    ) -> Tally:
        """See Handler.run_chunk."""
        organization_id = operation.organization_id
        await bulk_sql.lock_many(connection, organization_id, work)
        found = await learners.find_with_last_change(
            connection, organization_id, work, str(operation.reverts)
        )
        holders = await _find_holders(connection, operation, [each.before for each in found if each.before])
        by_id = {each.learner.id: each for each in found}
        last_changes = [by_id[learner_id] for learner_id in work]
        reversal = Reversal(cause, holders)
        decisions = await compute(
            len(work), lambda: [reversal.decide(each.learner, each.before) for each in last_changes]
        )
        if not operation.dry_run:
            for changes in split_where_keys_move(
                each.change for each in decisions if each.change is not None
            ):
                await record(connection, organization_id, changes, cause)
        elif chunk.number + 1 < operation.chunks:
            await _store_names(connection, operation, reversal.moved)
        outcomes = [_outcome_of(item, decision) for item, decision in enumerate(decisions, chunk.first_item)]
        await repository.insert_outcomes(connection, operation, outcomes)
        return count_outcomes(outcomes)


def _outcome_of(item: int, decision: Decision) -> Outcome:
    return Outcome(
        item,
        decision.outcome,
        decision.learner.id,
        decision.learner.username,
        problem=None if decision.reason is None else describe_reason(decision.reason),
        deactivated=decision.change is not None and decision.change.deactivates,
    )


async def _find_holders(
    connection: AsyncConnection, operation: Operation, befores: Sequence[Mapping[str, Any]]
) -> dict[UniqueKey, str | None]:
    organization_id = operation.organization_id
    usernames = {username_key(before["username"]) for before in befores if "username" in before}
    external_ids = {before["external_id"] for before in befores if before.get("external_id") is not None}
    holders: dict[UniqueKey, str | None] = {}
    for kind, names, find_ids in (
        (USERNAME, usernames, learners.find_ids_by_username),
        (EXTERNAL_ID, external_ids, learners.find_ids_by_external_id),
    ):
        if not names:
            continue
        found: dict[str, str | None] = {**await find_ids(connection, organization_id, names)}
        if operation.dry_run:
            found |= await repository.find_names(connection, operation, kind, names)
        holders |= {UniqueKey(kind, name): learner_id for name, learner_id in found.items()}
    return holders


async def _store_names(
    connection: AsyncConnection, operation: Operation, moved: Mapping[UniqueKey, str | None]
) -> None:
    for kind in (USERNAME, EXTERNAL_ID):
        names = {name: learner_id for (of_kind, name), learner_id in moved.items() if of_kind == kind}
        await repository.store_names(connection, operation, kind, names)
