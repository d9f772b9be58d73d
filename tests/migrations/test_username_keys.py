"""The migration that gives stored learners the keys and the spaces that new ones get."""

# ruff: noqa: RUF001  letters that look like others are what is tested here

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.profile import clean_name, fold, fold_username, sort_form
from app.learners.learner import PART_BREAK
from app.platform.column_types import Id
from app.platform.database import Database
from tests.support.schemas import ask, migrate, new_url, opened
from tests.support.service import NOON

pytestmark = pytest.mark.anyio

BEFORE, AFTER = "0003", "0004"
LEARNERS = sa.table(
    "learners",
    sa.column("organization_id", sa.Integer),
    sa.column("id", Id),
    *(
        sa.column(name, sa.Text)
        for name in (
            "username",
            "username_key",
            "external_id",
            "email",
            "first_name",
            "last_name",
            "last_name_key",
        )
    ),
    sa.column("updated_at", sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")),
    sa.column("version", sa.Integer),
)
SEARCH = sa.table(
    "learner_search",
    sa.column("number", sa.Integer),
    sa.column("organization_id", sa.Integer),
    sa.column("learner_id", Id),
    sa.column("text", sa.Text),
)
# Username, first name and last name. The first is the oldest learner.
PEOPLE = [
    ("a.okafor", "Adaeze", "Okafor"),
    ("ａda", "Ａda", None),
    ("jo\u00a0hn", "Jo\u00a0\u00a0hn", "De\u3000la  Cruz"),
    ("JO  hn", "Mary  Ann", None),
    ("jörg", "Jörg", "Özil"),
    ("ﬁona", None, "İpek  IŞIK"),
    ("van  der berg", None, None),
    ("ada²", None, None),
    ("ADA", None, None),
    ("old\u200bname", "\u200cZoë", None),
    ("ﾔﾏﾀﾞ", None, "山田\u3000太郎"),
]


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A database of the revision before."""
    async with opened(new_url(request.param, request)) as database:
        await migrate(database, BEFORE)
        yield database


def make_id(number: int) -> str:
    return f"019a8c5e-7c1f-7d55-9b0e-{number:012}"


def join_searched(row: Any) -> str:
    name = " ".join(filter(None, (row["first_name"], row["last_name"])))
    return fold(PART_BREAK.join((name, row["username"], row["email"] or "")))


async def found_organization(database: Database, people: Any, number: int = 1) -> None:
    """Store these people as the revision before did."""
    is_sqlite = database.is_sqlite
    now = "2026-11-02T12:00:00.000000Z"
    rows = [
        {
            "organization_id": number,
            "id": make_id(number * 100_000 + place),
            "username": username,
            "username_key": fold(username),
            "external_id": None,
            "email": f"{place}@example.org",
            "first_name": first_name,
            "last_name": last_name,
            "last_name_key": sort_form(last_name or ""),
            "updated_at": now if is_sqlite else NOON,
            "version": 1,
        }
        for place, (username, first_name, last_name) in enumerate(people)
    ]
    texts = [{"organization_id": number, "learner_id": row["id"], "text": join_searched(row)} for row in rows]

    async def store(connection: AsyncConnection) -> None:
        await connection.execute(
            sa.text(
                "INSERT INTO organizations"
                " (id, public_id, slug, name, time_zone, max_deactivations, expiring_days, created_at)"
                " VALUES (:number, :id, :slug, 'Example', 'UTC', '20%', 14, :now)"
            ),
            {
                "number": number,
                "id": make_id(number),
                "slug": f"org-{number}",
                "now": now if is_sqlite else NOON,
            },
        )
        await connection.execute(sa.insert(LEARNERS), rows)
        await connection.execute(sa.insert(SEARCH), texts)
        if is_sqlite:
            await connection.execute(
                sa.text("INSERT INTO learner_search_trigrams(learner_search_trigrams) VALUES ('rebuild')")
            )

    await database.write(store)


async def read_learners(database: Database, number: int = 1) -> list[dict[str, Any]]:
    statement = sa.select(LEARNERS).where(LEARNERS.c.organization_id == number).order_by(LEARNERS.c.id)
    async with database.read() as connection:
        return [dict(row) for row in (await connection.execute(statement)).mappings()]


async def check_texts(database: Database) -> None:
    """Every text that is searched follows from the row, and SQLite's index from the texts."""
    statement = sa.select(LEARNERS, SEARCH.c.text).join_from(
        LEARNERS, SEARCH, SEARCH.c.learner_id == LEARNERS.c.id
    )
    async with database.read() as connection:
        for row in (await connection.execute(statement)).mappings():
            assert row["text"] == join_searched(row)
    if database.is_sqlite:
        check = (
            "INSERT INTO learner_search_trigrams(learner_search_trigrams, rank) VALUES ('integrity-check', 1)"
        )
        await database.write(AsyncConnection.execute, sa.text(check))


async def test_stored_learners_get_the_keys_and_spaces_of_new_ones(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await found_organization(database, PEOPLE)
    await migrate(database, AFTER)
    rows = await read_learners(database)
    assert [(row["username"], row["username_key"]) for row in rows] == [
        ("a.okafor", "a.okafor"),
        ("ａda", "ａda"),  # the younger one has the key already
        ("jo hn", "jo hn"),
        ("JO  hn", "jo  hn"),  # the older one gets the key
        ("jörg", "jörg"),
        ("ﬁona", "fiona"),
        ("van der berg", "van der berg"),
        ("ada²", "ada2"),
        ("ADA", "ada"),
        ("old\u200bname", "old\u200bname"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
    ]
    for row in rows:
        for name in ("first_name", "last_name"):
            assert row[name] is None or row[name] == clean_name(row[name])
        assert row["last_name_key"] == sort_form(row["last_name"] or "")
        assert row["version"] == 1
    assert [row["first_name"] for row in rows[1:4]] == ["Ａda", "Jo hn", "Mary Ann"]
    assert rows[2]["last_name"] == "De la Cruz"
    assert rows[10]["last_name"] == "山田 太郎"
    await check_texts(database)
    assert [record.getMessage() for record in caplog.records if record.name == "rollcall.migrations"] == [
        f"Learners {rows[first]['id']} and {rows[second]['id']} now have the same username. Only the first is found by "
        "it. Give one of them another username."
        for first, second in ((8, 1), (2, 3))
    ]


async def test_downgrade_restores_the_keys_and_the_upgrade_can_be_repeated(database: Database) -> None:
    await found_organization(database, PEOPLE)
    await migrate(database, AFTER)
    upgraded = await read_learners(database)
    await migrate(database, BEFORE)
    rows = await read_learners(database)
    assert [row["username_key"] for row in rows] == [fold(row["username"]) for row in rows]
    assert [row["username"] for row in rows] == [row["username"] for row in upgraded]
    await check_texts(database)
    await migrate(database, AFTER)
    assert await read_learners(database) == upgraded


async def test_learners_of_other_organizations_have_keys_of_their_own(database: Database) -> None:
    for number in (1, 2):
        await found_organization(database, [("ａda", None, None)], number)
    await migrate(database, AFTER)
    assert await ask(database, "SELECT username_key FROM learners") == ["ada", "ada"]


async def test_many_learners_are_migrated_in_batches(database: Database) -> None:
    many = [(f"ｎ{number}", "Mary  Ann", f"Özil  {number}") for number in range(2500)]
    twins = [(f"n{number}", None, None) for number in range(2400, 2410)]
    await found_organization(database, [*many, *twins, ("ａｄａ", None, None), ("aｄa", None, None)])
    await migrate(database, AFTER)
    rows = await read_learners(database)
    left = [row["username"] for row in rows if row["username_key"] != fold_username(row["username"])]
    assert left == [*(f"ｎ{number}" for number in range(2400, 2410)), "aｄa"]
    assert {row["first_name"] for row in rows} == {"Mary Ann", None}
    await check_texts(database)
