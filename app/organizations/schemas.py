"""Organizations, keys and the caller on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.profile import MAX_LENGTH, clean_name
from app.organizations.api_keys import ApiKey, Scope
from app.organizations.organization import Organization, clean_max_deactivations, clean_time_zone
from app.platform.fields import Instant, PlainText, cleaned_by, shown_length

_KEY_ID = "019a8c5e-0000-7000-8000-000000000001"
_ORGANIZATION: JsonDict = {
    "id": "019a8c5d-1111-7222-8333-444455556666",
    "slug": "default",
    "name": "Example Academy",
    "time_zone": "Europe/Berlin",
    "max_deactivations": "20%",
    "expiring_days": 14,
    "created_at": "2026-01-12T09:00:00Z",
}
_KEY: JsonDict = {
    "id": _KEY_ID,
    "name": "hr-feed",
    "prefix": "rollcall_4Zt9Qa",
    "scopes": ["learners:bulk", "learners:read"],
    "created_at": "2026-01-12T09:00:00Z",
    "expires_at": None,
    "last_used_at": "2026-11-02T10:00:00Z",
    "revoked_at": None,
}

DisplayName = Annotated[
    PlainText,
    Field(json_schema_extra=shown_length(MAX_LENGTH), description="1 to 255 characters."),
    cleaned_by(clean_name),
]
TimeZone = Annotated[
    PlainText,
    Field(description="An IANA time zone; its calendar day decides what has expired."),
    cleaned_by(clean_time_zone),
]
MaxDeactivations = Annotated[
    PlainText,
    Field(
        description="How many learners one import may deactivate for want of a row: a number, or a percentage."
    ),
    cleaned_by(clean_max_deactivations),
]
ExpiringDays = Annotated[
    int,
    Field(
        ge=0,
        le=366,
        strict=True,
        description="How many days before its expiration date an account counts as expiring.",
    ),
]


class OrganizationDocument(BaseModel):
    """The organization that the credential names."""

    model_config = ConfigDict(title="Organization", json_schema_extra={"examples": [_ORGANIZATION]})

    id: str
    slug: str
    name: str
    time_zone: str
    max_deactivations: str
    expiring_days: int
    created_at: datetime


class OrganizationPatch(BaseModel):
    """A merge patch (RFC 7396): what is absent stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"time_zone": "Europe/Berlin"}]}
    )

    name: Annotated[DisplayName, Field(default_factory=str)]
    time_zone: Annotated[TimeZone, Field(default_factory=str)]
    max_deactivations: Annotated[MaxDeactivations, Field(default_factory=str)]
    expiring_days: Annotated[ExpiringDays, Field(default_factory=int)]


class ApiKeyDocument(BaseModel):
    """An API key, without its secret."""

    model_config = ConfigDict(title="ApiKey", json_schema_extra={"examples": [_KEY]})

    id: str
    name: str
    prefix: Annotated[str, Field(description="How the secret begins, to tell keys apart.")]
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="Up to a minute behind.")]
    revoked_at: datetime | None


class NewApiKey(BaseModel):
    """A key to issue."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "hr-feed", "scopes": ["learners:read", "learners:bulk"], "expires_at": None}
            ]
        },
    )

    name: DisplayName
    scopes: Annotated[
        list[Scope],
        Field(
            min_length=1,
            max_length=20,
            description="What it may do. `learners:read`: learners, their history, operations. `learners:write`: "
            "one learner at a time. `learners:bulk`: bulk actions, imports, operations. `access:check`: the "
            "portal's question. `events:read`: histories. `admin`: all of it, the organization, its keys and webhooks.",
        ),
    ]
    expires_at: Annotated[Instant | None, Field(description="When it ends by itself; null = never.")] = None


class IssuedApiKey(ApiKeyDocument):
    """A new key with its secret, which is shown this once."""

    model_config = ConfigDict(
        title="IssuedApiKey",
        json_schema_extra={"examples": [_KEY | {"last_used_at": None, "secret": "rollcall_4Zt9Qa…"}]},
    )

    secret: Annotated[str, Field(description="Send it as `Authorization: Bearer <secret>`. Shown only now.")]


class ActorDocument(BaseModel):
    """Who is asking."""

    kind: str
    id: str | None
    name: str


class MeDocument(BaseModel):
    """What a credential stands for."""

    model_config = ConfigDict(
        title="Me",
        json_schema_extra={
            "examples": [
                {
                    "organization": _ORGANIZATION,
                    "actor": {"kind": "api-key", "id": _KEY_ID, "name": "hr-feed"},
                    "scopes": ["learners:bulk", "learners:read"],
                }
            ]
        },
    )

    organization: OrganizationDocument
    actor: ActorDocument
    scopes: list[Scope]


def present_organization(organization: Organization) -> dict[str, Any]:
    """The members of OrganizationDocument."""
    return {
        "id": organization.public_id,
        "slug": organization.slug,
        "name": organization.name,
        "time_zone": organization.time_zone,
        "max_deactivations": organization.max_deactivations,
        "expiring_days": organization.expiring_days,
        "created_at": organization.created_at,
    }


def present_key(key: ApiKey) -> dict[str, Any]:
    """The members of ApiKeyDocument."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
