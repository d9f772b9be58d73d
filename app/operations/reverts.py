"""Reverts: what an operation did is taken back learner by learner, the last first, but for what changed since."""

from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import bulk_sql
from app.learners import repository as learners
from app.learners.learner import Cause, Change, Learner, change_back, username_key
from app.learners.problems import EXTERNAL_ID_TAKEN, USERNAME_TAKEN
from app.learners.recording import record
from app.learners.unique_keys import (
    EXTERNAL_ID,
    USERNAME,
    UniqueKey,
    split_where_keys_move,
    unique_keys,
)
from app.operations import repository, service
from app.operations.operation import (
    Chunk,
    OnePass,
    Operation,
    Outcome,
    OutcomeName,
    State,
    WantedOutcomes,
    count_outcomes,
)
from app.operations.problems import OperationNotRevertible, changed_since
from app.operations.report import LearnerColumns
from app.operations.runner import Runner
from app.operations.service import OnStored
from app.organizations.organization import Organization
from app.platform.problems import Problem
from app.platform.threads import compute

# What there is to take back.
_DONE = (OutcomeName.CREATED, OutcomeName.CHANGED)
_CHANGED_SINCE = changed_since().document()


async def submit_revert(
    runner: Runner,
    draft: Operation,
    original: Operation,
    organization: Organization,
    on_stored: OnStored,
) -> Operation:
    """Begin to take `original` back, by the operation `draft`. Raises OperationNotRevertible."""
    async with runner.database.read() as connection:
        require_revertible(original, await _find_earlier(connection, original))
    changed = _changed(original)

    def check_total(found: int) -> None:
        if found != changed:
            raise OperationNotRevertible(
                "What became of its learners is no longer kept, so nothing was done."
            )

    async def mark_and_complete(connection: AsyncConnection, stored: Operation) -> None:
        if not stored.dry_run:
            current = await repository.lock(connection, original.number)
            require_revertible(current, await _find_earlier(connection, current))
            await repository.mark_reverted(connection, current, stored.id)
        await on_stored(connection, stored)

    return await service.submit(
        runner,
        replace(draft, reverts=original.id),
        organization,
        select_chunks(runner, original),
        on_stored=mark_and_complete,
        check_total=check_total,
    )


def require_revertible(operation: Operation, earlier: Operation | None) -> None:
    """Raises OperationNotRevertible, unless the operation can be reverted.

    `earlier` is the revert that it has had. One that was cancelled or failed may have left something to do.
    """
    if not operation.is_finished:
        raise OperationNotRevertible("It has not ended yet. Wait until it has, or cancel it.")
    if operation.dry_run:
        raise OperationNotRevertible("It was a dry run, which changes nothing.")
    if operation.is_refused:
        raise OperationNotRevertible("It was refused, so it changed nothing.")
    if earlier is not None and earlier.state not in (State.CANCELLED, State.FAILED):
        raise OperationNotRevertible(
            f"It is reverted already, by the operation {earlier.id}; to have it again, revert that one.",
            earlier.id,
        )
    if not _changed(operation):
        raise OperationNotRevertible("It changed nobody, so there is nothing to take back.")


def _changed(operation: Operation) -> int:
    return sum(operation.counts.get(name, 0) for name in _DONE)


async def _find_earlier(connection: AsyncConnection, operation: Operation) -> Operation | None:
    if operation.reverted_by is None:
        return None
    return await repository.find(connection, operation.organization_id, operation.reverted_by)


