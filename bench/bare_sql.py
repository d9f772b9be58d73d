"""The minimal SQL of an import, with the driver alone: staging, lookups, learners, events, outcomes.

It uses the same tables and transactions as the service. All values are prepared before the time is taken.
"""

import asyncio
import sqlite3
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import asyncpg
import orjson

from app.domain.events import EventType
from app.domain.status import Account
from app.learners.learner import Cause, Change, Learner, creation_of, event_documents, search_text
from app.learners.recording import STORED_COLUMNS, make_row
from app.platform.clock import SystemClock
from app.platform.ids import new_id
from app.platform.instants import instant_text
from bench.databases import open_prepared
from bench.rosters import make_roster_row

Rows = list[tuple[Any, ...]]

_ORGANIZATION = 1
_CAUSE = 1
_COLUMNS = {
    "learners": STORED_COLUMNS,
    "learner_search": ("organization_id", "learner_id", "text"),
    "events": (*("organization_id", "type", "learner_id", "version", "before", "after", "cause_id"),),
    "operation_chunks": ("operation_id", "number", "first_item", "items", "content"),
}


class Driver(Protocol):
    """The statements of an import, as one of the two databases runs them best."""

    def transaction(self) -> Any:
        """Open a transaction that commits at its end."""

    async def insert(self, table: str, rows: Rows) -> None:
        """Insert rows, whose values are in the order of _COLUMNS."""

    async def index_texts(self, first: int) -> None:
        """Add the search texts after number `first` to the search index."""

    async def read_stage(self, operation_id: str, number: int) -> None:
        """Read a staged chunk."""

    async def lock(self, usernames: Sequence[str], external_ids: Sequence[str]) -> None:
        """Read and lock the learners with these usernames or external ids."""

    async def deactivate(self, ids: Sequence[str], at: datetime) -> None:
        """Deactivate learners."""

    async def store_outcomes(self, operation_id: str, number: int, outcomes: bytes) -> None:
        """Store the outcomes of a staged chunk."""


@dataclass
class Postgresql:
    """PostgreSQL, with COPY and arrays."""

    connection: Any

    def transaction(self) -> Any:
        """Do what Driver says."""
        return self.connection.transaction()

    async def insert(self, table: str, rows: Rows) -> None:
        """Do what Driver says."""
        await self.connection.copy_records_to_table(table, records=rows, columns=_COLUMNS[table])

    async def index_texts(self, first: int) -> None:
        """Do nothing: the index updates itself."""

    async def read_stage(self, operation_id: str, number: int) -> None:
        """Do what Driver says."""
        await self.connection.fetch(
            "SELECT * FROM operation_chunks WHERE operation_id = $1 AND number = $2", operation_id, number
        )

    async def lock(self, usernames: Sequence[str], external_ids: Sequence[str]) -> None:
        """Do what Driver says."""
        await self.connection.fetch(
            "SELECT * FROM learners WHERE organization_id = $1"
            " AND (username_key = ANY(ARRAY(SELECT unnest($2::text[])))"
            " OR external_id = ANY(ARRAY(SELECT unnest($3::text[])))) ORDER BY id FOR UPDATE",
            _ORGANIZATION,
            usernames,
            external_ids,
        )

    async def deactivate(self, ids: Sequence[str], at: datetime) -> None:
        """Do what Driver says."""
        await self.connection.execute(
            "UPDATE learners SET deactivated_at = $3, sessions_valid_from = $3, updated_at = $3,"
            " version = version + 1 WHERE organization_id = $1 AND id = ANY(ARRAY(SELECT unnest($2::uuid[])))",
            _ORGANIZATION,
            ids,
            at,
        )

    async def store_outcomes(self, operation_id: str, number: int, outcomes: bytes) -> None:
        """Do what Driver says."""
        await self.connection.execute(
            "UPDATE operation_chunks SET outcomes = $3 WHERE operation_id = $1 AND number = $2",
            operation_id,
            number,
            outcomes,
        )


