"""The outcomes of an operation as CSV: the rows as they were sent, plus Line, Outcome and Problem.

The corrected file can be sent back. Of the three columns an import reads only whether Problem begins with
`duplicate-row` or `wrong-number-of-cells`, since such a row looks correct once it stands alone.
"""

from collections.abc import AsyncIterator, Sequence

from app.operations import repository
from app.operations.handler import Handler
from app.operations.operation import Operation, Outcome, WantedOutcomes
from app.operations.outcomes import list_chunks, read_chunk
from app.platform.csv_cells import break_formulas, guard_sent_cell, write_line
from app.platform.database import Database

ADDED_COLUMNS = ("Line", "Outcome", "Problem")


async def stream_report(
    database: Database, operation: Operation, handler: Handler, wanted: WantedOutcomes
) -> AsyncIterator[str]:
    """Yield the report chunk by chunk, each read on its own, so that a slow client holds no connection."""
    header, delimiter, has_mark = handler.report_format(operation)
    mark = "\ufeff" if has_mark else ""
    yield mark + write_line([*map(guard_sent_cell, header), *ADDED_COLUMNS], delimiter)
    async with database.read() as connection:
        numbers = await list_chunks(connection, operation, wanted)
    for number in numbers:
        async with database.read() as connection:
            found = list(filter(wanted.includes, await read_chunk(connection, operation, number)))
            if not found:
                continue
            chunk = await repository.get_chunk(connection, operation.id, number)
        cells = handler.report_cells(operation, chunk, found)
        yield "".join(write_line(row, delimiter) for row in map(_report_row, cells, found))


def _report_row(cells: Sequence[str], outcome: Outcome) -> list[str]:
    line = "" if outcome.line is None else str(outcome.line)
    problem = " ".join("{code}: {detail}".format_map(each) for each in outcome.problems)
    # The detail may quote a cell. An import reads how the problem begins, so that stays.
    return [*map(guard_sent_cell, cells), line, outcome.outcome.value, break_formulas(problem)]
