"""What the cells of a roster's row mean: a wish, or the reason why the row is invalid.

Pure, and separate from `reader`, because it works on cells that were read and stored earlier.
"""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.profile import MAX_LENGTH, clean_external_id, looks_shortened
from app.imports.errors import (
    CellReason,
    InvalidCell,
    MissingKey,
    RepeatedHeader,
    ReportedDuplicate,
    ReportedWrongNumber,
    WrongNumberOfCells,
)
from app.imports.headers import is_problem_column, recognize
from app.learners.fields import ACTIVE, EXPIRATION_DATE, PROFILE, ROSTER_COLUMNS
from app.learners.wish import NO_CHANGE, Wish
from app.platform.csv_cells import read_cell

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
    # Whether its Active says No: a warning tells that the learner keeps access.
    asks_to_deactivate: bool = False


# How the Problem cell of a report begins, for the rows that stay refused: the codes of these problems.
_DUPLICATE = "duplicate-row"
_WRONG_NUMBER = "wrong-number-of-cells"
# The fields that say which learner a row is about.
_KEYS = frozenset({"username", "external_id"})
_NEVER_CLEARED = frozenset({"username", ACTIVE.name})
_DECIMAL = re.compile(r"[0-9]+\.0+")
_recognize = lru_cache(1_024)(recognize)
_ANSWERS = {"yes": True, "no": False}
# What begins a cell that is not a text as it is: a guard, a formula around a text, a quote.
_MARKS = "'=\""
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
    *,
    has_whole_ids: bool = False,
) -> Callable[[list[str]], Wish | InvalidRow]:
    """Return a function that parses rows under `header`, in which the known columns have these indexes.

    A missing column leaves the field as it is, and so does an empty cell unless `empty` says otherwise. Nothing
    clears a username, and an empty Active always leaves the status as it is. `has_whole_ids` refuses an External ID
    such as 123.0. An invalid row has all its problems, the cells in the order of ROSTER_COLUMNS, then the missing
    key. A wrong number of cells stands alone, because the cells may then be in the wrong columns.
    """
    clean_cells = _compile_cells_cleaner(
        header,
        columns,
        _compile_cleaners(date_format, has_whole_ids=has_whole_ids),
        frozenset(columns) - _NEVER_CLEARED if empty is EmptyCells.CLEAR else frozenset(),
    )
    width = len(header)
    # In other files, a header among the rows has a cell that is not valid.
    may_repeat = not columns.keys() & {"email", ACTIVE.name, EXPIRATION_DATE.name}

    def parse(cells: list[str]) -> Wish | InvalidRow:
        if len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
            return InvalidRow((WrongNumberOfCells(len(cells), width),))
        values, faults = clean_cells(cells)
        if (faults or may_repeat) and _repeats_header(cells, header, columns):
            return InvalidRow((RepeatedHeader(),))
        if faults or (values.get("username") is None and values.get("external_id") is None):
            return _refuse(values, faults)
        is_active = values.pop(ACTIVE.name, None)
        expires_on = values.pop(EXPIRATION_DATE.name, NO_CHANGE)
        return Wish(values, expires_on, is_active)

    return _respect_report(header, parse)


def is_decimal(external_id: str) -> bool:
    """Return whether the text is a whole number as spreadsheets and programs write it among decimals: 123.0."""
    return _DECIMAL.fullmatch(external_id) is not None


def _is_plain(cell: str) -> bool:
    """Return whether a text needs no cleaning: printable ASCII, without a guard, quotes or runs of spaces."""
    return (
        cell.isascii()
        and cell.isprintable()
        and len(cell) <= MAX_LENGTH
        and cell[0] not in _MARKS
        and "  " not in cell
    )


def _is_plain_id(cell: str) -> bool:
    """Return whether an External ID needs no cleaning: ASCII letters and digits, with hyphens."""
    return cell.isascii() and len(cell) <= MAX_LENGTH and cell.replace("-", "").isalnum()


# What finds most cells valid faster than their cleaners, which would not change them.
_QUICK_CHECKS: Mapping[str, Callable[[str], Any]] = {
    "username": _is_plain,
    "external_id": _is_plain_id,
    "email": re.compile(r"[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,2}").fullmatch,
    "first_name": _is_plain,
    "last_name": _is_plain,
}


def _compile_cells_cleaner(
    header: Sequence[str],
    columns: Mapping[str, int],
    cleaners: Mapping[str, Callable[[str], Any]],
    clearable: Container[str],
) -> Callable[[list[str]], tuple[dict[str, Any], list[InvalidCell]]]:
    """Return a function that returns the values of a row's cells by their columns, and the cells that are invalid."""
    plan = [
        (column.name, columns[column.name], cleaners[column.name], _QUICK_CHECKS.get(column.name))
        for column in ROSTER_COLUMNS
        if column.name in columns
    ]

    def clean_cells(cells: list[str]) -> tuple[dict[str, Any], list[InvalidCell]]:
        values: dict[str, Any] = {}
        faults: list[InvalidCell] = []
        for name, index, clean, is_valid in plan:
            cell = cells[index].strip()
            if cell and cell[0] in "'=":
                cell = read_cell(cell).strip()
            if not cell:
                if name in clearable:
                    values[name] = None
            elif is_valid is not None and is_valid(cell):
                values[name] = cell
            else:
                try:
                    values[name] = clean(cell)
                except InvalidValue as error:
                    faults.append(InvalidCell(name, header[index], str(error)))
        return values, faults

    return clean_cells


