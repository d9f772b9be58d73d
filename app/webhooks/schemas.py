"""Webhooks and deliveries on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.events import EventType
from app.platform.fields import PlainText, clean_with, document_length
from app.webhooks.delivery import Delivery, DeliveryState
from app.webhooks.webhook import MAX_URL_LENGTH, DisabledReason, Webhook, clean_url

_WEBHOOK_ID = "019a8c61-2222-7333-8444-555566667777"
_WEBHOOK: JsonDict = {
    "id": _WEBHOOK_ID,
    "url": "https://hr.example.org/rollcall",
    "description": "Tells HR who has lost access",
    "event_types": ["learner.deactivated", "learner.expired"],
    "enabled": True,
    "disabled_reason": None,
    "last_delivered_at": "2026-11-02T10:00:00Z",
    "created_at": "2026-01-12T09:00:00Z",
    "updated_at": "2026-01-12T09:00:00Z",
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw…"  # noqa: S105 - an example
_DELIVERY: JsonDict = {
    "id": "019a8c61-3333-7444-8555-666677778888",
    "event_id": "019a8c5e-9d10-7a3c-8f11-5b7e1c2d3e4f",
    "event_type": "learner.deactivated",
    "state": "pending",
    "attempts": 1,
    "response_status": 503,
    "error": "The endpoint answered 503; only 2xx says that it has the message.",
    "duration_ms": 84,
    "created_at": "2026-11-02T10:00:00Z",
    "last_attempt_at": "2026-11-02T10:00:01Z",
    "next_attempt_at": "2026-11-02T10:00:06Z",
}

Url = Annotated[
    PlainText,
    Field(
        json_schema_extra=document_length(MAX_URL_LENGTH),
        description="Where messages are sent by POST: https, and no private network, unless the service's settings "
        "allow it.",
    ),
    clean_with(clean_url),
]
Description = Annotated[PlainText, Field(max_length=1000, description="What it is for.")]
EventTypes = Annotated[
    list[EventType],
    Field(max_length=len(EventType), description="What it is told of; empty = everything."),
    AfterValidator(lambda types: list(dict.fromkeys(types))),
]
Enabled = Annotated[
    bool,
    Field(
        strict=True,
        description="Whether anything is sent. What happens meanwhile is kept, and sent once it is enabled again.",
    ),
]


class WebhookDocument(BaseModel):
    """A webhook, without its secret."""

    model_config = ConfigDict(title="Webhook", json_schema_extra={"examples": [_WEBHOOK]})

    id: str
    url: str
    description: str | None
    event_types: Annotated[list[EventType], Field(description="What it is told of; empty = everything.")]
    enabled: bool
    disabled_reason: Annotated[
        DisabledReason | None,
        Field(
            description="Why the service has disabled it: `gone` (the endpoint answered 410) or `failing` (a delivery "
            "was given up after some three days, in which nothing came through). Null where a person did."
        ),
    ]
    last_delivered_at: datetime | None
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(WebhookDocument):
    """A webhook with a new secret, which is shown this once."""

    model_config = ConfigDict(
        title="WebhookWithSecret", json_schema_extra={"examples": [_WEBHOOK | {"secret": _SECRET}]}
    )

    secret: Annotated[
        str, Field(description="By which the receiver verifies messages (Standard Webhooks). Shown only now.")
    ]


class NewWebhook(BaseModel):
    """A webhook to create."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "url": "https://hr.example.org/rollcall",
                    "event_types": ["learner.deactivated", "learner.expired"],
                }
            ]
        },
    )

    url: Url
    description: Description | None = None
    event_types: EventTypes = []
    enabled: Enabled = True


class WebhookPatch(BaseModel):
    """A merge patch (RFC 7396): what is absent stays, null clears."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    url: Annotated[Url, Field(default_factory=str)]
    description: Description | None = None
    event_types: Annotated[EventTypes, Field(default_factory=list)]
    enabled: Annotated[Enabled, Field(default_factory=bool)]


class DeliveryDocument(BaseModel):
    """A message on its way to a webhook."""

    model_config = ConfigDict(title="Delivery", json_schema_extra={"examples": [_DELIVERY]})

    id: str
    event_id: Annotated[
        str | None, Field(description="The event, and the `webhook-id` of its messages; null for a test.")
    ]
    event_type: Annotated[str, Field(description="The type of the event, or `webhook.test`.")]
    state: DeliveryState
    attempts: Annotated[int, Field(description="How often it was sent.")]
    response_status: Annotated[
        int | None, Field(description="What the endpoint answered last; null where it did not.")
    ]
    error: Annotated[str | None, Field(description="What went wrong the last time, as a sentence.")]
    duration_ms: Annotated[int | None, Field(description="How long the last attempt took, in milliseconds.")]
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: Annotated[datetime | None, Field(description="When it is sent next; null = not again.")]


def present(webhook: Webhook) -> dict[str, Any]:
    """The members of WebhookDocument."""
    return {
        "id": webhook.id,
        "url": webhook.url,
        "description": webhook.description,
        "event_types": webhook.event_types,
        "enabled": webhook.is_enabled,
        "disabled_reason": webhook.disabled_reason,
        "last_delivered_at": webhook.last_delivered_at,
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }


def present_delivery(delivery: Delivery) -> dict[str, Any]:
    """The members of DeliveryDocument."""
    return {name: getattr(delivery, name) for name in DeliveryDocument.model_fields}
