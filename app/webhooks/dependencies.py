"""What the routes of webhooks take: the sender, and the ids in their paths."""

from typing import Annotated

from fastapi import Depends, Path

from app.platform.ids import parse_id
from app.platform.state import StateKey
from app.webhooks.errors import DeliveryNotFound, WebhookNotFound
from app.webhooks.sender import Sender

SENDER: StateKey[Sender] = StateKey("sender")
CurrentSender = Annotated[Sender, Depends(SENDER)]

WebhookIdPath = Annotated[
    str, Path(description="The webhook's id.", examples=["019a8c61-2222-7333-8444-555566667777"])
]
DeliveryIdPath = Annotated[
    str, Path(description="The delivery's id.", examples=["019a8c61-3333-7444-8555-666677778888"])
]


def webhook_id_of(sent: str) -> str:
    """Return the id in canonical form. Raises WebhookNotFound if it is not a UUID."""
    parsed = parse_id(sent)
    if parsed is None:
        raise WebhookNotFound
    return parsed


def delivery_id_of(sent: str) -> str:
    """Return the id in canonical form. Raises DeliveryNotFound if it is not a UUID."""
    parsed = parse_id(sent)
    if parsed is None:
        raise DeliveryNotFound
    return parsed
