"""Messages in the form that Standard Webhooks recommends (`type`, `timestamp`, `data`), and how they are sent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.learners.learner import Event
from app.learners.schemas import EventDocument
from app.platform.clock import Clock
from app.platform.instants import instant_text
from app.webhooks.delivery import Attempt
from app.webhooks.metrics import WEBHOOK_ATTEMPTS
from app.webhooks.sender import Sender
from app.webhooks.webhook import Webhook

TEST_EVENT = "webhook.test"


def build_event_message(event: Event) -> dict[str, Any]:
    """Return the message for an event. `data` has the members of an event in a learner's history."""
    document = EventDocument(**event._asdict()).model_dump(mode="json")
    return {"type": document["type"], "timestamp": document["occurred_at"], "data": document}


def build_test_message(webhook_id: str, now: datetime) -> dict[str, Any]:
    """Return the message that tests a webhook."""
    return {"type": TEST_EVENT, "timestamp": instant_text(now), "data": {"webhook_id": webhook_id}}


async def send_message(
    sender: Sender, clock: Clock, webhook: Webhook, message_id: str, message: Mapping[str, Any]
) -> Attempt:
    """Send a message to a webhook once, now. Failures are returned, not raised."""
    now = clock.now()
    attempt = await sender.send(webhook.url, webhook.list_secrets(now), message_id, message, now)
    WEBHOOK_ATTEMPTS.labels("received" if attempt.was_received else "failed").inc()
    return attempt
