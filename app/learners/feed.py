"""The events of all learners in the order of their positions, from which none can slip behind a reader."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.tables import EVENT_FIELDS, events

_EVENT_COLUMNS = [events.c[name] for name in EVENT_FIELDS]


class FeedEntry(NamedTuple):
    """One event, as far as it takes to know whether somebody wants it."""

    position: int
    id: str
    type: str


class SafePosition:
    """Up to where the feed can be read: no event will ever appear at or before this position.

    A transaction takes the positions of its events before it commits, so that on PostgreSQL a later position can be
    seen before an earlier one. A position is safe once every transaction has ended that was running when it was
    seen; and whoever took an earlier one was running then, since each stores its learners before its events.
    """

    def __init__(self) -> None:
        self._safe = 0
        # The position that will be safe once no transaction with a lower number than the second is running.
        self._awaited: tuple[int, int] | None = None

    async def find(self, connection: AsyncConnection) -> int:
        """The position now; 0 = none yet. To be asked again and again: behind long transactions it lags."""
        newest = select(func.coalesce(func.max(events.c.position), 0))
        if connection.dialect.name == "sqlite":  # one writer at a time: positions are in the order of commits
            return int((await connection.execute(newest)).scalar_one())
        snapshot = func.pg_current_snapshot()
        oldest_running = cast(cast(func.pg_snapshot_xmin(snapshot), Text), BigInteger)
        first_to_come = cast(cast(func.pg_snapshot_xmax(snapshot), Text), BigInteger)
        # In one statement, so that all three are of one moment.
        statement = select(newest.scalar_subquery(), oldest_running, first_to_come)
        position, oldest, to_come = (await connection.execute(statement)).one()
        if oldest == to_come:  # nothing is running
            self._safe, self._awaited = position, None
        elif self._awaited is not None and oldest >= self._awaited[1]:
            self._safe, self._awaited = self._awaited[0], (position, to_come)
        elif self._awaited is None:
            self._awaited = position, to_come
        return self._safe


async def list_after(
    connection: AsyncConnection,
    organization_id: int,
    position: int,
    until: int,
    types: Collection[str],
    limit: int,
) -> list[FeedEntry]:
    """Up to `limit` events of an organization after a position and up to another, in order; no `types` = all."""
    statement = (
        select(events.c.position, events.c.id, events.c.type)
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
    return [FeedEntry(*row) for row in await connection.execute(statement)]


async def get_events(connection: AsyncConnection, positions: Collection[int]) -> dict[int, dict[str, Any]]:
    """The events at these positions, by position."""
    statement = select(events.c.position, *_EVENT_COLUMNS).where(events.c.position.in_(positions))
    rows = (dict(row) for row in (await connection.execute(statement)).mappings())
    return {row.pop("position"): row for row in rows}
