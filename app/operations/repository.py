"""All SQL on operations, their staged chunks and their outcomes."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.expression import Executable

from app.operations.operation import (
    Chunk,
    Kind,
    Operation,
    Outcome,
    OutcomeName,
    Rehearsal,
    State,
    Tally,
    Tidied,
    WantedOutcomes,
    read_parameters,
)
from app.operations.tables import operation_chunks, operation_names, operation_outcomes, operations
from app.platform.bulk_rows import delete_up_to, insert_rows, is_one_of
from app.platform.threads import compute

_FIELDS = [field.name for field in fields(Operation)]
_COLUMNS = [operations.c[name] for name in _FIELDS]
_CHUNK_FIELDS = [field.name for field in fields(Chunk)]
_CHUNK_COLUMNS = [operation_chunks.c[name] for name in _CHUNK_FIELDS]
_OUTCOME_FIELDS = Outcome._fields
_OUTCOME_COLUMNS = [operation_outcomes.c[name] for name in _OUTCOME_FIELDS]
# The columns that insert_outcomes_from fills.
DECIDED_COLUMNS = ("operation_number", "item", "outcome", "learner_id", "username", "deactivated")
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


def _read_operation(row: Row[Any]) -> Operation:
    values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - the documented name
    kind = Kind(values["kind"])
    values |= {
        "kind": kind,
        "state": State(values["state"]),
        "tidied": Tidied(values["tidied"]),
        "parameters": read_parameters(kind, values["parameters"]),
        "rehearsed": Rehearsal.from_document(values["rehearsed"]),
    }
    return Operation(**values)


def _stored_values(operation: Operation, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(operation, name) for name in names}
    if "parameters" in values:
        values["parameters"] = operation.parameters.to_document()
    values["rehearsed"] = operation.rehearsed.to_document()
    return values


def _read_outcome(row: Row[Any]) -> Outcome:
    values = dict(row._mapping)  # noqa: SLF001 - the documented name
    return Outcome(**values | {"outcome": OutcomeName(row.outcome)})


async def insert_operation(connection: AsyncConnection, operation: Operation) -> Operation:
    """Store a new operation. From then on its staged chunks count."""
    values = _stored_values(operation, (name for name in _FIELDS if name != "number"))
    statement = insert(operations).values(**values).returning(operations.c.number)
    number = (await connection.execute(statement)).scalar_one()
    return replace(operation, number=number)


async def find_operation(
    connection: AsyncConnection, organization_id: int, operation_id: str
) -> Operation | None:
    """Return the organization's operation with this id, or None."""
    statement = select(*_COLUMNS).where(
        operations.c.organization_id == organization_id, operations.c.id == operation_id
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _read_operation(row)


async def get_operation(connection: AsyncConnection, number: int) -> Operation:
    """Return the operation with this number. Raises NoResultFound."""
    statement = select(*_COLUMNS).where(operations.c.number == number)
    return _read_operation((await connection.execute(statement)).one())


async def lock_operation(connection: AsyncConnection, number: int) -> Operation:
    """Lock the operation until the transaction ends, so that no two run the same chunk. Raises NoResultFound."""
    statement = select(*_COLUMNS).where(operations.c.number == number).with_for_update()
    return _read_operation((await connection.execute(statement)).one())


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
    """List up to `limit` operations, newest first, older than the one with the id `after`."""
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
    return [_read_operation(row) for row in await connection.execute(statement)]


async def list_unfinished(connection: AsyncConnection) -> list[Operation]:
    """List every operation of every organization that has not ended, oldest first."""
    statement = select(*_COLUMNS).where(operations.c.finished_at.is_(None)).order_by(operations.c.id)
    return [_read_operation(row) for row in await connection.execute(statement)]


async def list_ended(connection: AsyncConnection, tidied: Tidied, ended_before: datetime) -> list[Operation]:
    """List the operations of every organization that ended before this instant and are tidied exactly this far."""
    statement = select(*_COLUMNS).where(
        operations.c.tidied == tidied, operations.c.finished_at <= ended_before
    )
    return [_read_operation(row) for row in await connection.execute(statement)]


async def mark_tidied(connection: AsyncConnection, number: int, tidied: Tidied) -> None:
    """Store how much of an operation was removed."""
    await connection.execute(update(operations).where(operations.c.number == number).values(tidied=tidied))


async def find_kinds(connection: AsyncConnection, operation_ids: Collection[str]) -> dict[str, Kind]:
    """Return the kinds of these operations by id."""
    statement = select(operations.c.id, operations.c.kind).where(
        is_one_of(operations.c.id, operation_ids, connection.dialect.name)
    )
    return {row.id: Kind(row.kind) for row in await connection.execute(statement)}


async def store_progress(connection: AsyncConnection, operation: Operation) -> None:
    """Store how far the operation is."""
    await connection.execute(
        update(operations)
        .where(operations.c.number == operation.number)
        .values(_stored_values(operation, _PROGRESS))
    )


async def mark_reverted(connection: AsyncConnection, operation: Operation, reverted_by: str) -> None:
    """Store by which operation this (locked) one is reverted."""
    await connection.execute(
        update(operations).where(operations.c.number == operation.number).values(reverted_by=reverted_by)
    )


async def insert_chunk(connection: AsyncConnection, operation_id: str, chunk: Chunk) -> None:
    """Stage one chunk."""
    values = {name: getattr(chunk, name) for name in _CHUNK_FIELDS}
    await connection.execute(insert(operation_chunks).values(operation_id=operation_id, **values))


async def get_chunk(connection: AsyncConnection, operation_id: str, number: int) -> Chunk:
    """Return one staged chunk. Raises NoResultFound."""
    statement = select(*_CHUNK_COLUMNS).where(
        operation_chunks.c.operation_id == operation_id, operation_chunks.c.number == number
    )
    row = (await connection.execute(statement)).one()
    return Chunk(**row._mapping)  # noqa: SLF001 - the documented name


async def delete_stage(connection: AsyncConnection, operation_id: str) -> None:
    """Remove the staged chunks of an operation that will not be stored, or no longer needs them."""
    await connection.execute(delete(operation_chunks).where(operation_chunks.c.operation_id == operation_id))


async def delete_abandoned_stages(connection: AsyncConnection, before_id: str) -> int:
    """Remove stages without an operation that are older than `before_id`. Ids carry the time."""
    known = select(operations.c.id).where(operations.c.id == operation_chunks.c.operation_id)
    statement = delete(operation_chunks).where(operation_chunks.c.operation_id < before_id, ~known.exists())
    return (await connection.execute(statement)).rowcount


async def insert_outcomes(
    connection: AsyncConnection, operation: Operation, outcomes: Sequence[Outcome]
) -> None:
    """Store these outcomes."""
    rows = await compute(len(outcomes), lambda: [(operation.number, *outcome) for outcome in outcomes])
    await insert_rows(connection, operation_outcomes, ("operation_number", *_OUTCOME_FIELDS), rows)


async def insert_outcomes_from(connection: AsyncConnection, decided: Executable) -> None:
    """Store the outcomes that a query decides; it selects DECIDED_COLUMNS in this order."""
    await connection.execute(insert(operation_outcomes).from_select(list(DECIDED_COLUMNS), decided))  # type: ignore[arg-type]


async def find_names(
    connection: AsyncConnection, operation: Operation, kind: str, names: Collection[str]
) -> dict[str, str | None]:
    """Return the holder of each name that the dry run's earlier chunks would move (None = no longer held)."""
    statement = select(operation_names.c.name, operation_names.c.learner_id).where(
        *_is_named(connection, operation, kind, names)
    )
    return {row.name: row.learner_id for row in await connection.execute(statement)}


async def store_names(
    connection: AsyncConnection, operation: Operation, kind: str, names: Mapping[str, str | None]
) -> None:
    """Store who would hold these names now, in place of their earlier holders."""
    if not names:
        return
    await connection.execute(
        delete(operation_names).where(*_is_named(connection, operation, kind, names.keys()))
    )
    rows = [(operation.number, kind, name, learner_id) for name, learner_id in sorted(names.items())]
    await insert_rows(connection, operation_names, ("operation_number", "kind", "name", "learner_id"), rows)


async def delete_names(connection: AsyncConnection, number: int, limit: int) -> int:
    """Remove up to `limit` of the names that an operation has stored, and return how many were removed."""
    mine = operation_names.c.operation_number == number
    return await delete_up_to(connection, operation_names, mine, limit)


def _is_named(
    connection: AsyncConnection, operation: Operation, kind: str, names: Collection[str]
) -> tuple[ColumnElement[bool], ...]:
    return (
        operation_names.c.operation_number == operation.number,
        operation_names.c.kind == kind,
        is_one_of(operation_names.c.name, names, connection.dialect.name),
    )


async def delete_outcomes(connection: AsyncConnection, operation: Operation, limit: int) -> int:
    """Remove up to `limit` outcomes, and return how many were removed."""
    mine = operation_outcomes.c.operation_number == operation.number
    return await delete_up_to(connection, operation_outcomes, mine, limit)


async def count_outcomes(connection: AsyncConnection, operation: Operation, chunk: Chunk) -> Tally:
    """Count the outcomes of this chunk, and how many of its learners lost access."""
    statement = (
        select(
            operation_outcomes.c.outcome,
            func.count().label("number"),
            func.count().filter(operation_outcomes.c.deactivated).label("deactivated"),
        )
        .where(
            operation_outcomes.c.operation_number == operation.number,
            operation_outcomes.c.item >= chunk.first_item,
            operation_outcomes.c.item < chunk.first_item + chunk.items,
        )
        .group_by(operation_outcomes.c.outcome)
    )
    rows = (await connection.execute(statement)).all()
    return Tally(
        Counter({row.outcome: row.number for row in rows}), deactivated=sum(row.deactivated for row in rows)
    )


async def list_outcomes(
    connection: AsyncConnection,
    operation: Operation,
    *,
    wanted: WantedOutcomes,
    first_item: int,
    before_item: int | None = None,
    limit: int | None = None,
) -> list[Outcome]:
    """List up to `limit` outcomes in order, from item `first_item` on and below `before_item`."""
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
    return [_read_outcome(row) for row in await connection.execute(statement)]
