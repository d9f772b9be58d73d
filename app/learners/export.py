"""Writes learners as CSV in the columns of an import, so that an export imports back unchanged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Text, case, null, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import repository, status_sql
from app.learners.fields import ACTIVE, EXPIRATION_DATE, PROFILE_NAMES, ROSTER_COLUMNS
from app.learners.filters import LearnerFilter
from app.learners.sort import Sort
from app.learners.tables import learners
from app.platform.csv_stream import open_lines

HEADER = tuple(column.title for column in ROSTER_COLUMNS)


@asynccontextmanager
async def open_export(
    connection: AsyncConnection,
    organization_id: int,
    wanted: LearnerFilter,
    today: date,
    *,
    sort: Sort,
    few: int,
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Open the CSV of every learner that the filter matches, in order, in parts of some thousand lines.

    See open_lines, and `find_narrowest` for `few`.
    """
    columns = make_cells(today)
    query = await repository.select_learners(
        connection, columns, organization_id, wanted, today, sort=sort, few=few
    )
    # No stored text has a control character: app.domain.profile refuses them.
    async with open_lines(connection, HEADER, query) as parts:
        yield parts


def make_cells(today: date) -> list[ColumnElement[Any]]:
    """Make the cells of a row, in the order of HEADER."""
    cells: dict[str, ColumnElement[Any]] = {
        **{name: learners.c[name] for name in PROFILE_NAMES},
        # Empty for expired learners, because no import could activate them.
        ACTIVE.name: case(
            (status_sql.has_expired(today), null()), (status_sql.is_deactivated(), "No"), else_="Yes"
        ),
        EXPIRATION_DATE.name: type_coerce(learners.c.expires_on, Text),
    }
    return [cells[column.name] for column in ROSTER_COLUMNS]
