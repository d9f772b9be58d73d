"""Bulk actions: stages the selected learners in chunks, and applies each chunk with a few statements."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, Subquery, false, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import Expired
from app.domain.status import Status
from app.learners import bulk_sql
from app.learners.bulk_sql import Action
from app.learners.learner import Cause, username_key
from app.learners.repository import find_ids_by_username, select_ids
from app.operations import repository, service
from app.operations.errors import SelectionChanged, UnknownLearner
from app.operations.handler import LearnerColumns, OnePass
from app.operations.operation import Chunk, Kind, Operation, Outcome, OutcomeName, Tally
from app.operations.parameters import BulkActionParameters
from app.operations.problems import describe_reason
from app.operations.runner import Runner
from app.operations.schemas import BulkActionRequest, Selection
from app.operations.service import OnStored
from app.organizations.organization import Organization
from app.organizations.principal import Actor
from app.platform.ids import new_id


class SelectedLearners(NamedTuple):
    """A chunk of a bulk action: ids that were selected, and selected usernames that no learner has."""

    ids: list[str]
    unknown_usernames: Sequence[str] = ()

    @classmethod
    def decode(cls, content: bytes) -> "SelectedLearners":
        """Read what `encode` has made."""
        document = orjson.loads(content)
        return cls(document["ids"], document.get("unknown", ()))

    def encode(self) -> bytes:
        """Return the content of the chunk."""
        return orjson.dumps({"ids": self.ids, "unknown": self.unknown_usernames})


async def submit_bulk_action(
    runner: Runner,
    organization: Organization,
    actor: Actor,
    wanted: BulkActionRequest,
    now: datetime,
    on_stored: OnStored,
) -> Operation:
    """Begin a bulk action. Raises SelectionChanged."""
    selection = wanted.selection.model_dump(mode="json", include={"filter"}, exclude_unset=True)
    draft = Operation(
        id=new_id(now),
        organization_id=organization.id,
        kind=Kind.BULK_ACTION,
        action=wanted.action.value,
        dry_run=wanted.dry_run,
        reason=wanted.reason,
        parameters=BulkActionParameters(selection.get("filter")),
        created_by=actor.document(),
        created_at=now,
    )
    return await service.submit(
        runner,
        draft,
        organization,
        select_chunks(runner, organization, wanted.selection, now),
        on_stored=on_stored,
        check_total=partial(_check_matched, wanted.expected_count),
    )


def _check_matched(expected: int | None, matched: int) -> None:
    if expected is not None and expected != matched:
        raise SelectionChanged(expected, matched)


async def select_chunks(
    runner: Runner, organization: Organization, selection: Selection, now: datetime
) -> AsyncGenerator[Chunk]:
    """Yield the selected learners, each once, as chunks; later changes do not change the selection."""
    number = first_item = 0
    async with aclosing(_select_batches(runner, organization, selection, now)) as batches:
        async for batch in batches:
            items = len(batch.ids) + len(batch.unknown_usernames)
            yield Chunk(number, first_item, items, batch.encode())
            number, first_item = number + 1, first_item + items


async def _select_batches(
    runner: Runner, organization: Organization, selection: Selection, now: datetime
) -> AsyncGenerator[SelectedLearners]:
    excepted, chunk_rows = set(selection.except_ids), runner.limits.chunk_rows
    if selection.ids is not None:
        ids = sorted(set(selection.ids) - excepted)
        for start in range(0, len(ids), chunk_rows):
            yield SelectedLearners(ids[start : start + chunk_rows])
    elif selection.usernames is not None:
        known, unknown = await _find_learners(runner, organization, selection.usernames, excepted)
        for start in range(0, len(known) + len(unknown), chunk_rows):
            batch = known[start : start + chunk_rows]
            rest = max(0, start - len(known))
            yield SelectedLearners(batch, unknown[rest : rest + chunk_rows - len(batch)])
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
                        yield SelectedLearners(pending[:chunk_rows])
                        del pending[:chunk_rows]
                # Inside the block, because the end of the stream swallows GeneratorExit, and nothing may be yielded
                # after that.
                if pending:
                    yield SelectedLearners(pending)


async def _find_learners(
    runner: Runner, organization: Organization, usernames: Sequence[str], excepted: set[str]
) -> SelectedLearners:
    """Return the ids of the learners who have these usernames now, and the usernames that no learner has.

    Call it once, at the beginning, so that a later change cannot add a learner or select one twice.
    """
    # Of several spellings the first counts.
    by_key = {username_key(username): username for username in reversed(usernames)}
    async with runner.database.read() as connection:
        ids = await find_ids_by_username(connection, organization.id, by_key)
    unknown = [by_key[key] for key in sorted(by_key.keys() - ids.keys())]
    return SelectedLearners(sorted(set(ids.values()) - excepted), unknown)


@dataclass(frozen=True, slots=True)
class BulkActionHandler(OnePass, LearnerColumns):
    """Activates or deactivates the learners of a chunk."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """Do nothing: a bulk action stores no rows that only it needs."""
        return 0

    def read_chunk(self, operation: Operation, chunk: Chunk) -> SelectedLearners:
        """See Handler.read_chunk."""
        return SelectedLearners.decode(chunk.content)

    async def run_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: SelectedLearners,
        cause: Cause,
    ) -> Tally:
        """See Handler.run_chunk."""
        organization_id, ids = operation.organization_id, work.ids
        existing = await bulk_sql.lock_many(connection, organization_id, ids)
        action = Action(str(operation.action))
        decided = bulk_sql.select_decisions(action, organization_id, ids, cause, connection.dialect.name)
        numbered = _number_items(decided, chunk.first_item)
        await _record_outcomes(connection, operation, numbered, deactivates=action is Action.DEACTIVATE)
        unknown = _list_unknown(work, existing, chunk.first_item + len(existing))
        await repository.insert_outcomes(connection, operation, unknown)
        if not operation.dry_run:
            await bulk_sql.apply_action(connection, action, organization_id, ids, cause)
        return await repository.count_outcomes(connection, operation, chunk)


def _list_unknown(selected: SelectedLearners, existing: set[str], first_item: int) -> list[Outcome]:
    problem = describe_reason(UnknownLearner())
    names: list[tuple[str | None, str | None]] = [
        (learner_id, None) for learner_id in selected.ids if learner_id not in existing
    ]
    names += [(None, username) for username in selected.unknown_usernames]
    return [
        Outcome(item, OutcomeName.NOT_FOUND, learner_id, username, problem=problem)
        for item, (learner_id, username) in enumerate(names, first_item)
    ]


def _number_items(decided: Select[Any], first_item: int) -> Subquery:
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
            problem=describe_reason(Expired(row.expires_on, Status(row.restores_to))),
        )
        for row in rows
    ]
    await repository.insert_outcomes(connection, operation, outcomes)
