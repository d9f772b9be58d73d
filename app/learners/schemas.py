"""Learners and their events on the wire."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.domain.events import EventType
from app.domain.profile import (
    MAX_EMAIL_LENGTH,
    MAX_LENGTH,
    clean_email,
    clean_external_id,
    clean_name,
    clean_username,
)
from app.domain.status import Status, can_log_in, resolve_status, restores_to
from app.learners.filters import LearnerFilter
from app.learners.learner import Learner
from app.platform.fields import Day, Instant, PlainText, Reason, cleaned_by, refused_with, shown_length
from app.platform.paging import CursorText, Limit, Page

Username = Annotated[
    PlainText,
    Field(
        json_schema_extra=shown_length(MAX_LENGTH),
        description="Unique in the organization, in any case.",
        examples=["a.okafor"],
    ),
    cleaned_by(clean_username),
]
Email = Annotated[
    PlainText,
    Field(json_schema_extra=shown_length(MAX_EMAIL_LENGTH), examples=["a.okafor@example.org"]),
    cleaned_by(clean_email),
]
Name = Annotated[
    PlainText,
    Field(json_schema_extra=shown_length(MAX_LENGTH), examples=["Adaeze"]),
    cleaned_by(clean_name),
]
ExternalId = Annotated[
    PlainText,
    Field(
        json_schema_extra=shown_length(MAX_LENGTH),
        description="The HR system's id; unique where set.",
        examples=["HR-1003"],
    ),
    cleaned_by(clean_external_id),
]
ExpiresOn = Annotated[
    Day, Field(description="The last day of access, in the organization's time zone; null = never expires.")
]
RefusedStatus = SkipJsonSchema[
    Annotated[
        None,
        refused_with(
            "Status cannot be written: it follows from the facts. Use POST /learners/{id}/activate or "
            "POST /learners/{id}/deactivate, or set expires_on."
        ),
    ]
]


class LearnerDocument(BaseModel):
    """One learner. `status`, `can_log_in` and `restores_to` are resolved at the moment of the answer."""

    model_config = ConfigDict(
        title="Learner",
        json_schema_extra={
            "examples": [
                {
                    "id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
                    "username": "a.okafor",
                    "email": "a.okafor@example.org",
                    "first_name": "Adaeze",
                    "last_name": "Okafor",
                    "external_id": "HR-1003",
                    "status": "expired",
                    "can_log_in": False,
                    "restores_to": "active",
                    "expires_on": "2026-10-31",
                    "deactivated_at": None,
                    "first_accessed_at": "2026-02-03T08:15:00Z",
                    "last_accessed_at": "2026-10-30T16:40:12.5Z",
                    "sessions_valid_from": None,
                    "created_at": "2026-01-12T09:00:00Z",
                    "updated_at": "2026-06-01T07:30:00Z",
                    "version": 7,
                }
            ]
        },
    )

    id: str
    username: str
    email: str | None
    first_name: str | None
    last_name: str | None
    external_id: str | None
    status: Status
    can_log_in: bool
    restores_to: Annotated[
        Literal["active", "activated", "deactivated"] | None,
        Field(description="Only of an expired learner: the status that a new expiration date restores."),
    ]
    expires_on: date | None
    deactivated_at: datetime | None
    first_accessed_at: datetime | None
    last_accessed_at: datetime | None
    sessions_valid_from: Annotated[
        datetime | None,
        Field(
            description="The last deactivation: portal sessions that began before are refused. Null = none yet."
        ),
    ]
    created_at: datetime
    updated_at: Annotated[datetime, Field(description="The last change; accesses do not count.")]
    version: int


class LearnerPage(Page[LearnerDocument]):
    """A page of learners."""

    total: Annotated[int | None, Field(description="How many match in all; with `include=total`.")] = None


class LearnerQuery(LearnerFilter):
    """The parameters of `GET /learners`."""

    sort: Annotated[
        Literal[
            "username",
            "-username",
            "last_name",
            "-last_name",
            "created_at",
            "-created_at",
            "updated_at",
            "-updated_at",
            "expires_on",
            "-expires_on",
        ],
        Field(
            description="`-` for descending. By `last_name` those without one come first; by `expires_on` those who "
            "never expire come last; descending it is the other way round."
        ),
    ] = "username"
    limit: Limit = 50
    cursor: CursorText = None
    include: Annotated[Literal["total"] | None, Field(description="`total`: also count all matches.")] = None

    def filter_document(self) -> dict[str, Any]:
        """The filter and the order, without paging: what a cursor belongs to."""
        return self.model_dump(mode="json", exclude={"limit", "cursor", "include"})


class StatusCounts(BaseModel):
    """How many learners have each status."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"active": 1, "activated": 2, "deactivated": 3, "expired": 4, "total": 10}]
        }
    )

    active: int
    activated: int
    deactivated: int
    expired: int
    total: int


