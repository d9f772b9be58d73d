"""Bulk actions: a selection becomes chunks of ids, and each chunk a few statements."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, Subquery, false, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import Expired
from app.domain.status import Status
from app.learners import bulk_sql
from app.learners.bulk_sql import Action
from app.learners.learner import Cause, username_key
from app.learners.problems import expired_problem
from app.learners.repository import find_ids_by_username, select_ids
from app.operations import repository
from app.operations.operation import Chunk, OnePass, Operation, Outcome, OutcomeName
from app.operations.report import LearnerColumns
from app.operations.runner import Runner
from app.operations.schemas import Selection
from app.organizations.organization import Organization
from app.platform.problems import NOT_FOUND, Problem

_NOT_FOUND = Problem(NOT_FOUND, "There is no such learner in your organization.").document()


async def select_chunks(
    runner: Runner, organization: Organization, selection: Selection, now: datetime
) -> AsyncGenerator[Chunk]:
    """The learners of the selection, each once, as chunks; they are what the selection means from now on."""
    number = first_item = 0
    async with aclosing(_batches(runner, organization, selection, now)) as batches:
        async for content in batches:
            items = sum(map(len, content.values()))
            yield Chunk(number, first_item, items, orjson.dumps(content))
            number, first_item = number + 1, first_item + items


async def _batches(
    runner: Runner, organization: Organization, selection: Selection, now: datetime
) -> AsyncGenerator[dict[str, list[str]]]:
    excepted, chunk_rows = set(selection.except_ids), runner.limits.chunk_rows
    if selection.ids is not None:
        ids = sorted(set(selection.ids) - excepted)
        for start in range(0, len(ids), chunk_rows):
            yield {"ids": ids[start : start + chunk_rows]}
    elif selection.usernames is not None:
        known, unknown = await _resolve(runner, organization, selection.usernames, excepted)
        for start in range(0, len(known) + len(unknown), chunk_rows):
            batch = known[start : start + chunk_rows]
            rest = max(0, start - len(known))
            yield {"ids": batch, "unknown": unknown[rest : rest + chunk_rows - len(batch)]}
    elif selection.filter is not None:
        pending: list[str] = []
        today = organization.today(now)
        async with runner.selecting, runner.database.snapshot() as connection:
            statement = select_ids(organization.id, selection.filter, today, connection.dialect.name)
            async with connection.stream_scalars(
                statement, execution_options={"yield_per": chunk_rows}
            ) as selected:
                async for partition in selected.partitions():
                    pending += (learner_id for learner_id in partition if learner_id not in excepted)
                    while len(pending) >= chunk_rows:
                        yield {"ids": pending[:chunk_rows]}
                        del pending[:chunk_rows]
                # In here: the stream's end swallows GeneratorExit, after which nothing may be yielded.
                if pending:
                    yield {"ids": pending}


async def _resolve(
    runner: Runner, organization: Organization, usernames: Sequence[str], excepted: set[str]
) -> tuple[list[str], list[str]]:
    """The ids of those who have these usernames now, and the usernames that nobody has.

    Once and at the beginning, so that nobody comes into the selection, or into it twice, by a later change.
    """
    # The first spelling of each counts.
    by_key = {username_key(username): username for username in reversed(usernames)}
    async with runner.database.read() as connection:
        ids = await find_ids_by_username(connection, organization.id, by_key)
    return sorted(set(ids.values()) - excepted), [by_key[key] for key in sorted(by_key.keys() - ids.keys())]


@dataclass(frozen=True, slots=True)
class BulkActionWorker(OnePass, LearnerColumns):
    """Activates or deactivates the learners of a chunk."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """There is none."""
        return 0

    def read_chunk(self, operation: Operation, chunk: Chunk) -> dict[str, list[str]]:
        """`ids`, and as `unknown` the usernames that nobody had."""
        content: dict[str, list[str]] = orjson.loads(chunk.content)
        return content

    async def run_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: dict[str, list[str]],
        cause: Cause,
    ) -> Counter[str]:
        """See Worker.run_chunk."""
        organization_id, ids = operation.organization_id, work["ids"]
        existing = await bulk_sql.lock_many(connection, organization_id, ids)
        missing = [_missing(learner_id=learner_id) for learner_id in ids if learner_id not in existing]
        missing += [_missing(username=username) for username in work.get("unknown", ())]
        action = Action(str(operation.action))
        decided = bulk_sql.decide(action, organization_id, ids, cause, connection.dialect.name)
        numbered = _numbered(decided, chunk.first_item)
        await _record_outcomes(connection, operation, numbered, deactivates=action is Action.DEACTIVATE)
        first_missing = chunk.first_item + len(existing)
        outcomes = [outcome._replace(item=first_missing + place) for place, outcome in enumerate(missing)]
        await repository.insert_outcomes(connection, operation, outcomes)
        if not operation.dry_run:
            await bulk_sql.apply(connection, action, organization_id, ids, cause)
        return await repository.count_outcomes(connection, operation, chunk)


def _missing(learner_id: str | None = None, username: str | None = None) -> Outcome:
    return Outcome(0, OutcomeName.NOT_FOUND, learner_id, username, problem=_NOT_FOUND)


def _numbered(decided: Select[Any], first_item: int) -> Subquery:
    each = decided.order_by(None).subquery()
    item = (func.row_number().over(order_by=each.c.id) - 1 + first_item).label("item")
    return select(item, each).subquery()


async def _record_outcomes(
    connection: AsyncConnection, operation: Operation, numbered: Subquery, *, deactivates: bool
) -> None:
    each, refused = numbered.c, OutcomeName.REFUSED.value
    deactivated = each.outcome == OutcomeName.CHANGED.value if deactivates else false()
    await repository.insert_outcomes_from(
        connection,
        select(literal(operation.number), each.item, each.outcome, each.id, each.username, deactivated).where(
            each.outcome != refused
        ),
    )
    rows = await connection.execute(select(numbered).where(each.outcome == refused))
    outcomes = [
        Outcome(
            row.item,
            OutcomeName.REFUSED,
            row.id,
            row.username,
            problem=expired_problem(Expired(row.expires_on, Status(row.restores_to))).document(),
        )
        for row in rows
    ]
    await repository.insert_outcomes(connection, operation, outcomes)
