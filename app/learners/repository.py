"""Reads learners and their events, and stores the time of an access. `recording` stores changes."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

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
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.events import EventType
from app.domain.status import Account, Status
from app.learners import status_sql
from app.learners.errors import LearnerNotFound
from app.learners.filters import LearnerFilter
from app.learners.filters_sql import (
    find_narrowest,
    list_criteria,
    select_by,
    select_whole,
    select_whole_fast,
)
from app.learners.history import WITH_CAUSES, make_events, resolve_column, select_events
from app.learners.learner import Event, Learner, username_key
from app.learners.sort import Sort, find_index_position
from app.learners.tables import events, learners
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


class PlacedLearner(NamedTuple):
    """A learner in a list, with the position that a cursor continues from."""

    learner: Learner
    position: list[Any]


def _make_learner(row: Row[Any]) -> Learner:
    """Make a learner of a row that begins with _COLUMNS.

    It slices the row, because reading by name takes six times as long, and imports read every learner of the
    file.
    """
    account = Account._make(row[_BEFORE_ACCOUNT:_AFTER_ACCOUNT])
    return Learner._make((*row[:_BEFORE_ACCOUNT], account, *row[_AFTER_ACCOUNT : len(_COLUMNS)]))


async def find_learner(connection: AsyncConnection, organization_id: int, learner_id: str) -> Learner | None:
    """Find the organization's learner with this id."""
    return await _find(connection, organization_id, learners.c.id == learner_id)


async def find_by_username(
    connection: AsyncConnection, organization_id: int, username: str
) -> Learner | None:
    """Find the organization's learner with this username. See fold_username."""
    return await _find(connection, organization_id, learners.c.username_key == username_key(username))


async def find_by_external_id(
    connection: AsyncConnection, organization_id: int, external_id: str
) -> Learner | None:
    """Find the organization's learner with exactly this external id."""
    return await _find(connection, organization_id, learners.c.external_id == external_id)


async def lock_learner(connection: AsyncConnection, organization_id: int, learner_id: str) -> Learner:
    """Lock the learner until this transaction ends. Raises LearnerNotFound."""
    learner = await _find(connection, organization_id, learners.c.id == learner_id, is_locked=True)
    if learner is None:
        raise LearnerNotFound
    return learner


async def _find(
    connection: AsyncConnection,
    organization_id: int,
    condition: ColumnElement[bool],
    *,
    is_locked: bool = False,
) -> Learner | None:
    statement = select(*_COLUMNS).where(learners.c.organization_id == organization_id, condition)
    if is_locked:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _make_learner(row)


async def list_chosen(
    connection: AsyncConnection, organization_id: int, chosen: Select[tuple[str]]
) -> list[Learner]:
    """List the learners whose ids a query for few of them selects."""
    statement = select(*_COLUMNS).where(
        learners.c.organization_id == organization_id, learners.c.id.in_(chosen)
    )
    rows = (await connection.execute(statement)).all()
    return await compute(len(rows), lambda: list(map(_make_learner, rows)))


async def find_ids_by_username(
    connection: AsyncConnection, organization_id: int, usernames: Collection[str]
) -> dict[str, str]:
    """Find the ids of the learners with these usernames, by folded username."""
    keys = {username_key(name) for name in usernames}
    return await _find_ids(connection, organization_id, learners.c.username_key, keys)


async def find_ids_by_external_id(
    connection: AsyncConnection, organization_id: int, external_ids: Collection[str]
) -> dict[str, str]:
    """Find the ids of the learners with exactly these external ids, by external id."""
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


