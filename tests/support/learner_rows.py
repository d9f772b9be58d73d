"""Learners put into the database as rows, and what the database then holds, for the tests of its SQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.status import Account
from app.learners.history import make_events, select_events
from app.learners.learner import Cause, Learner, search_text
from app.learners.recording import STORED_COLUMNS, make_row
from app.learners.search_index import LearnerText, add_texts
from app.learners.tables import events, learner_search, learners
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.service import NOON

TODAY = date(2026, 11, 2)
CAUSE = Cause(
    {"kind": "api-key", "id": None, "name": 'Zoë "HR"'}, NOON, TODAY, "contract ended", new_id(NOON)
)

# The days on which the rule turns, and any other; microseconds, since they pass through text on SQLite.
days = st.sampled_from([TODAY + timedelta(days=each) for each in (-366, -2, -1, 0, 1, 2, 366)]) | st.dates()
_instants = st.sampled_from(
    [datetime.combine(TODAY, time(0), UTC), NOON - timedelta(microseconds=1)]
) | st.datetimes(datetime(1970, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC))  # noqa: DTZ001
accounts = st.builds(
    Account,
    deactivated_at=st.none() | _instants,
    first_accessed_at=st.none() | _instants,
    expires_on=st.none() | days,
    sessions_valid_from=st.none() | _instants,
)


@asynccontextmanager
async def undone(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection whose transaction leaves nothing behind."""
    async with database.engine.connect() as connection:
        await connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        transaction = await connection.begin()
        try:
            yield connection
        finally:
            await transaction.rollback()


Profile = Mapping[str, str | None]


async def insert_accounts(
    connection: AsyncConnection,
    organization_id: int,
    drawn: Sequence[Account],
    profiles: Sequence[Profile] | None = None,
) -> list[str]:
    """One learner for each account, with these profiles if there are any; answers their ids."""
    made = [
        Learner(
            id=new_id(NOON - timedelta(days=1)),
            account=account,
            updated_at=NOON - timedelta(days=1),
            version=1 + place,
            **{"username": f"drawn{place}", **({} if profiles is None else profiles[place])},  # type: ignore[arg-type]
        )
        for place, account in enumerate(drawn)
    ]
    rows = [
        dict(zip(STORED_COLUMNS, make_row(organization_id, learner), strict=True)) for learner in sorted(made)
    ]
    await connection.execute(insert(learners), rows)
    await add_texts(
        connection, organization_id, [LearnerText(learner.id, search_text(learner)) for learner in made]
    )
    return [learner.id for learner in made]


async def all_texts(connection: AsyncConnection, organization_id: int) -> dict[str, str]:
    """The texts in which the organization's learners are searched, by learner."""
    statement = select(learner_search.c.learner_id, learner_search.c.text).where(
        learner_search.c.organization_id == organization_id
    )
    return {row.learner_id: row.text for row in await connection.execute(statement)}


async def all_learners(connection: AsyncConnection, organization_id: int) -> list[dict[str, Any]]:
    """Every column of the organization's learners, in id order."""
    statement = select(learners).where(learners.c.organization_id == organization_id).order_by(learners.c.id)
    return [dict(row) for row in (await connection.execute(statement)).mappings()]


async def all_events(connection: AsyncConnection, organization_id: int) -> list[dict[str, Any]]:
    """The organization's events as their readers see them, with positions, by learner and version."""
    statement = (
        select_events(events.c.position)
        .where(events.c.organization_id == organization_id)
        .order_by(events.c.learner_id, events.c.version)
    )
    rows = (await connection.execute(statement)).all()
    found = await make_events(connection, rows)
    return [{"position": row.position, **event._asdict()} for row, event in zip(rows, found, strict=True)]
