"""Prints the query plans of the repository's statements, and marks full scans."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.filters import LearnerFilter
from app.learners.learner import Learner
from app.learners.plan import PlanRow, Rules, row_of_wish
from app.learners.sort import Sort
from app.learners.wish import Wish
from app.limits import Limits
from app.organizations.organization import Organization
from app.platform.clock import SystemClock
from app.platform.database import Database
from bench.population import ABSENT, gather_statistics
from bench.queries import Roll, list_sorts, make_filters, name_sort, open_roll

# The learners of an organization that shares the tables with a large one. Its lists must stay cheap.
SMALL = 3000
# After five runs PostgreSQL may switch to a generic plan for any parameters.
_UNTIL_GENERIC = 7
# Milliseconds. Slower statements are not run that often.
_CHEAP_MS = 50
_FULL_SCAN = re.compile(r"Seq Scan on learner|SCAN learner(?!.*INDEX)")
_NODE = re.compile(r"\b(Scan|SCAN|SEARCH|Sort|B-TREE|MATERIALIZE)\b(?! Key| Method)")
_ACTUAL = re.compile(r"actual rows=([\d.]+) loops=(\d+)")

Question = Callable[[Roll], Awaitable[Any]]


@dataclass(frozen=True)
class Plan:
    """How a statement accesses tables, and the lines to print, with rows and times."""

    accesses: list[str]
    lines: list[str]

    def show(self, name: str) -> None:
        """Print the plan, one line for each statement."""
        for place, line in enumerate(self.lines):
            print(f"{'' if place else name:<40} {line}")


@dataclass
class Statements:
    """The SQL that was sent to the database, with its parameters."""

    seen: list[tuple[str, Any]] = field(default_factory=list)

    @contextmanager
    def record(self, database: Database) -> Iterator[None]:
        """Record the statements that run inside the block."""

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.lstrip().startswith(("SELECT", "WITH", "INSERT INTO plan_rows")):
                self.seen.append((statement, parameters))

        self.seen.clear()
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        try:
            yield
        finally:
            event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def measure(database: Database, large: Organization, small: Organization) -> None:
    """Print the plans for both organizations. On PostgreSQL, also print plans that differ without statistics."""
    if database.is_sqlite:
        await _explain_all(database, large, is_shown=True)
        await _explain_all(database, small, is_shown=True)
        return
    unprepared = await _explain_all(database, large, is_shown=False)
    await gather_statistics(database)
    usual = await _explain_all(database, large, is_shown=True)
    await _explain_all(database, small, is_shown=True)
    print("\nPlans that differ without statistics, as in the first minute after a large import")
    for name, plan in unprepared.items():
        if plan.accesses != usual[name].accesses:
            plan.show(name)


async def _explain_all(database: Database, organization: Organization, *, is_shown: bool) -> dict[str, Plan]:
    """Return the plan of each query, or only those of pages if they are not shown."""
    plans: dict[str, Plan] = {}
    if is_shown:
        print(f"\nOrganization: {organization.slug}")
    async with open_roll(database, organization.id, SystemClock().now().date()) as roll:
        for name, question in (await _questions(roll, pages_only=not is_shown)).items():
            plans[name] = await _explain(database, roll, question, keeps=is_shown)
            if is_shown:
                plans[name].show(name)
    return plans


async def _questions(roll: Roll, *, pages_only: bool) -> dict[str, Question]:
    default = Sort("username")
    everyone = LearnerFilter()
    found = [learner for learner, _ in await roll.page(everyone, default)]
    someone = next(learner for learner in found if learner.external_id is not None)
    questions: dict[str, Question] = {}
    for sort in list_sorts():
        after = await roll.find_last_page(everyone, sort)
        questions[f"sort={name_sort(sort)}"] = partial(Roll.page, wanted=everyone, sort=sort)
        questions[f"sort={name_sort(sort)}, last"] = partial(
            Roll.page, wanted=everyone, sort=sort, after=after
        )
    for name, wanted in make_filters(someone, found[:20], roll.today).items():
        after = await roll.find_last_page(wanted, default)
        questions[name] = partial(Roll.page, wanted=wanted, sort=default)
        if after is not None:
            questions[f"{name}, last"] = partial(Roll.page, wanted=wanted, sort=default, after=after)
            for sort in (Sort("expires_on"), Sort("expires_on", is_descending=True)):
                questions[f"{name}, {name_sort(sort)}"] = partial(Roll.page, wanted=wanted, sort=sort)
        if pages_only:
            continue
        questions[f"total of {name}"] = partial(Roll.count, wanted=wanted)
        questions[f"status-counts of {name}"] = partial(Roll.status_counts, wanted=wanted)
        questions[f"bulk selection of {name}"] = partial(Roll.select_all, wanted=wanted)
    return questions | _chunk_questions(
        [learner for learner, _ in await roll.page(everyone, default, limit=Limits().chunk_rows)]
    )


def _chunk_questions(chunk: list[Learner]) -> dict[str, Question]:
    creates = Rules(create=True, finds_by_names=True)
    known = [
        row_of_wish(item, item, Wish({"username": each.username, "external_id": each.external_id}))
        for item, each in enumerate(chunk)
    ]
    names = [f"{ABSENT}.{number}" for number in range(len(chunk))]
    new = [
        row_of_wish(item, item, Wish({"username": name, "external_id": name}))
        for item, name in enumerate(names)
    ]
    usernames = [row_of_wish(row.item, row.item, Wish({"username": str(row.username)})) for row in known]
    selected = [PlanRow(item, learner_id=each.id, active=True) for item, each in enumerate(chunk)]
    return {
        "an import's chunk": partial(Roll.plan_chunk, rows=known, rules=creates),
        "an import's chunk, all new": partial(Roll.plan_chunk, rows=new, rules=creates),
        "an import's chunk of usernames": partial(Roll.plan_chunk, rows=usernames, rules=creates),
        "a bulk action's chunk": partial(Roll.plan_chunk, rows=selected, rules=Rules()),
    }


async def _explain(database: Database, roll: Roll, question: Question, *, keeps: bool) -> Plan:
    """Return the plan of a query. `keeps`: add the generic plans that PostgreSQL keeps for repeated statements."""
    statements = Statements()
    with statements.record(database):
        await question(roll)
    issued = list(statements.seen)
    accesses: list[str] = []
    lines: list[str] = []
    slowest = 0.0
    for statement, parameters in issued:
        if database.is_sqlite:
            started = perf_counter()
            await roll.connection.exec_driver_sql(statement, parameters)
            took = 1000 * (perf_counter() - started)
            rows = await roll.connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
            plan = [row.detail for row in rows]
        else:
            rows = await roll.connection.exec_driver_sql(
                "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + statement, parameters
            )
            plan = [row[0] for row in rows]
            took = float(plan[-1].removeprefix("Execution Time: ").removesuffix(" ms"))
        slowest = max(slowest, took)
        found, shown = _read(plan)
        accesses += found
        lines.append(f"{took:8.1f} ms  {'; '.join(shown)}")
    if keeps and not database.is_sqlite and slowest < _CHEAP_MS:
        lines += await _generic_plans(roll.connection, question, roll, issued)
    return Plan(accesses, lines)


def _read(plan: list[str]) -> tuple[list[str], list[str]]:
    accesses: list[str] = []
    shown: list[str] = []
    for line in plan:
        if "Rows Removed by Filter" in line and shown:
            shown[-1] += f" (-{line.rpartition(': ')[2]})"
        elif _NODE.search(line):
            access = line.strip(" ->").partition(" (actual")[0]
            accesses.append(access)
            actual = _ACTUAL.search(line)
            rows = f" [{actual[1]}*{actual[2]}]" if actual else ""
            shown.append(("!! FULL SCAN !! " if _FULL_SCAN.search(access) else "") + access + rows)
    return accesses, shown


async def _generic_plans(
    connection: AsyncConnection, question: Question, roll: Roll, issued: list[tuple[str, Any]]
) -> list[str]:
    """Return the generic plans that PostgreSQL keeps after several runs, if it does."""
    for _ in range(_UNTIL_GENERIC):
        await question(roll)
    lines = []
    for statement, parameters in issued:
        kept = await connection.exec_driver_sql(
            "SELECT name FROM pg_prepared_statements WHERE statement = $1 AND generic_plans > 0", (statement,)
        )
        for (name,) in kept.all():
            await connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            values = ", ".join(["NULL"] * len(parameters))
            execute = f'EXECUTE "{name}"' + (f"({values})" if values else "")
            rows = await connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {execute}")
            await connection.exec_driver_sql("SET plan_cache_mode = auto")
            _, shown = _read([row[0] for row in rows])
            lines.append(f"{'kept':>8}     {'; '.join(shown)}")
    return lines
