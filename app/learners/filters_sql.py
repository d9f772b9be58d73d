"""A filter as SQL, and the choice between the two ways to answer it."""

from collections.abc import Collection, Iterator, Sequence
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

# Up to this many matches are fetched and sorted; beyond, the index of the sort order is walked.
_FEW_MATCHES = 2000


@dataclass(frozen=True, slots=True)
class Criterion:
    """One member of a filter, in two forms that mean the same.

    `seek` is answered by an index of its own, `walk` is checked on each row of another index. A page
    is found fast by seeking what matches few learners, or by walking the sort order past what
    matches many; a planner that does not know the counts picks either at random. `ids` is a query for
    the ids that it matches.
    """

    walk: ColumnElement[bool]
    seek: ColumnElement[bool]
    ids: Select[Any]
    is_unique: bool = False


def criteria(
    wanted: LearnerFilter,
    organization_id: int,
    today: date,
    dialect: str,
    *,
    sorted_by: ColumnElement[Any] | None = None,
) -> list[Criterion]:
    """The members of the filter, those that match fewest learners first.

    `sorted_by`: the column by which learners may be walked. Where that is a date of expiration, dates are
    a part of the walk and need not be passed over.
    """
    everyone = select(learners.c.id).where(learners.c.organization_id == organization_id)

    def criterion(
        walk: ColumnElement[bool], seek: ColumnElement[bool], *, is_unique: bool = False
    ) -> Criterion:
        return Criterion(walk, seek, everyone.where(seek), is_unique)

    found = [criterion(names, names, is_unique=True) for names in _keys(wanted, dialect)]
    searches = []
    if wanted.email is not None:
        searches.append(search_sql.has_email(wanted.email, organization_id, dialect))
    if wanted.q is not None:
        searches.append(search_sql.contains(wanted.q, organization_id, dialect))
    if searches:
        # One index has the searched texts of all organizations: a small one is faster gone through whole.
        found.append(criterion(true(), true()))
    found += (Criterion(holds, learners.c.id.in_(ids), ids) for holds, ids in searches)
    dated = _dates(wanted)
    if dated is not None:
        # A CASE keeps its own index out of a walk along another.
        walk = dated if sorted_by is learners.c.expires_on else case((dated, 1), else_=0) == 1
        found.append(criterion(walk, dated))
    if wanted.status is not None and set(wanted.status) != set(Status):
        found.append(
            criterion(
                _walked_status(wanted.status, today, sorted_by), status_sql.has_status(wanted.status, today)
            )
        )
    return found


def _keys(wanted: LearnerFilter, dialect: str) -> Iterator[ColumnElement[bool]]:
    if wanted.username is not None:
        yield learners.c.username_key == username_key(wanted.username)
    if wanted.external_id is not None:
        yield learners.c.external_id == wanted.external_id
    if wanted.ids is not None:
        yield is_one_of(learners.c.id, wanted.ids, dialect)


def _dates(wanted: LearnerFilter) -> ColumnElement[bool] | None:
    conditions = []
    if wanted.expires_before is not None:
        conditions.append(learners.c.expires_on < wanted.expires_before)
    if wanted.expires_after is not None:
        conditions.append(learners.c.expires_on > wanted.expires_after)
    return and_(*conditions) if conditions else None


def _walked_status(
    statuses: Collection[Status], today: date, sorted_by: ColumnElement[Any] | None
) -> ColumnElement[bool]:
    condition = status_sql.resolve_status(today).in_([status.value for status in statuses])
    if sorted_by is not learners.c.expires_on and sorted_by is not learners.c.expires_key:
        return condition
    # The expired stand at one end of this order, all others at the other.
    if Status.EXPIRED not in statuses:
        return and_(condition, sorted_by >= today)
    return and_(condition, sorted_by < today) if len(statuses) == 1 else condition


async def narrowest(connection: AsyncConnection, found: Sequence[Criterion]) -> Criterion | None:
    """The first criterion that only few learners meet, or None: counted, but never beyond that few."""
    for criterion in found:
        if criterion.is_unique:
            return criterion
        few = criterion.ids.limit(_FEW_MATCHES + 1).subquery()
        if (await connection.execute(select(func.count()).select_from(few))).scalar_one() <= _FEW_MATCHES:
            return criterion
    return None


def matching(
    columns: Sequence[ColumnElement[Any]],
    organization_id: int,
    found: Sequence[Criterion],
    sought: Criterion | None,
) -> Select[Any]:
    """A query for the learners that meet every criterion, by seeking `sought` or by walking."""
    return select(*columns).where(
        learners.c.organization_id == organization_id,
        *(criterion.seek if criterion is sought else criterion.walk for criterion in found),
    )


async def narrowed(
    connection: AsyncConnection,
    columns: Sequence[ColumnElement[Any]],
    organization_id: int,
    found: Sequence[Criterion],
) -> Select[Any]:
    """A query over the learners that meet every criterion, by way of the one that few meet, if there is one."""
    sought = await narrowest(connection, found)
    if sought is None:
        return counting(columns, organization_id, found)
    return matching(columns, organization_id, found, sought)


def counting(
    columns: Sequence[ColumnElement[Any]], organization_id: int, found: Sequence[Criterion]
) -> Select[Any]:
    """A query over the learners that meet every criterion, where all of them are wanted."""
    return select(*columns).where(
        learners.c.organization_id == organization_id, *(criterion.seek for criterion in found)
    )
