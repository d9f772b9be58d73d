"""All SQL on operations and their chunks."""

from collections.abc import Collection, Iterable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations.operation import (
    Chunk,
    Kind,
    Operation,
    Phase,
    State,
    Tidied,
    read_parameters,
)
from app.operations.tables import operation_chunks, operations
from app.platform.bulk_rows import is_one_of

_FIELDS = [field.name for field in fields(Operation)]
_COLUMNS = [operations.c[name] for name in _FIELDS]
# A list does not read what only the work needs: the header of a file can be long.
_LISTED_COLUMNS = [column for column in _COLUMNS if column.name != "parameters"]
_CHUNK_FIELDS = [field.name for field in fields(Chunk)]
_CHUNK_COLUMNS = [operation_chunks.c[name] for name in _CHUNK_FIELDS]
# What changes while an operation runs.
_PROGRESS = (
    "state",
    "phase",
    "planned_on",
    "cursor",
    "chunks",
    "done",
    "total",
    "counts",
    "effects",
    "revertible",
    "warnings",
    "problem",
    "started_at",
    "finished_at",
)


def _read_operation(row: Row[Any]) -> Operation:
    values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - the documented name
    kind = Kind(values["kind"])
    parameters = values.get("parameters")
    values |= {
        "kind": kind,
        "state": State(values["state"]),
        "tidied": Tidied(values["tidied"]),
        "phase": Phase(values["phase"]),
        "parameters": None if parameters is None else read_parameters(kind, parameters),
    }
    return Operation(**values)


def _stored_values(operation: Operation, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(operation, name) for name in names}
    if operation.parameters is not None and "parameters" in values:
        values["parameters"] = operation.parameters.to_document()
    return values


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
        select(*_LISTED_COLUMNS)
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
    statement = select(*_LISTED_COLUMNS).where(operations.c.finished_at.is_(None)).order_by(operations.c.id)
    return [_read_operation(row) for row in await connection.execute(statement)]


async def list_ended(connection: AsyncConnection, tidied: Tidied, ended_before: datetime) -> list[Operation]:
    """List the operations of every organization that ended before this instant and are tidied exactly this far."""
    statement = select(*_LISTED_COLUMNS).where(
        operations.c.tidied == tidied, operations.c.finished_at <= ended_before
    )
    return [_read_operation(row) for row in await connection.execute(statement)]


async def mark_tidied(connection: AsyncConnection, number: int, tidied: Tidied) -> None:
    """Store how much of an operation was removed."""
    await connection.execute(update(operations).where(operations.c.number == number).values(tidied=tidied))


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


async def find_chunk_of(connection: AsyncConnection, operation_id: str, item: int) -> Chunk:
    """Return the chunk that has this item. Raises NoResultFound."""
    statement = (
        select(*_CHUNK_COLUMNS)
        .where(operation_chunks.c.operation_id == operation_id, operation_chunks.c.first_item <= item)
        .order_by(operation_chunks.c.number.desc())
        .limit(1)
    )
    row = (await connection.execute(statement)).one()
    return Chunk(**row._mapping)  # noqa: SLF001 - the documented name


async def count_applied(connection: AsyncConnection, operation_id: str) -> int:
    """Return how many chunks have outcomes."""
    statement = select(func.count()).where(
        operation_chunks.c.operation_id == operation_id, operation_chunks.c.outcomes.is_not(None)
    )
    return int((await connection.execute(statement)).scalar_one())


async def store_outcomes(
    connection: AsyncConnection, operation_id: str, chunk: int, outcomes: bytes, counts: dict[str, int]
) -> None:
    """Store the outcomes of a chunk, and how many of them have which outcome and effect."""
    await connection.execute(
        update(operation_chunks)
        .where(operation_chunks.c.operation_id == operation_id, operation_chunks.c.number == chunk)
        .values(outcomes=outcomes, counts=counts)
    )


async def list_chunks_with(
    connection: AsyncConnection, operation_id: str, *, first_item: int = 0, wanted: Collection[str]
) -> list[int]:
    """List the numbers of the chunks with outcomes from `first_item` on that have one of the wanted counts.

    Nothing wanted: all of them.
    """
    statement = (
        select(operation_chunks.c.number, operation_chunks.c.counts)
        .where(
            operation_chunks.c.operation_id == operation_id,
            operation_chunks.c.first_item + operation_chunks.c["items"] > first_item,
            operation_chunks.c.outcomes.is_not(None),
        )
        .order_by(operation_chunks.c.number)
    )
    rows = await connection.execute(statement)
    return [row.number for row in rows if not wanted or not row.counts.keys().isdisjoint(wanted)]


async def get_outcomes(connection: AsyncConnection, operation_id: str, chunk: int) -> bytes | None:
    """Return the stored outcomes of a chunk, or None if there are none (any more)."""
    statement = select(operation_chunks.c.outcomes).where(
        operation_chunks.c.operation_id == operation_id, operation_chunks.c.number == chunk
    )
    return (await connection.execute(statement)).scalar_one_or_none()


async def count_undone(
    connection: AsyncConnection, organization_id: int, operation_id: str, number: int
) -> None:
    """Store that so many more changes of the operation have been undone.

    If the operation is a revert itself, the changes that it had undone are in force again, and so on.
    """
    reverted: str | None = operation_id
    more = -number
    while reverted is not None and number:
        statement = (
            update(operations)
            .where(operations.c.organization_id == organization_id, operations.c.id == reverted)
            .values(revertible=operations.c.revertible + more)
            .returning(operations.c.reverts)
        )
        reverted = (await connection.execute(statement)).scalar_one_or_none()
        more = -more


async def find_reverted(
    connection: AsyncConnection, organization_id: int, operation_ids: Collection[str | None]
) -> dict[str, str]:
    """Find which of these operations are reverts, and the id of the operation that each of them reverts."""
    known = [each for each in operation_ids if each is not None]
    statement = select(operations.c.id, operations.c.reverts).where(
        operations.c.organization_id == organization_id,
        is_one_of(operations.c.id, known, connection.dialect.name),
        operations.c.reverts.is_not(None),
    )
    return {row.id: row.reverts for row in await connection.execute(statement)}


async def delete_stage(connection: AsyncConnection, operation_id: str) -> None:
    """Remove the chunks of an operation that will not be stored, or no longer needs them."""
    await connection.execute(delete(operation_chunks).where(operation_chunks.c.operation_id == operation_id))


async def delete_abandoned_stages(connection: AsyncConnection, before_id: str) -> int:
    """Remove stages without an operation that are older than `before_id`. Ids carry the time."""
    known = select(operations.c.id).where(operations.c.id == operation_chunks.c.operation_id)
    statement = delete(operation_chunks).where(operation_chunks.c.operation_id < before_id, ~known.exists())
    return (await connection.execute(statement)).rowcount
