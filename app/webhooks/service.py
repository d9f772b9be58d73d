"""Use cases of webhooks: create, change, replace the secret, remove, test and retry."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.repository import get_last_event_position
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.ids import new_id
from app.webhooks import repository
from app.webhooks.delivery import Delivery, new_test_delivery
from app.webhooks.errors import DeliveryNotFound, PrivateAddress, TooManyWebhooks
from app.webhooks.messages import TEST_EVENT, build_test_message, send_message
from app.webhooks.sender import Sender
from app.webhooks.webhook import (
    MAX_WEBHOOKS,
    SECRETS_OVERLAP,
    Webhook,
    WebhookChange,
    WebhookSettings,
    apply_change,
    is_public,
    new_signing_secret,
)


async def create_webhook(
    connection: AsyncConnection,
    sender: Sender,
    organization_id: int,
    settings: WebhookSettings,
    now: datetime,
) -> Webhook:
    """Create a webhook, which receives events from now on. Raises PrivateAddress and TooManyWebhooks."""
    _require_allowed(sender, settings.url)
    if await repository.count_webhooks(connection, organization_id) >= MAX_WEBHOOKS:
        raise TooManyWebhooks
    webhook = Webhook(
        id=new_id(now),
        organization_id=organization_id,
        url=settings.url,
        description=settings.description,
        event_types=settings.event_types,
        secret=new_signing_secret(),
        previous_secret=None,
        previous_secret_until=None,
        is_enabled=settings.is_enabled,
        disabled_reason=None,
        position=await get_last_event_position(connection),
        last_delivered_at=None,
        created_at=now,
        updated_at=now,
    )
    await repository.insert_webhook(connection, webhook)
    return webhook


async def change_webhook(
    connection: AsyncConnection,
    sender: Sender,
    organization_id: int,
    webhook_id: str,
    change: WebhookChange,
    now: datetime,
) -> Webhook:
    """Change a webhook's settings. Raises WebhookNotFound and PrivateAddress."""
    webhook = await repository.lock_webhook(connection, organization_id, webhook_id)
    if change.url is not None:
        _require_allowed(sender, change.url)
    changed = apply_change(webhook, change)
    if changed == webhook:
        return webhook
    changed = replace(changed, updated_at=now)
    await repository.update_webhook(connection, changed)
    return changed


async def rotate_secret(
    connection: AsyncConnection, organization_id: int, webhook_id: str, now: datetime
) -> Webhook:
    """Replace a webhook's secret. For SECRETS_OVERLAP both secrets sign. Raises WebhookNotFound."""
    webhook = await repository.lock_webhook(connection, organization_id, webhook_id)
    changed = replace(
        webhook,
        secret=new_signing_secret(),
        previous_secret=webhook.secret,
        previous_secret_until=now + SECRETS_OVERLAP,
        updated_at=now,
    )
    await repository.update_webhook(connection, changed)
    return changed


async def remove_webhook(
    connection: AsyncConnection, organization_id: int, webhook_id: str, now: datetime
) -> None:
    """Remove a webhook. Raises WebhookNotFound."""
    webhook = await repository.lock_webhook(connection, organization_id, webhook_id)
    await repository.remove_webhook(connection, webhook.id, now)


async def send_test(database: Database, clock: Clock, sender: Sender, webhook: Webhook) -> Delivery:
    """Send a test message once, now, even if the webhook is disabled. Store and return its delivery."""
    now = clock.now()
    identifier = new_id(now)
    attempt = await send_message(sender, clock, webhook, identifier, build_test_message(webhook.id, now))
    delivery = new_test_delivery(identifier, webhook.id, TEST_EVENT, attempt, now)
    await database.write(_store_test, delivery, now if attempt.was_received else None)
    return delivery


async def _store_test(connection: AsyncConnection, delivery: Delivery, received_at: datetime | None) -> None:
    await repository.insert_deliveries(connection, [delivery])
    if received_at is not None:
        await repository.record_delivered(connection, delivery.webhook_id, received_at)


async def retry_delivery(
    connection: AsyncConnection, organization_id: int, webhook_id: str, delivery_id: str, now: datetime
) -> Delivery:
    """Make the delivery of an event due now, with all its attempts ahead. Raises WebhookNotFound, DeliveryNotFound."""
    webhook = await repository.get_webhook(connection, organization_id, webhook_id)
    delivery = await repository.reset_delivery(connection, webhook.id, delivery_id, now)
    if delivery is None:
        raise DeliveryNotFound
    return delivery


def _require_allowed(sender: Sender, url: str) -> None:
    if not sender.to_private_networks and not is_public(url):
        raise PrivateAddress
