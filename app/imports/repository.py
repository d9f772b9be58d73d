"""All SQL on the keys that an import has had."""

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports.tables import import_keys
from app.platform.bulk_rows import delete_some, insert_rows, is_one_of


async def has_names(connection: AsyncConnection, operation_number: int) -> bool:
    """Whether any row so far named nobody: mostly none did, and then there is nothing to look for."""
    statement = (
        select(import_keys.c.line)
        .where(import_keys.c.operation_number == operation_number, import_keys.c.is_name.is_(True))
        .limit(1)
    )
    return (await connection.execute(statement)).first() is not None


async def find_lines(
    connection: AsyncConnection, operation_number: int, keys: Collection[str], *, is_name: bool
) -> dict[str, int]:
    """The lines on which the import had these keys before."""
    if not keys:
        return {}
    statement = select(import_keys.c.key, import_keys.c.line).where(
        import_keys.c.operation_number == operation_number,
        import_keys.c.is_name.is_(is_name),
        is_one_of(import_keys.c.key, keys, connection.dialect.name),
    )
    return {row.key: row.line for row in await connection.execute(statement)}


async def remember(
    connection: AsyncConnection, operation_number: int, lines: Mapping[str, int], *, is_name: bool
) -> None:
    """Note the lines of keys that the import has had now."""
    rows = [(operation_number, is_name, key, line) for key, line in sorted(lines.items())]
    await insert_rows(connection, import_keys, ("operation_number", "is_name", "key", "line"), rows)


async def forget(connection: AsyncConnection, operation_number: int, limit: int) -> int:
    """Remove up to `limit` keys of an import that has ended; how many there were."""
    mine = import_keys.c.operation_number == operation_number
    return await delete_some(connection, import_keys, mine, limit)
