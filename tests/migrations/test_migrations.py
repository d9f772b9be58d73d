"""The migrations: from an empty database to the tables of the code and back, on both databases."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Boolean, Connection, Date, Integer, LargeBinary, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

import migrations
from app.platform import schema
from app.platform.column_types import Id, Instant
from app.platform.database import Database
from app.platform.ids import new_id
from app.platform.metadata import is_kept_for, metadata
from tests.support.schemas import ask, migrate, new_url, opened, reflected
from tests.support.service import NOON

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
REVISIONS = [
    each.revision
    for each in ScriptDirectory.from_config(schema.migration_config()).walk_revisions("base", "heads")
][::-1]
# What SQLAlchemy cannot describe, and the migrations create with SQL.
BY_HAND = {
    "sqlite": {
        "table": [
            "learner_search_trigrams",
            "learner_search_trigrams_config",
            "learner_search_trigrams_data",
            "learner_search_trigrams_idx",
        ],
        "trigger": [
            "event_causes_refuse_delete",
            "event_causes_refuse_update",
            "events_refuse_delete",
            "events_refuse_update",
        ],
    },
    "postgresql": {
        "index": ["ix_learner_search_trigrams"],
        "trigger": ["event_causes_are_final", "events_are_final"],
        "function": ["refuse_change_of_events"],
    },
}


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An empty database."""
    async with opened(new_url(request.param, request)) as database:
        yield database


