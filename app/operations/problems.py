"""The problems of operations, and how the facts in `errors` become them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.domain.errors import Expired
from app.learners.plan import Fields
from app.learners.problems import EXTERNAL_ID_TAKEN, USERNAME_TAKEN, expired_problem, learner_not_found
from app.operations.errors import (
    ChangedSince,
    NameTaken,
    Obstacle,
    OperationNotCancellable,
    OperationNotFound,
    OperationNotRevertible,
    OutcomesDeleted,
    Reason,
    SelectionChanged,
    UnknownLearner,
)
from app.platform.problems import (
    INTERNAL_ERROR,
    NOT_FOUND,
    Problem,
    Translations,
    define_problem,
    illustrate,
)


class SelectionMembers(BaseModel):
    """The additional members of `selection-changed`."""

    expected_count: Annotated[int, Field(description="How many learners were expected.")]
    matched_count: Annotated[int, Field(description="How many learners are selected now.")]


class StateMembers(BaseModel):
    """The additional members of `operation-not-cancellable`."""

    state: Annotated[str, Field(description="How the operation ended.")]


class RevertedByMembers(BaseModel):
    """The additional members of `operation-not-revertible`."""

    reverted_by: Annotated[str | None, Field(description="The id of the revert, if there is one.")] = None


class ChangedSinceMembers(BaseModel):
    """The additional members of `changed-since`."""

    fields: Annotated[list[str], Field(description="The fields that were changed later.")]


SELECTION_CHANGED = define_problem(
    "selection-changed",
    409,
    "The selection has changed",
    "`expected_count` learners were expected, but `matched_count` are selected now. Nothing was changed. Check the "
    "selection again, then send the new number as `expected_count`.",
    SelectionMembers,
)
OUTCOMES_REMOVED = define_problem(
    "outcomes-removed",
    410,
    "The outcomes have been deleted",
    "Outcomes and uploaded rows are deleted some time after an operation ends: 30 days, unless the operator has set "
    "`ROLLCALL_OUTCOMES_DAYS`. The counts remain, and so does the history of each learner.",
)
OPERATION_NOT_CANCELLABLE = define_problem(
    "operation-not-cancellable",
    409,
    "The operation has already ended",
    "Only a pending or running operation can be cancelled. `state` says how this one ended. To undo its changes, "
    "revert it: `POST /operations/{id}/revert`.",
    StateMembers,
)
OPERATION_NOT_REVERTIBLE = define_problem(
    "operation-not-revertible",
    409,
    "The operation cannot be reverted",
    "An operation can be reverted after it has ended (succeeded, cancelled or failed), as long as `revertible` is "
    "above "
    "0. `detail` says what prevents it.",
    RevertedByMembers,
)
CHANGED_SINCE = define_problem(
    "changed-since",
    409,
    "The learner was changed later",
    "These `fields` of the learner were changed again after the operation. A revert does not overwrite later "
    "changes. It "
    "restores the other fields that the operation changed.",
    ChangedSinceMembers,
)
OPERATION_NOT_FOUND = "Your organization has no operation with this id."

_OBSTACLES = {
    Obstacle.NOT_ENDED: "The operation has not ended yet. Wait until it ends, or cancel it.",
    Obstacle.DRY_RUN: "The operation was a dry run, so there is nothing to revert.",
    Obstacle.REFUSED: "The operation was refused and changed nothing, so there is nothing to revert.",
    Obstacle.CHANGED_NOTHING: "The operation changed no learner, so there is nothing to revert.",
    Obstacle.OUTCOMES_DELETED: "The outcomes of the operation have been deleted, so it can no longer be reverted.",
}


def _not_found(_error: OperationNotFound) -> Problem:
    return Problem(NOT_FOUND, OPERATION_NOT_FOUND)


def _outcomes_deleted(_error: OutcomesDeleted) -> Problem:
    return Problem(OUTCOMES_REMOVED, "Per-learner outcomes have been deleted. The counts remain.")


def _selection_changed(error: SelectionChanged) -> Problem:
    return Problem(
        SELECTION_CHANGED,
        f"You expected {error.expected:,} learners, but {error.matched:,} are selected now. Nothing was changed. "
        "Check the selection again, then send the new number.",
        members={"expected_count": error.expected, "matched_count": error.matched},
    )


def _not_cancellable(error: OperationNotCancellable) -> Problem:
    return Problem(
        OPERATION_NOT_CANCELLABLE,
        f"The operation has already ended ({error.state}), so it cannot be cancelled.",
        members={"state": error.state},
    )


def _not_revertible(error: OperationNotRevertible) -> Problem:
    if error.obstacle is Obstacle.ALREADY_REVERTED:
        detail = (
            f"All changes of the operation have been undone, last by the operation {error.reverted_by}. To apply them "
            "again, revert that operation."
        )
    elif error.obstacle is Obstacle.BEING_REVERTED:
        detail = f"The operation {error.reverted_by} is reverting this one. Wait until it ends."
    else:
        detail = _OBSTACLES[error.obstacle]
    members = {} if error.reverted_by is None else {"reverted_by": error.reverted_by}
    return Problem(OPERATION_NOT_REVERTIBLE, detail, members=members)


TRANSLATIONS: Translations = {
    OperationNotFound: _not_found,
    OutcomesDeleted: _outcomes_deleted,
    SelectionChanged: _selection_changed,
    OperationNotCancellable: _not_cancellable,
    OperationNotRevertible: _not_revertible,
}


def describe_reason(reason: Reason) -> Mapping[str, Any]:
    """Return the problem document that an outcome stores for this reason."""
    return _problem_of(reason).document()


def describe_failure() -> Mapping[str, Any]:
    """Return the problem document of an operation that a fault in the service has ended."""
    detail = "An internal error stopped this operation. Changes made before the error remain."
    return Problem(INTERNAL_ERROR, detail).document()


def _problem_of(reason: Reason) -> Problem:
    if isinstance(reason, Expired):
        return expired_problem(reason)
    if isinstance(reason, UnknownLearner):
        return learner_not_found()
    if isinstance(reason, ChangedSince):
        return Problem(
            CHANGED_SINCE,
            f"Changed again after the operation: {', '.join(reason.fields)}. The revert keeps the later change.",
            members={"fields": list(reason.fields)},
        )
    return _name_taken(reason)


def _name_taken(reason: NameTaken) -> Problem:
    if reason.field is Fields.USERNAME:
        kind, name = USERNAME_TAKEN, "username"
    else:
        kind, name = EXTERNAL_ID_TAKEN, "external id"
    return Problem(
        kind, f"Another learner now has the {name} {reason.value!r}, so this learner keeps the later one."
    )


illustrate(_selection_changed(SelectionChanged(2340, 2341)))
illustrate(_outcomes_deleted(OutcomesDeleted()))
illustrate(_not_cancellable(OperationNotCancellable("succeeded")))
illustrate(_not_revertible(OperationNotRevertible(Obstacle.DRY_RUN)))
illustrate(_problem_of(ChangedSince(("email",))))