class NewLearner(BaseModel):
    """A learner to create: activated, unless the expiration date has passed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "username": "a.okafor",
                    "email": "a.okafor@example.org",
                    "first_name": "Adaeze",
                    "last_name": "Okafor",
                    "external_id": "HR-1003",
                    "expires_on": "2027-12-31",
                }
            ]
        },
    )

    username: Username
    email: Email | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    external_id: ExternalId | None = None
    expires_on: ExpiresOn | None = None
    status: RefusedStatus = None


class LearnerPatch(BaseModel):
    """A merge patch (RFC 7396): what is absent stays, null clears."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"expires_on": "2027-12-31"}]})

    # No default that a client could mistake for a value: absent is absent, and null is refused.
    username: Annotated[Username, Field(default_factory=str)]
    email: Email | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    external_id: ExternalId | None = None
    expires_on: ExpiresOn | None = None
    status: RefusedStatus = None


class ActionBody(BaseModel):
    """The optional body of an action on one learner."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "contract ended"}]})

    reason: Reason | None = None


class EventDocument(BaseModel):
    """One change of a learner: never altered, never removed."""

    model_config = ConfigDict(
        title="Event",
        json_schema_extra={
            "examples": [
                {
                    "id": "019a8c5e-9d10-7a3c-8f11-5b7e1c2d3e4f",
                    "type": "learner.deactivated",
                    "learner_id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
                    "version": 8,
                    "occurred_at": "2026-11-02T10:00:00Z",
                    "actor": {
                        "kind": "api-key",
                        "id": "019a8c5e-0000-7000-8000-000000000001",
                        "name": "hr-feed",
                    },
                    "operation_id": None,
                    "reason": "contract ended",
                    "before": {"deactivated_at": None, "status": "active"},
                    "after": {"deactivated_at": "2026-11-02T10:00:00.000000Z", "status": "deactivated"},
                }
            ]
        },
    )

    id: str
    type: EventType
    learner_id: str
    version: Annotated[int, Field(description="The learner's version after the change.")]
    occurred_at: datetime
    actor: Annotated[dict[str, Any], Field(description="Who: `kind`, `id` and `name`.")]
    operation_id: Annotated[str | None, Field(description="The operation that it was part of.")]
    reason: str | None
    before: Annotated[
        dict[str, Any], Field(description="The facts that changed and the status, as they were.")
    ]
    after: Annotated[dict[str, Any], Field(description="The same as they became.")]


SessionStartedAt = Annotated[
    Instant | None,
    Field(description="When the portal session began (RFC 3339 with an offset); judged too where given."),
]


def present(learner: Learner, today: date) -> dict[str, Any]:
    """The members of LearnerDocument, resolved on the organization's calendar day `today`."""
    account = learner.account
    status = resolve_status(account, today)
    return {
        "id": learner.id,
        "username": learner.username,
        "email": learner.email,
        "first_name": learner.first_name,
        "last_name": learner.last_name,
        "external_id": learner.external_id,
        "status": status,
        "can_log_in": can_log_in(status),
        "restores_to": restores_to(account, today),
        "expires_on": account.expires_on,
        "deactivated_at": account.deactivated_at,
        "first_accessed_at": account.first_accessed_at,
        "last_accessed_at": learner.last_accessed_at,
        "sessions_valid_from": account.sessions_valid_from,
        "created_at": learner.created_at,
        "updated_at": learner.updated_at,
        "version": learner.version,
    }