def _compile_cleaners(date_format: DateFormat, *, has_whole_ids: bool) -> Mapping[str, Callable[[str], Any]]:
    def clean_id(cell: str) -> str:
        if looks_shortened(cell):
            raise InvalidValue(
                f"{_quote(cell)} looks like a number that a spreadsheet has shortened. Format the column as text, and "
                "write the full ID."
            )
        if has_whole_ids and is_decimal(cell):
            raise InvalidValue(
                f"{_quote(cell)} looks like a number that a spreadsheet has changed. Format the column as text, and "
                "write the ID without .0."
            )
        return clean_external_id(cell)

    return {
        **{field.name: field.clean for field in PROFILE},
        "external_id": clean_id,
        ACTIVE.name: _parse_active,
        EXPIRATION_DATE.name: _compile_date_parser(date_format),
    }


def _repeats_header(cells: Sequence[str], header: Sequence[str], columns: Mapping[str, int]) -> bool:
    """Return whether every known cell is a name of its column."""
    for column, index in columns.items():
        cell = cells[index].strip()
        found = _recognize(cell)
        if found is None or found.column != column:
            return False
        # With one column, a learner may be called like another spelling of it.
        if len(columns) == 1 and not found.is_title and cell.casefold() != header[index].casefold():
            return False
    return True


def _refuse(values: Mapping[str, Any], faults: Sequence[InvalidCell]) -> InvalidRow:
    username, external_id = values.get("username"), values.get("external_id")
    is_nameless = (
        username is None and external_id is None and not any(fault.field in _KEYS for fault in faults)
    )
    missing = (MissingKey(),) if is_nameless else ()
    return InvalidRow(
        (*faults, *missing), username, external_id, asks_to_deactivate=values.get(ACTIVE.name) is False
    )


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
                reasons: tuple[CellReason, ...] = (ReportedWrongNumber(header[place]),)
                return InvalidRow(reasons, asks_to_deactivate=_asks_to_deactivate(row))
            if reported.startswith(_DUPLICATE):
                reasons = (ReportedDuplicate(header[place]),)
                return InvalidRow(reasons, row.username, row.external_id, _asks_to_deactivate(row))
        return row

    return parse_reported


def _asks_to_deactivate(row: Wish | InvalidRow) -> bool:
    return row.asks_to_deactivate if isinstance(row, InvalidRow) else row.is_active is False


def _parse_active(cell: str) -> bool:
    answer = _ANSWERS.get(cell.lower())
    if answer is None:
        raise InvalidValue(
            f"{_quote(cell)} is not valid. Use Yes or No, or leave the cell empty to keep the status."
        )
    return answer


def _compile_date_parser(date_format: DateFormat) -> Callable[[str], date | None]:
    title = _DATES[date_format][1]

    @lru_cache(_DATES_REMEMBERED)
    def parse_date(cell: str) -> date | None:
        if cell.lower() == "never":
            return None
        parts = _match_date(cell, date_format)
        if parts is None:
            raise InvalidValue(
                f"{_quote(cell)} is not a valid date. Write {title}, or the word never.{_suggest_formats(cell)}"
            )
        try:
            return date(*parts)
        except ValueError:
            raise InvalidValue(
                f"{_quote(cell)} does not exist in the calendar. Correct it, and write it as {title}."
                f"{_suggest_formats(cell)}"
            ) from None

    return parse_date


def _match_date(cell: str, date_format: DateFormat) -> tuple[int, int, int] | None:
    found = re.fullmatch(_DATES[date_format][0], cell, re.ASCII)
    return None if found is None else (int(found["year"]), int(found["month"]), int(found["day"]))


def _suggest_formats(cell: str) -> str:
    """Return a sentence that names the formats in which the cell is a date, or nothing."""
    formats = [f"date_format={each.value}" for each in DateFormat if _is_date(cell, each)]
    return f" To read it as it is, import the file with {' or '.join(formats)}." if formats else ""


def _is_date(cell: str, date_format: DateFormat) -> bool:
    with suppress(ValueError):
        return (parts := _match_date(cell, date_format)) is not None and bool(date(*parts))
    return False


def _quote(cell: str) -> str:
    return repr(cell if len(cell) <= _LONGEST_QUOTE else f"{cell[:_LONGEST_QUOTE]}…")
