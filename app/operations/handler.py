"""What a kind of operation has to supply: what is asked for each learner or row, and how outcomes are explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.plan import OutcomeName, PlanRow, Rules, Unexplained
from app.learners.plan_conditions import Scope
from app.operations.operation import Chunk, Operation, Outcome
from app.organizations.organization import Organization


class ReportFormat(NamedTuple):
    """How the outcomes are written as CSV."""

    # The columns before Line, Outcome and Problem.
    header: Sequence[str]
    delimiter: str = ","
    # Whether the file begins with a byte order mark.
    has_mark: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guards say of a plan: why nothing may change, or None, and what to warn about."""

    problem: Mapping[str, Any] | None = None
    warnings: Sequence[Mapping[str, str]] = ()


class Handler(Protocol):
    """Supplies what is particular to one kind of operation. The runner plans and applies all kinds alike."""

    @property
    def conflict_outcome(self) -> OutcomeName:
        """The outcome of a row that cannot have the name that it wants."""
        ...

    def rules(self, operation: Operation) -> Rules:
        """Return what the rows of the operation may do."""
        ...

    async def read_rows(
        self, connection: AsyncConnection, operation: Operation, chunk: Chunk
    ) -> Sequence[PlanRow]:
        """Return what is asked for the learners or rows of a chunk, from its content."""
        ...

    async def refine(self, connection: AsyncConnection, operation: Operation, scope: Scope) -> None:
        """Reject rows that were just added to the plan, by rules of this kind alone."""
        ...

    async def find_missing(
        self, connection: AsyncConnection, operation: Operation, limit: int
    ) -> Chunk | None:
        """Return a further chunk of up to `limit` learners that are not in the plan yet, or None.

        Called again after each such chunk, which has the next number and the next first item.
        """
        ...

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Judgement:
        """Judge the complete plan."""
        ...

    def explain(self, operation: Operation, row: Unexplained) -> Sequence[Mapping[str, Any]]:
        """Return the problem documents of a row that is not applied."""
        ...

    def report_format(self, operation: Operation) -> ReportFormat:
        """Return how the outcomes are written as CSV."""
        ...

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """Return the cells under the report's header for each of these outcomes of the chunk."""
        ...


class WithoutGuards:
    """The part of a Handler that only imports use."""

    async def refine(self, connection: AsyncConnection, operation: Operation, scope: Scope) -> None:
        """See Handler.refine."""

    async def find_missing(self, connection: AsyncConnection, operation: Operation, limit: int) -> None:
        """See Handler.find_missing."""

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Judgement:
        """See Handler.judge."""
        return Judgement()


class LearnerColumns:
    """The part of a Handler for reports that name learners by their keys and id, as far as they are known."""

    def report_format(self, operation: Operation) -> ReportFormat:
        """See Handler.report_format."""
        return ReportFormat(("Username", "External ID", "Learner ID"))

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """See Handler.report_cells."""
        return [
            (outcome.username or "", outcome.external_id or "", outcome.learner_id or "")
            for outcome in outcomes
        ]
