"""What the cells of a roster's row mean: a wish, or the reason why the row is invalid.

Pure, and separate from `reader`, because it works on cells that were read and stored earlier.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any

from app.domain.errors import InvalidValue
from app.imports.errors import (
    CellReason,
    InvalidCell,
    MissingKey,
    ReportedDuplicate,
    ReportedWrongNumber,
    WrongNumberOfCells,
)
from app.imports.reader import is_problem_column
from app.learners.fields import ACTIVE, EXPIRATION_DATE, PROFILE, ROSTER_COLUMNS
from app.learners.wish import NO_CHANGE, Wish
from app.platform.csv_cells import unguard_formula

_LONGEST_QUOTE = 40
# The dates of nearly every roster are from a few years, so they repeat.
_DATES_REMEMBERED = 4_096


class DateFormat(StrEnum):
    """The format of dates in a roster: `iso` is YYYY-MM-DD, `mdy` has the month first, `dmy` the day."""

    ISO = "iso"
    MDY = "mdy"
    DMY = "dmy"


class EmptyCells(StrEnum):
    """What an empty cell does: `keep` leaves the field as it is, `clear` removes its value."""

    KEEP = "keep"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A row that cannot be read, and all the reasons, at least one.

    `username` and `external_id` are the row's, as far as they could be read: an invalid row names its learner too,
    and a later row of the same learner is a duplicate.
    """

    reasons: tuple[CellReason, ...]
    username: str | None = None
    external_id: str | None = None


# How the Problem cell of a report begins, for the rows that stay refused: the codes of these problems.
_DUPLICATE = "duplicate-row"
_WRONG_NUMBER = "wrong-number-of-cells"
# The fields that say which learner a row is about.
_KEYS = frozenset({"username", "external_id"})
_NEVER_CLEARED = frozenset({"username", ACTIVE.name})
_ANSWERS = {"yes": True, "no": False}
_DATES = {
    DateFormat.ISO: (r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)", "YYYY-MM-DD"),
    DateFormat.MDY: (r"(?P<month>\d\d?)([/.-])(?P<day>\d\d?)\2(?P<year>\d{4})", "MM/DD/YYYY"),
    DateFormat.DMY: (r"(?P<day>\d\d?)([/.-])(?P<month>\d\d?)\2(?P<year>\d{4})", "DD/MM/YYYY"),
}


def compile_parser(
    header: Sequence[str],
    columns: Mapping[str, int],
    date_format: DateFormat,
    empty: EmptyCells = EmptyCells.KEEP,
) -> Callable[[list[str]], Wish | InvalidRow]:
    """Return a function that parses rows under `header`, in which the known columns have these indexes.

    A missing column leaves the field as it is, and so does an empty cell unless `empty` says otherwise. Nothing
    clears a username, and an empty Active always leaves the status as it is. An invalid row has all its problems,
    the cells in the order of ROSTER_COLUMNS, then the missing key. Only a wrong number of cells stands alone,
    because the cells may then be in the wrong columns.
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

    clearable = frozenset(columns) - _NEVER_CLEARED if empty is EmptyCells.CLEAR else frozenset[str]()

    def parse(cells: list[str]) -> Wish | InvalidRow:
        if len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
            return InvalidRow((WrongNumberOfCells(len(cells), width),))
        values: dict[str, Any] = {}
        faults: list[InvalidCell] = []
        for name, index, clean in plan:
            cell = cells[index].strip()
            if cell:
                try:
                    values[name] = clean(unguard_formula(cell) if cell[0] == "'" else cell)
                except InvalidValue as error:
                    faults.append(InvalidCell(name, header[index], str(error)))
            elif name in clearable:
                values[name] = None
        if faults or (values.get("username") is None and values.get("external_id") is None):
            return _refuse(values, faults)
        is_active = values.pop(ACTIVE.name, None)
        expires_on = values.pop(EXPIRATION_DATE.name, NO_CHANGE)
        return Wish(values, expires_on, is_active)

    return _respect_report(header, parse)


def _refuse(values: Mapping[str, Any], faults: Sequence[InvalidCell]) -> InvalidRow:
    username, external_id = values.get("username"), values.get("external_id")
    is_nameless = (
        username is None and external_id is None and not any(fault.field in _KEYS for fault in faults)
    )
    missing = (MissingKey(),) if is_nameless else ()
    return InvalidRow((*faults, *missing), username, external_id)


def _respect_report(
    header: Sequence[str], parse: Callable[[list[str]], Wish | InvalidRow]
) -> Callable[[list[str]], Wish | InvalidRow]:
    """Return a parser that refuses two kinds of rows of an earlier report until their Problem cell is emptied.

    A duplicate that stands alone in a file of rejected rows would replace the row that was used. A row with a
    wrong number of cells has the right number in the report, so its cells could be read under wrong columns.
    """
    places = [index for index, name in enumerate(header) if is_problem_column(name)]
    if not places:
        return parse

    def parse_reported(cells: list[str]) -> Wish | InvalidRow:
        row = parse(cells)
        for place in places:
            reported = cells[place].lstrip() if place < len(cells) else ""
            if reported.startswith(_WRONG_NUMBER):
                return InvalidRow((ReportedWrongNumber(header[place]),))
            if reported.startswith(_DUPLICATE):
                return InvalidRow((ReportedDuplicate(header[place]),), row.username, row.external_id)
        return row

    return parse_reported


def _parse_active(cell: str) -> bool:
    answer = _ANSWERS.get(cell.lower())
    if answer is None:
        raise InvalidValue(
            f"{_quote(cell)} is not valid. Use Yes or No, or leave the cell empty to keep the status."
        )
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
            raise InvalidValue(f"{_quote(cell)} is not a valid date. Write {title}, or the word never.")
        try:
            return date(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            raise InvalidValue(
                f"{_quote(cell)} does not exist in the calendar. Correct it, and write it as {title}."
            ) from None

    return parse_date


def _quote(cell: str) -> str:
    return repr(cell if len(cell) <= _LONGEST_QUOTE else f"{cell[:_LONGEST_QUOTE]}…")
