"""The problems of operations."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.platform.problems import Problem, Translations, define_problem, illustrate


class SelectionMembers(BaseModel):
    """What `selection-changed` tells besides."""

    expected_count: Annotated[int, Field(description="How many learners were expected.")]
    matched_count: Annotated[int, Field(description="How many are selected now.")]


class StateMembers(BaseModel):
    """What `operation-not-cancellable` tells besides."""

    state: Annotated[str, Field(description="How the operation ended.")]


class RevertedByMembers(BaseModel):
    """What `operation-not-revertible` tells besides, where the operation is reverted already."""

    reverted_by: Annotated[str | None, Field(description="The id of the revert that there was.")] = None


SELECTION_CHANGED = define_problem(
    "selection-changed",
    409,
    "The selection has changed",
    "`expected_count` learners were expected, `matched_count` are selected now, so nothing was done. Look again, "
    "then send the number that you see.",
    SelectionMembers,
)
OUTCOMES_REMOVED = define_problem(
    "outcomes-removed",
    410,
    "The outcomes are not kept any more",
    "Outcomes, and the rows as they were sent, are removed some weeks after the operation ended. Its counts stay, "
    "and so does the history of each learner.",
)
OPERATION_NOT_CANCELLABLE = define_problem(
    "operation-not-cancellable",
    409,
    "The operation has ended already",
    "Only what is pending or running can be cancelled; `state` tells how this operation ended. What it changed can be "
    "taken back: `POST /operations/{id}/revert`.",
    StateMembers,
)
OPERATION_NOT_REVERTIBLE = define_problem(
    "operation-not-revertible",
    409,
    "The operation cannot be reverted",
    "An operation can be reverted once it has ended (succeeded, cancelled or failed) and has changed somebody, and "
    "once only; the detail says what is in the way. A dry run of a revert is always safe to try.",
    RevertedByMembers,
)
CHANGED_SINCE = define_problem(
    "changed-since",
    409,
    "The learner has changed since",
    "A revert takes back only what nobody has changed since: this learner has a later change in their history, by "
    "whatever door, and stays as they are.",
)
OPERATION_NOT_FOUND = "There is no such operation in your organization."


class SelectionChanged(Exception):
    """Another number of learners is selected than the person saw."""

    def __init__(self, expected: int, matched: int) -> None:
        super().__init__(f"{expected} expected, {matched} matched")
        self.expected = expected
        self.matched = matched


class OperationNotCancellable(Exception):
    """The operation has ended, and not by being cancelled."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class OperationNotRevertible(Exception):
    """Something is in the way of reverting the operation; `detail` is a sentence that says what."""

    def __init__(self, detail: str, reverted_by: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reverted_by = reverted_by


def _selection_changed(error: SelectionChanged) -> Problem:
    return Problem(
        SELECTION_CHANGED,
        f"You expected {error.expected} learners, but {error.matched} are selected now; nothing was done.",
        members={"expected_count": error.expected, "matched_count": error.matched},
    )


def _not_cancellable(error: OperationNotCancellable) -> Problem:
    return Problem(
        OPERATION_NOT_CANCELLABLE,
        f"This operation has ended already ({error.state}), so there is nothing left to cancel.",
        members={"state": error.state},
    )


def _not_revertible(error: OperationNotRevertible) -> Problem:
    members = {} if error.reverted_by is None else {"reverted_by": error.reverted_by}
    return Problem(OPERATION_NOT_REVERTIBLE, error.detail, members=members)


def outcomes_removed() -> Problem:
    """The answer to whoever asks too late what became of each learner."""
    return Problem(OUTCOMES_REMOVED, "What became of each learner is not kept any more; the counts are.")


def changed_since() -> Problem:
    """Why a revert leaves a learner as they are."""
    return Problem(CHANGED_SINCE, "The learner has changed since that operation, and stays as they are.")


TRANSLATIONS: Translations = {
    SelectionChanged: _selection_changed,
    OperationNotCancellable: _not_cancellable,
    OperationNotRevertible: _not_revertible,
}

illustrate(_selection_changed(SelectionChanged(2340, 2341)))
illustrate(outcomes_removed())
illustrate(_not_cancellable(OperationNotCancellable("succeeded")))
illustrate(_not_revertible(OperationNotRevertible("It was a dry run, which changes nothing.")))
illustrate(changed_since())
