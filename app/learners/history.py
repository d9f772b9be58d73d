"""Reads events, and puts together what is stored once for several of them.

An operation stores its actor, instant, id and reason once for all events of a chunk, as a cause. Its events have no id
of their own: `derive_id` makes it of what identifies the event. A creation stores only the status of the new learner.
The other facts follow from the learner and from what later events say was there before.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.fields import EVENT_FACTS
from app.learners.learner import Cause, Event, write_fact
from app.learners.tables import event_causes, events, learners
from app.platform.bulk_rows import is_one_of, select_by_keys
from app.platform.ids import derive_id

_SHARED = ("occurred_at", "actor", "operation_id", "reason")
_STATUS = "status"


def resolve_column(name: str) -> ColumnElement[Any]:
    """Return a column of an event, from its cause if it has one. Select it from `WITH_CAUSES`."""
    own: Column[Any] = events.c[name]
    if name not in _SHARED:
        return own
    return func.coalesce(own, event_causes.c[name], type_=own.type).label(name)


WITH_CAUSES = events.outerjoin(event_causes, event_causes.c.id == events.c.cause_id)
_COLUMNS = [resolve_column(name) for name in Event._fields]


async def add_cause(connection: AsyncConnection, organization_id: int, cause: Cause) -> int:
    """Store the cause of several events of an operation. Return its id, for `events.cause_id`."""
    statement = insert(event_causes).values(
        organization_id=organization_id,
        occurred_at=cause.at,
        actor=dict(cause.actor),
        operation_id=cause.operation_id,
        reason=cause.reason,
    )
    return int((await connection.execute(statement.returning(event_causes.c.id))).scalar_one())


def select_events(*more: ColumnElement[Any]) -> Select[Any]:
    """Make a query for events, whose rows `make_events` takes. `more` columns follow at the end of each row."""
    return select(events.c.organization_id, *_COLUMNS, *more).select_from(WITH_CAUSES)


async def make_events(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Event]:
    """Make the events of rows of `select_events`, in their order."""
    found = [Event._make(row[1 : 1 + len(_COLUMNS)]) for row in rows]
    creations: dict[int, list[str]] = defaultdict(list)
    for row, event in zip(rows, found, strict=True):
        if _is_short_creation(event):
            creations[row.organization_id].append(event.learner_id)
    facts: dict[str, dict[str, Any]] = {}
    for organization_id, learner_ids in creations.items():
        facts |= await _find_first_facts(connection, organization_id, learner_ids)
    return [_complete(event, facts.get(event.learner_id, {})) for event in found]


def identify(event_id: str | None, occurred_at: Any, learner_id: str, version: int) -> str:
    """Return the id of an event: its own, or the derived one."""
    return event_id or derive_id(occurred_at, learner_id, version)


def _is_short_creation(event: Event) -> bool:
    return event.version == 1 and event.after.keys() == {_STATUS}


def _complete(event: Event, facts: Mapping[str, Any]) -> Event:
    after = {**facts, **event.after} if _is_short_creation(event) else event.after
    event_id = identify(event.id, event.occurred_at, event.learner_id, event.version)
    return event._replace(id=event_id, after=after)


async def _find_first_facts(
    connection: AsyncConnection, organization_id: int, learner_ids: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Find the facts with which these learners were created, by learner."""
    dialect = connection.dialect.name
    now = select_by_keys(
        [learners.c.id, learners.c.version, *(learners.c[name] for name in EVENT_FACTS)],
        [learners.c.organization_id == organization_id],
        learners.c.id,
        learner_ids,
        dialect,
    )
    versions: dict[str, int] = {}
    facts: dict[str, dict[str, Any]] = {}
    for learner_id, version, *values in await connection.execute(now):
        versions[learner_id] = version
        facts[learner_id] = dict(zip(EVENT_FACTS, map(write_fact, values), strict=True))
    later = (
        select(events.c.learner_id, events.c.version, events.c.before)
        .where(is_one_of(events.c.learner_id, list(facts), dialect), events.c.version > 1)
        .order_by(events.c.learner_id, events.c.version.desc())
    )
    for learner_id, version, before in await connection.execute(later):
        # A change that was made after the learner was read is not in the facts.
        if version <= versions[learner_id]:
            facts[learner_id] |= {name: before[name] for name in EVENT_FACTS if name in before}
    return {
        learner_id: {name: value for name, value in each.items() if value is not None}
        for learner_id, each in facts.items()
    }
