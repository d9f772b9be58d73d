"""All SQL on organizations and API keys."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.organizations.api_keys import ApiKey, Scope
from app.organizations.organization import Organization
from app.organizations.tables import api_keys, organizations

_ORGANIZATION_COLUMNS = [organizations.c[field.name] for field in fields(Organization)]
_KEY_COLUMNS = [api_keys.c[field.name] for field in fields(ApiKey)]


async def find_organization(connection: AsyncConnection, slug: str) -> Organization | None:
    """The organization with this slug."""
    row = (
        await connection.execute(select(*_ORGANIZATION_COLUMNS).where(organizations.c.slug == slug))
    ).one_or_none()
    return None if row is None else Organization(*row)


async def get_organization(connection: AsyncConnection, organization_id: int) -> Organization:
    """The organization with this internal key. Raises NoResultFound."""
    statement = select(*_ORGANIZATION_COLUMNS).where(organizations.c.id == organization_id)
    return Organization(*(await connection.execute(statement)).one())


async def list_organizations(connection: AsyncConnection) -> list[Organization]:
    """All of them, by slug."""
    statement = select(*_ORGANIZATION_COLUMNS).order_by(organizations.c.slug)
    return [Organization(*row) for row in await connection.execute(statement)]


async def insert_organization(connection: AsyncConnection, values: Mapping[str, Any]) -> Organization:
    """Store a new organization. Raises IntegrityError where the slug is taken."""
    statement = insert(organizations).values(**values).returning(*_ORGANIZATION_COLUMNS)
    return Organization(*(await connection.execute(statement)).one())


async def update_organization(
    connection: AsyncConnection, organization_id: int, values: Mapping[str, Any]
) -> Organization:
    """Change some members of an organization."""
    if values:
        await connection.execute(
            update(organizations).where(organizations.c.id == organization_id).values(**values)
        )
    return await get_organization(connection, organization_id)


async def insert_key(connection: AsyncConnection, key: ApiKey, secret_hash: str) -> None:
    """Store a new API key with the hash of its secret."""
    values = {field.name: getattr(key, field.name) for field in fields(ApiKey)}
    values["scopes"] = [scope.value for scope in key.scopes]
    await connection.execute(insert(api_keys).values(secret_hash=secret_hash, **values))


async def find_key_by_hash(
    connection: AsyncConnection, secret_hash: str
) -> tuple[ApiKey, Organization] | None:
    """The key whose secret has this hash, with its organization, in one query."""
    statement = (
        select(
            *_KEY_COLUMNS, *(column.label(f"organization_{column.name}") for column in _ORGANIZATION_COLUMNS)
        )
        .join(organizations, organizations.c.id == api_keys.c.organization_id)
        .where(api_keys.c.secret_hash == secret_hash)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    split = len(_KEY_COLUMNS)
    key = _key(dict(zip((field.name for field in fields(ApiKey)), row[:split], strict=True)))
    return key, Organization(*row[split:])


async def list_keys(
    connection: AsyncConnection, organization_id: int, *, after: str | None = None, limit: int | None = None
) -> list[ApiKey]:
    """The organization's keys, newest first, revoked ones included; `after`: an id, exclusive."""
    statement = (
        select(*_KEY_COLUMNS)
        .where(api_keys.c.organization_id == organization_id)
        .order_by(api_keys.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(api_keys.c.id < after)
    return [_key(row) for row in (await connection.execute(statement)).mappings()]


async def find_key(connection: AsyncConnection, organization_id: int, key_id: str) -> ApiKey | None:
    """The organization's key with this id."""
    statement = select(*_KEY_COLUMNS).where(
        api_keys.c.organization_id == organization_id, api_keys.c.id == key_id
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else _key(row)


async def revoke_key(connection: AsyncConnection, organization_id: int, key_id: str, now: datetime) -> None:
    """Revoke a key; the first revocation's instant stays."""
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
    """Note when keys were last used."""
    for key_id, instant in sorted(used_at.items()):
        await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=instant))


def _key(row: RowMapping | dict[str, Any]) -> ApiKey:
    return ApiKey(**{**row, "scopes": tuple(Scope(scope) for scope in row["scopes"])})