@dataclass
class Sqlite:
    """SQLite, with `executemany`."""

    connection: sqlite3.Connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Do what Driver says."""
        self.connection.execute("BEGIN IMMEDIATE")
        yield
        self.connection.execute("COMMIT")

    async def insert(self, table: str, rows: Rows) -> None:
        """Do what Driver says."""
        columns = _COLUMNS[table]
        marks = ", ".join("?" * len(columns))
        self.connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    async def index_texts(self, first: int) -> None:
        """Do what Driver says."""
        self.connection.execute(
            "INSERT INTO learner_search_trigrams (rowid, text)"
            " SELECT number, text FROM learner_search WHERE number > ?",
            (first,),
        )

    async def read_stage(self, operation_id: str, number: int) -> None:
        """Do what Driver says."""
        self.connection.execute(
            "SELECT * FROM operation_chunks WHERE operation_id = ? AND number = ?", (operation_id, number)
        ).fetchall()

    async def lock(self, usernames: Sequence[str], external_ids: Sequence[str]) -> None:
        """Do what Driver says."""
        self.connection.execute(
            "SELECT * FROM learners WHERE organization_id = ?1 AND id IN"
            " (SELECT id FROM learners WHERE organization_id = ?1"
            " AND username_key IN (SELECT value FROM json_each(?2))"
            " UNION SELECT id FROM learners WHERE organization_id = ?1"
            " AND external_id IN (SELECT value FROM json_each(?3))) ORDER BY id",
            (_ORGANIZATION, orjson.dumps(usernames).decode(), orjson.dumps(external_ids).decode()),
        ).fetchall()

    async def deactivate(self, ids: Sequence[str], at: datetime) -> None:
        """Do what Driver says."""
        text = instant_text(at)
        self.connection.executemany(
            "UPDATE learners SET deactivated_at = ?, sessions_valid_from = ?, updated_at = ?,"
            " version = version + 1 WHERE organization_id = ? AND id = ?",
            [(text, text, text, _ORGANIZATION, learner_id) for learner_id in ids],
        )

    async def store_outcomes(self, operation_id: str, number: int, outcomes: bytes) -> None:
        """Do what Driver says."""
        self.connection.execute(
            "UPDATE operation_chunks SET outcomes = ? WHERE operation_id = ? AND number = ?",
            (outcomes, operation_id, number),
        )


@dataclass(frozen=True)
class _Chunk:
    """The rows to store for one chunk, and the keys that find its learners."""

    staged: tuple[Any, ...]
    usernames: list[str]
    external_ids: list[str]
    tables: dict[str, Rows]
    changed: list[str]
    outcomes: bytes


class BareSql:
    """The two imports as bare SQL, on a database of their own."""

    def __init__(self, url: str, drawn: Sequence[Learner], at_once: int) -> None:
        """Prepare an import of the learners in `drawn`, with `at_once` rows in a transaction."""
        self._url = url
        self._is_sqlite = url.startswith("sqlite")
        self._now = SystemClock().now()
        self._at_once = at_once
        self._learners = [
            learner._replace(account=Account(expires_on=learner.account.expires_on), updated_at=self._now)
            for learner in drawn
        ]

    def insert_all(self) -> float:
        """Store every learner. Return the seconds."""
        return asyncio.run(self._run(all_new=True))

    def deactivate_half(self) -> float:
        """Deactivate every second learner. Return the seconds."""
        return asyncio.run(self._run(all_new=False))

    async def _run(self, *, all_new: bool) -> float:
        operation = new_id(self._now)
        seconds = 0.0
        async with self._connect() as driver:
            for number, first in enumerate(range(0, len(self._learners), self._at_once)):
                chunk = self._prepare(
                    operation, number, self._learners[first : first + self._at_once], all_new=all_new
                )
                started = perf_counter()
                await self._run_chunk(driver, operation, number, chunk, all_new=all_new)
                seconds += perf_counter() - started
        return seconds

    async def _run_chunk(
        self, driver: Driver, operation: str, number: int, chunk: _Chunk, *, all_new: bool
    ) -> None:
        async with driver.transaction():
            await driver.insert("operation_chunks", [chunk.staged])
        await driver.read_stage(operation, number)
        async with driver.transaction():
            await driver.lock(chunk.usernames, chunk.external_ids)
            for table, rows in chunk.tables.items():
                await driver.insert(table, rows)
            await driver.store_outcomes(operation, number, chunk.outcomes)
            if all_new:
                await driver.index_texts(number * self._at_once)
            else:
                await driver.deactivate(chunk.changed, self._now)

    def _prepare(
        self, operation_id: str, number: int, learners: Sequence[Learner], *, all_new: bool
    ) -> _Chunk:
        first = number * self._at_once
        changes = [self._change(learner, all_new=all_new) for learner in learners[not all_new :: 2 - all_new]]
        changed = {change.after.id for change in changes}
        outcome = "created" if all_new else "changed"
        outcomes = [
            (
                first + place,
                first + place + 2,
                outcome if learner.id in changed else "unchanged",
                learner.id,
                learner.username,
                learner.external_id,
            )
            for place, learner in enumerate(learners)
        ]
        tables: dict[str, Rows] = {
            "events": [self._event(change) for change in changes],
        }
        if all_new:
            tables["learners"] = [make_row(_ORGANIZATION, learner) for learner in learners]
            tables["learner_search"] = [
                (_ORGANIZATION, learner.id, search_text(learner)) for learner in learners
            ]
        if self._is_sqlite:
            tables = {table: [tuple(map(_for_sqlite, row)) for row in rows] for table, rows in tables.items()}
        cells = [(first + place + 2, make_roster_row(learner, "")) for place, learner in enumerate(learners)]
        return _Chunk(
            staged=(operation_id, number, first, len(learners), orjson.dumps(cells)),
            usernames=[learner.username.lower() for learner in learners],
            external_ids=[learner.external_id for learner in learners if learner.external_id is not None],
            tables=tables,
            changed=sorted(changed),
            outcomes=zlib.compress(orjson.dumps(outcomes), 1),
        )

    def _change(self, learner: Learner, *, all_new: bool) -> Change:
        if all_new:
            return creation_of(learner)
        account = Account(self._now, None, learner.account.expires_on, self._now)
        after = learner._replace(account=account, version=learner.version + 1)
        return Change(learner, after, EventType.DEACTIVATED)

    def _event(self, change: Change) -> tuple[Any, ...]:
        cause = Cause({"kind": "api-key", "id": None, "name": "bench"}, self._now, self._now.date())
        documents = (orjson.dumps(document).decode() for document in event_documents(change, cause.today))
        return (
            _ORGANIZATION,
            change.type.value,
            change.after.id,
            change.after.version,
            *documents,
            _CAUSE,
        )

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Driver]:
        # This creates the schema, and on SQLite reads the settings that the service gives its connections.
        async with open_prepared(self._url) as database, database.read() as read:
            pragmas = ("synchronous", "cache_size", "wal_autocheckpoint")
            settings = (
                {name: (await read.exec_driver_sql(f"PRAGMA {name}")).scalar_one() for name in pragmas}
                if self._is_sqlite
                else {}
            )
        if not self._is_sqlite:
            connection = await asyncpg.connect(self._url)
            try:
                yield Postgresql(connection)
            finally:
                await connection.close()
            return
        sqlite = sqlite3.connect(Path(self._url.removeprefix("sqlite:///")), isolation_level=None)
        try:
            for name, value in settings.items():
                sqlite.execute(f"PRAGMA {name} = {value}")
            yield Sqlite(sqlite)
        finally:
            sqlite.close()


def _for_sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_text(value)
    return value.isoformat() if isinstance(value, date) else value
