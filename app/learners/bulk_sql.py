"""Activates or deactivates thousands of learners with a few statements, by the rules in status_sql."""

from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Select,
    String,
    Text,
    and_,
    bindparam,
    cast,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.events import EventType
from app.learners import status_sql
from app.learners.history import add_cause
from app.learners.learner import Cause
from app.learners.tables import events, learners
from app.platform.bulk_rows import is_one_of
from app.platform.column_types import instant_as_text
from app.platform.ids import new_ids
from app.platform.instants import instant_text


class Action(StrEnum):
    """What a bulk action does to each learner."""

    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"


async def lock_many(connection: AsyncConnection, organization_id: int, ids: Collection[str]) -> set[str]:
    """Lock these learners until the transaction ends, in id order, and return the ids that exist."""
    statement = (
        select(learners.c.id)
        .where(
            learners.c.organization_id == organization_id,
            is_one_of(learners.c.id, ids, connection.dialect.name),
        )
        .order_by(learners.c.id)
        .with_for_update()
    )
    return set((await connection.execute(statement)).scalars())


class DecidedLearner(NamedTuple):
    """What an action does to one learner: `outcome` is `changed`, `unchanged` or `refused`.

    `expires_on` and `restores_to` tell why a learner is refused.
    """

    id: str
    username: str
    outcome: str
    expires_on: date | None
    restores_to: str


def select_decisions(
    action: Action, organization_id: int, ids: Collection[str], cause: Cause, dialect: str
) -> Select[Any]:
    """Make a query for what the action does to each of these learners, in id order: rows of DecidedLearner."""
    columns: dict[str, ColumnElement[Any]] = {
        "id": learners.c.id,
        "username": learners.c.username,
        "outcome": _outcome(action, cause),
        "expires_on": learners.c.expires_on,
        "restores_to": status_sql.STATUS_UNLESS_EXPIRED,
    }
    return (
        select(*(columns[name].label(name) for name in DecidedLearner._fields))
        .where(learners.c.organization_id == organization_id, is_one_of(learners.c.id, ids, dialect))
        .order_by(learners.c.id)
    )


async def apply_action(
    connection: AsyncConnection, action: Action, organization_id: int, ids: Collection[str], cause: Cause
) -> None:
    """Apply the action to the locked learners that it changes, and store their events."""
    dialect = connection.dialect.name
    is_changed = and_(
        learners.c.organization_id == organization_id,
        is_one_of(learners.c.id, ids, dialect),
        _outcome(action, cause) == "changed",
    )
    cause_id = None
    if cause.operation_id is not None:
        cause_id = await add_cause(connection, organization_id, cause)
    await connection.execute(_insert_events(action, is_changed, cause, cause_id, dialect))
    is_deactivation = action is Action.DEACTIVATE
    values = status_sql.deactivate_values(cause.at) if is_deactivation else status_sql.activate_values()
    await connection.execute(
        update(learners)
        .where(is_changed)
        .values(**values, updated_at=cause.at, version=learners.c.version + 1)
    )


def _outcome(action: Action, cause: Cause) -> ColumnElement[str]:
    if action is Action.DEACTIVATE:
        return status_sql.deactivate_outcome()
    return status_sql.activate_outcome(cause.today)


def _insert_events(
    action: Action, is_changed: ColumnElement[bool], cause: Cause, cause_id: int | None, dialect: str
) -> Any:
    was_at: ColumnElement[Any]
    if action is Action.DEACTIVATE:
        event_type, status_after = EventType.DEACTIVATED, status_sql.status_after_deactivation()
        was_at, is_at = literal("null", Text), literal(f'"{instant_text(cause.at)}"', Text)
    else:
        event_type, status_after = EventType.ACTIVATED, status_sql.status_after_activation()
        was_at = literal('"', Text) + instant_as_text(learners.c.deactivated_at, dialect) + literal('"', Text)
        is_at = literal("null", Text)
    columns: dict[str, ColumnElement[Any]] = {
        "organization_id": learners.c.organization_id,
        "type": literal(event_type.value, String),
        "learner_id": learners.c.id,
        "version": learners.c.version + 1,
        "before": _document(was_at, status_sql.resolve_status(cause.today), dialect),
        "after": _document(is_at, status_sql.resolve_status(cause.today, status_after), dialect),
    }
    if cause_id is None:
        columns |= {
            "id": new_ids(cause.at),
            "occurred_at": bindparam("occurred_at", cause.at, type_=events.c.occurred_at.type),
            "actor": bindparam("actor", dict(cause.actor), type_=JSON),
            "reason": bindparam("reason", cause.reason, type_=Text),
        }
    else:
        columns["cause_id"] = bindparam("cause_id", cause_id, type_=Integer)
    chosen = select(*(column.label(f"new_{name}") for name, column in columns.items())).where(is_changed)
    return insert(events).from_select(list(columns), chosen.order_by(learners.c.id))


def _document(
    deactivated_at: ColumnElement[Any], status: ColumnElement[str], dialect: str
) -> ColumnElement[Any]:
    # Nothing in it needs escaping: it holds an instant and the name of a status.
    opening, middle, closing = (literal(part, Text) for part in ('{"deactivated_at":', ',"status":"', '"}'))
    document = opening + deactivated_at + middle + cast(status, Text) + closing
    # SQLite's CAST AS JSON would make a number of it.
    return cast(document, JSON) if dialect == "postgresql" else document