async def list_learners(
    connection: AsyncConnection,
    organization_id: int,
    wanted: LearnerFilter,
    today: date,
    *,
    sort: Sort,
    after: Sequence[Any] | None,
    limit: int,
    few: int,
) -> list[PlacedLearner]:
    """List up to `limit` learners beyond the position `after`. For `few`, see `find_narrowest`."""
    columns = sort.columns
    if columns[0] is learners.c.expires_key and (wanted.expires_before or wanted.expires_after):
        # No learner without a date matches. This index has the same order, and only learners with a date.
        columns = (learners.c.expires_on, learners.c.id)
    dialect = connection.dialect.name
    order: Sequence[ColumnElement[Any]] = sort.list_index_columns(columns, dialect)
    found = list_criteria(wanted, organization_id, today, dialect, order=columns[0])
    sought = await find_narrowest(connection, found, few)
    labels = [f"sort_{place}" for place in range(len(columns))]
    placed = [column.label(label) for column, label in zip(columns, labels, strict=True)]
    statement = select_by([*_COLUMNS, *placed, order[-1].label("last")], organization_id, found, sought)
    beyond = None if after is None else find_index_position(order, organization_id, after)
    if sought is None:
        ranges = [true()] if beyond is None else sort.list_ranges(order, beyond)
    else:
        # Materialized, so that the planner fetches the few and sorts them.
        narrow = statement.cte("few").prefix_with("MATERIALIZED")
        order = [*(narrow.c[label] for label in labels[:-1]), narrow.c.last]
        statement = select(narrow)
        ranges = [true()] if beyond is None else [sort.is_beyond(order, beyond)]
    rows: list[Row[Any]] = []
    for part in ranges:
        if len(rows) < limit:
            page = statement.where(part).order_by(*sort.order_by(order)).limit(limit - len(rows))
            rows += (await connection.execute(page)).all()
    return [PlacedLearner(_make_learner(row), [getattr(row, label) for label in labels]) for row in rows]


async def count_learners(
    connection: AsyncConnection, organization_id: int, wanted: LearnerFilter, today: date, *, few: int
) -> int:
    """Count the learners that the filter matches. For `few`, see `find_narrowest`."""
    found = list_criteria(wanted, organization_id, today, connection.dialect.name)
    statement = await select_whole_fast(connection, [func.count()], organization_id, found, few)
    return int((await connection.execute(statement)).scalar_one())


async def count_by_status(
    connection: AsyncConnection, organization_id: int, wanted: LearnerFilter, today: date, *, few: int
) -> dict[Status, int]:
    """Count the learners that the filter matches, by status. For `few`, see `find_narrowest`."""
    dialect = connection.dialect.name
    statement: Executable
    if wanted.model_dump(exclude_none=True).keys() <= {"status"}:
        # Each status is one range of the status index, or three, so counting needs no look at the table.
        statement = union_all(
            *(
                select_whole(
                    [literal(status.value, String).label("status"), func.count().label("number")],
                    organization_id,
                    list_criteria(LearnerFilter(status=(status,)), organization_id, today, dialect),
                )
                for status in wanted.status or Status
            )
        )
    else:
        found = list_criteria(wanted, organization_id, today, dialect)
        columns: list[ColumnElement[Any]] = [
            status_sql.resolve_status(today).label("status"),
            func.count().label("number"),
        ]
        statement = (await select_whole_fast(connection, columns, organization_id, found, few)).group_by(
            "status"
        )
    counted = {Status(row.status): row.number for row in await connection.execute(statement)}
    return {each: counted.get(each, 0) for each in Status}


def select_ids(organization_id: int, wanted: LearnerFilter, today: date, dialect: str) -> Select[Any]:
    """Make a query for the ids of the learners that the filter matches, in id order."""
    found = list_criteria(wanted, organization_id, today, dialect)
    statement = select_whole([learners.c.id], organization_id, found)
    if not found:
        return statement.order_by(learners.c.id)
    # Materialized, so that the planner does not read every learner in id order.
    matches = statement.cte("matches").prefix_with("MATERIALIZED")
    return select(matches.c.id).order_by(matches.c.id)


async def count_not_deactivated(connection: AsyncConnection, organization_id: int) -> int:
    """Count the organization's learners who are not deactivated, expired or not."""
    statement = (
        select(func.count())
        .select_from(learners)
        .where(learners.c.organization_id == organization_id, status_sql.is_not_deactivated())
    )
    return int((await connection.execute(statement)).scalar_one())


async def get_last_event_position(connection: AsyncConnection) -> int:
    """Return the position of the newest event of all organizations. A learner created later has a later one."""
    return (await connection.execute(select(func.max(events.c.position)))).scalar_one() or 0


