"""One operation: its kind, its state, how far it is, and the parts of which it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from app.learners.learner import Cause
from app.learners.plan import Effect, OutcomeName
from app.operations.parameters import (
    BulkActionParameters,
    CsvImportParameters,
    JsonImportParameters,
    Parameters,
    RevertParameters,
)
from app.organizations.organization import Organization


class Kind(StrEnum):
    """The kind of an operation."""

    BULK_ACTION = "bulk-action"
    CSV_IMPORT = "csv-import"
    JSON_IMPORT = "json-import"
    REVERT = "revert"


class State(StrEnum):
    """The state of an operation: pending, running, then one of the final states."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


_IMPORT_OUTCOMES = tuple(name for name in OutcomeName if name is not OutcomeName.KEPT)
# The outcomes that each kind counts, including those with a count of 0.
OUTCOMES: Mapping[Kind, Sequence[OutcomeName]] = {
    Kind.BULK_ACTION: (
        OutcomeName.CHANGED,
        OutcomeName.UNCHANGED,
        OutcomeName.REFUSED,
        OutcomeName.NOT_FOUND,
    ),
    Kind.CSV_IMPORT: _IMPORT_OUTCOMES,
    Kind.JSON_IMPORT: _IMPORT_OUTCOMES,
    Kind.REVERT: (OutcomeName.CHANGED, OutcomeName.UNCHANGED, OutcomeName.KEPT),
}
_PARAMETERS: Mapping[Kind, type[Parameters]] = {
    Kind.BULK_ACTION: BulkActionParameters,
    Kind.CSV_IMPORT: CsvImportParameters,
    Kind.JSON_IMPORT: JsonImportParameters,
    Kind.REVERT: RevertParameters,
}


def read_parameters(kind: Kind, document: Mapping[str, Any]) -> Parameters:
    """Return the stored parameters of an operation of this kind."""
    return _PARAMETERS[kind].from_document(document)


class Phase(IntEnum):
    """What an operation does next. Stored, so the numbers stay."""

    # Each chunk is decided and added to the plan.
    PLAN = 0
    # Rows about one learner and names that several rows want are found, and all but one of them rejected.
    SETTLE = 1
    # Learners that a file does not list are added.
    ADD_MISSING = 2
    # The guards judge the plan. If one of them stops the operation, nothing is changed.
    JUDGE = 3
    # Rows whose names move between learners are applied together, wherever they stand.
    MOVE = 4
    # Each chunk is applied, and its rows of the plan become its outcomes.
    APPLY = 5


class Position(NamedTuple):
    """Which step is next."""

    phase: Phase
    chunk: int
    chunks: int


class Tidied(IntEnum):
    """What housekeeping has already removed of an operation that has ended."""

    NOTHING = 0
    # The rows of its plan.
    WORK = 1
    # Its outcomes and chunks are no longer shown, but may still be there.
    OUTCOMES_EXPIRED = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as stored; `number` is its internal key, 0 before it is stored."""

    id: str
    organization_id: int
    kind: Kind
    dry_run: bool
    created_by: Mapping[str, Any]
    created_at: datetime
    # What was asked, in the form of the API.
    request: Mapping[str, Any]
    # None in a list of operations, which does not read them.
    parameters: Parameters | None
    # Set when the chunks are staged.
    chunks: int = 0
    total: int = 0
    action: str | None = None
    reason: str | None = None
    warnings: Sequence[Mapping[str, str]] = ()
    state: State = State.PENDING
    cursor: int = 0
    done: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    # How many learners were deactivated, activated, renamed …, by the names of COUNTED_EFFECTS.
    effects: Mapping[str, int] = field(default_factory=dict)
    # How many of its changes could still be undone.
    revertible: int = 0
    problem: Mapping[str, Any] | None = None
    reverts: str | None = None
    reverted_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    tidied: Tidied = Tidied.NOTHING
    phase: Phase = Phase.PLAN
    # The calendar day by which the plan was decided.
    planned_on: date | None = None
    number: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether it has reached a final state."""
        return self.finished_at is not None

    @property
    def position(self) -> Position:
        """Which step is next."""
        return Position(self.phase, self.cursor, self.chunks)

    @property
    def is_planned(self) -> bool:
        """Whether its plan is complete and judged."""
        return self.phase >= Phase.MOVE

    @property
    def is_refused(self) -> bool:
        """Whether a guard has stopped it: what it would have done is recorded, and nothing is changed."""
        return self.problem is not None and self.state is not State.FAILED

    @property
    def has_expired_outcomes(self) -> bool:
        """Whether its outcomes are no longer shown, so that it can no longer be reverted."""
        return self.tidied >= Tidied.OUTCOMES_EXPIRED

    @property
    def changes_nothing(self) -> bool:
        """Whether its plan is not applied: in a dry run, and if a guard has stopped it."""
        return self.dry_run or self.is_refused

    def cause(self, organization: Organization, now: datetime) -> Cause:
        """Return the cause of the changes that a chunk makes at the instant `now`."""
        return Cause(self.created_by, now, organization.today(now), self.reason, self.id)


class Step(NamedTuple):
    """An operation before and after one transaction."""

    before: Operation
    after: Operation


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of an operation that one transaction does: `items` learners or rows from `first_item` on.

    `content`: what was asked for them.
    """

    number: int
    first_item: int
    items: int
    content: bytes


class Outcome(NamedTuple):
    """The outcome for the learner or row number `item` of an operation."""

    item: int
    outcome: OutcomeName
    line: int | None = None
    learner_id: str | None = None
    # The learner's version on which it was decided; a change made the next one.
    version: int | None = None
    username: str | None = None
    external_id: str | None = None
    effects: Effect = Effect(0)
    # The facts that changed or would change: before and after, by name.
    changes: Mapping[str, Sequence[Any]] = {}
    problems: Sequence[Mapping[str, Any]] = ()


class WantedOutcomes(NamedTuple):
    """Which outcomes to list: those with these names (none = all) and with any of these effects (none = all)."""

    names: Sequence[OutcomeName] = ()
    effects: Effect = Effect(0)

    def includes(self, outcome: Outcome) -> bool:
        """Return whether this outcome is wanted."""
        return (not self.names or outcome.outcome in self.names) and (
            not self.effects or bool(outcome.effects & self.effects)
        )
