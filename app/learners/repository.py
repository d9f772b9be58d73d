"""All SQL on learners and their events."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Row,
    Select,
    String,
    func,
    literal,
    select,
    true,
    tuple_,
    union,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.events import EventType
from app.domain.status import Account, Status
from app.learners import status_sql
from app.learners.filters import LearnerFilter
from app.learners.filters_sql import counting, criteria, matching, narrowed, narrowest
from app.learners.learner import (
    Learner,
    username_key,
)
from app.learners.tables import EVENT_FIELDS, events, learners
from app.platform.bulk_rows import is_one_of, select_by_keys
from app.platform.threads import compute

# The columns of a learner: the fields of Learner, with those of Account in place of `account`.
_BEFORE_ACCOUNT = Learner._fields.index("account")
_AFTER_ACCOUNT = _BEFORE_ACCOUNT + len(Account._fields)
_NAMES = (
    *Learner._fields[:_BEFORE_ACCOUNT],
    *Account._fields,
    *Learner._fields[_BEFORE_ACCOUNT + 1 :],
)
_COLUMNS = [learners.c[name] for name in _NAMES]
_EVENT_COLUMNS = [events.c[name] for name in EVENT_FIELDS]
_WALKED_AT_ONCE = 20_000
_BEFORE_ALL = "00000000-0000-0000-0000-000000000000"

# What a list can be sorted by: the columns of the index that holds that order.
SORT_COLUMNS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "username": (learners.c.username_key,),
    "last_name": (learners.c.last_name_key, learners.c.id),
    "created_at": (learners.c.id,),
    "updated_at": (learners.c.updated_at, learners.c.id),
    "expires_on": (learners.c.expires_key, learners.c.id),
}


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of learners: a key of SORT_COLUMNS, ascending or descending."""

    key: str
    descending: bool = False

    @property
    def columns(self) -> tuple[ColumnElement[Any], ...]:
        """The columns that make the order, the last of them unique in an organization."""
        return SORT_COLUMNS[self.key]

    def ordering(self, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """ORDER BY."""
        return [column.desc() if self.descending else column.asc() for column in columns]

    def beyond(self, columns: Sequence[ColumnElement[Any]], position: Sequence[Any]) -> ColumnElement[bool]:
        """What comes after `position` in this order."""
        here: ColumnElement[Any] = columns[0] if len(columns) == 1 else tuple_(*columns)
        there = position[0] if len(columns) == 1 else tuple(position)
        return here < there if self.descending else here > there


def _make_learner(row: Row[Any]) -> Learner:
    """Make a learner of a row that begins with _COLUMNS.

    In slices, because a read by name takes six times as long, and imports read every learner of the file.
    """
    account = Account._make(row[_BEFORE_ACCOUNT:_AFTER_ACCOUNT])
    return Learner._make((*row[:_BEFORE_ACCOUNT], account, *row[_AFTER_ACCOUNT : len(_COLUMNS)]))


async def find(connection: AsyncConnection, organization_id: int, learner_id: str) -> Learner | None:
    """The organization's learner with this id."""
    return await _find(connection, organization_id, learners.c.id == learner_id)


async def find_by_username(
    connection: AsyncConnection, organization_id: int, username: str
) -> Learner | None:
    """The organization's learner with this username, without regard to case."""
    return await _find(connection, organization_id, learners.c.username_key == username_key(username))


async def find_by_external_id(
    connection: AsyncConnection, organization_id: int, external_id: str
) -> Learner | None:
    """The organization's learner with exactly this external id."""
    return await _find(connection, organization_id, learners.c.external_id == external_id)


async def lock(connection: AsyncConnection, organization_id: int, learner_id: str) -> Learner | None:
    """The learner, kept from changing until this transaction ends."""
    return await _find(connection, organization_id, learners.c.id == learner_id, locked=True)


async def _find(
    connection: AsyncConnection, organization_id: int, condition: ColumnElement[bool], *, locked: bool = False
) -> Learner | None:
    statement = select(*_COLUMNS).where(learners.c.organization_id == organization_id, condition)
    if locked:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _make_learner(row)


async def lock_by_keys(
    connection: AsyncConnection,
    organization_id: int,
    *,
    usernames: Collection[str] = (),
    external_ids: Collection[str] = (),
) -> list[Learner]:
    """The learners that any of these keys (usernames folded) names, locked in id order.

    In id order everywhere, so that two transactions cannot wait for each other.
    """
    dialect = connection.dialect.name
    own = learners.c.organization_id == organization_id
    named = [
        select_by_keys([learners.c.id], [own], key, values, dialect)
        for key, values in ((learners.c.username_key, usernames), (learners.c.external_id, external_ids))
        if values
    ]
    if not named:
        return []
    if dialect == "sqlite":
        statement = select(*_COLUMNS).where(own, learners.c.id.in_(union(*named))).order_by(learners.c.id)
    else:
        ids = union(*named).subquery()
        ordered = select(ids.c.id).order_by(ids.c.id).subquery()
        locked = select(*_COLUMNS).where(own, learners.c.id == ordered.c.id).with_for_update().lateral()
        statement = select(*locked.c).select_from(ordered).join(locked, true())
    rows = (await connection.execute(statement)).all()
    return await compute(len(rows), lambda: list(map(_make_learner, rows)))


async def find_ids_by_username(
    connection: AsyncConnection, organization_id: int, usernames: Collection[str]
) -> dict[str, str]:
    """The ids of the learners with these usernames, by folded username."""
    keys = {username_key(name) for name in usernames}
    return await _find_ids(connection, organization_id, learners.c.username_key, keys)


async def find_ids_by_external_id(
    connection: AsyncConnection, organization_id: int, external_ids: Collection[str]
) -> dict[str, str]:
    """The ids of the learners with exactly these external ids, by external id."""
    return await _find_ids(connection, organization_id, learners.c.external_id, external_ids)


async def _find_ids(
    connection: AsyncConnection, organization_id: int, key: Column[str], values: Collection[str]
) -> dict[str, str]:
    statement = select_by_keys(
        [key, learners.c.id],
        [learners.c.organization_id == organization_id],
        key,
        values,
        connection.dialect.name,
    )
    return {row[0]: row.id for row in await connection.execute(statement)}


async def page(
    connection: AsyncConnection,
    organization_id: int,
    wanted: LearnerFilter,
    today: date,
    *,
    sort: Sort,
    after: Sequence[Any] | None,
    limit: int,
) -> list[tuple[Learner, list[Any]]]:
    """Up to `limit` learners beyond the position `after`, each with its own position in the order."""
    columns = sort.columns
    if columns[0] is learners.c.expires_key and (wanted.expires_before or wanted.expires_after):
        # None without a date matches: the same order, in an index that has no others.
        columns = (learners.c.expires_on, learners.c.id)
    found = criteria(
        wanted,
        organization_id,
        today,
        connection.dialect.name,
        sorted_by=columns[0],
    )
    sought = await narrowest(connection, found)
    wide = matching(
        [*_COLUMNS, *(column.label(f"sort_{i}") for i, column in enumerate(columns))],
        organization_id,
        found,
        sought,
    )
    if sought is None:
        order: list[ColumnElement[Any]] = list(columns)
        statement = wide
    else:
        # Materialized, so that the planner fetches the few and sorts them.
        few = wide.cte("few").prefix_with("MATERIALIZED")
        order = [few.c[f"sort_{i}"] for i in range(len(columns))]
        statement = select(few)
    if after is not None:
        statement = statement.where(sort.beyond(order, after))
    statement = statement.order_by(*sort.ordering(order)).limit(limit)
    rows = (await connection.execute(statement)).all()
    return [(_make_learner(row), list(row[len(_COLUMNS) :])) for row in rows]


async def count(connection: AsyncConnection, organization_id: int, wanted: LearnerFilter, today: date) -> int:
    """How many learners the filter matches."""
    found = criteria(wanted, organization_id, today, connection.dialect.name)
    statement = await narrowed(connection, [func.count()], organization_id, found)
    return int((await connection.execute(statement)).scalar_one())


async def status_counts(
    connection: AsyncConnection, organization_id: int, wanted: LearnerFilter, today: date
) -> dict[Status, int]:
    """How many of the learners that the filter matches have each status."""
    dialect = connection.dialect.name
    statement: Executable
    if wanted.model_dump(exclude_none=True).keys() <= {"status"}:
        # Each status is a part or three of the status index, which counts them without the table.
        statement = union_all(
            *(
                counting(
                    [literal(status.value, String), func.count()],
                    organization_id,
                    criteria(LearnerFilter(status=(status,)), organization_id, today, dialect),
                )
                for status in wanted.status or Status
            )
        )
    else:
        found = criteria(wanted, organization_id, today, dialect)
        resolved = status_sql.resolve_status(today).label("status")
        wide = await narrowed(connection, [resolved, func.count()], organization_id, found)
        statement = wide.group_by("status")
    counted = {Status(row[0]): row[1] for row in await connection.execute(statement)}
    return {each: counted.get(each, 0) for each in Status}


def select_ids(organization_id: int, wanted: LearnerFilter, today: date, dialect: str) -> Select[Any]:
    """A query for the ids of the learners that the filter matches, in id order."""
    found = criteria(wanted, organization_id, today, dialect)
    statement = counting([learners.c.id], organization_id, found)
    if not found:
        return statement.order_by(learners.c.id)
    # Materialized, so that the planner does not go through everyone in the order wanted.
    matches = statement.cte("matches").prefix_with("MATERIALIZED")
    return select(matches.c.id).order_by(matches.c.id)


async def count_not_deactivated(connection: AsyncConnection, organization_id: int) -> int:
    """How many of the organization's learners nobody has deactivated, those who have expired among them."""
    statement = (
        select(func.count())
        .select_from(learners)
        .where(
            learners.c.organization_id == organization_id,
            # In the form that the status index answers.
            learners.c.status_unless_expired.in_((Status.ACTIVE.value, Status.ACTIVATED.value)),
        )
    )
    return int((await connection.execute(statement)).scalar_one())


async def last_event_position(connection: AsyncConnection) -> int:
    """The position of the newest event of all; whoever is created from now on has a later one."""
    return (await connection.execute(select(func.max(events.c.position)))).scalar_one() or 0


async def list_not_deactivated(
    connection: AsyncConnection,
    organization_id: int,
    *,
    unless: Callable[[Column[str]], ColumnElement[bool]],
    created_by: int,
    after: str | None,
    limit: int,
) -> list[tuple[str, str | None]]:
    """Up to `limit` ids and external ids, in id order beyond the id `after`.

    Of those whom nobody has deactivated, of whose id `unless` does not hold, and who were created by the event
    at the position `created_by` or an earlier one; so it is no matter of clocks.
    """
    found: list[tuple[str, str | None]] = []
    begin: str | None = after or _BEFORE_ALL
    while begin is not None and len(found) < limit:
        # In parts of the primary key: of all of it, a planner that takes the table for a small one would make
        # one set and sort that, each time anew.
        own = learners.c.organization_id == organization_id
        part = select(learners.c.id).where(own, learners.c.id > begin).order_by(learners.c.id)
        end = (await connection.execute(part.offset(_WALKED_AT_ONCE - 1).limit(1))).scalar_one_or_none()
        wanted = limit - len(found)
        statement = (
            select(learners.c.id, learners.c.external_id)
            .where(own, learners.c.id > begin, status_sql.is_not_deactivated(), ~unless(learners.c.id))
            .order_by(learners.c.id)
            .limit(wanted)
        )
        if end is not None:
            statement = statement.where(learners.c.id <= end)
        rows = (await connection.execute(statement)).all()
        newer = await _created_after(connection, created_by, [row.id for row in rows])
        found += ((row.id, row.external_id) for row in rows if row.id not in newer)
        # Where the limit cut it short, there may be more of this part.
        begin = rows[-1].id if len(rows) == wanted else end
    return found


async def _created_after(
    connection: AsyncConnection, position: int, learner_ids: Collection[str]
) -> set[str]:
    """Which of these learners were created by a later event than the one at this position."""
    if not learner_ids:
        return set()
    statement = select_by_keys(
        [events.c.learner_id],
        [events.c.version == 1, events.c.position > position],
        events.c.learner_id,
        learner_ids,
        connection.dialect.name,
    )
    return set((await connection.execute(statement)).scalars())


async def select_all(
    connection: AsyncConnection,
    columns: Sequence[ColumnElement[Any]],
    organization_id: int,
    wanted: LearnerFilter,
    today: date,
    sort: Sort,
) -> Select[Any]:
    """A query for these columns of every learner that the filter matches, in order."""
    found = criteria(wanted, organization_id, today, connection.dialect.name)
    sought = await narrowest(connection, found)
    return matching(columns, organization_id, found, sought).order_by(*sort.ordering(sort.columns))


async def record_access_time(
    connection: AsyncConnection, organization_id: int, learner_id: str, now: datetime
) -> None:
    """Note the last access. Not a change of the account: no event, no new version."""
    await connection.execute(
        update(learners)
        .where(learners.c.organization_id == organization_id, learners.c.id == learner_id)
        .values(last_accessed_at=now)
    )


async def history(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    *,
    before_version: int | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Up to `limit` events of a learner, newest first, older than the event of `before_version`."""
    statement = (
        select(*_EVENT_COLUMNS)
        .where(events.c.organization_id == organization_id, events.c.learner_id == learner_id)
        .order_by(events.c.version.desc())
        .limit(limit)
    )
    if before_version is not None:
        statement = statement.where(events.c.version < before_version)
    return [dict(row) for row in (await connection.execute(statement)).mappings()]


async def find_with_last_change(
    connection: AsyncConnection, organization_id: int, learner_ids: Collection[str], operation_id: str
) -> list[tuple[Learner, dict[str, Any] | None]]:
    """These learners; each with the `before` of the last change's event, where this operation made it, else None."""
    # Not a join: for each learner one look into the index of histories, whatever the planner takes the tables for.
    before = (
        select(events.c.before)
        .where(
            events.c.learner_id == learners.c.id,
            events.c.version == learners.c.version,
            events.c.operation_id == operation_id,
        )
        .scalar_subquery()
    )
    statement = select_by_keys(
        [*_COLUMNS, before.label("before")],
        [learners.c.organization_id == organization_id],
        learners.c.id,
        learner_ids,
        connection.dialect.name,
    )
    return [(_make_learner(row), row[len(_COLUMNS)]) for row in await connection.execute(statement)]


async def last_deactivations(
    connection: AsyncConnection, organization_id: int, learner_ids: Collection[str]
) -> dict[str, str | None]:
    """The operation (None = a single call) that deactivated each of these learners last."""
    statement = (
        select(events.c.learner_id, events.c.operation_id)
        .where(
            events.c.organization_id == organization_id,
            is_one_of(events.c.learner_id, learner_ids, connection.dialect.name),
            events.c.type.in_((EventType.DEACTIVATED, EventType.CREATED)),
        )
        .order_by(events.c.learner_id, events.c.version)
    )
    return {row.learner_id: row.operation_id for row in await connection.execute(statement)}
