"""All SQL on webhooks and their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.bulk_rows import delete_up_to
from app.webhooks.delivery import Delivery, DeliveryState
from app.webhooks.tables import webhook_deliveries, webhooks
from app.webhooks.webhook import DisabledReason, Webhook

_FIELDS = [field.name for field in fields(Webhook)]
_COLUMNS = [webhooks.c[name] for name in _FIELDS]
_DELIVERY_FIELDS = [field.name for field in fields(Delivery)]
_DELIVERY_COLUMNS = [webhook_deliveries.c[name] for name in _DELIVERY_FIELDS]


def _webhook(row: Row[Any]) -> Webhook:
    values = dict(zip(_FIELDS, row, strict=True))
    reason = values["disabled_reason"]
    values["disabled_reason"] = None if reason is None else DisabledReason(reason)
    return Webhook(**{**values, "event_types": tuple(values["event_types"])})


def _delivery(row: Row[Any]) -> Delivery:
    values = dict(zip(_DELIVERY_FIELDS, row, strict=True))
    return Delivery(**{**values, "state": DeliveryState(values["state"])})


async def insert_webhook(connection: AsyncConnection, webhook: Webhook) -> None:
    """Store a new webhook."""
    values = {name: getattr(webhook, name) for name in _FIELDS}
    await connection.execute(insert(webhooks).values({**values, "event_types": list(webhook.event_types)}))


async def count_webhooks(connection: AsyncConnection, organization_id: int) -> int:
    """How many webhooks the organization has."""
    statement = select(func.count()).select_from(webhooks).where(_is_of(organization_id))
    return int((await connection.execute(statement)).scalar_one())


async def list_webhooks(
    connection: AsyncConnection, organization_id: int, *, after: str | None, limit: int
) -> list[Webhook]:
    """The organization's webhooks, newest first; `after`: an id, exclusive."""
    statement = select(*_COLUMNS).where(_is_of(organization_id)).order_by(webhooks.c.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(webhooks.c.id < after)
    return [_webhook(row) for row in await connection.execute(statement)]


async def list_enabled(connection: AsyncConnection) -> list[Webhook]:
    """Every webhook of every organization to which events are to be sent."""
    statement = select(*_COLUMNS).where(webhooks.c.is_enabled).order_by(webhooks.c.id)
    return [_webhook(row) for row in await connection.execute(statement)]


async def find(
    connection: AsyncConnection, organization_id: int, webhook_id: str, *, lock: bool = False
) -> Webhook | None:
    """The organization's webhook with this id; `lock`: kept by this transaction."""
    statement = select(*_COLUMNS).where(_is_of(organization_id), webhooks.c.id == webhook_id)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return None if row is None else _webhook(row)


async def update_webhook(connection: AsyncConnection, webhook_id: str, values: Mapping[str, Any]) -> None:
    """Set these columns."""
    await connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))


async def remove_webhook(connection: AsyncConnection, webhook_id: str, now: datetime) -> None:
    """Remove a webhook; what is left of it, housekeeping takes away."""
    values = {"removed_at": now, "is_enabled": False, "secret": "", "previous_secret": None}
    await update_webhook(connection, webhook_id, values)


async def list_removed(connection: AsyncConnection) -> list[str]:
    """The ids of the webhooks of which something is left though they are removed."""
    statement = select(webhooks.c.id).where(webhooks.c.removed_at.is_not(None))
    return list((await connection.execute(statement)).scalars())


async def delete_remains(connection: AsyncConnection, webhook_id: str, limit: int) -> int:
    """Take away up to `limit` deliveries of a removed webhook, and at last itself; how many there were."""
    number = await delete_up_to(
        connection, webhook_deliveries, webhook_deliveries.c.webhook_id == webhook_id, limit
    )
    if number == 0:
        await connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
    return number


async def insert_deliveries(connection: AsyncConnection, deliveries: Sequence[Delivery]) -> None:
    """Store new deliveries."""
    values = [{name: getattr(each, name) for name in _DELIVERY_FIELDS} for each in deliveries]
    await connection.execute(insert(webhook_deliveries), values)


