"""What can be wrong with operations, as facts: what a request meets, and what an outcome tells of one learner."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import Expired
from app.learners.plan import Fields


class OperationNotFound(Exception):
    """The organization has no such operation."""


class OutcomesDeleted(Exception):
    """The outcomes of the operation have been deleted; its counts remain."""


class SelectionChanged(Exception):
    """The number of selected learners is not the one that the caller expects."""

    def __init__(self, expected: int, matched: int) -> None:
        super().__init__(f"{expected} expected, {matched} matched")
        self.expected = expected
        self.matched = matched


class OperationNotCancellable(Exception):
    """The operation has ended, and was not cancelled. `state` says how it ended."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Obstacle(StrEnum):
    """Why an operation cannot be reverted."""

    NOT_ENDED = "not-ended"
    DRY_RUN = "dry-run"
    REFUSED = "refused"
    ALREADY_REVERTED = "already-reverted"
    BEING_REVERTED = "being-reverted"
    CHANGED_NOTHING = "changed-nothing"
    OUTCOMES_DELETED = "outcomes-deleted"


class OperationNotRevertible(Exception):
    """The operation cannot be reverted; `reverted_by` is the id of its revert, if it has one."""

    def __init__(self, obstacle: Obstacle, reverted_by: str | None = None) -> None:
        super().__init__(obstacle.value)
        self.obstacle = obstacle
        self.reverted_by = reverted_by


@dataclass(frozen=True, slots=True)
class UnknownLearner:
    """The organization has no learner with the selected id or username."""


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """Later changes have changed these fields of the learner again, so a revert keeps them."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameTaken:
    """Another learner now has the username or external id (`field`) to which a revert would go back."""

    field: Fields
    value: str


# Why a bulk action or a revert did not change one learner.
Reason = Expired | UnknownLearner | ChangedSince | NameTaken
