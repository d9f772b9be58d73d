"""Stores changes of learners: the facts, the searched texts and the events, in one transaction.

Every change is stored here, with two exceptions. `bulk_sql.apply_action` makes the same rows with SQL.
`repository.record_access_time` stores the time of an access, which does not change the account.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.fields import COLUMNS, SEARCHED_NAMES
from app.learners.history import add_cause
from app.learners.learner import Cause, Change, Event, Learner, event_documents, search_text
from app.learners.search_index import LearnerText, add_texts, change_texts
from app.learners.tables import events, learners
from app.platform.bulk_rows import insert_rows, update_rows
from app.platform.ids import new_id
from app.platform.threads import compute

# The names of the values that make_row returns.
STORED_COLUMNS = ("organization_id", *COLUMNS)
_KEYS = ("organization_id", "id")
_read_columns = attrgetter(*COLUMNS.values())
_EVENT_COLUMNS = ("organization_id", *Event._fields)
_CAUSED_EVENT_COLUMNS = ("organization_id", "learner_id", "version", "type", "cause_id", "before", "after")


async def record(
    connection: AsyncConnection, organization_id: int, changes: Sequence[Change], cause: Cause
) -> None:
    """Store these changes and one event for each, in the caller's transaction."""
    rows = await compute(len(changes), lambda: _LearnerRows(organization_id, changes))
    cause_id = None
    if cause.operation_id is not None and changes:
        cause_id = await add_cause(connection, organization_id, cause)
    # Python makes the events while the database stores the learners.
    made = asyncio.create_task(
        compute(
            len(changes),
            lambda: [_make_event(organization_id, change, cause, cause_id) for change in changes],
        )
    )
    await insert_rows(connection, learners, STORED_COLUMNS, rows.created)
    await add_texts(connection, organization_id, rows.new_texts)
    for names, values in rows.updated.items():
        await update_rows(connection, learners, _KEYS, names, values)
    await change_texts(connection, rows.changed_texts)
    columns = _EVENT_COLUMNS if cause_id is None else _CAUSED_EVENT_COLUMNS
    await insert_rows(connection, events, columns, await made)


class _LearnerRows:
    """What these changes store, apart from the events."""

    def __init__(self, organization_id: int, changes: Sequence[Change]) -> None:
        self.new_texts: list[LearnerText] = []
        # Grouped by the columns that changed: SQLite rewrites the indexes of every column that is set.
        self.updated: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        self.changed_texts: list[LearnerText] = []
        # In the order of ids: two transactions that touch the same rows do so in the same order. New learners, too, so
        # that SQLite numbers its rows in that order (see sort.py).
        created: list[Learner] = []
        for before, after, _ in sorted(changes, key=_get_id):
            if before is None:
                created.append(after)
                self.new_texts.append(LearnerText(after.id, search_text(after)))
                continue
            differing = {
                name: becomes
                for name, was, becomes in zip(
                    COLUMNS, _read_columns(before), _read_columns(after), strict=True
                )
                if was != becomes
            }
            self.updated[tuple(differing)].append((organization_id, after.id, *differing.values()))
            if not SEARCHED_NAMES.isdisjoint(differing):
                self.changed_texts.append(LearnerText(after.id, search_text(after)))
        self.created = [make_row(organization_id, learner) for learner in created]


def make_row(organization_id: int, learner: Learner) -> tuple[Any, ...]:
    """Make the values of STORED_COLUMNS."""
    return (organization_id, *_read_columns(learner))


_get_id = attrgetter("after.id")


def _make_event(organization_id: int, change: Change, cause: Cause, cause_id: int | None) -> tuple[Any, ...]:
    """Make the values of _EVENT_COLUMNS, or of _CAUSED_EVENT_COLUMNS if there is a stored cause. See `history`."""
    before, after = event_documents(change, cause.today)
    if cause_id is not None:
        if change.before is None:
            after = {"status": after["status"]}
        learner = change.after
        return (
            *(organization_id, learner.id, learner.version, change.type.value),
            *(cause_id, before, after),
        )
    event = Event(
        id=new_id(cause.at),
        type=change.type.value,
        learner_id=change.after.id,
        version=change.after.version,
        occurred_at=cause.at,
        actor=cause.actor,
        operation_id=cause.operation_id,
        reason=cause.reason,
        before=before,
        after=after,
    )
    return (organization_id, *event)
