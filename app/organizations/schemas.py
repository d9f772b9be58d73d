"""Wire models of organizations, API keys and the caller."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.profile import MAX_LENGTH, clean_name
from app.organizations.api_keys import ApiKey, Scope
from app.organizations.organization import Organization, clean_max_deactivations, clean_time_zone
from app.platform.fields import Between, Instant, PlainText, clean_with, document_length

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
    Field(json_schema_extra=document_length(MAX_LENGTH), description="1 to 255 characters."),
    clean_with(clean_name),
]
TimeZone = Annotated[
    PlainText,
    Field(
        description="An IANA time zone name. An account expires when its last day of access ends in this time zone."
    ),
    clean_with(clean_time_zone),
]
MaxDeactivations = Annotated[
    PlainText,
    Field(
        description="How many learners an import with `missing=deactivate` may deactivate: a number, or a "
        "percentage such as `20%`. An import can set its own limit. An import that would deactivate "
        "more is refused."
    ),
    clean_with(clean_max_deactivations),
]
ExpiringDays = Annotated[
    int,
    Field(
        strict=True,
        description="Days of notice before the expiration date. Stored, but not used yet.",
    ),
    Between(0, 366),
]


class OrganizationDocument(BaseModel):
    """The organization that an API key belongs to."""

    model_config = ConfigDict(title="Organization", json_schema_extra={"examples": [_ORGANIZATION]})

    id: str
    slug: str
    name: str
    time_zone: str
    max_deactivations: str
    expiring_days: int
    created_at: datetime


class OrganizationPatch(BaseModel):
    """A merge patch (RFC 7396). Members that you leave out keep their values."""

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
    prefix: Annotated[str, Field(description="The first characters of the secret, to tell keys apart.")]
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: Annotated[
        datetime | None, Field(description="When the key was last used. Can be up to a minute out of date.")
    ]
    revoked_at: datetime | None


class NewApiKey(BaseModel):
    """A key to create."""

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
            description="What the key may do. `learners:read`: read learners, their history and operations. "
            "`learners:write`: create and change single learners. `learners:bulk`: run and read bulk actions, "
            "imports and other operations. `access:check`: check access, for the portal. `events:read`: read "
            "histories. `admin`: everything, including the organization, its keys and webhooks.",
        ),
    ]
    expires_at: Annotated[Instant | None, Field(description="When the key expires. Null means never.")] = None


class ApiKeyWithSecret(ApiKeyDocument):
    """A new key with its secret, which is shown only once."""

    model_config = ConfigDict(
        title="ApiKeyWithSecret",
        json_schema_extra={"examples": [_KEY | {"last_used_at": None, "secret": "rollcall_4Zt9Qa…"}]},
    )

    secret: Annotated[
        str, Field(description="Send it as `Authorization: Bearer <secret>`. It is shown only once.")
    ]


class ActorDocument(BaseModel):
    """The actor that events and operations record for calls with this key."""

    kind: str
    id: str | None
    name: str


class MeDocument(BaseModel):
    """The organization, actor and scopes of an API key."""

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
    """Return the members of OrganizationDocument."""
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
    """Return the members of ApiKeyDocument."""
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
