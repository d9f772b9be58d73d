"""How a file becomes an operation: read once for what it is, staged in chunks, then applied."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import BinaryIO

import orjson

from app.imports.guards import Missing
from app.imports.reader import IncompleteFeed, Roster, Row, UnreadableCsv, open_roster
from app.imports.rows import DateFormat
from app.learners.repository import last_event_position
from app.limits import Limits
from app.operations import service
from app.operations.operation import Chunk, Kind, Operation
from app.operations.runner import Runner
from app.operations.service import OnStored
from app.organizations.organization import Organization
from app.organizations.principal import Actor
from app.platform.ids import new_id


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a roster is to be read and applied."""

    dry_run: bool = False
    create: bool = True
    protect_manual: bool = False
    missing: Missing = Missing.KEEP
    # A number or a percentage; None = the organization's where `missing` is to deactivate, else no limit.
    max_deactivations: str | None = None
    date_format: DateFormat = DateFormat.ISO
    delimiter: str | None = None
    encoding: str | None = None
    reason: str | None = None

    @property
    def is_guarded(self) -> bool:
        """Whether it is to be judged before anything is changed."""
        return self.missing is Missing.DEACTIVATE or self.max_deactivations is not None


async def submit_import(
    runner: Runner,
    file: BinaryIO,
    options: ImportOptions,
    organization: Organization,
    actor: Actor,
    now: datetime,
    on_stored: OnStored,
) -> Operation:
    """Import a complete, seekable file.

    Raises UnreadableCsv, IncompleteFeed and InvalidValue; nothing is left then.
    """
    try:
        return await _submit(runner, file, options, organization, actor, now, on_stored)
    except UnreadableCsv as error:
        if error.is_cut_off and options.missing is Missing.DEACTIVATE:
            raise IncompleteFeed(error.detail, error.line) from error
        raise


async def _submit(
    runner: Runner,
    file: BinaryIO,
    options: ImportOptions,
    organization: Organization,
    actor: Actor,
    now: datetime,
    on_stored: OnStored,
) -> Operation:
    created_by = 0
    if options.missing is Missing.DEACTIVATE:
        async with runner.database.read() as connection:
            created_by = await last_event_position(connection)
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
            "columns": dict(roster.columns),
            "delimiter": roster.delimiter,
            "encoding": roster.encoding,
            "has_mark": roster.has_mark,
            "date_format": options.date_format.value,
            "create": options.create,
            "protect_manual": options.protect_manual,
            "missing": options.missing.value,
            "max_deactivations": options.max_deactivations,
            # Of learners without a row only those whose creation is this event or an earlier one.
            "created_by": created_by,
        },
        chunks=0,
        total=0,
        is_rehearsal=options.is_guarded,
    )
    chunks = _chunks(roster, options.missing, runner.limits)
    return await service.submit(runner, draft, organization, chunks, on_stored=on_stored)


async def _chunks(roster: Roster, missing: Missing, limits: Limits) -> AsyncGenerator[Chunk]:
    rows = roster.rows()
    number = first_item = 0
    while True:
        items, content = await asyncio.to_thread(_take, rows, limits)
        if number == 0 and missing is Missing.DEACTIVATE:
            _refuse_incomplete(roster, items)
        if not items:
            return
        yield Chunk(number, first_item, items, content)
        number, first_item = number + 1, first_item + items


def _refuse_incomplete(roster: Roster, items: int) -> None:
    if not items:
        raise UnreadableCsv(
            "The file has a header and no rows, so with missing=deactivate it would take everybody for missing. "
            "Send the whole file."
        )
    if not roster.ends_with_line_break:
        raise IncompleteFeed(
            "The file does not end with a line break, so its end may have been cut off, and nobody can be said to "
            "be missing. Send the whole file, with a line break after its last row, or import it with missing=keep."
        )


def _take(rows: Iterator[Row], limits: Limits) -> tuple[int, bytes]:
    taken: list[tuple[int, list[str]]] = []
    characters = 0
    for line, cells in rows:
        taken.append((line, cells))
        characters += sum(map(len, cells))
        if len(taken) == limits.chunk_rows or characters > limits.chunk_characters:
            break
    return len(taken), orjson.dumps(taken)
