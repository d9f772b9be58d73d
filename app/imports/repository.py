"""All SQL on the keys of the learners that an import has handled; each of its passes has keys of its own."""

from collections.abc import Collection, Mapping
from enum import IntEnum

from sqlalchemy import Column, ColumnElement, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports.tables import import_keys
from app.operations.operation import Operation
from app.platform.bulk_rows import delete_up_to, exists_row_by_row, insert_rows, select_by_keys
from app.platform.threads import compute

_COLUMNS = ("operation_number", "is_rehearsal", "kind", "key", "line")


class KeyKind(IntEnum):
    """What a key stands for."""

    # The id of a learner with a row that was handled: any later row is a duplicate.
    LEARNER = 0
    # A username or external id that no learner in the database has.
    NAME = 1
    # The id of a learner that a row names without being the learner's row.
    MENTION = 2


# The kinds of keys that are ids, and say that a row names this learner.
_NAMED = (KeyKind.LEARNER, KeyKind.MENTION)


def _of(operation: Operation) -> ColumnElement[bool]:
    return (import_keys.c.operation_number == operation.number) & (
        import_keys.c.is_rehearsal.is_(operation.is_rehearsal)
    )


async def has_names(connection: AsyncConnection, operation: Operation) -> bool:
    """Return whether any row so far had an unknown name. Usually none did, so no names need to be looked up."""
    statement = select(import_keys.c.line).where(_of(operation), import_keys.c.kind == KeyKind.NAME).limit(1)
    return (await connection.execute(statement)).first() is not None


async def find_lines(
    connection: AsyncConnection, operation: Operation, kind: KeyKind, keys: Collection[str]
) -> dict[str, int]:
    """Return the lines on which the pass has met these keys before."""
    if not keys:
        return {}
    statement = select_by_keys(
        [import_keys.c.key, import_keys.c.line],
        [_of(operation), import_keys.c.kind == kind],
        import_keys.c.key,
        keys,
        connection.dialect.name,
    )
    return {row.key: row.line for row in await connection.execute(statement)}


async def find_named(
    connection: AsyncConnection, operation: Operation, learner_ids: Collection[str]
) -> set[str]:
    """Return those of these learners that a row of the pass has named so far."""
    found = [await find_lines(connection, operation, kind, learner_ids) for kind in _NAMED]
    return {learner_id for lines in found for learner_id in lines}


def is_named(operation: Operation, learner_id: Column[str]) -> ColumnElement[bool]:
    """Return SQL for whether any row of the pass has named this learner."""
    # Ask for each kind by its whole key. For both at once, the planner may read all keys of the operation.
    return or_(
        *(
            exists_row_by_row(
                select(literal(1)).where(
                    _of(operation), import_keys.c.kind == kind, import_keys.c.key == learner_id
                )
            )
            for kind in _NAMED
        )
    )


async def store_lines(
    connection: AsyncConnection, operation: Operation, kind: KeyKind, lines: Mapping[str, int]
) -> None:
    """Store the lines of keys that the pass has now met."""
    rows = await compute(
        len(lines),
        lambda: [
            (operation.number, operation.is_rehearsal, kind.value, key, line)
            for key, line in sorted(lines.items())
        ],
    )
    await insert_rows(connection, import_keys, _COLUMNS, rows)


async def delete_keys(connection: AsyncConnection, operation_number: int, limit: int) -> int:
    """Remove up to `limit` keys of an import, and return how many were removed."""
    mine = import_keys.c.operation_number == operation_number
    return await delete_up_to(connection, import_keys, mine, limit)