async def list_made_by_hand(database: Database) -> dict[str, Any]:
    """Return what the database has besides the tables of the code and their indexes."""
    if database.is_sqlite:
        names = ", ".join(f"'{table}'" for table in metadata.tables)
        of_ours = f"tbl_name NOT IN ({names}) AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
        return {
            "table": await ask(
                database, f"SELECT name FROM sqlite_master WHERE type = 'table' AND {of_ours} ORDER BY name"
            ),
            "trigger": await ask(
                database, "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
            ),
        }
    indexes = {index.name for table in metadata.tables.values() for index in table.indexes}
    found = await ask(
        database,
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE relnamespace = 'public'::regnamespace AND NOT EXISTS "
        "(SELECT 1 FROM pg_constraint WHERE conindid = indexrelid) ORDER BY 1",
    )
    return {
        "index": [name for name in found if name not in indexes],
        "trigger": await ask(database, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"),
        "function": await ask(
            database,
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prolang = "
            "(SELECT oid FROM pg_language WHERE lanname = 'plpgsql') ORDER BY 1",
        ),
    }


async def fill(database: Database) -> None:
    """Insert one row into every table."""
    await database.write(insert_rows)


async def insert_rows(connection: AsyncConnection) -> None:
    for table in metadata.sorted_tables:
        values = {column.name: make_value(column) for column in table.c if has_value(column)}
        await connection.execute(insert(table).values(values))


def has_value(column: Any) -> Any:
    return column.computed is None and column.identity is None


def make_value(column: Any) -> Any:
    """Return a value that the column accepts. Every integer key is 1."""
    values = {Id: new_id(NOON), Instant: NOON, Integer: 1, JSON: {"a": 1}, Boolean: True, LargeBinary: b"x"}
    values[Date] = NOON.date()
    return next((value for kind, value in values.items() if isinstance(column.type, kind)), "some text")


async def count_rows(database: Database) -> dict[str, Any]:
    async with database.read() as connection:
        return {
            name: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for name, table in metadata.tables.items()
        }


async def test_migrated_schema_has_no_difference_for_alembic(database: Database) -> None:
    await schema.upgrade(database)

    def compare(connection: Connection) -> Any:
        options = {
            "compare_type": True,
            "include_object": lambda item, *_: is_kept_for(connection.dialect.name, item),
            "include_name": lambda name, kind, _: name not in BY_HAND[connection.dialect.name].get(kind, ()),
        }
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with database.read() as connection:
        assert await connection.run_sync(compare) == []
    assert await list_made_by_hand(database) == BY_HAND[database.engine.dialect.name]


async def test_migrated_schema_equals_the_tables_of_the_code(
    database: Database, request: pytest.FixtureRequest
) -> None:
    """Names, types, collations, keys, checks, computed columns and the conditions of partial indexes."""
    await schema.upgrade(database)
    migrated = await reflected(database)
    del migrated["alembic_version"]
    by_hand = migrated["learner_search"]["indexes"].pop("ix_learner_search_trigrams", None)
    assert (by_hand is None) == database.is_sqlite

    kind = "sqlite" if database.is_sqlite else "postgresql"
    async with opened(new_url(kind, request)) as model:
        await model.write(AsyncConnection.run_sync, metadata.create_all)
        expected = await reflected(model)
        if database.is_sqlite:
            # Reflection does not show AUTOINCREMENT and tables without a rowid.
            peculiar = (
                "SELECT name FROM sqlite_master WHERE sql LIKE '%{}%' "
                "AND name NOT LIKE 'learner_search_trigrams%' ORDER BY name"
            )
            for word in ("AUTOINCREMENT", "WITHOUT ROWID"):
                found = await ask(database, peculiar.format(word))
                assert found == await ask(model, peculiar.format(word))
                assert found
    assert migrated.keys() == expected.keys() == set(metadata.tables)
    for table, said in expected.items():
        assert migrated[table] == said, table
    partial = {
        name
        for table in migrated.values()
        for name, index in table["indexes"].items()
        if any(name.endswith("_where") for name in index.get("dialect_options", ()))
    }
    assert {"uq_learners_external_id", "ix_operations_unfinished"} <= partial


async def test_downgrade_and_upgrade_work_with_data_in_every_table(database: Database) -> None:
    await schema.upgrade(database)
    await fill(database)
    assert set((await count_rows(database)).values()) == {1}
    whole = await reflected(database)

    await migrate(database, "base")
    assert (await reflected(database)).keys() == {"alembic_version"}
    assert await ask(database, "SELECT version_num FROM alembic_version") == []
    assert not any((await list_made_by_hand(database)).values())

    await schema.upgrade(database)
    assert await reflected(database) == whole
    assert await list_made_by_hand(database) == BY_HAND[database.engine.dialect.name]
    assert set((await count_rows(database)).values()) == {0}
    await fill(database)


async def test_each_migration_can_be_undone_and_repeated(database: Database) -> None:
    for place, revision in enumerate(REVISIONS):
        await migrate(database, revision)
        whole = await reflected(database)
        await migrate(database, REVISIONS[place - 1] if place else "base")
        await migrate(database, revision)
        assert await reflected(database) == whole
        assert await ask(database, "SELECT version_num FROM alembic_version") == [revision]
    assert (await schema.read_state(database)).is_current


async def test_simultaneous_migrations_succeed(database: Database) -> None:
    async with opened(
        database.url.render_as_string(hide_password=False).replace("+aiosqlite", "").replace("+asyncpg", "")
    ) as other:
        await asyncio.gather(schema.upgrade(database), schema.upgrade(other), schema.upgrade(database))
        for each in (database, other):
            assert (await schema.read_state(each)).is_current
    await fill(database)


async def test_failed_migration_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both databases, all migrations run in one transaction."""

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_index", fail)
        with pytest.raises(RuntimeError, match="the power went"):
            await schema.upgrade(database)
    assert await reflected(database) == {}
    await schema.upgrade(database)
    assert (await schema.read_state(database)).is_current


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_alembic_works_at_the_command_line(kind: str, request: pytest.FixtureRequest) -> None:
    url = new_url(kind, request)

    def alembic(*arguments: Any) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=ROOT,
            env=os.environ | {"ROLLCALL_DATABASE_URL": url, "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
        )

    for arguments, said in (
        (("upgrade", "head"), ""),
        (("check",), "No new upgrade operations detected"),
        (("downgrade", "base"), ""),
    ):
        done = alembic(*arguments)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_migrations_are_installed_with_the_service() -> None:
    assert Path(migrations.__file__).parent == schema.MIGRATIONS
