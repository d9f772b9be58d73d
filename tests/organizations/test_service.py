"""Creating organizations, on the database itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.domain.errors import InvalidValue
from app.organizations import service as organization_service
from app.organizations.errors import SlugTaken
from app.platform import schema
from app.platform.database import Database
from tests.support.service import NOON, Service

pytestmark = pytest.mark.anyio


async def test_slug_in_use_is_refused(service: Service) -> None:
    founded = await service.found_organization()
    with pytest.raises(SlugTaken, match=founded.slug):
        await service.found_organization(slug=founded.slug)


@pytest.mark.parametrize(("slug", "time_zone"), [("Not A Slug", "UTC"), ("slug-of-nowhere", "Mars/Olympus")])
async def test_organization_with_invalid_slug_or_time_zone_is_not_created(
    service: Service, slug: str, time_zone: str
) -> None:
    with pytest.raises(InvalidValue):
        await service.found_organization(time_zone=time_zone, slug=slug)
    async with service.database.read() as connection:
        found = await connection.execute(
            text("SELECT count(*) FROM organizations WHERE slug = :slug"), {"slug": slug}
        )
        assert found.scalar_one() == 0


@pytest.fixture
async def empty_database(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> AsyncIterator[Database]:
    """Migrate a database without any organization."""
    if database_url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path}/rollcall.db"
    else:
        server = request.getfixturevalue("postgres")
        server.drop_database("founding")
        url = server.create_database("founding")
    database = Database(url)
    await schema.prepare(database)
    yield database
    await database.close()


async def test_first_start_creates_default_once_with_one_key(empty_database: Database) -> None:
    async def start() -> str | None:
        return await empty_database.write(organization_service.set_up_first_start, NOON)

    secrets = await asyncio.gather(*(start() for _ in range(5)))
    assert len([secret for secret in secrets if secret is not None]) == 1
    assert await start() is None
    async with empty_database.read() as connection:
        slugs = (await connection.execute(text("SELECT slug, time_zone FROM organizations"))).all()
        keys = (await connection.execute(text("SELECT name FROM api_keys"))).all()
    assert [tuple(row) for row in slugs] == [("default", "UTC")]
    assert [tuple(row) for row in keys] == [("first-admin",)]
