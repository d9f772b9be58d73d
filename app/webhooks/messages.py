"""The messages that webhooks receive, in the form that Standard Webhooks recommends: `type`, `timestamp`, `data`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.learners.schemas import EventDocument
from app.platform.clock import Clock
from app.platform.instants import instant_text
from app.webhooks.delivery import Attempt
from app.webhooks.metrics import WEBHOOK_ATTEMPTS
from app.webhooks.sender import Sender
from app.webhooks.webhook import Webhook

TEST_EVENT = "webhook.test"


def event_message(event: Mapping[str, Any]) -> dict[str, Any]:
    """The message that tells of an event, whose members are those of a learner's history."""
    document = EventDocument(**event).model_dump(mode="json")
    return {"type": document["type"], "timestamp": document["occurred_at"], "data": document}


def test_message(webhook: Webhook, now: datetime) -> dict[str, Any]:
    """The message by which somebody finds out whether a webhook works."""
    return {"type": TEST_EVENT, "timestamp": instant_text(now), "data": {"webhook_id": webhook.id}}


async def send(
    sender: Sender, clock: Clock, webhook: Webhook, message_id: str, message: Mapping[str, Any]
) -> Attempt:
    """Send a message to a webhook now, once. Never raises for the endpoint."""
    now = clock.now()
    attempt = await sender.send(webhook.url, webhook.secrets_at(now), message_id, message, now)
    WEBHOOK_ATTEMPTS.labels("received" if attempt.was_received else "failed").inc()
    return attempt
