"""Storing changes of learners: the facts, the searched texts and the events, in one transaction.

Apart from the repository's questions, because this is the one place through which every change goes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.learner import (
    Cause,
    Change,
    Learner,
    event_documents,
    last_name_key,
    search_text,
    username_key,
)
from app.learners.search_index import add_texts, change_texts
from app.learners.tables import EVENT_FIELDS, events, learners
from app.platform.bulk_rows import insert_rows, update_rows
from app.platform.ids import new_id
from app.platform.threads import compute

# What stored_row gives, in its order.
STORED_COLUMNS = (
    "organization_id",
    "id",
    "username",
    "username_key",
    "external_id",
    "email",
    "first_name",
    "last_name",
    "last_name_key",
    "deactivated_at",
    "first_accessed_at",
    "expires_on",
    "sessions_valid_from",
    "last_accessed_at",
    "updated_at",
    "version",
)
_KEYS = STORED_COLUMNS[:2]
# The columns that search_text is made of.
_SEARCHED = frozenset({"username", "email", "first_name", "last_name"})
# What _event gives, in its order.
_EVENT_COLUMNS = ("organization_id", *EVENT_FIELDS)


async def record(
    connection: AsyncConnection, organization_id: int, changes: Sequence[Change], cause: Cause
) -> None:
    """Store these changes and append one event for each, in the caller's transaction."""
    rows = await compute(len(changes), lambda: _LearnerRows(organization_id, changes))
    # The events are made while the database stores the learners.
    written = asyncio.create_task(
        compute(len(changes), lambda: [_event(organization_id, change, cause) for change in changes])
    )
    await insert_rows(connection, learners, STORED_COLUMNS, rows.created)
    await add_texts(connection, organization_id, rows.new_texts)
    for names, values in rows.updated.items():
        await update_rows(connection, learners, _KEYS, names, values)
    await change_texts(connection, rows.changed_texts)
    await insert_rows(connection, events, _EVENT_COLUMNS, await written)


class _LearnerRows:
    """What is to be stored of these changes, apart from the events."""

    def __init__(self, organization_id: int, changes: Sequence[Change]) -> None:
        self.created: list[tuple[Any, ...]] = []
        self.new_texts: list[tuple[str, str]] = []
        # Grouped by the columns that changed: SQLite rewrites the indexes of every column that is set.
        self.updated: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        self.changed_texts: list[tuple[str, str]] = []
        # In the order of ids and keys, so that two transactions that meet do so in the same order.
        for before, after, _ in sorted(changes, key=_id):
            becomes = stored_row(organization_id, after)
            if before is None:
                self.created.append(becomes)
                self.new_texts.append((after.id, search_text(after)))
                continue
            was = stored_row(organization_id, before)
            differing = [place for place, value in enumerate(becomes) if value != was[place]]
            names = tuple(STORED_COLUMNS[place] for place in differing)
            self.updated[names].append((organization_id, after.id, *(becomes[place] for place in differing)))
            if not _SEARCHED.isdisjoint(names):
                self.changed_texts.append((after.id, search_text(after)))
        self.created.sort(key=_username_key)


def _id(change: Change) -> str:
    return change.after.id


def stored_row(organization_id: int, learner: Learner) -> tuple[Any, ...]:
    """The values of STORED_COLUMNS."""
    account = learner.account
    return (
        organization_id,
        learner.id,
        learner.username,
        username_key(learner.username),
        learner.external_id,
        learner.email,
        learner.first_name,
        learner.last_name,
        last_name_key(learner.last_name),
        account.deactivated_at,
        account.first_accessed_at,
        account.expires_on,
        account.sessions_valid_from,
        learner.last_accessed_at,
        learner.updated_at,
        learner.version,
    )


def _username_key(stored: tuple[Any, ...]) -> str:
    key: str = stored[3]
    return key


def _event(organization_id: int, change: Change, cause: Cause) -> tuple[Any, ...]:
    before, after = event_documents(change, cause.today)
    return (
        organization_id,
        new_id(cause.at),
        change.type.value,
        change.after.id,
        change.after.version,
        cause.at,
        cause.actor,
        cause.operation_id,
        cause.reason,
        before,
        after,
    )
