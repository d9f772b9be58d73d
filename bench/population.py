"""Generates learners in the mix of a real portal, and stores a million of them quickly."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.status import Account
from app.learners.learner import Learner, search_text
from app.learners.recording import STORED_COLUMNS, make_row
from app.learners.tables import learner_search, learners
from app.platform.bulk_rows import insert_rows
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.ids import new_id

# Search texts: found in every twelfth learner, in one of 50,000, and in none.
FREQUENT, RARE, ABSENT = "contractor", "wrzosek", "qqxzzq"
# Two characters, too few for a trigram: found in most learners, and in none.
FREQUENT_PAIR, ABSENT_PAIR = "an", "qx"

_FIRST_NAMES = (
    "Anna",
    "Bilal",
    "Chiara",
    "Dmitri",
    "Élodie",
    "Fatou",
    "Goran",
    "Hana",
    "Kofi",
    "Olu",
    "Piet",
)
_LAST_NAMES = (
    "Adeyemi",
    "Brandt",
    "Dvořák",
    "Eriksen",
    "Fontaine",
    "García",
    "Hansen",
    "Ivanov",
    "Jansen",
    "Lang",
)
_AT_ONCE = 20_000


def draw_learners(number: int, now: datetime) -> Iterator[Learner]:
    """Generate learners: 70% active, 15% activated, 10% deactivated and 5% expired, the same in every run.

    They are ordered by id and created over the last three years. A third of each status has an expiration date.
    Expired learners have every status underneath.
    """
    chance = random.Random(number)
    for place in range(number):
        created_at = now - timedelta(days=1095) * (1 - place / number)
        seen_at = created_at + (now - created_at) * chance.random()
        status = chance.random()
        expires_on = None
        if chance.random() < 1 / 3:
            expires_on = now.date() + timedelta(days=chance.randint(1, 730))
        if chance.random() < 0.05:
            expires_on = now.date() - timedelta(days=chance.randint(1, 1000))
        first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
        host = "example.org"
        if chance.random() < 1 / 12:
            host = f"{FREQUENT}.example.com"
        if chance.random() < 1 / 50_000 or place == 0:
            last = RARE.title()
        # Spread over the alphabet, so that neighbours in one order are not neighbours in another.
        username = f"{first[0]}{last}.{place * 7919 % number:07}"
        is_deactivated = status < 0.105
        yield Learner(
            id=new_id(created_at),
            username=username,
            account=Account(
                deactivated_at=seen_at if is_deactivated else None,
                first_accessed_at=created_at if status < 0.10 or status > 0.26 else None,
                expires_on=expires_on,
                sessions_valid_from=seen_at if is_deactivated else None,
            ),
            updated_at=seen_at,
            email=f"{username.lower()}@{host}",
            first_name=first,
            last_name=last,
            external_id=f"HR-{place}" if chance.random() < 0.9 else None,
        )


async def populate(database: Database, organization_id: int, number: int) -> None:
    """Store this many learners, without events. Indexes are dropped first and created again at the end."""
    await database.write(_insert_learners, organization_id, number)


async def _insert_learners(connection: AsyncConnection, organization_id: int, number: int) -> None:
    drawn = draw_learners(number, SystemClock().now())
    async with _without_indexes(connection):
        while batch := list(islice(drawn, _AT_ONCE)):
            rows = [make_row(organization_id, learner) for learner in batch]
            await insert_rows(connection, learners, STORED_COLUMNS, rows)
            texts = [(organization_id, learner.id, search_text(learner)) for learner in batch]
            await insert_rows(connection, learner_search, ("organization_id", "learner_id", "text"), texts)


@asynccontextmanager
async def _without_indexes(connection: AsyncConnection) -> AsyncIterator[None]:
    is_sqlite = connection.dialect.name == "sqlite"
    found = await connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master"
        " WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('learners', 'learner_search')"
        if is_sqlite
        else "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE tablename IN ('learners', 'learner_search') AND indexname NOT LIKE 'pk_%%'"
    )
    indexes = [(str(index[0]), str(index[-1])) for index in found]
    for name, _ in indexes:
        await connection.exec_driver_sql(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        await connection.exec_driver_sql(definition)
    if is_sqlite:
        await connection.exec_driver_sql(
            "INSERT INTO learner_search_trigrams (learner_search_trigrams) VALUES ('rebuild')"
        )


async def gather_statistics(database: Database) -> None:
    """Do what PostgreSQL's autovacuum does some time after many rows have been inserted."""
    if database.is_sqlite:
        return
    async with database.read() as connection:
        await connection.exec_driver_sql("VACUUM ANALYZE")
