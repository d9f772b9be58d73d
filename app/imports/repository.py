"""All SQL on the keys that an import has had, of which each of its passes has its own."""

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

    # The id of a learner whose row was handled: any later one is a duplicate.
    LEARNER = 0
    # A username or external id that nobody in the database has.
    NAME = 1
    # The id of a learner whom a row names that was not handled as theirs.
    MENTION = 2


# The keys that are ids, and say that a row names this learner.
_NAMED = (KeyKind.LEARNER, KeyKind.MENTION)


def _of(operation: Operation) -> ColumnElement[bool]:
    return (import_keys.c.operation_number == operation.number) & (
        import_keys.c.is_rehearsal.is_(operation.is_rehearsal)
    )


async def has_names(connection: AsyncConnection, operation: Operation) -> bool:
    """Whether any row so far named nobody: mostly none did, and then there is nothing to look for."""
    statement = select(import_keys.c.line).where(_of(operation), import_keys.c.kind == KeyKind.NAME).limit(1)
    return (await connection.execute(statement)).first() is not None


async def find_lines(
    connection: AsyncConnection, operation: Operation, kind: KeyKind, keys: Collection[str]
) -> dict[str, int]:
    """The lines on which the pass had these keys before."""
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
    """Which of these learners any row of the pass named so far."""
    found = [await find_lines(connection, operation, kind, learner_ids) for kind in _NAMED]
    return {learner_id for lines in found for learner_id in lines}


def names(operation: Operation, learner_id: Column[str]) -> ColumnElement[bool]:
    """SQL for whether any row of the pass named this learner."""
    # Each by its whole key: asked for both kinds at once, the planner may go through all of one operation's.
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


async def remember(
    connection: AsyncConnection, operation: Operation, kind: KeyKind, lines: Mapping[str, int]
) -> None:
    """Note the lines of keys that the pass has had now."""
    rows = await compute(
        len(lines),
        lambda: [
            (operation.number, operation.is_rehearsal, kind.value, key, line)
            for key, line in sorted(lines.items())
        ],
    )
    await insert_rows(connection, import_keys, _COLUMNS, rows)


async def forget(connection: AsyncConnection, operation_number: int, limit: int) -> int:
    """Remove up to `limit` keys of an import that has ended; how many there were."""
    mine = import_keys.c.operation_number == operation_number
    return await delete_up_to(connection, import_keys, mine, limit)
