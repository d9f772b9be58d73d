"""Reads the events of all learners in the order of their positions, so that a reader misses none."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import BigInteger, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.history import WITH_CAUSES, identify, make_events, resolve_column, select_events
from app.learners.learner import Event
from app.learners.tables import events


class FeedEntry(NamedTuple):
    """What a reader needs to know about an event to decide whether to read it."""

    position: int
    id: str
    type: str


class _Awaited(NamedTuple):
    """A position that becomes safe once no transaction with a lower number than `next_transaction` runs."""

    position: int
    next_transaction: int


class SafePosition:
    """Finds out how far the feed can be read: no new event will ever appear at or before this position.

    A transaction takes the positions of its events before it commits. So on PostgreSQL a later position can become
    visible before an earlier one. A position is safe once every transaction has ended that was running when the
    position was seen. A transaction that took an earlier position was running then, because each one stores its
    learners before its events.
    """

    def __init__(self) -> None:
        self._safe = 0
        self._awaited: _Awaited | None = None

    async def advance(self, connection: AsyncConnection) -> int:
        """Return the safe position now, 0 = none yet. Call it repeatedly: long transactions hold it back."""
        newest = select(func.coalesce(func.max(events.c.position), 0))
        if (
            connection.dialect.name == "sqlite"
        ):  # one writer at a time, so positions have the order of commits
            return int((await connection.execute(newest)).scalar_one())
        snapshot = func.pg_current_snapshot()
        # In one statement, so that all three belong to one moment.
        statement = select(
            newest.scalar_subquery().label("position"),
            cast(cast(func.pg_snapshot_xmin(snapshot), Text), BigInteger).label("oldest_running"),
            cast(cast(func.pg_snapshot_xmax(snapshot), Text), BigInteger).label("next_transaction"),
        )
        now = (await connection.execute(statement)).one()
        if now.oldest_running == now.next_transaction:  # nothing is running
            self._safe, self._awaited = now.position, None
        elif self._awaited is None:
            self._awaited = _Awaited(now.position, now.next_transaction)
        elif now.oldest_running >= self._awaited.next_transaction:
            self._safe, self._awaited = (
                self._awaited.position,
                _Awaited(now.position, now.next_transaction),
            )
        return self._safe


async def list_after(
    connection: AsyncConnection,
    organization_id: int,
    position: int,
    until: int,
    types: Collection[str],
    limit: int,
) -> list[FeedEntry]:
    """List up to `limit` events of an organization after `position` and up to `until`. No `types` means all types."""
    statement = (
        select(
            events.c.position,
            events.c.id,
            events.c.type,
            resolve_column("occurred_at"),
            events.c.learner_id,
            events.c.version,
        )
        .select_from(WITH_CAUSES)
        .where(
            events.c.position > position,
            events.c.position <= until,
            events.c.organization_id == organization_id,
        )
        .order_by(events.c.position)
        .limit(limit)
    )
    if types:
        statement = statement.where(events.c.type.in_(types))
    return [
        FeedEntry(row.position, identify(row.id, row.occurred_at, row.learner_id, row.version), row.type)
        for row in await connection.execute(statement)
    ]


async def find_events(connection: AsyncConnection, positions: Collection[int]) -> dict[int, Event]:
    """Find the events at these positions, by position."""
    statement = select_events(events.c.position).where(events.c.position.in_(positions))
    rows = (await connection.execute(statement)).all()
    found = await make_events(connection, rows)
    return {row.position: event for row, event in zip(rows, found, strict=True)}
