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
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.profile import clean_external_id
from app.imports.reader import is_problem_column
from app.learners.fields import ACTIVE, EXPIRATION_DATE, PROFILE, ROSTER_COLUMNS
from app.learners.wish import NO_CHANGE, Wish
from app.platform.csv_cells import unguard_formula

_LONGEST_QUOTE = 40
# Nearly every roster has its dates from a few years.
_DATES_REMEMBERED = 4_096


class DateFormat(StrEnum):
    """How a roster writes dates: YYYY-MM-DD, or month or day first with / . or - between."""

    ISO = "iso"
    MDY = "mdy"
    DMY = "dmy"


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


_CODES = {column.name: column.problem for column in ROSTER_COLUMNS}
_DUPLICATE = "duplicate-row"
_WRONG_NUMBER = "wrong-number-of-cells"
_ANSWERS = {"yes": True, "no": False}
_DATES = {
    DateFormat.ISO: (r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)", "YYYY-MM-DD"),
    DateFormat.MDY: (r"(?P<month>\d\d?)([/.-])(?P<day>\d\d?)\2(?P<year>\d{4})", "MM/DD/YYYY"),
    DateFormat.DMY: (r"(?P<day>\d\d?)([/.-])(?P<month>\d\d?)\2(?P<year>\d{4})", "DD/MM/YYYY"),
}


def compile_parser(
    header: Sequence[str], columns: Mapping[str, int], date_format: DateFormat
) -> Callable[[list[str]], Wish | RowProblem]:
    """Make the function that parses rows under `header`, in which the known columns have these indexes.

    An empty cell, like a missing column, leaves the field as it is. Of several problems in a row it reports the
    first: the number of cells, the cells in the order of ROSTER_COLUMNS, the missing key.
    """
    cleaners: dict[str, Callable[[str], Any]] = {
        **{field.name: field.clean for field in PROFILE},
        ACTIVE.name: _parse_active,
        EXPIRATION_DATE.name: _compile_date_parser(date_format),
    }
    width = len(header)
    plan = [
        (column.name, columns[column.name], cleaners[column.name])
        for column in ROSTER_COLUMNS
        if column.name in columns
    ]

    def parse(cells: list[str]) -> Wish | RowProblem:
        if len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
            return RowProblem(
                _WRONG_NUMBER,
                f"Cells in the row: {len(cells)}; columns in the header: {width}. A cell that holds the "
                "delimiter needs quotes around it.",
                column=None,
            )
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, index, clean in plan:
                cell = cells[index].strip()
                if cell:
                    values[name] = clean(unguard_formula(cell) if cell[0] == "'" else cell)
        except InvalidValue as error:
            return RowProblem(
                _CODES[name],
                str(error),
                header[columns[name]],
                values.get("username"),
                values.get("external_id") or _read_external_id(cells, columns),
            )
        if "username" not in values and "external_id" not in values:
            return RowProblem("missing-key", "The row has neither a username nor an external ID.", None)
        is_active = values.pop(ACTIVE.name, None)
        expires_on = values.pop(EXPIRATION_DATE.name, NO_CHANGE)
        return Wish(values, expires_on, is_active)

    return _heed_report(header, parse)


def _heed_report(
    header: Sequence[str], parse: Callable[[list[str]], Wish | RowProblem]
) -> Callable[[list[str]], Wish | RowProblem]:
    """The same parser, but two kinds of rows of an earlier report stay out until its cell Problem is emptied.

    A duplicate, alone in a file of rejects, would win over the row that counted. A row with a wrong number of cells
    has the right one in the report, and would be read as something that nobody has written.
    """
    places = [index for index, name in enumerate(header) if is_problem_column(name)]
    if not places:
        return parse

    def parse_reported(cells: list[str]) -> Wish | RowProblem:
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


def _read_external_id(cells: list[str], columns: Mapping[str, int]) -> str | None:
    """The external id of a row that broke before it came to that, or at it."""
    if "external_id" not in columns:
        return None
    cell = cells[columns["external_id"]].strip()
    with suppress(InvalidValue):
        return clean_external_id(unguard_formula(cell)) if cell else None
    return None


def _parse_active(cell: str) -> bool:
    answer = _ANSWERS.get(cell.lower())
    if answer is None:
        raise InvalidValue(f"Active is Yes or No, or empty to leave it as it is; {_quote(cell)} is neither.")
    return answer


def _compile_date_parser(date_format: DateFormat) -> Callable[[str], date | None]:
    pattern, title = _DATES[date_format]
    match = re.compile(pattern, re.ASCII).fullmatch

    @lru_cache(_DATES_REMEMBERED)
    def parse_date(cell: str) -> date | None:
        if cell.lower() == "never":
            return None
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
