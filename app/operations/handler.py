"""What a kind of operation has to supply: how its chunks are read, carried out and shown."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.learner import Cause
from app.operations.operation import Chunk, Operation, Outcome, Tally
from app.organizations.organization import Organization


class ReportFormat(NamedTuple):
    """How the outcomes are written as CSV."""

    # The columns before Line, Outcome and Problem.
    header: Sequence[str]
    delimiter: str = ","
    # Whether the file begins with a byte order mark.
    has_mark: bool = False


class Handler(Protocol):
    """Carries out one kind of operation, and shows its outcomes."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """Remove up to `limit` rows that only the running operation needed, and return how many were removed."""
        ...

    def read_chunk(self, operation: Operation, chunk: Chunk) -> Any:
        """Decode the chunk's content. Pure, because it runs in a thread before the chunk is due."""
        ...

    async def run_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: Any,
        cause: Cause,
    ) -> Tally:
        """Do the whole chunk, record its outcomes and count them, in the caller's transaction.

        `work` is what read_chunk has returned. If the operation changes nothing, only the outcomes are
        stored. In a rehearsal, no outcomes are stored either, and the tally holds what `judge` needs.
        """
        ...

    async def find_more(self, connection: AsyncConnection, operation: Operation, limit: int) -> Chunk | None:
        """Return a further chunk of up to `limit` items that the rehearsal has found to do, or None.

        Called again after each such chunk, which has the next number and the next first item.
        """
        ...

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Mapping[str, Any] | None:
        """Return the problem document if a guard stops the operation after its rehearsal, or None."""
        ...

    def report_format(self, operation: Operation) -> ReportFormat:
        """Return how the outcomes are written as CSV."""
        ...

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """Return the cells under the report's header for each of these outcomes of the chunk."""
        ...


class OnePass:
    """The part of a Handler that is not used without a rehearsal."""

    async def find_more(self, connection: AsyncConnection, operation: Operation, limit: int) -> None:
        """See Handler.find_more; never called."""

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> None:
        """See Handler.judge; never called."""


class LearnerColumns:
    """The part of a Handler for reports that name learners by username and id. An unknown id has no username."""

    def report_format(self, operation: Operation) -> ReportFormat:
        """See Handler.report_format."""
        return ReportFormat(("Username", "Learner ID"))

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """See Handler.report_cells."""
        return [(outcome.username or "", outcome.learner_id or "") for outcome in outcomes]
