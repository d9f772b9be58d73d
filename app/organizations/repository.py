"""All SQL on organizations and API keys."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.organizations.api_keys import ApiKey, Scope
from app.organizations.organization import NewOrganization, Organization, OrganizationChange
from app.organizations.principal import Credential
from app.organizations.tables import api_keys, organizations

_ORGANIZATION_COLUMNS = [organizations.c[field.name] for field in fields(Organization)]
_KEY_COLUMNS = [api_keys.c[field.name] for field in fields(ApiKey)]
# Names that both tables have need a prefix in a joined row.
_OWNER = "organization_"


async def find_organization(connection: AsyncConnection, slug: str) -> Organization | None:
    """Return the organization with this slug, or None."""
    statement = select(*_ORGANIZATION_COLUMNS).where(organizations.c.slug == slug)
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else Organization(**row)


async def get_organization(connection: AsyncConnection, organization_id: int) -> Organization:
    """Return the organization with this internal key. Raises NoResultFound."""
    statement = select(*_ORGANIZATION_COLUMNS).where(organizations.c.id == organization_id)
    return Organization(**(await connection.execute(statement)).mappings().one())


async def list_organizations(connection: AsyncConnection) -> list[Organization]:
    """Return all organizations, ordered by slug."""
    statement = select(*_ORGANIZATION_COLUMNS).order_by(organizations.c.slug)
    return [Organization(**row) for row in (await connection.execute(statement)).mappings()]


async def insert_organization(connection: AsyncConnection, organization: NewOrganization) -> Organization:
    """Store a new organization. Raises IntegrityError if the slug is taken."""
    statement = insert(organizations).values(asdict(organization)).returning(*_ORGANIZATION_COLUMNS)
    return Organization(**(await connection.execute(statement)).mappings().one())


async def update_organization(
    connection: AsyncConnection, organization_id: int, change: OrganizationChange
) -> Organization:
    """Store the values that `change` has, and return the organization."""
    values = {name: value for name, value in asdict(change).items() if value is not None}
    if values:
        await connection.execute(
            update(organizations).where(organizations.c.id == organization_id).values(values)
        )
    return await get_organization(connection, organization_id)


async def insert_key(connection: AsyncConnection, key: ApiKey, secret_hash: str) -> None:
    """Store a new API key with the hash of its secret."""
    values = asdict(key) | {"scopes": [scope.value for scope in key.scopes]}
    await connection.execute(insert(api_keys).values(secret_hash=secret_hash, **values))


async def find_credential(connection: AsyncConnection, secret_hash: str) -> Credential | None:
    """Return the key whose secret has this hash, with its organization, or None. Takes one query."""
    owner = [column.label(_OWNER + column.name) for column in _ORGANIZATION_COLUMNS]
    key = [column.label(column.name) for column in _KEY_COLUMNS if column.name != "organization_id"]
    statement = (
        select(*key, *owner)
        .join(organizations, organizations.c.id == api_keys.c.organization_id)
        .where(api_keys.c.secret_hash == secret_hash)
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        return None
    organization = Organization(**{field.name: row[_OWNER + field.name] for field in fields(Organization)})
    return Credential(_read_key(row), organization)


async def list_keys(
    connection: AsyncConnection, organization_id: int, *, after: str | None = None, limit: int | None = None
) -> list[ApiKey]:
    """Return the organization's keys, newest first, with revoked ones. `after`: an id, exclusive."""
    statement = (
        select(*_KEY_COLUMNS)
        .where(api_keys.c.organization_id == organization_id)
        .order_by(api_keys.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(api_keys.c.id < after)
    return [_read_key(row) for row in (await connection.execute(statement)).mappings()]


async def find_key(connection: AsyncConnection, organization_id: int, key_id: str) -> ApiKey | None:
    """Return the organization's key with this id, or None."""
    statement = select(*_KEY_COLUMNS).where(
        api_keys.c.organization_id == organization_id, api_keys.c.id == key_id
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else _read_key(row)


async def revoke_key(connection: AsyncConnection, organization_id: int, key_id: str, now: datetime) -> None:
    """Revoke a key. The instant of the first revocation is kept."""
    await connection.execute(
        update(api_keys)
        .where(
            api_keys.c.organization_id == organization_id,
            api_keys.c.id == key_id,
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


async def record_use(connection: AsyncConnection, used_at: Mapping[str, datetime]) -> None:
    """Store when keys were last used, by the keys' ids."""
    for key_id, instant in sorted(used_at.items()):
        await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=instant))


def _read_key(row: RowMapping) -> ApiKey:
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(ApiKey)}
    return ApiKey(**values | {"scopes": tuple(Scope(scope) for scope in row["scopes"])})
