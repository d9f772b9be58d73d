"""The schema at start: it is migrated, used, or refused with instructions."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform import schema
from app.platform.database import Database
from app.platform.schema import SchemaMismatch
from tests.support.schemas import ask, new_url, opened, reflected

pytestmark = pytest.mark.anyio

LATER = '''
"""A migration of a later version."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "later", "{head}", None, None


def upgrade():
    op.add_column("organizations", sa.Column("motto", sa.Text()))


def downgrade():
    op.drop_column("organizations", "motto")
'''


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An empty database."""
    async with opened(new_url(request.param, request)) as database:
        yield database


@pytest.fixture
def add_migration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], str]:
    """Return a function that adds a migration, as a later version has."""

    def add() -> Any:
        head = ScriptDirectory.from_config(schema.migration_config()).get_current_head()
        shutil.copytree(schema.MIGRATIONS, tmp_path / "migrations")
        (tmp_path / "migrations/versions/later.py").write_text(LATER.format(head=head).lstrip())
        monkeypatch.setattr(schema, "MIGRATIONS", tmp_path / "migrations")
        return head

    return add


async def has_motto(database: Database) -> bool:
    return "motto" in (await reflected(database))["organizations"]["columns"]


async def test_empty_database_is_migrated(database: Database) -> None:
    before = await schema.read_state(database)
    assert (before.current, before.is_current) == (None, False)
    await schema.prepare(database)
    after = await schema.read_state(database)
    assert (after.current, after.is_current) == (before.needed, True)


async def test_current_schema_is_not_changed(database: Database) -> None:
    await schema.prepare(database)
    await database.write(AsyncConnection.execute, text("DROP TABLE plan_rows"))
    await schema.prepare(database)
    assert "plan_rows" not in await reflected(database)


async def test_unknown_schema_stops_the_start(database: Database) -> None:
    await schema.prepare(database)
    stamp = text("UPDATE alembic_version SET version_num = 'of_next_year'")
    await database.write(AsyncConnection.execute, stamp)
    before = await reflected(database)
    with pytest.raises(SchemaMismatch, match=r"of_next_year.*Use the newer version\."):
        await schema.prepare(database)
    assert await reflected(database) == before
    assert await ask(database, "SELECT version_num FROM alembic_version") == ["of_next_year"]


async def test_older_schema_is_migrated_at_start_only_on_sqlite(
    database: Database, add_migration: Callable[[], str]
) -> None:
    """Other processes may be using a PostgreSQL schema. An SQLite file has one process."""
    await schema.prepare(database)
    head = add_migration()
    if not database.is_sqlite:
        with pytest.raises(
            SchemaMismatch, match=rf"revision {head}.*this version needs later.*Run: rollcall migrate$"
        ):
            await schema.prepare(database)
        assert await ask(database, "SELECT version_num FROM alembic_version") == [head]
        assert not await has_motto(database)
        await schema.upgrade(database)
    await schema.prepare(database)
    assert await ask(database, "SELECT version_num FROM alembic_version") == ["later"]
    assert await has_motto(database)