async def find_created_after(
    connection: AsyncConnection, position: int, learner_ids: Collection[str]
) -> set[str]:
    """Find which of these learners were created by an event after this position."""
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


async def select_learners(
    connection: AsyncConnection,
    columns: Sequence[ColumnElement[Any]],
    organization_id: int,
    wanted: LearnerFilter,
    today: date,
    *,
    sort: Sort,
    few: int,
) -> Select[Any]:
    """Make a query for these columns of every learner that the filter matches, in order.

    For `few`, see `find_narrowest`.
    """
    found = list_criteria(wanted, organization_id, today, connection.dialect.name)
    sought = await find_narrowest(connection, found, few)
    order = sort.list_index_columns(sort.columns, connection.dialect.name)
    return select_by(columns, organization_id, found, sought).order_by(*sort.order_by(order))


async def record_access_time(
    connection: AsyncConnection, organization_id: int, learner_id: str, now: datetime
) -> None:
    """Store the time of the last access. It does not change the account, so there is no event and no new version."""
    await connection.execute(
        update(learners)
        .where(learners.c.organization_id == organization_id, learners.c.id == learner_id)
        .values(last_accessed_at=now)
    )


async def list_events(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    *,
    before_version: int | None,
    limit: int,
) -> list[Event]:
    """List up to `limit` events of a learner, newest first, older than the event of `before_version`."""
    statement = (
        select_events()
        .where(events.c.organization_id == organization_id, events.c.learner_id == learner_id)
        .order_by(events.c.version.desc())
        .limit(limit)
    )
    if before_version is not None:
        statement = statement.where(events.c.version < before_version)
    return await make_events(connection, (await connection.execute(statement)).all())


class RecordedChange(NamedTuple):
    """What an event of a learner recorded: which version it made, and the facts before."""

    learner_id: str
    version: int
    operation_id: str | None
    actor: Mapping[str, Any]
    type: str
    before: Mapping[str, Any]


async def list_changes_since(
    connection: AsyncConnection, organization_id: int, versions: Mapping[str, int]
) -> list[RecordedChange]:
    """List what changed these learners from the given version of each on, by learner, oldest first."""
    columns = [resolve_column(name) for name in RecordedChange._fields]
    statement = (
        select(*columns)
        .select_from(WITH_CAUSES)
        .where(
            events.c.organization_id == organization_id,
            is_one_of(events.c.learner_id, versions.keys(), connection.dialect.name),
            events.c.version >= min(versions.values(), default=0),
        )
        .order_by(events.c.learner_id, events.c.version)
    )
    found = [RecordedChange._make(row) for row in await connection.execute(statement)]
    return [each for each in found if each.version >= versions[each.learner_id]]


async def find_renamed_since(
    connection: AsyncConnection, organization_id: int, learner_ids: Collection[str], since: datetime | None
) -> set[str]:
    """Find which of these learners were given another username or external id after this instant."""
    if not learner_ids or since is None:
        return set()
    statement = (
        select(events.c.learner_id, events.c.before)
        .select_from(WITH_CAUSES)
        .where(
            events.c.organization_id == organization_id,
            is_one_of(events.c.learner_id, learner_ids, connection.dialect.name),
            resolve_column("occurred_at") > since,
        )
    )
    names = {"username", "external_id"}
    return {row.learner_id for row in await connection.execute(statement) if names & row.before.keys()}


async def find_last_deactivations(
    connection: AsyncConnection, organization_id: int, learner_ids: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """Find the actor who last deactivated each of these learners."""
    statement = (
        select(events.c.learner_id, resolve_column("actor"))
        .select_from(WITH_CAUSES)
        .where(
            events.c.organization_id == organization_id,
            is_one_of(events.c.learner_id, learner_ids, connection.dialect.name),
            events.c.type.in_((EventType.DEACTIVATED, EventType.CREATED)),
        )
        .order_by(events.c.learner_id, events.c.version)
    )
    return {row.learner_id: row.actor for row in await connection.execute(statement)}
