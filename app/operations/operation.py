"""One operation: its kind, its state, how far it is, and what a kind of operation has to supply."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.learner import Cause
from app.organizations.organization import Organization
from app.platform.problems import Problem


class Kind(StrEnum):
    """What an operation does."""

    BULK_ACTION = "bulk-action"
    CSV_IMPORT = "csv-import"
    REVERT = "revert"


class State(StrEnum):
    """Where an operation is: pending, running, then one of the final ones."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OutcomeName(StrEnum):
    """What became of one learner or row."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    REFUSED = "refused"
    INVALID = "invalid"
    NOT_FOUND = "not_found"


# The outcomes that each kind counts, nought included.
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


# Among what a worker counts: how many of those whom a chunk changes it deactivates.
DEACTIVATED = "deactivated"
# Whether the chunks are being rehearsed, and which is next.
Position = tuple[bool, int]


class Tidied(IntEnum):
    """How much of an operation that has ended was removed already."""

    NOTHING = 0
    # What it needed while it ran.
    WORK = 1
    # Its outcomes and chunks are not shown any more, but may be there.
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
    chunks: int
    total: int
    action: str | None = None
    reason: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[Mapping[str, str]] = ()
    state: State = State.PENDING
    cursor: int = 0
    done: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    # How many of those whom it changed it deactivated.
    deactivated: int = 0
    problem: Mapping[str, Any] | None = None
    reverts: str | None = None
    reverted_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    tidied: Tidied = Tidied.NOTHING
    # In the first of two passes over its chunks, which changes nothing and records no outcome; after it the
    # worker judges, by what was counted, whether the second may change anything.
    is_rehearsal: bool = False
    rehearsed: Mapping[str, int] = field(default_factory=dict)
    number: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether it has reached a final state."""
        return self.finished_at is not None

    @property
    def position(self) -> Position:
        """Where it stands: the pass, and the chunk that is next in it."""
        return self.is_rehearsal, self.cursor

    @property
    def is_refused(self) -> bool:
        """Whether it was judged too much: what it would have done is being recorded, or is."""
        return self.problem is not None and self.state is not State.FAILED

    @property
    def changes_nothing(self) -> bool:
        """Whether its chunks are decided only: in a dry run, in a rehearsal, and where it is refused."""
        return self.dry_run or self.is_rehearsal or self.is_refused

    def cause(self, organization: Organization, now: datetime) -> Cause:
        """The cause of the changes that a chunk, run at the instant `now`, makes."""
        return Cause(self.created_by, now, organization.today(now), self.reason, self.id)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of an operation that one transaction does: `items` learners or rows from `first_item` on."""

    number: int
    first_item: int
    items: int
    content: bytes


class Outcome(NamedTuple):
    """What became of the learner or row number `item` of an operation."""

    item: int
    outcome: OutcomeName
    learner_id: str | None = None
    username: str | None = None
    line: int | None = None
    problem: Mapping[str, Any] | None = None
    deactivated: bool = False


def count_outcomes(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How many there are of each, and as DEACTIVATED, how many lost access."""
    counted = Counter((outcome.outcome.value, outcome.deactivated) for outcome in outcomes)
    result: Counter[str] = Counter()
    for (name, deactivated), number in counted.items():
        result[name] += number
        if deactivated:
            result[DEACTIVATED] += number
    return result


class WantedOutcomes(NamedTuple):
    """Which outcomes to list: those of these names (none = all), and those by which somebody lost access or not."""

    names: Sequence[OutcomeName] = ()
    deactivated: bool | None = None


class Worker(Protocol):
    """How one kind of operation does its work and shows it."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """Remove up to `limit` rows that only the running operation needed; how many there were."""
        ...

    def read_chunk(self, operation: Operation, chunk: Chunk) -> Any:
        """What the chunk's content says. Pure: done in a thread, ahead of the chunk's turn."""
        ...

    async def run_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: Any,
        cause: Cause,
    ) -> Counter[str]:
        """Do all of the chunk, record its outcomes, and count them, in the caller's transaction.

        DEACTIVATED counts those who lose access by it, among those who are changed.
        `work` is what read_chunk made of it. Where the operation changes nothing, only the outcomes are stored;
        in a rehearsal not even they, and what is counted is what `judge` wants to know.
        """
        ...

    async def find_more(self, connection: AsyncConnection, operation: Operation, limit: int) -> Chunk | None:
        """Return a further chunk, of up to `limit` items, that the rehearsal of all chunks found to do, or None.

        Asked again after each; the chunk has the number and the first item that come next.
        """
        ...

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Problem | None:
        """Why nothing may be done, by what the rehearsal counted; None where all is well."""
        ...

    def report_header(self, operation: Operation) -> Sequence[str]:
        """The columns of the outcomes as CSV that stand before Line, Outcome and Problem."""
        ...

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """What stands in those columns for each of these outcomes of the chunk."""
        ...


class OnePass:
    """The part of a Worker that an operation without a rehearsal has no use for."""

    async def find_more(self, connection: AsyncConnection, operation: Operation, limit: int) -> None:
        """See Worker.find_more: never asked."""

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> None:
        """See Worker.judge: never asked."""
