"""Stores the change of one learner: the facts, the searched text and the event, in one transaction.

`plan_apply` stores the same for the rows of a plan. `repository.record_access_time` stores the time of an access, which
does not change the account.
"""

from operator import attrgetter
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.fields import COLUMNS, SEARCHED_NAMES
from app.learners.history import add_cause
from app.learners.learner import Cause, Change, Event, Learner, event_documents, search_text
from app.learners.search_index import LearnerText, add_texts, change_texts
from app.learners.tables import events, learners
from app.platform.ids import new_id

# The names of the values that make_row returns.
STORED_COLUMNS = ("organization_id", *COLUMNS)
_read_columns = attrgetter(*COLUMNS.values())


async def record(connection: AsyncConnection, organization_id: int, change: Change, cause: Cause) -> None:
    """Store this change and its event, in the caller's transaction."""
    before, after, _ = change
    text = LearnerText(after.id, search_text(after))
    # The learner before the event: see feed.SafePosition.
    if before is None:
        row = dict(zip(STORED_COLUMNS, make_row(organization_id, after), strict=True))
        await connection.execute(insert(learners).values(row))
        await add_texts(connection, organization_id, [text])
    else:
        differing = _find_differing(before, after)
        await connection.execute(
            update(learners)
            .where(learners.c.organization_id == organization_id, learners.c.id == after.id)
            .values(differing)
        )
        if not SEARCHED_NAMES.isdisjoint(differing):
            await change_texts(connection, [text])
    await connection.execute(
        insert(events).values(await _make_event(connection, organization_id, change, cause))
    )


def make_row(organization_id: int, learner: Learner) -> tuple[Any, ...]:
    """Make the values of STORED_COLUMNS."""
    return (organization_id, *_read_columns(learner))


def _find_differing(before: Learner, after: Learner) -> dict[str, Any]:
    """Return the columns that change. SQLite rewrites the indexes of every column that is set."""
    columns = zip(COLUMNS, _read_columns(before), _read_columns(after), strict=True)
    return {name: becomes for name, was, becomes in columns if was != becomes}


async def _make_event(
    connection: AsyncConnection, organization_id: int, change: Change, cause: Cause
) -> dict[str, Any]:
    """Make the columns of an event, as the comment at `tables.events` says."""
    before, after = event_documents(change, cause.today)
    learner = change.after
    if cause.operation_id is not None:
        return {
            "organization_id": organization_id,
            "learner_id": learner.id,
            "version": learner.version,
            "type": change.type.value,
            "cause_id": await add_cause(connection, organization_id, cause),
            "before": before,
            "after": {"status": after["status"]} if change.before is None else after,
        }
    event = Event(
        id=new_id(cause.at),
        type=change.type.value,
        learner_id=learner.id,
        version=learner.version,
        occurred_at=cause.at,
        actor=cause.actor,
        operation_id=None,
        reason=cause.reason,
        before=before,
        after=after,
    )
    return {"organization_id": organization_id, **event._asdict()}
