"""How a file becomes an operation: read once for what it is, staged in chunks, then applied."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import BinaryIO

import orjson

from app.imports.reader import Roster, Row, open_roster
from app.imports.rows import DateFormat
from app.operations import service
from app.operations.operation import Chunk, Kind, Operation
from app.operations.runner import Runner
from app.operations.service import OnStored
from app.organizations.authentication import Actor
from app.organizations.organization import Organization
from app.platform.ids import new_id

CHUNK_ROWS = 5000
# A chunk of unusually long rows ends here, so that no chunk is large. In characters.
_CHUNK_CHARACTERS = 2_000_000


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a roster is to be read and applied."""

    dry_run: bool = False
    create: bool = True
    protect_manual: bool = False
    date_format: DateFormat = DateFormat.ISO
    delimiter: str | None = None
    encoding: str | None = None
    reason: str | None = None


async def submit_import(
    runner: Runner,
    file: BinaryIO,
    options: ImportOptions,
    organization: Organization,
    actor: Actor,
    now: datetime,
    on_stored: OnStored,
) -> Operation:
    """Import a complete, seekable file. Raises UnreadableCsv and InvalidValue; nothing is left then."""
    roster = await asyncio.to_thread(
        open_roster, file, encoding=options.encoding, delimiter=options.delimiter
    )
    draft = Operation(
        id=new_id(now),
        organization_id=organization.id,
        kind=Kind.CSV_IMPORT,
        dry_run=options.dry_run,
        reason=options.reason,
        created_by=actor.document(),
        created_at=now,
        warnings=[asdict(warning) for warning in roster.warnings],
        parameters={
            "header": roster.header,
            "columns": {column.value: index for column, index in roster.columns.items()},
            "delimiter": roster.delimiter,
            "encoding": roster.encoding,
            "has_mark": roster.has_mark,
            "date_format": options.date_format.value,
            "create": options.create,
            "protect_manual": options.protect_manual,
        },
        chunks=0,
        total=0,
    )
    return await service.submit(runner, draft, organization, _chunks(roster), on_stored=on_stored)


async def _chunks(roster: Roster) -> AsyncGenerator[Chunk]:
    rows = roster.rows()
    number = first_item = 0
    while True:
        items, content = await asyncio.to_thread(_take, rows)
        if not items:
            return
        yield Chunk(number, first_item, items, content)
        number, first_item = number + 1, first_item + items


def _take(rows: Iterator[Row]) -> tuple[int, bytes]:
    taken: list[tuple[int, list[str]]] = []
    characters = 0
    for line, cells in rows:
        taken.append((line, cells))
        characters += sum(map(len, cells))
        if len(taken) == CHUNK_ROWS or characters > _CHUNK_CHARACTERS:
            break
    return len(taken), orjson.dumps(taken)
