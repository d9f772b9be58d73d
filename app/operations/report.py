"""The outcomes of an operation as CSV: the rows as they were sent, plus Line, Outcome and Problem.

Mended, that file can be sent back: of the three columns an import reads only whether Problem begins with
`duplicate-row`, since alone such a row is no duplicate any more.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence

from app.operations import repository
from app.operations.operation import Chunk, Operation, Outcome, WantedOutcomes, Worker
from app.platform.csv_cells import guard_formula, unguard_formula
from app.platform.database import Database

ADDED_COLUMNS = ("Line", "Outcome", "Problem")


class LearnerColumns:
    """How a worker names learners in its report: both ways, since an id of nobody has no username."""

    def report_header(self, operation: Operation) -> Sequence[str]:
        """See Worker.report_header."""
        return ("Username", "Learner ID")

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """See Worker.report_cells."""
        return [(outcome.username or "", outcome.learner_id or "") for outcome in outcomes]


async def stream_report(
    database: Database, operation: Operation, worker: Worker, wanted: WantedOutcomes
) -> AsyncIterator[str]:
    """The report chunk by chunk, each read on its own, so that a slow client holds no connection."""
    sent = operation.parameters
    delimiter = str(sent.get("delimiter", ","))
    # Excel takes a file without this mark for its own old encoding; one that came as plain UTF-8 goes as it came.
    is_plain = sent.get("encoding", "utf-8") == "utf-8" and not sent.get("has_mark")
    mark = "" if is_plain else "\ufeff"
    yield mark + _lines([[*map(_harmless, worker.report_header(operation)), *ADDED_COLUMNS]], delimiter)
    for number in range(0 if operation.is_rehearsal else operation.cursor):
        async with database.read() as connection:
            chunk = await repository.get_chunk(connection, operation.id, number)
            found = await repository.list_outcomes(
                connection,
                operation,
                wanted=wanted,
                first_item=chunk.first_item,
                before_item=chunk.first_item + chunk.items,
            )
        if found:
            cells = worker.report_cells(operation, chunk, found)
            yield _lines(map(_row, cells, found), delimiter)


def _row(cells: Sequence[str], outcome: Outcome) -> list[str]:
    line = "" if outcome.line is None else str(outcome.line)
    problem = "" if outcome.problem is None else "{code}: {detail}".format_map(outcome.problem)
    return [*map(_harmless, cells), line, outcome.outcome.value, problem]


def _harmless(cell: str) -> str:
    # A cell that was sent with its guard keeps just that one: an import must find what was meant.
    return guard_formula(unguard_formula(cell))


def _lines(rows: Iterable[Sequence[str]], delimiter: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue()