async def count_pending(connection: AsyncConnection, webhook_id: str, most: int) -> int:
    """How many deliveries of a webhook are pending; `most` where there are more."""
    some = select(1).where(_is_due_at(webhook_id, None)).limit(most).subquery()
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())


async def claim_due(
    connection: AsyncConnection, webhook_id: str, now: datetime, until: datetime, limit: int
) -> list[Delivery]:
    """Up to `limit` deliveries that are due, each an attempt further; nobody else gets them before `until`."""
    due = (
        select(webhook_deliveries.c.id)
        .where(_is_due_at(webhook_id, now))
        .order_by(webhook_deliveries.c.next_attempt_at, webhook_deliveries.c.event_position)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list((await connection.execute(due)).scalars())
    if not ids:
        return []
    claim = (
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id.in_(ids))
        .values(attempts=webhook_deliveries.c.attempts + 1, last_attempt_at=now, next_attempt_at=until)
        .returning(*_DELIVERY_COLUMNS)
    )
    return [_delivery(row) for row in await connection.execute(claim)]


async def is_due(connection: AsyncConnection, webhook_id: str, now: datetime) -> bool:
    """Whether there is something to send to a webhook."""
    statement = select(1).where(_is_due_at(webhook_id, now)).limit(1)
    return (await connection.execute(statement)).scalar() is not None


async def store_attempt(connection: AsyncConnection, delivery: Delivery) -> bool:
    """What became of the attempt that `delivery` counts last; False where a later one has begun since."""
    statement = (
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id == delivery.id, webhook_deliveries.c.attempts == delivery.attempts)
        .values(
            state=delivery.state,
            next_attempt_at=delivery.next_attempt_at,
            response_status=delivery.response_status,
            error=delivery.error,
            duration_ms=delivery.duration_ms,
        )
    )
    return (await connection.execute(statement)).rowcount == 1


async def list_deliveries(
    connection: AsyncConnection,
    webhook_id: str,
    *,
    state: DeliveryState | None,
    after: str | None,
    limit: int,
) -> list[Delivery]:
    """The deliveries of a webhook, newest first; `after`: an id, exclusive."""
    statement = (
        select(*_DELIVERY_COLUMNS)
        .where(webhook_deliveries.c.webhook_id == webhook_id)
        .order_by(webhook_deliveries.c.id.desc())
        .limit(limit)
    )
    if state is not None:
        statement = statement.where(webhook_deliveries.c.state == state)
    if after is not None:
        statement = statement.where(webhook_deliveries.c.id < after)
    return [_delivery(row) for row in await connection.execute(statement)]


async def retry_delivery(
    connection: AsyncConnection, webhook_id: str, delivery_id: str, now: datetime
) -> Delivery | None:
    """Make a delivery due at once, as if it were new; None where the webhook has none with this id, of an event."""
    statement = (
        update(webhook_deliveries)
        .where(
            webhook_deliveries.c.webhook_id == webhook_id,
            webhook_deliveries.c.id == delivery_id,
            webhook_deliveries.c.event_position.is_not(None),
        )
        .values(
            state=DeliveryState.PENDING,
            attempts=0,
            next_attempt_at=now,
            response_status=None,
            error=None,
            duration_ms=None,
        )
        .returning(*_DELIVERY_COLUMNS)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _delivery(row)


async def delete_ended_deliveries(connection: AsyncConnection, older_than: str, limit: int) -> int:
    """Remove up to `limit` deliveries that have ended and have smaller ids than this; how many there were."""
    condition = (webhook_deliveries.c.id < older_than) & webhook_deliveries.c.next_attempt_at.is_(None)
    return await delete_up_to(connection, webhook_deliveries, condition, limit)


def _is_of(organization_id: int) -> ColumnElement[bool]:
    return (webhooks.c.organization_id == organization_id) & webhooks.c.removed_at.is_(None)


def _is_due_at(webhook_id: str, now: datetime | None) -> ColumnElement[bool]:
    condition = (webhook_deliveries.c.webhook_id == webhook_id) & (
        webhook_deliveries.c.next_attempt_at.is_not(None)
    )
    return condition if now is None else condition & (webhook_deliveries.c.next_attempt_at <= now)