async def select_chunks(runner: Runner, original: Operation) -> AsyncGenerator[Chunk]:
    """The learners that `original` created or changed, the last first, as chunks."""
    number = first_item = 0
    pending: list[str] = []
    chunk_rows = runner.limits.chunk_rows
    # By ranges of items, of which each is small whatever the planner takes the table for.
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
    """What becomes of one learner, `learner` from then on; `change` is what there is to store, if anything."""

    outcome: OutcomeName
    learner: Learner
    change: Change | None = None
    problem: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Reversal:
    """Takes changes back one after the other, each as those before it have left the names. Pure.

    `holders`: who has each of the names that are gone back to (None or not there = nobody).
    """

    cause: Cause
    holders: dict[UniqueKey, str | None]
    # The names that changed hands, and who has them now.
    moved: dict[UniqueKey, str | None] = field(default_factory=dict)

    def decide(self, learner: Learner, before: Mapping[str, Any] | None) -> Decision:
        """Decide of one learner; `before` is what the operation's event tells, None where a later one came."""
        if before is None:
            return Decision(OutcomeName.KEPT, learner, problem=_CHANGED_SINCE)
        change = change_back(learner, before, self.cause)
        if change is None:
            return Decision(OutcomeName.UNCHANGED, learner)
        had, has = unique_keys(learner), unique_keys(change.after)
        taken = {key for key in has - had if self.holders.get(key) is not None}
        if taken:
            return Decision(OutcomeName.KEPT, learner, problem=_taken(change.after, taken).document())
        for key in had - has:
            self.holders[key] = self.moved[key] = None
        for key in has - had:
            self.holders[key] = self.moved[key] = learner.id
        return Decision(OutcomeName.CHANGED, change.after, change)


def _taken(wanted: Learner, taken: Collection[UniqueKey]) -> Problem:
    # The first that applies, as for a change of one learner.
    if any(kind == USERNAME for kind, _ in taken):
        detail = (
            f"Another learner has the username {wanted.username!r} by now, so this one stays as they are."
        )
        return Problem(USERNAME_TAKEN, detail)
    detail = (
        f"Another learner has the external id {wanted.external_id!r} by now, so this one stays as they are."
    )
    return Problem(EXTERNAL_ID_TAKEN, detail)


@dataclass(frozen=True, slots=True)
class RevertWorker(OnePass, LearnerColumns):
    """Takes back what an operation did to the learners of a chunk."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """The names that a dry run noted."""
        return await repository.forget_names(connection, operation.number, limit)

    def read_chunk(self, operation: Operation, chunk: Chunk) -> list[str]:
        """The ids of the learners, in the order in which they are to be handled."""
        ids: list[str] = orjson.loads(chunk.content)
        return ids

    async def run_chunk(
        self, connection: AsyncConnection, operation: Operation, chunk: Chunk, work: list[str], cause: Cause
    ) -> Counter[str]:
        """See Worker.run_chunk."""
        organization_id = operation.organization_id
        await bulk_sql.lock_many(connection, organization_id, work)
        found = await learners.find_with_last_change(
            connection, organization_id, work, str(operation.reverts)
        )
        holders = await _find_holders(connection, operation, [before for _, before in found if before])
        by_id = {learner.id: (learner, before) for learner, before in found}
        reversal = Reversal(cause, holders)
        decisions = await compute(
            len(work), lambda: [reversal.decide(*by_id[learner_id]) for learner_id in work]
        )
        if not operation.dry_run:
            for changes in split_where_keys_move(
                each.change for each in decisions if each.change is not None
            ):
                await record(connection, organization_id, changes, cause)
        elif chunk.number + 1 < operation.chunks:
            await _store_names(connection, operation, reversal.moved)
        outcomes = [
            Outcome(
                item,
                outcome,
                learner.id,
                learner.username,
                problem=problem,
                deactivated=change is not None and change.deactivates,
            )
            for item, (outcome, learner, change, problem) in enumerate(decisions, chunk.first_item)
        ]
        await repository.insert_outcomes(connection, operation, outcomes)
        return count_outcomes(outcomes)


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
        holders |= {(kind, name): learner_id for name, learner_id in found.items()}
    return holders


async def _store_names(
    connection: AsyncConnection, operation: Operation, moved: Mapping[UniqueKey, str | None]
) -> None:
    for kind in (USERNAME, EXTERNAL_ID):
        names = {name: learner_id for (of_kind, name), learner_id in moved.items() if of_kind == kind}
        await repository.store_names(connection, operation, kind, names)
