"""A filter as SQL, and the choice between two ways to answer it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.status import Status
from app.learners import search_sql, status_sql
from app.learners.filters import LearnerFilter
from app.learners.learner import username_key
from app.learners.tables import learners
from app.platform.bulk_rows import is_one_of


@dataclass(frozen=True, slots=True)
class Criterion:
    """One member of a filter, in two forms that mean the same.

    An index of its own answers `seek`. `walk` is checked on each row of another index. Seeking is fast if few
    learners match, and walking the sort order is fast if many match. A planner that does not know the counts
    may pick the slow one. `ids` is a query for the ids that match.
    """

    walk: ColumnElement[bool]
    seek: ColumnElement[bool]
    ids: Select[Any]
    is_unique: bool = False


def list_criteria(
    wanted: LearnerFilter,
    organization_id: int,
    today: date,
    dialect: str,
    *,
    order: ColumnElement[Any] | None = None,
) -> list[Criterion]:
    """Return the members of the filter. Those that usually match fewest learners come first.

    `order` is the column in whose order learners may be walked. If that is the expiration date, the walk begins and
    ends at the dates of the filter, instead of passing over all others.
    """
    everyone = select(learners.c.id).where(learners.c.organization_id == organization_id)

    def make_criterion(
        walk: ColumnElement[bool], seek: ColumnElement[bool], *, is_unique: bool = False
    ) -> Criterion:
        return Criterion(walk, seek, everyone.where(seek), is_unique)

    found = [make_criterion(names, names, is_unique=True) for names in _list_keys(wanted, dialect)]
    searches = []
    if wanted.email is not None:
        searches.append(search_sql.has_email(wanted.email, organization_id, dialect))
    if wanted.q is not None:
        searches.append(search_sql.contains(wanted.q, organization_id, dialect))
    if searches:
        # One index holds the searched texts of all organizations. Reading all of a small organization is faster.
        found.append(make_criterion(true(), true()))
    found += (Criterion(holds, learners.c.id.in_(ids), ids) for holds, ids in searches)
    has_dates = _compare_dates(wanted)
    if has_dates is not None:
        # CASE keeps the index of dates out of a walk along another index.
        walk = has_dates if order is learners.c.expires_on else case((has_dates, 1), else_=0) == 1
        found.append(make_criterion(walk, has_dates))
    if wanted.status is not None and set(wanted.status) != set(Status):
        found.append(
            make_criterion(
                status_sql.has_status_in_order(wanted.status, today, order),
                status_sql.has_status(wanted.status, today),
            )
        )
    return found


def _list_keys(wanted: LearnerFilter, dialect: str) -> Iterator[ColumnElement[bool]]:
    if wanted.username is not None:
        yield learners.c.username_key == username_key(wanted.username)
    if wanted.external_id is not None:
        yield learners.c.external_id == wanted.external_id
    if wanted.ids is not None:
        yield is_one_of(learners.c.id, wanted.ids, dialect)


def _compare_dates(wanted: LearnerFilter) -> ColumnElement[bool] | None:
    conditions = []
    if wanted.expires_before is not None:
        conditions.append(learners.c.expires_on < wanted.expires_before)
    if wanted.expires_after is not None:
        conditions.append(learners.c.expires_on > wanted.expires_after)
    return and_(*conditions) if conditions else None


async def find_narrowest(
    connection: AsyncConnection, found: Sequence[Criterion], few: int
) -> Criterion | None:
    """Return the first criterion that at most `few` learners meet, or None. It counts no further than that."""
    for criterion in found:
        if criterion.is_unique:
            return criterion
        counted = criterion.ids.limit(few + 1).subquery()
        if (await connection.execute(select(func.count()).select_from(counted))).scalar_one() <= few:
            return criterion
    return None


def select_by(
    columns: Sequence[ColumnElement[Any]],
    organization_id: int,
    found: Sequence[Criterion],
    sought: Criterion | None,
) -> Select[Any]:
    """Make a query for the learners that meet every criterion: by seeking `sought`, or by walking if it is None."""
    return select(*columns).where(
        learners.c.organization_id == organization_id,
        *(criterion.seek if criterion is sought else criterion.walk for criterion in found),
    )


def select_whole(
    columns: Sequence[ColumnElement[Any]], organization_id: int, found: Sequence[Criterion]
) -> Select[Any]:
    """Make a query for the learners that meet every criterion, for reading all of them in any order."""
    return select(*columns).where(
        learners.c.organization_id == organization_id, *(criterion.seek for criterion in found)
    )


async def select_whole_fast(
    connection: AsyncConnection,
    columns: Sequence[ColumnElement[Any]],
    organization_id: int,
    found: Sequence[Criterion],
    few: int,
) -> Select[Any]:
    """Make the query of `select_whole`, but seek the criterion that at most `few` learners meet, if there is one."""
    sought = await find_narrowest(connection, found, few)
    if sought is None:
        return select_whole(columns, organization_id, found)
    return select_by(columns, organization_id, found, sought)
