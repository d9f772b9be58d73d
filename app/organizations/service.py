"""Use cases of organizations and their keys. The caller owns the transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.profile import clean_name
from app.organizations import repository
from app.organizations.api_keys import ApiKey, Scope, hash_secret, new_secret, shown_prefix
from app.organizations.errors import ApiKeyNotFound, KeyExpiresInPast, SlugTaken
from app.organizations.organization import (
    DEFAULT_SLUG,
    NewOrganization,
    Organization,
    clean_slug,
    clean_time_zone,
)
from app.platform.ids import new_id


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key and its secret. Only the hash of the secret is stored."""

    key: ApiKey
    secret: str


async def create_organization(
    connection: AsyncConnection, slug: str, name: str, time_zone: str, now: datetime
) -> Organization:
    """Create an organization. Raises InvalidValue and SlugTaken."""
    if await repository.find_organization(connection, clean_slug(slug)) is not None:
        raise SlugTaken(slug)
    organization = NewOrganization(
        public_id=new_id(now),
        slug=slug,
        name=clean_name(name),
        time_zone=clean_time_zone(time_zone),
        created_at=now,
    )
    return await repository.insert_organization(connection, organization)


async def create_key(
    connection: AsyncConnection,
    organization: Organization,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    now: datetime,
) -> CreatedKey:
    """Create an API key. Raises InvalidValue and KeyExpiresInPast."""
    if expires_at is not None and expires_at <= now:
        raise KeyExpiresInPast
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
    return CreatedKey(key, secret)


async def revoke_key(connection: AsyncConnection, organization_id: int, key_id: str, now: datetime) -> None:
    """Revoke a key. Safe to repeat. Raises ApiKeyNotFound."""
    if await repository.find_key(connection, organization_id, key_id) is None:
        raise ApiKeyNotFound
    await repository.revoke_key(connection, organization_id, key_id, now)


async def ensure_default_organization(connection: AsyncConnection, now: datetime) -> Organization | None:
    """Create the organization `default` if there is no organization yet. Return it only if it was created."""
    if await repository.list_organizations(connection):
        return None
    try:
        return await create_organization(connection, DEFAULT_SLUG, "Default organization", "UTC", now)
    except SlugTaken:  # another process was faster
        return None


async def set_up_first_start(connection: AsyncConnection, now: datetime) -> str | None:
    """Create the organization `default` and its first admin key if there is no organization yet.

    Return the secret of the key, or None if there was an organization.
    """
    organization = await ensure_default_organization(connection, now)
    if organization is None:
        return None
    return (await create_key(connection, organization, "first-admin", [Scope.ADMIN], None, now)).secret
