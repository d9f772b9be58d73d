"""Wire models of webhooks and deliveries."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.events import EventType
from app.learners.wish import NO_CHANGE
from app.platform.fields import PlainText, clean_with, document_length
from app.webhooks.delivery import Delivery, DeliveryState
from app.webhooks.failures import NotAccepted, describe_failure
from app.webhooks.webhook import MAX_URL_LENGTH, DisabledReason, Webhook, WebhookChange, clean_url

_WEBHOOK_ID = "019a8c61-2222-7333-8444-555566667777"
_WEBHOOK: JsonDict = {
    "id": _WEBHOOK_ID,
    "url": "https://hr.example.org/rollcall",
    "description": "Tells HR about lost access",
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
    "error": describe_failure(NotAccepted(503)),
    "duration_ms": 84,
    "created_at": "2026-11-02T10:00:00Z",
    "last_attempt_at": "2026-11-02T10:00:01Z",
    "next_attempt_at": "2026-11-02T10:00:06Z",
}

Url = Annotated[
    PlainText,
    Field(
        json_schema_extra=document_length(MAX_URL_LENGTH),
        description="Messages are sent to this URL by POST. It must use https and a public address, unless the "
        "operator allows others.",
    ),
    clean_with(clean_url),
]
Description = Annotated[PlainText, Field(max_length=1000, description="What the webhook is for.")]
EventTypes = Annotated[
    list[EventType],
    Field(max_length=len(EventType), description="The event types to send. An empty list means all types."),
    AfterValidator(lambda types: list(dict.fromkeys(types))),
]
Enabled = Annotated[
    bool,
    Field(
        strict=True,
        description="Whether events are sent. While a webhook is disabled, new events are kept. They are sent when you "
        "enable it again.",
    ),
]


class WebhookDocument(BaseModel):
    """A webhook, without its secret."""

    model_config = ConfigDict(title="Webhook", json_schema_extra={"examples": [_WEBHOOK]})

    id: str
    url: str
    description: str | None
    event_types: Annotated[
        list[EventType], Field(description="The event types to send. An empty list means all types.")
    ]
    enabled: bool
    disabled_reason: Annotated[
        DisabledReason | None,
        Field(
            description="Why the service has disabled the webhook. `gone`: the endpoint returned 410. `failing`: a "
            "delivery failed for three days, and no message was received in that time. Null if the webhook is enabled, "
            "or if a person disabled it."
        ),
    ]
    last_delivered_at: datetime | None
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(WebhookDocument):
    """A webhook with a new secret, which is shown only once."""

    model_config = ConfigDict(
        title="WebhookWithSecret", json_schema_extra={"examples": [_WEBHOOK | {"secret": _SECRET}]}
    )

    secret: Annotated[
        str, Field(description="Use it to verify messages (Standard Webhooks). It is shown only once.")
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
    """A merge patch (RFC 7396). Members that you leave out keep their values; null clears `description`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    url: Annotated[Url, Field(default_factory=str)]
    description: Description | None = None
    event_types: Annotated[EventTypes, Field(default_factory=list)]
    enabled: Annotated[Enabled, Field(default_factory=bool)]


class DeliveryDocument(BaseModel):
    """An event or a test that is sent to a webhook."""

    model_config = ConfigDict(title="Delivery", json_schema_extra={"examples": [_DELIVERY]})

    id: str
    event_id: Annotated[
        str | None,
        Field(description="The event's id, which is also the `webhook-id` of its messages. Null for a test."),
    ]
    event_type: Annotated[str, Field(description="The type of the event, or `webhook.test`.")]
    state: DeliveryState
    attempts: Annotated[int, Field(description="The number of attempts so far.")]
    response_status: Annotated[
        int | None,
        Field(description="The HTTP status that the endpoint last returned. Null if it did not answer."),
    ]
    error: Annotated[
        str | None, Field(description="Why the last attempt failed, as a sentence. Null if it did not fail.")
    ]
    duration_ms: Annotated[int | None, Field(description="The duration of the last attempt in milliseconds.")]
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: Annotated[
        datetime | None, Field(description="When the next attempt is due. Null if there is none.")
    ]


def read_change(patch: WebhookPatch) -> WebhookChange:
    """Return the change that a merge patch asks for."""
    sent = patch.model_fields_set
    return WebhookChange(
        url=patch.url if "url" in sent else None,
        description=patch.description if "description" in sent else NO_CHANGE,
        event_types=tuple(patch.event_types) if "event_types" in sent else None,
        is_enabled=patch.enabled if "enabled" in sent else None,
    )


def present(webhook: Webhook) -> dict[str, Any]:
    """Return the members of WebhookDocument."""
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
    """Return the members of DeliveryDocument."""
    return {name: getattr(delivery, name) for name in DeliveryDocument.model_fields}
