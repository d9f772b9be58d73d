"""Measures the first and the last page of a list, in turns, with the repository's own queries."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

from app.learners.filters import LearnerFilter
from app.learners.sort import Sort
from app.organizations.organization import Organization
from app.platform.clock import SystemClock
from app.platform.database import Database
from bench.queries import Roll, list_sorts, make_filters, name_sort, open_roll

_REPETITIONS = 15


async def measure(database: Database, organization: Organization) -> None:
    """Print the medians of both pages, and their ratio."""
    today = SystemClock().now().date()
    async with open_roll(database, organization.id, today) as roll:
        print(f"\n{'Pages of 50':<38} {'first':>9} {'last':>12} {'last/first':>12}")
        everyone = LearnerFilter()
        for sort in list_sorts():
            await _compare(roll, f"sort={name_sort(sort)}", everyone, sort)
        found = [learner for learner, _ in await roll.page(everyone, Sort("username"))]
        someone = next(learner for learner in found if learner.external_id is not None)
        for name, wanted in make_filters(someone, found[:20], today).items():
            await _compare(roll, name, wanted, Sort("username"))


async def _compare(roll: Roll, name: str, wanted: LearnerFilter, sort: Sort) -> None:
    after = await roll.find_last_page(wanted, sort)
    if after is None:
        return
    first: list[float] = []
    last: list[float] = []
    for _ in range(_REPETITIONS):
        first.append(await _time(roll, wanted, sort, None))
        last.append(await _time(roll, wanted, sort, after))
    print(
        f"{name:<38} {median(first):>6.1f} ms {median(last):>9.1f} ms {median(last) / median(first):>12.2f}"
    )


async def _time(roll: Roll, wanted: LearnerFilter, sort: Sort, after: Sequence[Any] | None) -> float:
    started = perf_counter()
    await roll.page(wanted, sort, after)
    return 1000 * (perf_counter() - started)
