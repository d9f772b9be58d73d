"""The problems of operations."""

from app.platform.problems import Problem, Translations, define_problem

SELECTION_CHANGED = define_problem(
    "selection-changed",
    409,
    "The selection has changed",
    "`expected_count` learners were expected, `matched_count` are selected now, so nothing was done. Look again, "
    "then send the number that you see.",
)
OPERATION_NOT_CANCELLABLE = define_problem(
    "operation-not-cancellable",
    409,
    "The operation has ended already",
    "Only what is pending or running can be cancelled; `state` tells how this operation ended. What it changed can be "
    "taken back: `POST /operations/{id}/revert`.",
)
OPERATION_NOT_REVERTIBLE = define_problem(
    "operation-not-revertible",
    409,
    "The operation cannot be reverted",
    "An operation can be reverted once it has ended (succeeded, cancelled or failed) and has changed somebody, and "
    "once only; the detail says what is in the way. A dry run of a revert is always safe to try.",
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


TRANSLATIONS: Translations = {
    SelectionChanged: _selection_changed,
    OperationNotCancellable: _not_cancellable,
    OperationNotRevertible: _not_revertible,
}
