"""Every filter, order and page of the list of learners, as calls of the repository."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.status import Status
from app.learners import plan_repository, plan_sql, repository
from app.learners.filters import LearnerFilter
from app.learners.learner import Learner
from app.learners.plan import PlanRow, Rules
from app.learners.plan_conditions import Scope
from app.learners.repository import PlacedLearner
from app.learners.sort import SORTS, Sort
from app.limits import Limits
from app.platform.clock import SystemClock
from app.platform.database import Database
from bench.population import ABSENT, ABSENT_PAIR, FREQUENT, FREQUENT_PAIR, RARE

LIMIT = 50
_FEW = Limits().few_matches
# Numbers of plans that no operation has.
_plans = count(1_000_000)


@dataclass(frozen=True)
class Roll:
    """The learners of one organization, and the connection that reads them."""

    connection: AsyncConnection
    organization_id: int
    today: date

    async def page(
        self, wanted: LearnerFilter, sort: Sort, after: Sequence[Any] | None = None, limit: int = LIMIT
    ) -> list[PlacedLearner]:
        """Return a page as the router does, with one learner more than it shows."""
        return await repository.list_learners(
            self.connection,
            self.organization_id,
            wanted,
            self.today,
            sort=sort,
            after=after,
            limit=limit + 1,
            few=_FEW,
        )

    async def find_last_page(self, wanted: LearnerFilter, sort: Sort) -> Sequence[Any] | None:
        """Return the position before the last full page, or None if all learners fit on one page."""
        backwards = await self.page(wanted, Sort(sort.key, is_descending=not sort.is_descending))
        return backwards[-1].position if len(backwards) > LIMIT else None

    async def plan_chunk(self, rows: Sequence[PlanRow], rules: Rules) -> None:
        """Decide the rows of a chunk as an import or a bulk action does, and remove their plan again."""
        plan = next(_plans)
        now = SystemClock().now()
        await plan_sql.add_rows(
            self.connection, self.organization_id, plan, rows, rules, today=self.today, planned_at=now
        )
        await plan_repository.delete_rows(self.connection, Scope(plan))

    async def count(self, wanted: LearnerFilter) -> int:
        """Count as `include=total` does."""
        return await repository.count_learners(
            self.connection, self.organization_id, wanted, self.today, few=_FEW
        )

    async def status_counts(self, wanted: LearnerFilter) -> dict[Status, int]:
        """Count as GET /learners/status-counts does."""
        return await repository.count_by_status(
            self.connection, self.organization_id, wanted, self.today, few=_FEW
        )

    async def select_all(self, wanted: LearnerFilter) -> int:
        """Select as a bulk action does. Return how many learners it selects."""
        statement = repository.select_ids(
            self.organization_id, wanted, self.today, self.connection.dialect.name
        )
        selected = 0
        async with self.connection.stream_scalars(statement, execution_options={"yield_per": 5000}) as stream:
            async for ids in stream.partitions():
                selected += len(ids)
        return selected


@asynccontextmanager
async def open_roll(database: Database, organization_id: int, today: date) -> AsyncIterator[Roll]:
    """Yield the learners over one connection, in one snapshot. It may lock learners, too."""
    options = {} if database.is_sqlite else {"isolation_level": "REPEATABLE READ"}
    async with database.engine.connect() as connection:
        await connection.execution_options(**options)
        transaction = await connection.begin()
        try:
            yield Roll(connection, organization_id, today)
        finally:
            await transaction.rollback()


def list_sorts() -> list[Sort]:
    """Return every sort key, ascending and descending."""
    return [Sort(key, is_descending=descending) for key in SORTS for descending in (False, True)]


def name_sort(sort: Sort) -> str:
    """Return the value of the parameter `sort`."""
    return f"{'-' if sort.is_descending else ''}{sort.key}"


def make_filters(someone: Learner, several: Sequence[Learner], today: date) -> dict[str, LearnerFilter]:
    """Return named filters that match many, few and no learners, and some combinations."""
    wanted: dict[str, dict[str, Any]] = {
        "everyone": {},
        **{f"status={status.value}": {"status": (status,)} for status in Status},
        "status=deactivated,expired": {"status": (Status.DEACTIVATED, Status.EXPIRED)},
        "q frequent": {"q": FREQUENT},
        "q in all": {"q": "example"},
        "q rare": {"q": RARE},
        "q none": {"q": ABSENT},
        "q 2 characters": {"q": FREQUENT_PAIR},
        "q 2 characters, none": {"q": ABSENT_PAIR},
        "email": {"email": someone.email},
        "email none": {"email": f"{ABSENT}@example.org"},
        "username": {"username": someone.username},
        "external_id": {"external_id": someone.external_id},
        "ids": {"ids": tuple(learner.id for learner in several)},
        "expires_before, many": {"expires_before": today + timedelta(days=90)},
        "expires_before, few": {"expires_before": today - timedelta(days=999)},
        "expires_after, many": {"expires_after": today + timedelta(days=90)},
        "expires_after, few": {"expires_after": today + timedelta(days=729)},
        "expires in a week": {"expires_after": today, "expires_before": today + timedelta(days=8)},
        "status + q frequent": {"status": (Status.ACTIVE,), "q": FREQUENT},
        "status + q rare": {"status": (Status.ACTIVE,), "q": RARE},
        "status=expired + q frequent": {"status": (Status.EXPIRED,), "q": FREQUENT},
        "status + expires_before": {"status": (Status.ACTIVE,), "expires_before": today + timedelta(days=30)},
        "q frequent + expires_after": {"q": FREQUENT, "expires_after": today + timedelta(days=700)},
    }
    return {name: LearnerFilter(**members) for name, members in wanted.items()}
