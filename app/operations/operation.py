"""One operation: its kind, its state, how far it is, and the parts of which it is made."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, Self

from app.learners.learner import Cause
from app.operations.parameters import (
    BulkActionParameters,
    CsvImportParameters,
    Parameters,
    RevertParameters,
)
from app.organizations.organization import Organization


class Kind(StrEnum):
    """The kind of an operation."""

    BULK_ACTION = "bulk-action"
    CSV_IMPORT = "csv-import"
    REVERT = "revert"


class State(StrEnum):
    """The state of an operation: pending, running, then one of the final states."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OutcomeName(StrEnum):
    """The outcome for one learner or row."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    REFUSED = "refused"
    INVALID = "invalid"
    NOT_FOUND = "not_found"


# The outcomes that each kind counts, including those with a count of 0.
OUTCOMES: Mapping[Kind, Sequence[OutcomeName]] = {
    Kind.BULK_ACTION: (
        OutcomeName.CHANGED,
        OutcomeName.UNCHANGED,
        OutcomeName.REFUSED,
        OutcomeName.NOT_FOUND,
    ),
    Kind.CSV_IMPORT: tuple(name for name in OutcomeName if name is not OutcomeName.KEPT),
    Kind.REVERT: (OutcomeName.CHANGED, OutcomeName.UNCHANGED, OutcomeName.KEPT),
}
_PARAMETERS: Mapping[Kind, type[Parameters]] = {
    Kind.BULK_ACTION: BulkActionParameters,
    Kind.CSV_IMPORT: CsvImportParameters,
    Kind.REVERT: RevertParameters,
}


def read_parameters(kind: Kind, document: Mapping[str, Any]) -> Parameters:
    """Return the stored parameters of an operation of this kind."""
    return _PARAMETERS[kind].from_document(document)


class Position(NamedTuple):
    """Which chunk is next, and whether in the rehearsal or in the pass after it."""

    is_rehearsal: bool
    chunk: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the first of two passes over the rows has counted, by which the handler judges whether to go on."""

    deactivated_by_row: int = 0
    missing: int = 0
    # How many rows do not say which learner they are about, and the line of the first.
    unidentified_rows: int = 0
    first_unidentified_line: int | None = None

    def __add__(self, later: "Rehearsal") -> "Rehearsal":
        """Add what later rows have counted."""
        first_line = self.first_unidentified_line
        return Rehearsal(
            self.deactivated_by_row + later.deactivated_by_row,
            self.missing + later.missing,
            self.unidentified_rows + later.unidentified_rows,
            later.first_unidentified_line if first_line is None else first_line,
        )

    @classmethod
    def from_document(cls, document: Mapping[str, int]) -> Self:
        """Read what `to_document` returned."""
        return cls(
            document.get("deactivated_by_row", 0),
            document.get("missing", 0),
            document.get("untold", 0),
            document.get("first_untold_line"),
        )

    def to_document(self) -> dict[str, int]:
        """Return the counts as JSON, without those that are 0."""
        counts = {
            "deactivated_by_row": self.deactivated_by_row,
            "missing": self.missing,
            "untold": self.unidentified_rows,
            "first_untold_line": self.first_unidentified_line or 0,
        }
        return {name: count for name, count in counts.items() if count}


class Tidied(IntEnum):
    """What housekeeping has already removed of an operation that has ended."""

    NOTHING = 0
    # What it needed while it ran.
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
    parameters: Parameters
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
    # How many of the changed learners lost access.
    deactivated: int = 0
    problem: Mapping[str, Any] | None = None
    reverts: str | None = None
    reverted_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    tidied: Tidied = Tidied.NOTHING
    # Whether this is the first of two passes over its chunks, which changes nothing and records no outcome. After it
    # the handler judges, by what was counted, whether the second pass may change anything.
    is_rehearsal: bool = False
    rehearsed: Rehearsal = Rehearsal()
    number: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether it has reached a final state."""
        return self.finished_at is not None

    @property
    def position(self) -> Position:
        """Which chunk is next."""
        return Position(self.is_rehearsal, self.cursor)

    @property
    def is_refused(self) -> bool:
        """Whether a guard has stopped it: what it would have done is recorded, and nothing is changed."""
        return self.problem is not None and self.state is not State.FAILED

    @property
    def changes_nothing(self) -> bool:
        """Whether its chunks are only decided: in a dry run, in a rehearsal, and if a guard has stopped it."""
        return self.dry_run or self.is_rehearsal or self.is_refused

    def cause(self, organization: Organization, now: datetime) -> Cause:
        """Return the cause of the changes that a chunk makes at the instant `now`."""
        return Cause(self.created_by, now, organization.today(now), self.reason, self.id)


class Step(NamedTuple):
    """An operation before and after one transaction."""

    before: Operation
    after: Operation


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of an operation that one transaction does: `items` learners or rows from `first_item` on."""

    number: int
    first_item: int
    items: int
    content: bytes


class Outcome(NamedTuple):
    """The outcome for the learner or row number `item` of an operation."""

    item: int
    outcome: OutcomeName
    learner_id: str | None = None
    username: str | None = None
    line: int | None = None
    problem: Mapping[str, Any] | None = None
    deactivated: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What a chunk has counted: learners or rows by outcome, those who lose access, and its part of a rehearsal."""

    outcomes: Counter[str] = field(default_factory=Counter)
    deactivated: int = 0
    rehearsal: Rehearsal = Rehearsal()


def count_outcomes(outcomes: Iterable[Outcome]) -> Tally:
    """Count the outcomes by name, and those by which a learner loses access."""
    counted = Counter((outcome.outcome.value, outcome.deactivated) for outcome in outcomes)
    names: Counter[str] = Counter()
    deactivated = 0
    for (name, loses_access), number in counted.items():
        names[name] += number
        deactivated += number if loses_access else 0
    return Tally(names, deactivated)


class WantedOutcomes(NamedTuple):
    """Which outcomes to list: those with these names (none = all), and only those that take access away or do not."""

    names: Sequence[OutcomeName] = ()
    deactivated: bool | None = None
