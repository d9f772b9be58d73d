"""Learners and their events on the wire."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model
from pydantic.json_schema import SkipJsonSchema

from app.domain.events import EventType
from app.domain.status import Status, can_log_in, resolve_status, restores_to
from app.learners.fields import PROFILE, PROFILE_NAMES, ProfileField
from app.learners.filters import LearnerFilter
from app.learners.learner import Learner
from app.learners.wish import NO_CHANGE, Wish
from app.platform.fields import Day, Instant, Reason, clean_with, document_length, reject_with
from app.platform.paging import CursorText, Limit, Page


def _text_type(field: ProfileField) -> Any:
    return Annotated[
        # Not PlainText: the rule refuses control characters itself, and names may have every kind of line break.
        str,
        Field(
            json_schema_extra=document_length(field.max_length),
            description=field.description,
            examples=[field.example],
        ),
        clean_with(field.clean),
    ]


_TEXT_TYPES = {field.name: _text_type(field) for field in PROFILE}
# Values for the examples in openapi.yaml.
_EXAMPLE_PROFILE: dict[str, JsonValue] = {field.name: field.example for field in PROFILE}

ExpiresOn = Annotated[
    Day,
    Field(
        description="The last day of access, in the organization's time zone. Null means that access never expires."
    ),
]
ShownExpiresOn = Annotated[
    date | None,
    Field(
        description="The last day of access, in the organization's time zone. Null means that access never expires."
    ),
]
RefusedStatus = SkipJsonSchema[
    Annotated[
        None,
        reject_with(
            "You cannot set the status. Use POST /learners/{id}/activate or POST /learners/{id}/deactivate, or set "
            "expires_on."
        ),
    ]
]


class _IdentifiedDocument(BaseModel):
    id: str


_SHOWN: dict[str, Any] = {field.name: (str if field.is_required else str | None, ...) for field in PROFILE}
_ProfileDocument = create_model("_ProfileDocument", __base__=_IdentifiedDocument, **_SHOWN)


class LearnerDocument(_ProfileDocument):
    """One learner. `status`, `can_log_in` and `restores_to` describe the moment of the response."""

    model_config = ConfigDict(
        title="Learner",
        json_schema_extra={
            "examples": [
                {
                    "id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
                    **_EXAMPLE_PROFILE,
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

    status: Annotated[Status, Field(description="Follows from the members below and today's date.")]
    can_log_in: Annotated[bool, Field(description="True if the status is active or activated.")]
    restores_to: Annotated[
        Literal["active", "activated", "deactivated"] | None,
        Field(description="The status after a new expiration date. Null unless the learner has expired."),
    ]
    expires_on: ShownExpiresOn
    deactivated_at: Annotated[
        datetime | None,
        Field(description="When the learner was deactivated. Null if they are not deactivated now."),
    ]
    first_accessed_at: Annotated[
        datetime | None, Field(description="When the learner first accessed training. Null if never.")
    ]
    last_accessed_at: Annotated[
        datetime | None, Field(description="When the learner last accessed training. Null if never.")
    ]
    sessions_valid_from: Annotated[
        datetime | None,
        Field(
            description="When the learner was last deactivated. Portal sessions that began earlier are refused. "
            "Null if never."
        ),
    ]
    created_at: Annotated[datetime, Field(description="When the learner was created.")]
    updated_at: Annotated[
        datetime,
        Field(
            description="When the learner last changed. The first access counts as a change, later ones do not."
        ),
    ]
    version: Annotated[int, Field(description="1 for a new learner. Grows by 1 with each change.")]


class LearnerPage(Page[LearnerDocument]):
    """A page of learners."""

    total: Annotated[int | None, Field(description="How many learners match. Only with `include=total`.")] = (
        None
    )


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
            description="The order. A leading `-` reverses it. `last_name` puts learners without a last name first, "
            "`expires_on` puts learners who never expire last."
        ),
    ] = "username"
    limit: Limit = 50
    cursor: CursorText = None
    include: Annotated[
        Literal["total"] | None, Field(description="`total` adds the number of all matches to the response.")
    ] = None

    def filter_document(self) -> dict[str, Any]:
        """Return the filter and the order without paging. A cursor belongs to these."""
        return self.model_dump(mode="json", exclude={"limit", "cursor", "include"})


class StatusCounts(BaseModel):
    """The number of learners with each status."""

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


_OPTIONAL: dict[str, Any] = {
    field.name: (_TEXT_TYPES[field.name] | None, None) for field in PROFILE if not field.is_required
}
_REQUIRED: dict[str, Any] = {
    field.name: (_TEXT_TYPES[field.name], ...) for field in PROFILE if field.is_required
}
_NewProfile = create_model("_NewProfile", **_REQUIRED, **_OPTIONAL)


class NewLearner(_NewProfile):
    """A new learner. The status is activated, or expired if `expires_on` has passed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE_PROFILE,
                    "expires_on": "2027-12-31",
                }
            ]
        },
    )

    expires_on: ExpiresOn | None = None
    status: RefusedStatus = None

    def wish(self) -> Wish:
        """Return the wish for the new learner."""
        return Wish({name: getattr(self, name) for name in PROFILE_NAMES}, self.expires_on)


# A required field may be absent, but not null. It has no default that a client could mistake for a value.
_PATCHED: dict[str, Any] = {name: (kind, Field(default_factory=str)) for name, (kind, _) in _REQUIRED.items()}
_PatchedProfile = create_model("_PatchedProfile", **_PATCHED, **_OPTIONAL)


class LearnerPatch(_PatchedProfile):
    """A merge patch (RFC 7396). Members that you leave out keep their values; null clears an optional member."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"expires_on": "2027-12-31"}]})

    expires_on: ExpiresOn | None = None
    status: RefusedStatus = None

    def wish(self) -> Wish:
        """Return the wish. An absent member changes nothing."""
        sent = self.model_fields_set
        return Wish(
            {name: getattr(self, name) for name in PROFILE_NAMES if name in sent},
            self.expires_on if "expires_on" in sent else NO_CHANGE,
        )


class ActionBody(BaseModel):
    """The optional body of an action on one learner."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "contract ended"}]})

    reason: Reason | None = None


class EventDocument(BaseModel):
    """One recorded change of a learner. Events are never changed or removed."""

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
    type: Annotated[EventType, Field(description="The kind of change.")]
    learner_id: str
    version: Annotated[int, Field(description="The learner's version after the change.")]
    occurred_at: Annotated[datetime, Field(description="When the change was made.")]
    actor: Annotated[dict[str, Any], Field(description="Who made the change: `kind`, `id` and `name`.")]
    operation_id: Annotated[
        str | None,
        Field(
            description="The operation that the change was part of. Null if it was made to this learner alone."
        ),
    ]
    reason: Annotated[str | None, Field(description="The reason, if one was given.")]
    before: Annotated[
        dict[str, Any],
        Field(description="What changed, and the status, before the change. Empty for a new learner."),
    ]
    after: Annotated[dict[str, Any], Field(description="The same members after the change.")]


SessionStartedAt = Annotated[
    Instant | None,
    Field(
        description="When the portal session began (RFC 3339, with an offset). A session that began before the "
        "learner's last deactivation is refused. If you leave this out, no session is checked."
    ),
]


def present(learner: Learner, today: date) -> dict[str, Any]:
    """Return the members of LearnerDocument for the organization's calendar day `today`."""
    account = learner.account
    status = resolve_status(account, today)
    return {
        "id": learner.id,
        **{name: getattr(learner, name) for name in PROFILE_NAMES},
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
