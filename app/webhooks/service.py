"""Creating and changing webhooks, and trying one out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.repository import last_event_position
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.ids import new_id
from app.webhooks import repository
from app.webhooks.delivery import Delivery, tested
from app.webhooks.messages import TEST_EVENT, send, test_message
from app.webhooks.problems import PrivateAddress, TooManyWebhooks, WebhookNotFound
from app.webhooks.sender import Sender
from app.webhooks.webhook import MAX_WEBHOOKS, SECRETS_OVERLAP, Webhook, is_public, new_signing_secret


async def create(
    connection: AsyncConnection,
    sender: Sender,
    organization_id: int,
    values: Mapping[str, Any],
    now: datetime,
) -> Webhook:
    """A new webhook, told of what happens from now on. Raises PrivateAddress and TooManyWebhooks."""
    _check_address(sender, values["url"])
    if await repository.count_webhooks(connection, organization_id) >= MAX_WEBHOOKS:
        raise TooManyWebhooks
    webhook = Webhook(
        id=new_id(now),
        organization_id=organization_id,
        url=values["url"],
        description=values["description"],
        event_types=tuple(values["event_types"]),
        secret=new_signing_secret(),
        previous_secret=None,
        previous_secret_until=None,
        is_enabled=values["enabled"],
        disabled_reason=None,
        position=await last_event_position(connection),
        last_delivered_at=None,
        created_at=now,
        updated_at=now,
    )
    await repository.insert_webhook(connection, webhook)
    return webhook


async def change(
    connection: AsyncConnection,
    sender: Sender,
    organization_id: int,
    webhook_id: str | None,
    values: Mapping[str, Any],
    now: datetime,
) -> Webhook:
    """Change some members of a webhook. Raises WebhookNotFound and PrivateAddress."""
    webhook = await get(connection, organization_id, webhook_id, lock=True)
    if "url" in values:
        _check_address(sender, values["url"])
    changes = dict(values)
    if "enabled" in changes:
        changes["is_enabled"] = changes.pop("enabled")
        if changes["is_enabled"]:
            changes["disabled_reason"] = None
    if "event_types" in changes:
        changes["event_types"] = tuple(changes["event_types"])
    changed = replace(webhook, **changes)
    if changed == webhook:
        return webhook
    changed = replace(changed, updated_at=now)
    await repository.update_webhook(connection, webhook.id, {**changes, "updated_at": now})
    return changed


async def rotate_secret(
    connection: AsyncConnection, organization_id: int, webhook_id: str | None, now: datetime
) -> Webhook:
    """Give a webhook another secret; the old one signs too for a while. Raises WebhookNotFound."""
    webhook = await get(connection, organization_id, webhook_id, lock=True)
    values: dict[str, Any] = {
        "secret": new_signing_secret(),
        "previous_secret": webhook.secret,
        "previous_secret_until": now + SECRETS_OVERLAP,
        "updated_at": now,
    }
    await repository.update_webhook(connection, webhook.id, values)
    return replace(webhook, **values)


async def get(
    connection: AsyncConnection, organization_id: int, webhook_id: str | None, *, lock: bool = False
) -> Webhook:
    """The webhook with this id. Raises WebhookNotFound."""
    found = webhook_id and await repository.find(connection, organization_id, webhook_id, lock=lock)
    if not found:
        raise WebhookNotFound
    return found


def _check_address(sender: Sender, url: str) -> None:
    if not sender.to_private_networks and not is_public(url):
        raise PrivateAddress


async def try_out(database: Database, clock: Clock, sender: Sender, webhook: Webhook) -> Delivery:
    """Send a test now, once, enabled or not, and keep what became of it."""
    now = clock.now()
    identifier = new_id(now)
    attempt = await send(sender, clock, webhook, identifier, test_message(webhook, now))
    delivery = tested(identifier, webhook, TEST_EVENT, attempt, now)

    async def transaction(connection: AsyncConnection) -> None:
        await repository.insert_deliveries(connection, [delivery])
        if attempt.was_received:
            await repository.update_webhook(connection, webhook.id, {"last_delivered_at": now})

    await database.write(transaction)
    return delivery
