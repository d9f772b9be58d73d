"""Founding organizations, and issuing and revoking their keys. The caller owns the transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.profile import clean_name
from app.organizations import repository
from app.organizations.api_keys import ApiKey, Scope, hash_secret, new_secret, shown_prefix
from app.organizations.errors import ApiKeyNotFound, SlugTaken
from app.organizations.organization import (
    DEFAULT_EXPIRING_DAYS,
    DEFAULT_MAX_DEACTIVATIONS,
    DEFAULT_SLUG,
    Organization,
    clean_slug,
    clean_time_zone,
)
from app.platform.ids import new_id


async def create_organization(
    connection: AsyncConnection, slug: str, name: str, time_zone: str, now: datetime
) -> Organization:
    """A new organization. Raises InvalidValue and SlugTaken."""
    if await repository.find_organization(connection, clean_slug(slug)) is not None:
        raise SlugTaken(slug)
    return await repository.insert_organization(
        connection,
        {
            "public_id": new_id(now),
            "slug": slug,
            "name": clean_name(name),
            "time_zone": clean_time_zone(time_zone),
            "max_deactivations": DEFAULT_MAX_DEACTIVATIONS,
            "expiring_days": DEFAULT_EXPIRING_DAYS,
            "created_at": now,
        },
    )


async def issue_key(
    connection: AsyncConnection,
    organization: Organization,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can find out again. Raises InvalidValue."""
    secret = new_secret()
    key = ApiKey(
        id=new_id(now),
        organization_id=organization.id,
        name=clean_name(name),
        prefix=shown_prefix(secret),
        scopes=tuple(sorted(set(scopes))),
        created_at=now,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
    )
    await repository.insert_key(connection, key, hash_secret(secret))
    return key, secret


async def revoke_key(connection: AsyncConnection, organization_id: int, key_id: str, now: datetime) -> None:
    """Revoke a key; safe to repeat. Raises ApiKeyNotFound."""
    if await repository.find_key(connection, organization_id, key_id) is None:
        raise ApiKeyNotFound
    await repository.revoke_key(connection, organization_id, key_id, now)


async def ensure_default_organization(connection: AsyncConnection, now: datetime) -> Organization | None:
    """Create the organization `default` where there is none at all; answers it only then."""
    if await repository.list_organizations(connection):
        return None
    try:
        return await create_organization(connection, DEFAULT_SLUG, "Default organization", "UTC", now)
    except SlugTaken:  # another process was quicker
        return None


async def found_default_organization(connection: AsyncConnection, now: datetime) -> str | None:
    """What the first start does: create `default`, and answer the secret of its first admin key, once."""
    organization = await ensure_default_organization(connection, now)
    if organization is None:
        return None
    _, secret = await issue_key(connection, organization, "first-admin", [Scope.ADMIN], None, now)
    return secret
