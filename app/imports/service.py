"""Starts an import: reads the file once to find out how it is written, stages its rows in chunks, then applies them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, Protocol

from app.imports.cells import Row
from app.imports.chunks import StagedRows
from app.imports.errors import IncompleteFeed, NoRows, UnreadableFile
from app.imports.guards import Missing
from app.imports.json_reader import JsonRow, open_json
from app.imports.reader import open_roster
from app.imports.rows import DateFormat, EmptyCells
from app.learners.repository import get_last_event_position
from app.limits import Limits
from app.operations import service
from app.operations.operation import Chunk, Kind, Operation
from app.operations.parameters import CsvImportParameters, ImportParameters, JsonImportParameters
from app.operations.runner import Runner
from app.operations.service import Asker, Order


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read and apply a roster."""

    dry_run: bool = False
    create: bool = True
    rekey: bool = False
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


class _Rows(Protocol):
    """A file of rows, in whatever format."""

    @property
    def ends_with_line_break(self) -> bool: ...

    def rows(self) -> Iterator[Row | JsonRow]: ...


async def submit_csv_import(
    runner: Runner, asker: Asker, file: BinaryIO, options: ImportOptions, file_name: str | None = None
) -> Operation:
    """Begin to import a complete, seekable file.

    Raises UnreadableCsv, IncompleteFeed and InvalidValue; then nothing is stored.
    """
    with _refuse_cut_off(options):
        common = await _read_common(runner, options)
        roster = await asyncio.to_thread(
            open_roster,
            file,
            encoding=options.encoding,
            delimiter=options.delimiter,
            ignore_columns=options.ignore_columns,
        )
        parameters = CsvImportParameters(
            header=roster.header,
            columns=dict(roster.columns),
            delimiter=roster.delimiter,
            encoding=roster.encoding,
            has_mark=roster.has_mark,
            date_format=options.date_format.value,
            empty=options.empty.value,
            has_whole_ids=roster.has_whole_ids,
            **common,
        )
        order = _make_order(Kind.CSV_IMPORT, parameters, options, file_name)
        order = replace(order, warnings=[asdict(warning) for warning in roster.warnings])
        return await _submit(runner, asker, order, roster, options)


async def submit_json_import(
    runner: Runner,
    asker: Asker,
    file: BinaryIO,
    options: ImportOptions,
    file_name: str | None = None,
    *,
    is_lines: bool,
) -> Operation:
    """Begin to import a complete, seekable file of JSON, or of NDJSON if `is_lines`.

    Raises UnreadableJson and IncompleteFeed; then nothing is stored.
    """
    with _refuse_cut_off(options):
        parameters = JsonImportParameters(**await _read_common(runner, options))
        roster = await asyncio.to_thread(open_json, file, is_lines=is_lines)
        order = _make_order(Kind.JSON_IMPORT, parameters, options, file_name)
        return await _submit(runner, asker, order, roster, options)


@contextmanager
def _refuse_cut_off(options: ImportOptions) -> Iterator[None]:
    """Raise IncompleteFeed for a file that ends within a row, if missing learners are to be deactivated."""
    try:
        yield
    except UnreadableFile as error:
        if error.is_cut_off and options.missing is Missing.DEACTIVATE:
            raise IncompleteFeed(error.detail, error.line) from error
        raise


def _make_order(
    kind: Kind, parameters: ImportParameters, options: ImportOptions, file_name: str | None
) -> Order:
    return Order(
        kind=kind,
        request=_describe_request(options, file_name),
        parameters=parameters,
        dry_run=options.dry_run,
        reason=options.reason,
    )


async def _submit(
    runner: Runner, asker: Asker, order: Order, rows: _Rows, options: ImportOptions
) -> Operation:
    return await service.submit(runner, asker, order, _stage_rows(rows, options.missing, runner.limits))


async def _read_common(runner: Runner, options: ImportOptions) -> dict[str, Any]:
    """Return the parameters that imports of every format have."""
    created_until = 0
    if options.missing is Missing.DEACTIVATE:
        async with runner.database.read() as connection:
            created_until = await get_last_event_position(connection)
    return {
        "create": options.create,
        "rekey": options.rekey,
        "protect_manual": options.protect_manual,
        "missing": options.missing.value,
        "max_deactivations": options.max_deactivations,
        "created_until": created_until,
    }


def _describe_request(options: ImportOptions, file_name: str | None) -> dict[str, Any]:
    """Return the file and the options that differ from their defaults, as the API shows them."""
    shown = asdict(options)
    default = asdict(ImportOptions())
    chosen = {
        name: value
        for name, value in shown.items()
        if value != default[name] and name not in ("dry_run", "reason")
    }
    return {"file_name": file_name, "options": chosen}


async def _stage_rows(roster: _Rows, missing: Missing, limits: Limits) -> AsyncGenerator[Chunk]:
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


def _require_complete(roster: _Rows, first_rows: StagedRows) -> None:
    if not first_rows.rows:
        raise NoRows
    if not roster.ends_with_line_break:
        raise IncompleteFeed("The file does not end with a line break, so it may be cut off.")


def _take(rows: Iterator[Row | JsonRow], limits: Limits) -> StagedRows:
    taken: list[tuple[int, Any]] = []
    characters = 0
    for row in rows:
        if isinstance(row, JsonRow):
            taken.append((row.line, row.text))
            characters += len(row.text)
        else:
            taken.append((row.line, row.cells))
            # An empty cell costs memory, too.
            characters += len(row.cells) + sum(map(len, row.cells))
        if len(taken) == limits.chunk_rows or characters > limits.chunk_characters:
            break
    return StagedRows(taken)
