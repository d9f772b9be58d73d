"""Reverts: restore each field that an operation changed and that no later change has touched."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.profile import sort_form
from app.learners import repository as learners
from app.learners.fields import ACCOUNT
from app.learners.learner import username_key
from app.learners.plan import FIELDS, Fields, OutcomeName, PlanRow, Reason, Rules, Unexplained
from app.learners.repository import RecordedChange
from app.operations import outcomes, repository, service
from app.operations.errors import (
    ChangedSince,
    NameTaken,
    Obstacle,
    OperationNotRevertible,
)
from app.operations.handler import LearnerColumns, WithoutGuards
from app.operations.operation import Chunk, Kind, Operation
from app.operations.parameters import RevertParameters
from app.operations.problems import describe_reason
from app.operations.runner import Runner
from app.operations.schemas import RevertRequest
from app.operations.service import Asker, OnStored, Order

# A learner that the operation created is deactivated, never removed.
_CREATED = ("deactivated_at",)
_PARSE = {fact.name: fact.parse for fact in ACCOUNT}


async def submit_revert(runner: Runner, asker: Asker, operation_id: str, wanted: RevertRequest) -> Operation:
    """Begin to revert the operation with this id. Raises OperationNotFound and OperationNotRevertible."""
    original = await service.get_operation(runner.database, asker.organization.id, operation_id)
    async with runner.database.read() as connection:
        require_revertible(original, await _find_latest_revert(connection, original))
    order = Order(
        kind=Kind.REVERT,
        request={},
        parameters=RevertParameters(),
        dry_run=wanted.dry_run,
        reason=wanted.reason,
        reverts=original.id,
        check_total=_check_kept,
        require=partial(_require_still_revertible, original),
    )
    marking = partial(_mark_reverted, original, asker.on_stored)
    asker = Asker(asker.organization, asker.actor, asker.now, marking)
    return await service.submit(runner, asker, order, select_chunks(runner, original))


def require_revertible(operation: Operation, latest: Operation | None) -> None:
    """Raise OperationNotRevertible, unless the operation has changes that can be undone. `latest`: its last revert."""
    if not operation.is_finished:
        raise OperationNotRevertible(Obstacle.NOT_ENDED)
    if operation.dry_run:
        raise OperationNotRevertible(Obstacle.DRY_RUN)
    if operation.is_refused:
        raise OperationNotRevertible(Obstacle.REFUSED)
    if latest is not None and not latest.is_finished:
        raise OperationNotRevertible(Obstacle.BEING_REVERTED, latest.id)
    if operation.has_expired_outcomes:
        raise OperationNotRevertible(Obstacle.OUTCOMES_DELETED)
    if operation.revertible > 0:
        return
    if latest is not None:
        raise OperationNotRevertible(Obstacle.ALREADY_REVERTED, latest.id)
    raise OperationNotRevertible(Obstacle.CHANGED_NOTHING)


def _check_kept(found: int) -> None:
    if not found:
        raise OperationNotRevertible(Obstacle.OUTCOMES_DELETED)


async def _require_still_revertible(original: Operation, connection: AsyncConnection) -> None:
    """Lock the operation, so that no two reverts of it begin. Raises OperationNotRevertible."""
    current = await repository.lock_operation(connection, original.number)
    require_revertible(current, await _find_latest_revert(connection, current))


async def _mark_reverted(
    original: Operation, on_stored: OnStored, connection: AsyncConnection, stored: Operation
) -> None:
    if not stored.dry_run:
        await repository.mark_reverted(connection, original, stored.id)
    await on_stored(connection, stored)


async def _find_latest_revert(connection: AsyncConnection, operation: Operation) -> Operation | None:
    if operation.reverted_by is None:
        return None
    return await repository.find_operation(connection, operation.organization_id, operation.reverted_by)


class ChangedLearner(NamedTuple):
    """A learner that an operation changed, and the version after the change."""

    learner_id: str
    version: int


async def select_chunks(runner: Runner, original: Operation) -> AsyncGenerator[Chunk]:
    """Yield the learners that `original` has created or changed as chunks, those of its last chunk first."""
    number = first_item = 0
    # A cancelled operation may have moved names in chunks that it has not come to.
    for place in reversed(range(original.chunks)):
        async with runner.database.read() as connection:
            found = await outcomes.read_chunk(connection, original, place)
        changed = [
            ChangedLearner(each.learner_id, each.version + 1)
            for each in reversed(found)
            if each.changes and each.learner_id is not None and each.version is not None
        ]
        size = runner.limits.chunk_rows
        for start in range(0, len(changed), size):
            part = changed[start : start + size]
            yield Chunk(number, first_item, len(part), orjson.dumps([tuple(each) for each in part]))
            number, first_item = number + 1, first_item + len(part)


class Remainder(NamedTuple):
    """What a revert can do about one change: the facts to restore, and those that were changed again since."""

    restored: Mapping[str, Any]
    kept: Sequence[str]


def find_remainder(
    change: RecordedChange, later: Sequence[RecordedChange], reverted: Mapping[str, str]
) -> Remainder:
    """Compare an operation's change with the later ones of its learner.

    `reverted` has the id of the operation that each revert has reverted. A fact that a revert of this operation has
    restored is done. A later change that its own revert has undone does not count.
    """
    before = {name: value for name, value in change.before.items() if name != "status"}
    facts = before or dict.fromkeys(_CREATED)
    restored, kept = {}, []
    for name, value in facts.items():
        touching = [each.operation_id for each in later if name in each.before]
        left = _leave_out_undone(touching, reverted)
        if any(reverted.get(each or "") == change.operation_id for each in left):
            continue
        if left:
            kept.append(name)
        else:
            restored[name] = value
    return Remainder(restored, kept)


def _leave_out_undone(changed_by: Sequence[str | None], reverted: Mapping[str, str]) -> list[str | None]:
    """Leave out each operation that is followed by its own revert, and that revert. None = a single change."""
    left: list[str | None] = []
    for each in changed_by:
        undone = reverted.get(each or "")
        if undone is not None and left and left[-1] == undone:
            left.pop()
        else:
            left.append(each)
    return left


@dataclass(frozen=True, slots=True)
class RevertHandler(WithoutGuards, LearnerColumns):
    """Restores what an operation changed in the learners of a chunk."""

    conflict_outcome: OutcomeName = OutcomeName.KEPT

    def rules(self, _operation: Operation) -> Rules:
        """See Handler.rules."""
        return Rules()

    async def read_rows(
        self, connection: AsyncConnection, operation: Operation, chunk: Chunk
    ) -> Sequence[PlanRow]:
        """Return a row for each learner with something left to undo."""
        if not chunk.items or operation.reverts is None:
            return []
        changed = [ChangedLearner(*each) for each in orjson.loads(chunk.content)]
        recorded: dict[str, list[RecordedChange]] = defaultdict(list)
        for each in await learners.list_changes_since(connection, operation.organization_id, dict(changed)):
            recorded[each.learner_id].append(each)
        causes = {each.operation_id for each in chain.from_iterable(recorded.values())}
        reverted = await repository.find_reverted(connection, operation.organization_id, causes)
        rows = []
        for item, (learner_id, _) in enumerate(changed, chunk.first_item):
            change, *later = recorded[learner_id]
            remainder = find_remainder(change, later, reverted)
            if remainder.restored or remainder.kept:
                rows.append(_row_of(item, learner_id, remainder, was_created=not change.before))
        return rows

    def explain(self, _operation: Operation, row: Unexplained) -> Sequence[Mapping[str, Any]]:
        """See Handler.explain."""
        if row.reason is Reason.EXTERNAL_ID_TAKEN:
            return [describe_reason(NameTaken(Fields.EXTERNAL_ID, str(row.external_id)))]
        return [describe_reason(NameTaken(Fields.USERNAME, str(row.username)))]


def _row_of(item: int, learner_id: str, remainder: Remainder, *, was_created: bool) -> PlanRow:
    row = PlanRow(item, learner_id=learner_id)
    if remainder.kept:
        problem = describe_reason(ChangedSince(tuple(remainder.kept)))
        row = row._replace(outcome=OutcomeName.KEPT.value, problems=[problem])
    if was_created:
        return row._replace(active=False if remainder.restored else None)
    values: dict[str, Any] = {
        name: value if value is None or name not in _PARSE else _PARSE[name](value)
        for name, value in remainder.restored.items()
    }
    row = row._replace(**values, fields=sum(int(FIELDS[name]) for name in values))
    if "last_name" in values:
        last_name = values["last_name"]
        row = row._replace(last_name_key=sort_form(last_name) if last_name else "")
    username = values.get("username")
    return row if username is None else row._replace(username_key=username_key(username))
