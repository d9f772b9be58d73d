"""What the cells of a roster's row mean: typed values, or the one problem that the row has.

Pure, and apart from `reader`, because this runs a million times on cells that were read long before.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from app.domain.errors import InvalidValue
from app.domain.profile import clean_email, clean_external_id, clean_name, clean_username
from app.imports.reader import Column, is_problem_column
from app.platform.csv_cells import unguard_formula

_LONGEST_QUOTE = 40
# Nearly every roster has its dates from a few years.
_DATES_REMEMBERED = 4_096


class DateFormat(StrEnum):
    """How a roster writes dates: YYYY-MM-DD, or month or day first with / . or - between."""

    ISO = "iso"
    MDY = "mdy"
    DMY = "dmy"


class RosterRow(NamedTuple):
    """What a row asks for. None leaves the field as it is: its cell was empty, or there was no such column.

    A username or an external id is there. `expires_on` is None where `clears_expiration` is true.
    """

    username: str | None
    external_id: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    active: bool | None
    expires_on: date | None
    clears_expiration: bool


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row is invalid: a code for programs, a sentence for people.

    `column` is the column's name as the header writes it, None where it is no matter of one column.
    `username` and `external_id` are the row's, as far as they could be read: a broken row names its
    learner too, and a later row of the same learner is a duplicate.
    """

    code: str
    detail: str
    column: str | None
    username: str | None = None
    external_id: str | None = None


_CODES = {
    Column.USERNAME: "invalid-username",
    Column.EXTERNAL_ID: "invalid-external-id",
    Column.EMAIL: "invalid-email",
    Column.FIRST_NAME: "invalid-name",
    Column.LAST_NAME: "invalid-name",
    Column.ACTIVE: "invalid-active",
    Column.EXPIRATION_DATE: "invalid-date",
}
_DUPLICATE = "duplicate-row"
_WRONG_NUMBER = "wrong-number-of-cells"
_ANSWERS = {"yes": True, "no": False}
_DATES = {
    DateFormat.ISO: (r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)", "YYYY-MM-DD"),
    DateFormat.MDY: (r"(?P<month>\d\d?)([/.-])(?P<day>\d\d?)\2(?P<year>\d{4})", "MM/DD/YYYY"),
    DateFormat.DMY: (r"(?P<day>\d\d?)([/.-])(?P<month>\d\d?)\2(?P<year>\d{4})", "DD/MM/YYYY"),
}
# Stands for the word `never` until the row is put together.
_NEVER = object()


def compile_parser(
    header: Sequence[str], columns: Mapping[Column, int], date_format: DateFormat
) -> Callable[[list[str]], RosterRow | RowProblem]:
    """Make the function that parses rows under `header`, in which the known columns have these indexes.

    Of several problems in a row it reports the first: the number of cells, the cells in the order of
    RosterRow, the missing key.
    """
    cleaners: dict[Column, Callable[[str], object]] = {
        Column.USERNAME: clean_username,
        Column.EXTERNAL_ID: clean_external_id,
        Column.EMAIL: clean_email,
        Column.FIRST_NAME: clean_name,
        Column.LAST_NAME: clean_name,
        Column.ACTIVE: _parse_active,
        Column.EXPIRATION_DATE: _compile_date_parser(date_format),
    }
    width = len(header)
    # The columns stand in the order of RosterRow's fields.
    plan = [
        (position, columns[column], cleaners[column])
        for position, column in enumerate(Column)
        if column in columns
    ]
    nothing: list[Any] = [None] * len(Column) + [False]

    def parse(cells: list[str]) -> RosterRow | RowProblem:
        if len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
            return RowProblem(
                _WRONG_NUMBER,
                f"Cells in the row: {len(cells)}; columns in the header: {width}. A cell that holds the "
                "delimiter needs quotes around it.",
                column=None,
            )
        values = nothing[:]
        position = index = 0
        try:
            for position, index, clean in plan:
                cell = cells[index].strip()
                if cell:
                    values[position] = clean(unguard_formula(cell) if cell[0] == "'" else cell)
        except InvalidValue as error:
            external_id = values[1] or _read_external_id(cells, columns)
            return RowProblem(
                _CODES[tuple(Column)[position]], str(error), header[index], values[0], external_id
            )
        if values[0] is None and values[1] is None:
            return RowProblem("missing-key", "The row has neither a username nor an external ID.", None)
        if values[6] is _NEVER:
            values[6:] = None, True
        return RosterRow._make(values)

    return _heed_report(header, parse)


def _heed_report(
    header: Sequence[str], parse: Callable[[list[str]], RosterRow | RowProblem]
) -> Callable[[list[str]], RosterRow | RowProblem]:
    """The same parser, but two kinds of rows of an earlier report stay out until its cell Problem is emptied.

    A duplicate, alone in a file of rejects, would win over the row that counted. A row with a wrong number of cells
    has the right one in the report, and would be read as something that nobody has written.
    """
    places = [index for index, name in enumerate(header) if is_problem_column(name)]
    if not places:
        return parse

    def parse_reported(cells: list[str]) -> RosterRow | RowProblem:
        row = parse(cells)
        for place in places:
            told = cells[place].lstrip() if place < len(cells) else ""
            if told.startswith(_WRONG_NUMBER):
                return RowProblem(
                    _WRONG_NUMBER,
                    "An earlier import found too few or too many cells in this row. Put each into its column, and "
                    f"empty the cell {header[place]} to apply it.",
                    header[place],
                )
            if told.startswith(_DUPLICATE):
                return RowProblem(
                    _DUPLICATE,
                    "An earlier import found another row of this learner above this one. Delete this row, or empty "
                    f"its cell {header[place]} to apply it.",
                    header[place],
                    row.username,
                    row.external_id,
                )
        return row

    return parse_reported


def _read_external_id(cells: list[str], columns: Mapping[Column, int]) -> str | None:
    """The external id of a row that broke before it came to that, or at it."""
    if Column.EXTERNAL_ID not in columns:
        return None
    cell = cells[columns[Column.EXTERNAL_ID]].strip()
    with suppress(InvalidValue):
        return clean_external_id(unguard_formula(cell)) if cell else None
    return None


def _parse_active(cell: str) -> bool:
    answer = _ANSWERS.get(cell.lower())
    if answer is None:
        raise InvalidValue(f"Active is Yes or No, or empty to leave it as it is; {_quote(cell)} is neither.")
    return answer


def _compile_date_parser(date_format: DateFormat) -> Callable[[str], object]:
    pattern, title = _DATES[date_format]
    match = re.compile(pattern, re.ASCII).fullmatch

    @lru_cache(_DATES_REMEMBERED)
    def parse_date(cell: str) -> object:
        if cell.lower() == "never":
            return _NEVER
        found = match(cell)
        if found is None:
            raise InvalidValue(f"{_quote(cell)} is no date of the form {title}, nor the word never.")
        try:
            return date(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            raise InvalidValue(f"{_quote(cell)} is a day that no calendar has ({title}).") from None

    return parse_date


def _quote(cell: str) -> str:
    return repr(cell if len(cell) <= _LONGEST_QUOTE else f"{cell[:_LONGEST_QUOTE]}…")
