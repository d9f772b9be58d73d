"""Learners as CSV, in the columns of an import, so that what is exported imports back unchanged.

The database makes the cells: for a million learners that costs a third of making them here.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Text, case, func, literal, type_coerce

from app.domain.status import Status, can_log_in
from app.learners import status_sql
from app.learners.tables import learners
from app.platform.csv_cells import FORMULA_CHARACTERS

HEADER = ("Username", "External ID", "Email", "First Name", "Last Name", "Active", "Expiration Date")
# Empty for the expired, which no import could activate.
_ACTIVE = {
    status.value: "" if status is Status.EXPIRED else "Yes" if can_log_in(status) else "No"
    for status in Status
}


def cells(today: date, dialect: str) -> list[ColumnElement[Any]]:
    """What a row consists of, in the order of HEADER."""
    expires_on: ColumnElement[Any] = type_coerce(learners.c.expires_on, Text)
    if dialect == "postgresql":
        expires_on = func.to_char(learners.c.expires_on, "YYYY-MM-DD")
    texts = ("username", "external_id", "email", "first_name", "last_name")
    return [
        *(guarded(learners.c[name]) for name in texts),
        case(_ACTIVE, value=status_sql.resolve_status(today)),
        expires_on,
    ]


def guarded(column: ColumnElement[str]) -> ColumnElement[str]:
    """`guard_formula` of a column."""
    begins_with = func.substr(func.ltrim(column, "'"), 1, 1)
    return case((begins_with.in_(list(FORMULA_CHARACTERS)), literal("'", Text) + column), else_=column)


def lines(rows: Iterable[Sequence[str | None]]) -> str:
    """A line for each of these rows; what is missing is an empty cell."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue()
