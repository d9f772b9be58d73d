"""All SQL on operations, their staged chunks and their outcomes."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.expression import Executable

from app.operations.operation import (
    DEACTIVATED,
    Chunk,
    Kind,
    Operation,
    Outcome,
    OutcomeName,
    State,
    Tidied,
    WantedOutcomes,
)
from app.operations.tables import operation_chunks, operation_names, operation_outcomes, operations
from app.platform.bulk_rows import delete_up_to, insert_rows, is_one_of
from app.platform.threads import compute

_FIELDS = [field.name for field in fields(Operation)]
_COLUMNS = [operations.c[name] for name in _FIELDS]
_CHUNK_COLUMNS = [operation_chunks.c[field.name] for field in fields(Chunk)]
_OUTCOME_FIELDS = Outcome._fields
_OUTCOME_COLUMNS = [operation_outcomes.c[name] for name in _OUTCOME_FIELDS]
# What changes while an operation runs.
_PROGRESS = (
    "state",
    "is_rehearsal",
    "rehearsed",
    "cursor",
    "chunks",
    "done",
    "total",
    "counts",
    "deactivated",
    "problem",
    "started_at",
    "finished_at",
)


def _operation(row: Row[Any]) -> Operation:
    values = dict(zip(_FIELDS, row, strict=True))
    kind, state, tidied = Kind(values["kind"]), State(values["state"]), Tidied(values["tidied"])
    return Operation(**{**values, "kind": kind, "state": state, "tidied": tidied})


async def insert_operation(connection: AsyncConnection, operation: Operation) -> Operation:
    """Store a new operation, whose staged chunks begin to count with it."""
    values = {name: getattr(operation, name) for name in _FIELDS if name != "number"}
    statement = insert(operations).values(**values).returning(operations.c.number)
    number = (await connection.execute(statement)).scalar_one()
    return Operation(**{**values, "number": number})


async def find(connection: AsyncConnection, organization_id: int, operation_id: str) -> Operation | None:
    """The organization's operation with this id."""
    statement = select(*_COLUMNS).where(
        operations.c.organization_id == organization_id, operations.c.id == operation_id
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _operation(row)


async def get(connection: AsyncConnection, number: int) -> Operation:
    """The operation with this number. Raises NoResultFound."""
    statement = select(*_COLUMNS).where(operations.c.number == number)
    return _operation((await connection.execute(statement)).one())


async def lock(connection: AsyncConnection, number: int) -> Operation:
    """The operation, kept by this transaction, so that no two run the same chunk."""
    statement = select(*_COLUMNS).where(operations.c.number == number).with_for_update()
    return _operation((await connection.execute(statement)).one())


async def list_operations(
    connection: AsyncConnection,
    organization_id: int,
    *,
    kind: Kind | None,
    state: State | None,
    dry_run: bool | None,
    after: str | None,
    limit: int,
) -> list[Operation]:
    """Up to `limit` operations, newest first, older than the one with the id `after`."""
    statement = (
        select(*_COLUMNS)
        .where(operations.c.organization_id == organization_id)
        .order_by(operations.c.id.desc())
        .limit(limit)
    )
    if kind is not None:
        statement = statement.where(operations.c.kind == kind)
    if state is not None:
        statement = statement.where(operations.c.state == state)
    if dry_run is not None:
        statement = statement.where(operations.c.dry_run.is_(dry_run))
    if after is not None:
        statement = statement.where(operations.c.id < after)
    return [_operation(row) for row in await connection.execute(statement)]


async def list_unfinished(connection: AsyncConnection) -> list[Operation]:
    """Every operation of every organization that has not ended, oldest first."""
    statement = select(*_COLUMNS).where(operations.c.finished_at.is_(None)).order_by(operations.c.id)
    return [_operation(row) for row in await connection.execute(statement)]


async def list_ended(connection: AsyncConnection, tidied: Tidied, ended_before: datetime) -> list[Operation]:
    """The operations, of every organization, that ended before this instant and are as tidied as that."""
    statement = select(*_COLUMNS).where(
        operations.c.tidied == tidied, operations.c.finished_at <= ended_before
    )
    return [_operation(row) for row in await connection.execute(statement)]


async def mark_tidied(connection: AsyncConnection, number: int, tidied: Tidied) -> None:
    """Note how much was removed."""
    await connection.execute(update(operations).where(operations.c.number == number).values(tidied=tidied))


async def find_kinds(connection: AsyncConnection, operation_ids: Collection[str]) -> dict[str, Kind]:
    """The kinds of these operations."""
    statement = select(operations.c.id, operations.c.kind).where(
        is_one_of(operations.c.id, operation_ids, connection.dialect.name)
    )
    return {row.id: Kind(row.kind) for row in await connection.execute(statement)}


async def store_progress(connection: AsyncConnection, operation: Operation) -> None:
    """Store how far the operation is."""
    await connection.execute(
        update(operations)
        .where(operations.c.number == operation.number)
        .values({name: getattr(operation, name) for name in _PROGRESS})
    )


async def mark_reverted(connection: AsyncConnection, operation: Operation, reverted_by: str) -> None:
    """Note by which operation this (locked) one is reverted."""
    await connection.execute(
        update(operations).where(operations.c.number == operation.number).values(reverted_by=reverted_by)
    )


async def insert_chunk(connection: AsyncConnection, operation_id: str, chunk: Chunk) -> None:
    """Stage one chunk."""
    values = {field.name: getattr(chunk, field.name) for field in fields(Chunk)}
    await connection.execute(insert(operation_chunks).values(operation_id=operation_id, **values))


async def get_chunk(connection: AsyncConnection, operation_id: str, number: int) -> Chunk:
    """One staged chunk. Raises NoResultFound."""
    statement = select(*_CHUNK_COLUMNS).where(
        operation_chunks.c.operation_id == operation_id, operation_chunks.c.number == number
    )
    return Chunk(*(await connection.execute(statement)).one())


async def delete_stage(connection: AsyncConnection, operation_id: str) -> None:
    """Remove the staged chunks of an operation that will not come to be."""
    await connection.execute(delete(operation_chunks).where(operation_chunks.c.operation_id == operation_id))


async def delete_abandoned_stages(connection: AsyncConnection, before_id: str) -> int:
    """Remove stages whose operation never came, with ids (which carry the time) below `before_id`."""
    known = select(operations.c.id).where(operations.c.id == operation_chunks.c.operation_id)
    statement = delete(operation_chunks).where(operation_chunks.c.operation_id < before_id, ~known.exists())
    return (await connection.execute(statement)).rowcount


async def insert_outcomes(
    connection: AsyncConnection, operation: Operation, outcomes: Sequence[Outcome]
) -> None:
    """Record what became of these learners or rows."""
    rows = await compute(len(outcomes), lambda: [(operation.number, *outcome) for outcome in outcomes])
    await insert_rows(connection, operation_outcomes, ("operation_number", *_OUTCOME_FIELDS), rows)


async def insert_outcomes_from(connection: AsyncConnection, decided: Executable) -> None:
    """Record the outcomes that a query decides: in the order of the columns below."""
    columns = ["operation_number", "item", "outcome", "learner_id", "username", "deactivated"]
    await connection.execute(insert(operation_outcomes).from_select(columns, decided))  # type: ignore[arg-type]


async def find_names(
    connection: AsyncConnection, operation: Operation, kind: str, names: Collection[str]
) -> dict[str, str | None]:
    """Who would have these names after the dry run's earlier chunks (None = nobody), of those that they moved."""
    statement = select(operation_names.c.name, operation_names.c.learner_id).where(
        *_named(connection, operation, kind, names)
    )
    return {row.name: row.learner_id for row in await connection.execute(statement)}


async def store_names(
    connection: AsyncConnection, operation: Operation, kind: str, names: Mapping[str, str | None]
) -> None:
    """Note who would have these names now, in place of what was noted of them before."""
    if not names:
        return
    await connection.execute(
        delete(operation_names).where(*_named(connection, operation, kind, names.keys()))
    )
    rows = [(operation.number, kind, name, learner_id) for name, learner_id in sorted(names.items())]
    await insert_rows(connection, operation_names, ("operation_number", "kind", "name", "learner_id"), rows)


async def forget_names(connection: AsyncConnection, number: int, limit: int) -> int:
    """Remove up to `limit` names that an operation noted; how many there were."""
    mine = operation_names.c.operation_number == number
    return await delete_up_to(connection, operation_names, mine, limit)


def _named(
    connection: AsyncConnection, operation: Operation, kind: str, names: Collection[str]
) -> tuple[ColumnElement[bool], ...]:
    return (
        operation_names.c.operation_number == operation.number,
        operation_names.c.kind == kind,
        is_one_of(operation_names.c.name, names, connection.dialect.name),
    )


async def delete_outcomes(connection: AsyncConnection, operation: Operation, limit: int) -> int:
    """Remove up to `limit` outcomes; how many there were."""
    mine = operation_outcomes.c.operation_number == operation.number
    return await delete_up_to(connection, operation_outcomes, mine, limit)


async def count_outcomes(connection: AsyncConnection, operation: Operation, chunk: Chunk) -> Counter[str]:
    """How many learners or rows of this chunk had which outcome; and, as DEACTIVATED, how many lost access."""
    statement = (
        select(
            operation_outcomes.c.outcome,
            func.count(),
            func.count().filter(operation_outcomes.c.deactivated),
        )
        .where(
            operation_outcomes.c.operation_number == operation.number,
            operation_outcomes.c.item >= chunk.first_item,
            operation_outcomes.c.item < chunk.first_item + chunk.items,
        )
        .group_by(operation_outcomes.c.outcome)
    )
    counted: Counter[str] = Counter()
    for outcome, number, deactivated in await connection.execute(statement):
        counted += Counter({outcome: number, DEACTIVATED: deactivated})
    return counted


async def list_outcomes(
    connection: AsyncConnection,
    operation: Operation,
    *,
    wanted: WantedOutcomes,
    first_item: int,
    before_item: int | None = None,
    limit: int | None = None,
) -> list[Outcome]:
    """Outcomes in order, from item `first_item` on, below `before_item`, up to `limit` of them."""
    statement = (
        select(*_OUTCOME_COLUMNS)
        .where(
            operation_outcomes.c.operation_number == operation.number,
            operation_outcomes.c.item >= first_item,
        )
        .order_by(operation_outcomes.c.item)
        .limit(limit)
    )
    if before_item is not None:
        statement = statement.where(operation_outcomes.c.item < before_item)
    if wanted.names:
        names = [each.value for each in wanted.names]
        statement = statement.where(operation_outcomes.c.outcome.in_(names))
    if wanted.deactivated is not None:
        statement = statement.where(operation_outcomes.c.deactivated.is_(wanted.deactivated))
    return [Outcome(row[0], OutcomeName(row[1]), *row[2:]) for row in await connection.execute(statement)]
