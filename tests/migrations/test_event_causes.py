"""The migration to event causes, with events on both sides: no reader sees a difference."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.status import Account
from app.learners.learner import Cause, Change, Learner, change_of, creation_of
from app.learners.recording import record
from app.platform import schema
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.learner_rows import CAUSE, all_events
from tests.support.schemas import ask, migrate, new_url, opened
from tests.support.service import NOON

pytestmark = pytest.mark.anyio

BEFORE = "0005"
ORGANIZATION = 1
SINGLE = replace(CAUSE, operation_id=None)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An empty database with the newest schema."""
    async with opened(new_url(request.param, request)) as database:
        await schema.upgrade(database)
        yield database


def make_learner(number: int) -> Learner:
    """Make a learner with every fact, or with few."""
    account = Account(deactivated_at=NOON, expires_on=date(2026, 12, 31)) if number % 2 else Account()
    learner = Learner(new_id(NOON), f"Person{number}", account, NOON, external_id=f"HR-{number}")
    return learner._replace(email=f"{number}@example.org", last_name="Őz") if number % 3 else learner


def must_change(
    learner: Learner, cause: Cause, account: Account, profile: Mapping[str, str | None]
) -> Change:
    change = change_of(learner, cause, account, profile)
    assert change is not None
    return change


async def store_history(database: Database) -> None:
    """Store learners of operations and of single calls, who change later in both ways."""
    made = [make_learner(number) for number in range(50)]
    for place, learner in enumerate(made):
        await database.write(record, ORGANIZATION, creation_of(learner), CAUSE if place < 40 else SINGLE)
    later = replace(CAUSE, at=NOON + timedelta(hours=1), operation_id=new_id(NOON), reason=None)
    renamed = [
        must_change(each, later, Account(expires_on=date(2027, 1, 1)), {"username": f"new {each.username}"})
        for each in made[::4]
    ]
    for change in renamed:
        await database.write(record, ORGANIZATION, change, later)
    again = replace(SINGLE, at=NOON + timedelta(hours=2))
    for each in renamed[::2]:
        account = Account(first_accessed_at=again.at)
        change = must_change(each.after, again, account, {"email": None, "last_name": "Last"})
        await database.write(record, ORGANIZATION, change, again)


async def read_events(database: Database) -> list[dict[str, Any]]:
    async with database.read() as connection:
        return await all_events(connection, ORGANIZATION)


async def list_raw(database: Database, condition: str) -> int:
    (found,) = await ask(database, f"SELECT count(*) FROM events WHERE {condition}")
    return int(found)


async def test_events_are_the_same_before_and_after_the_migration(database: Database) -> None:
    await store_history(database)
    stored = await read_events(database)
    assert len(stored) == 50 + 13 + 7
    assert await list_raw(database, "cause_id IS NOT NULL AND id IS NULL AND actor IS NULL") == 53

    await migrate(database, BEFORE)
    incomplete = "id IS NULL OR occurred_at IS NULL OR actor IS NULL"
    assert await list_raw(database, incomplete) == 0
    assert await list_raw(database, "operation_id IS NOT NULL") == 53
    with pytest.raises(DBAPIError, match="never changed or removed"):
        await database.write(AsyncConnection.execute, text("DELETE FROM events"))

    await schema.upgrade(database)
    assert await list_raw(database, "cause_id IS NOT NULL") == 0
    assert await read_events(database) == stored

    more = make_learner(99)
    await database.write(record, ORGANIZATION, creation_of(more), CAUSE)
    positions = await ask(database, "SELECT position FROM events ORDER BY position")
    assert positions[-1] > positions[-2]
    assert len(await read_events(database)) == len(stored) + 1


async def test_positions_are_not_used_again_after_the_migration(database: Database) -> None:
    await store_history(database)
    last = max(event["position"] for event in await read_events(database))
    await migrate(database, BEFORE)
    await schema.upgrade(database)
    await database.write(record, ORGANIZATION, creation_of(make_learner(99)), SINGLE)
    assert max(event["position"] for event in await read_events(database)) == last + 1


@pytest.mark.parametrize("change", ["UPDATE event_causes SET reason = 'x'", "DELETE FROM event_causes"])
async def test_database_refuses_to_change_or_remove_a_cause(database: Database, change: str) -> None:
    await store_history(database)
    stored = await read_events(database)
    with pytest.raises(DBAPIError, match="never changed or removed"):
        await database.write(AsyncConnection.execute, text(change))
    assert await read_events(database) == stored
