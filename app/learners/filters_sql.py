"""A filter as SQL, and the choice between the two ways to answer it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
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
    matches many; a planner that does not know the counts picks either at random.
    """

    walk: ColumnElement[bool]
    seek: ColumnElement[bool]
    is_unique: bool = False


def criteria(wanted: LearnerFilter, organization_id: int, today: date, dialect: str) -> list[Criterion]:
    """The members of the filter, those that match fewest learners first."""
    found: list[Criterion] = []
    for column, value in (
        (learners.c.username_key, None if wanted.username is None else username_key(wanted.username)),
        (learners.c.external_id, wanted.external_id),
    ):
        if value is not None:
            found.append(Criterion(column == value, column == value, is_unique=True))
    if wanted.ids is not None:
        among = is_one_of(learners.c.id, wanted.ids, dialect)
        found.append(Criterion(among, among, is_unique=True))
    if wanted.email is not None:
        found.append(Criterion(*search_sql.has_email(wanted.email, organization_id, dialect)))
    if wanted.q is not None:
        found.append(Criterion(*search_sql.contains(wanted.q, organization_id, dialect)))
    if wanted.expires_before is not None:
        before = wanted.expires_before
        found.append(Criterion(learners.c.expires_on < before, learners.c.expires_key < before))
    if wanted.expires_after is not None:
        after = wanted.expires_after
        dated = learners.c.expires_on.is_not(None)
        found.append(Criterion(learners.c.expires_on > after, and_(learners.c.expires_key > after, dated)))
    if wanted.status is not None and set(wanted.status) != set(Status):
        statuses = [status.value for status in wanted.status]
        found.append(
            Criterion(
                status_sql.resolve_status(today).in_(statuses), status_sql.has_status(wanted.status, today)
            )
        )
    return found


async def narrowest(
    connection: AsyncConnection, organization_id: int, found: Sequence[Criterion]
) -> Criterion | None:
    """The first criterion that only few learners meet, or None: counted, but never beyond that few."""
    for criterion in found:
        if criterion.is_unique:
            return criterion
        few = (
            select(learners.c.id)
            .where(learners.c.organization_id == organization_id, criterion.seek)
            .limit(_FEW_MATCHES + 1)
            .subquery()
        )
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


def counting(
    columns: Sequence[ColumnElement[Any]], organization_id: int, found: Sequence[Criterion]
) -> Select[Any]:
    """A query over the learners that meet every criterion, where all of them are wanted."""
    return select(*columns).where(
        learners.c.organization_id == organization_id, *(criterion.seek for criterion in found)
    )
