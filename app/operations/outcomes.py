"""The outcomes of an operation: one compressed document for each chunk, made of the rows of the plan."""

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

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


async def list_chunks(
    connection: AsyncConnection, operation: Operation, wanted: WantedOutcomes, *, first_item: int = 0
) -> list[int]:
    """List the numbers of the chunks that may have wanted outcomes from item `first_item` on."""
    names = [effect_name(each) for each in COUNTED_EFFECTS if each & wanted.effects]
    counts = names or [name.value for name in wanted.names]
    return await repository.list_chunks_with(connection, operation.id, first_item=first_item, wanted=counts)


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
    for number in await list_chunks(connection, operation, wanted, first_item=first_item):
        outcomes = await read_chunk(connection, operation, number)
        found += (each for each in outcomes if each.item >= first_item and wanted.includes(each))
        if len(found) >= limit:
            break
    return found[:limit]


async def read_chunk(connection: AsyncConnection, operation: Operation, number: int) -> list[Outcome]:
    """Read the outcomes of one chunk. Empty if they have been deleted."""
    packed = await repository.get_outcomes(connection, operation.id, number)
    return [] if packed is None else await compute(operation.total, partial(unpack, packed))
