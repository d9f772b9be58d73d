"""All SQL on webhooks and their deliveries."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.bulk_rows import delete_up_to
from app.webhooks.delivery import Delivery, DeliveryState
from app.webhooks.errors import WebhookNotFound
from app.webhooks.tables import webhook_deliveries, webhooks
from app.webhooks.webhook import DisabledReason, Webhook

_COLUMNS = [webhooks.c[field.name] for field in fields(Webhook)]
_DELIVERY_COLUMNS = [webhook_deliveries.c[field.name] for field in fields(Delivery)]


async def insert_webhook(connection: AsyncConnection, webhook: Webhook) -> None:
    """Store a new webhook."""
    await connection.execute(insert(webhooks).values(_webhook_values(webhook)))


async def count_webhooks(connection: AsyncConnection, organization_id: int) -> int:
    """Return how many webhooks the organization has."""
    statement = select(func.count()).select_from(webhooks).where(_is_of(organization_id))
    return int((await connection.execute(statement)).scalar_one())


async def list_webhooks(
    connection: AsyncConnection, organization_id: int, *, after: str | None, limit: int
) -> list[Webhook]:
    """Return the organization's webhooks, newest first. `after`: an id, exclusive."""
    statement = select(*_COLUMNS).where(_is_of(organization_id)).order_by(webhooks.c.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(webhooks.c.id < after)
    return [_read_webhook(row) for row in (await connection.execute(statement)).mappings()]


async def list_enabled(connection: AsyncConnection) -> list[Webhook]:
    """Return the enabled webhooks of all organizations."""
    statement = select(*_COLUMNS).where(webhooks.c.is_enabled).order_by(webhooks.c.id)
    return [_read_webhook(row) for row in (await connection.execute(statement)).mappings()]


async def get_webhook(connection: AsyncConnection, organization_id: int, webhook_id: str) -> Webhook:
    """Return the organization's webhook with this id. Raises WebhookNotFound."""
    return await _get_webhook(connection, organization_id, webhook_id, lock=False)


async def lock_webhook(connection: AsyncConnection, organization_id: int, webhook_id: str) -> Webhook:
    """Lock and return the organization's webhook with this id. Raises WebhookNotFound."""
    return await _get_webhook(connection, organization_id, webhook_id, lock=True)


async def _get_webhook(
    connection: AsyncConnection, organization_id: int, webhook_id: str, *, lock: bool
) -> Webhook:
    statement = select(*_COLUMNS).where(_is_of(organization_id), webhooks.c.id == webhook_id)
    found = await connection.execute(statement.with_for_update() if lock else statement)
    row = found.mappings().one_or_none()
    if row is None:
        raise WebhookNotFound
    return _read_webhook(row)


async def update_webhook(connection: AsyncConnection, webhook: Webhook) -> None:
    """Store every value of a webhook, which this transaction has locked."""
    statement = update(webhooks).where(webhooks.c.id == webhook.id).values(_webhook_values(webhook))
    await connection.execute(statement)


async def record_delivered(connection: AsyncConnection, webhook_id: str, now: datetime) -> None:
    """Store that the endpoint has received a message."""
    statement = update(webhooks).where(webhooks.c.id == webhook_id).values(last_delivered_at=now)
    await connection.execute(statement)


async def remove_webhook(connection: AsyncConnection, webhook_id: str, now: datetime) -> None:
    """Mark a webhook as removed. Housekeeping deletes its deliveries and its row."""
    statement = (
        update(webhooks)
        .where(webhooks.c.id == webhook_id)
        .values(removed_at=now, is_enabled=False, secret="", previous_secret=None)
    )
    await connection.execute(statement)


async def list_removed(connection: AsyncConnection) -> list[str]:
    """Return the ids of removed webhooks that still have rows."""
    statement = select(webhooks.c.id).where(webhooks.c.removed_at.is_not(None))
    return list((await connection.execute(statement)).scalars())


async def delete_remains(connection: AsyncConnection, webhook_id: str, limit: int) -> int:
    """Delete up to `limit` deliveries of a removed webhook, or the webhook itself if it has none.

    Return how many deliveries were deleted.
    """
    number = await delete_up_to(
        connection, webhook_deliveries, webhook_deliveries.c.webhook_id == webhook_id, limit
    )
    if number == 0:
        await connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
    return number


async def insert_deliveries(connection: AsyncConnection, deliveries: Sequence[Delivery]) -> None:
    """Store new deliveries."""
    await connection.execute(insert(webhook_deliveries), [asdict(each) for each in deliveries])


async def count_pending(connection: AsyncConnection, webhook_id: str, most: int) -> int:
    """Return how many deliveries of a webhook are pending, or `most` if there are more."""
    some = select(1).where(_is_due_at(webhook_id, None)).limit(most).subquery()
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())


async def claim_due(
    connection: AsyncConnection, webhook_id: str, now: datetime, until: datetime, limit: int
) -> list[Delivery]:
    """Begin an attempt of up to `limit` due deliveries and return them. No other process gets them before `until`."""
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
    return [_read_delivery(row) for row in (await connection.execute(claim)).mappings()]


async def has_due(connection: AsyncConnection, webhook_id: str, now: datetime) -> bool:
    """Return whether a webhook has a delivery that is due."""
    statement = select(1).where(_is_due_at(webhook_id, now)).limit(1)
    return (await connection.execute(statement)).scalar() is not None


async def store_attempt(connection: AsyncConnection, delivery: Delivery) -> bool:
    """Store the result of the latest attempt of `delivery`. Return False if a later attempt has begun."""
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
    """Return the deliveries of a webhook, newest first. `after`: an id, exclusive."""
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
    return [_read_delivery(row) for row in (await connection.execute(statement)).mappings()]


async def reset_delivery(
    connection: AsyncConnection, webhook_id: str, delivery_id: str, now: datetime
) -> Delivery | None:
    """Make the delivery of an event due now, like a new one. Return None if the webhook has no such delivery."""
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
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else _read_delivery(row)


async def delete_ended_deliveries(connection: AsyncConnection, older_than: str, limit: int) -> int:
    """Delete up to `limit` ended deliveries with ids smaller than `older_than`. Return how many were deleted."""
    condition = (webhook_deliveries.c.id < older_than) & webhook_deliveries.c.next_attempt_at.is_(None)
    return await delete_up_to(connection, webhook_deliveries, condition, limit)


def _is_of(organization_id: int) -> ColumnElement[bool]:
    return (webhooks.c.organization_id == organization_id) & webhooks.c.removed_at.is_(None)


def _is_due_at(webhook_id: str, now: datetime | None) -> ColumnElement[bool]:
    condition = (webhook_deliveries.c.webhook_id == webhook_id) & (
        webhook_deliveries.c.next_attempt_at.is_not(None)
    )
    return condition if now is None else condition & (webhook_deliveries.c.next_attempt_at <= now)


def _webhook_values(webhook: Webhook) -> dict[str, Any]:
    return asdict(webhook) | {"event_types": list(webhook.event_types)}


def _read_webhook(row: RowMapping) -> Webhook:
    reason = row["disabled_reason"]
    return Webhook(
        **dict(row)
        | {
            "disabled_reason": None if reason is None else DisabledReason(reason),
            "event_types": tuple(row["event_types"]),
        }
    )


def _read_delivery(row: RowMapping) -> Delivery:
    return Delivery(**dict(row) | {"state": DeliveryState(row["state"])})
