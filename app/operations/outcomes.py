"""The outcomes of an operation: one compressed document for each chunk, made of the rows of the plan."""

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import plan_repository
from app.learners.plan import COUNTED_EFFECTS, Effect, OutcomeName, effect_name, write_deactivation
from app.learners.plan_conditions import Scope
from app.learners.plan_repository import Totals
from app.operations import repository
from app.operations.operation import Chunk, Operation, Outcome, WantedOutcomes
from app.platform.threads import compute

# A higher level takes much longer and saves a tenth.
_LEVEL = 3


async def store(
    connection: AsyncConnection, operation: Operation, chunk: Chunk, scope: Scope, totals: Totals, now: Any
) -> None:
    """Make the outcomes of a chunk of its rows in the plan.

    `now` is the instant at which they were applied, in place of the one that stood for it in the plan.
    """
    text = await plan_repository.read_outcomes(connection, scope, hides_new=operation.changes_nothing)
    if operation.started_at is not None and not operation.changes_nothing:
        text = text.replace(write_deactivation(operation.started_at), write_deactivation(now))
    packed = await compute(chunk.items, lambda: zlib.compress(text.encode(), _LEVEL))
    counts = {**totals.outcomes, **totals.effects}
    await repository.store_outcomes(connection, operation.id, chunk.number, packed, counts)


def unpack(packed: bytes) -> list[Outcome]:
    """Return the outcomes of a chunk, in order."""
    return [_read(row) for row in orjson.loads(zlib.decompress(packed))]


def _read(row: Sequence[Any]) -> Outcome:
    item, line, outcome, learner_id, version, username, external_id, effects, before, after, problems = row
    return Outcome(
        item,
        OutcomeName(outcome),
        line,
        learner_id,
        version,
        username,
        external_id,
        Effect(effects),
        _compare(before, after),
        problems or (),
    )


def _compare(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Sequence[Any]]:
    if not after:
        return {}
    was = before or {}
    return {name: (was.get(name), value) for name, value in after.items() if was.get(name) != value}


def names_of(wanted: WantedOutcomes) -> list[str]:
    """Return the counts of a chunk of which one is above 0 if the chunk has wanted outcomes. None = every chunk."""
    if wanted.effects:
        return [effect_name(each) for each in COUNTED_EFFECTS if each & wanted.effects]
    return [name.value for name in wanted.names]


async def list_outcomes(
    connection: AsyncConnection,
    operation: Operation,
    wanted: WantedOutcomes,
    *,
    first_item: int = 0,
    limit: int,
) -> list[Outcome]:
    """List up to `limit` outcomes in order, from item `first_item` on."""
    found: list[Outcome] = []
    item = first_item
    while len(found) < limit:
        part = await read_next(connection, operation, wanted, item)
        if part is None:
            break
        found += part.outcomes
        item = part.next_item
    return found[:limit]


class Part(NamedTuple):
    """The wanted outcomes of a chunk, and the first item after it."""

    chunk: int
    outcomes: list[Outcome]
    next_item: int


async def read_next(
    connection: AsyncConnection, operation: Operation, wanted: WantedOutcomes, first_item: int
) -> Part | None:
    """Read the wanted outcomes from item `first_item` on of the next chunk that has any, or None."""
    row = await repository.find_outcomes(
        connection, operation.id, first_item=first_item, wanted=names_of(wanted)
    )
    if row is None:
        return None
    found = await compute(row.items, partial(unpack, row.outcomes))
    outcomes = [each for each in found if each.item >= first_item and wanted.includes(each)]
    return Part(row.number, outcomes, row.first_item + row.items)


async def read_chunk(connection: AsyncConnection, operation: Operation, number: int) -> list[Outcome]:
    """Read the outcomes of one chunk. Empty if they have been deleted."""
    packed = await repository.get_outcomes(connection, operation.id, number)
    return [] if packed is None else await compute(operation.total, partial(unpack, packed))
