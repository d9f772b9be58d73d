"""Starts an import: reads the file once to find out how it is written, stages its rows in chunks, then applies them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import BinaryIO

from app.imports.cells import Row
from app.imports.chunks import StagedRows
from app.imports.errors import IncompleteFeed, NoRows, UnreadableCsv
from app.imports.guards import Missing
from app.imports.reader import Roster, open_roster
from app.imports.rows import DateFormat, EmptyCells
from app.learners.repository import get_last_event_position
from app.limits import Limits
from app.operations import service
from app.operations.operation import Chunk, Kind, Operation
from app.operations.parameters import CsvImportParameters
from app.operations.runner import Runner
from app.operations.service import OnStored
from app.organizations.organization import Organization
from app.organizations.principal import Actor
from app.platform.ids import new_id


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read and apply a roster."""

    dry_run: bool = False
    create: bool = True
    protect_manual: bool = False
    missing: Missing = Missing.KEEP
    # A number or a percentage; None = the organization's if missing learners are deactivated, else no limit.
    max_deactivations: str | None = None
    date_format: DateFormat = DateFormat.ISO
    delimiter: str | None = None
    encoding: str | None = None
    empty: EmptyCells = EmptyCells.KEEP
    ignore_columns: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def is_guarded(self) -> bool:
        """Whether guards must judge the import before anything is changed."""
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
    """Begin to import a complete, seekable file.

    Raises UnreadableCsv, IncompleteFeed and InvalidValue; then nothing is stored.
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
    created_until = 0
    if options.missing is Missing.DEACTIVATE:
        async with runner.database.read() as connection:
            created_until = await get_last_event_position(connection)
    roster = await asyncio.to_thread(
        open_roster,
        file,
        encoding=options.encoding,
        delimiter=options.delimiter,
        ignore_columns=options.ignore_columns,
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
        parameters=CsvImportParameters(
            header=roster.header,
            columns=dict(roster.columns),
            delimiter=roster.delimiter,
            encoding=roster.encoding,
            has_mark=roster.has_mark,
            date_format=options.date_format.value,
            empty=options.empty.value,
            ignore_columns=options.ignore_columns,
            has_whole_ids=roster.has_whole_ids,
            create=options.create,
            protect_manual=options.protect_manual,
            missing=options.missing.value,
            max_deactivations=options.max_deactivations,
            created_until=created_until,
        ),
        is_rehearsal=options.is_guarded,
    )
    chunks = _stage_rows(roster, options.missing, runner.limits)
    return await service.submit(runner, draft, organization, chunks, on_stored=on_stored)


async def _stage_rows(roster: Roster, missing: Missing, limits: Limits) -> AsyncGenerator[Chunk]:
    rows = roster.rows()
    number = first_item = 0
    while True:
        staged = await asyncio.to_thread(_take, rows, limits)
        if number == 0 and missing is Missing.DEACTIVATE:
            _require_complete(roster, staged)
        items = len(staged.rows)
        if not items:
            return
        yield Chunk(number, first_item, items, await asyncio.to_thread(staged.encode))
        number, first_item = number + 1, first_item + items


def _require_complete(roster: Roster, first_rows: StagedRows) -> None:
    if not first_rows.rows:
        raise NoRows
    if not roster.ends_with_line_break:
        raise IncompleteFeed("The file does not end with a line break, so it may be cut off.")


def _take(rows: Iterator[Row], limits: Limits) -> StagedRows:
    taken: list[Row] = []
    characters = 0
    for row in rows:
        taken.append(row)
        # An empty cell costs memory, too.
        characters += len(row.cells) + sum(map(len, row.cells))
        if len(taken) == limits.chunk_rows or characters > limits.chunk_characters:
            break
    return StagedRows(taken)
