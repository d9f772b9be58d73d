"""`rollcall import`: import a roster to its end, and report the rows that were not applied."""

import asyncio
import getpass
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncConnection

from app.cli.environment import get_organization, run
from app.cli.errors import Failure
from app.cli.options import OrganizationOption, check_as, show_examples
from app.cli.terminal import is_stdout, open_output
from app.cli.wording import describe_refusal
from app.imports.guards import Missing
from app.imports.handler import CsvImportHandler
from app.imports.reader import clean_delimiter, clean_encoding
from app.imports.rows import DateFormat, EmptyCells
from app.imports.service import ImportOptions, submit_import
from app.operations import repository as operations
from app.operations.operation import OUTCOMES, Kind, Operation, OutcomeName, WantedOutcomes
from app.operations.report import stream_report
from app.operations.runner import Runner
from app.organizations.organization import DEFAULT_SLUG, clean_max_deactivations
from app.organizations.principal import Actor
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.fields import PlainText, Reason, clean_with
from app.platform.logging import configure_logging
from app.platform.presence import create_presence
from app.platform.runtime import tune_interpreter

_NOT_APPLIED = WantedOutcomes((OutcomeName.REFUSED, OutcomeName.INVALID, OutcomeName.NOT_FOUND))
_SHOWN_PROBLEMS = 20
_REFRESH_SECONDS = 0.3
_HANDLER = CsvImportHandler()

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen. Change nothing.")]
Create = Annotated[bool, typer.Option("--create/--no-create", help="Create learners that do not exist yet.")]
ProtectManual = Annotated[
    bool,
    typer.Option("--protect-manual", help="Refuse to activate learners that a person deactivated."),
]
MissingOption = Annotated[Missing, typer.Option(help="What to do with learners that the file does not list.")]
MaxDeactivations = Annotated[
    str | None,
    typer.Option(
        callback=check_as(Annotated[PlainText, clean_with(clean_max_deactivations)] | None),
        help="The most learners that the import may deactivate: a number, or a percentage such as 5%. If it would "
        "deactivate more, nothing is changed. Default: the organization's limit with --missing deactivate, "
        "otherwise no limit.",
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        callback=check_as(Annotated[str, clean_with(clean_delimiter)] | None),
        help="The delimiter: one of , ; | or tab. Default: detected.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        callback=check_as(Annotated[PlainText, clean_with(clean_encoding)] | None),
        help="The encoding, such as utf-8 or windows-1252. Default: detected.",
    ),
]
Empty = Annotated[
    EmptyCells,
    typer.Option(help="What an empty cell does: keep the field unchanged, or clear it."),
]
IgnoreColumns = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns to ignore, as the file names them: repeat the option, or separate them with commas. A column "
        "that may say who has access is ignored only if it is named here."
    ),
]
ReasonOption = Annotated[
    str | None, typer.Option(callback=check_as(Reason | None), help="The reason. The history shows it.")
]
Rejects = Annotated[
    Path | None,
    typer.Option(
        help="Write the rows that were not applied to this CSV file, to correct and import again. With - they go to "
        "standard output, and everything else to standard error."
    ),
]

commands = typer.Typer()


@commands.command(
    "import",
    epilog=show_examples(
        "rollcall import roster.csv --dry-run",
        'rollcall import roster.csv --rejects rejected.csv --reason "autumn intake"',
        "rollcall import everyone.csv --missing deactivate --max-deactivations 5%",
        "rollcall import --date-format dmy - < roster.csv",
    ),
)
def import_csv(
    file: Annotated[Path, typer.Argument(help="The CSV file, or - for standard input.")],
    organization: OrganizationOption = DEFAULT_SLUG,
    dry_run: DryRun = False,
    create: Create = True,
    protect_manual: ProtectManual = False,
    missing: MissingOption = Missing.KEEP,
    max_deactivations: MaxDeactivations = None,
    date_format: Annotated[DateFormat, typer.Option(help="The format of dates.")] = DateFormat.ISO,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    empty: Empty = EmptyCells.KEEP,
    ignore_columns: IgnoreColumns = None,
    reason: ReasonOption = None,
    rejects: Rejects = None,
) -> None:
    """Import a roster. The exit status is 1 if any row was not applied.

    Columns, in any order: Username, External ID, Email, First Name, Last Name,
    Active (Yes or No), Expiration Date (a date, or the word never).
    A missing column leaves the field unchanged, and so does an empty cell
    without --empty clear.
    """
    if rejects is not None and not rejects.absolute().parent.is_dir():
        raise Failure(f"cannot write {rejects}: its folder does not exist")
    import_options = ImportOptions(
        dry_run=dry_run,
        create=create,
        protect_manual=protect_manual,
        missing=missing,
        max_deactivations=max_deactivations,
        date_format=date_format,
        delimiter=delimiter,
        encoding=encoding,
        empty=empty,
        ignore_columns=tuple(ignore_columns or ()),
        reason=reason,
    )
    configure_logging("console", "error")
    tune_interpreter()
    run(_import, organization, file, import_options, rejects)


async def _import(
    database: Database, slug: str, file: Path, options: ImportOptions, rejects: Path | None
) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
    clock = SystemClock()
    runner = Runner(database, clock, {Kind.CSV_IMPORT: _HANDLER})
    actor = Actor("command-line", None, getpass.getuser())
    with _open_input(file) as opened:
        operation = await submit_import(runner, opened, options, owner, actor, clock.now(), _ignore_stored)
    async with _keep_running(runner, operation):
        try:
            operation = await _follow(runner, operation)
        except asyncio.CancelledError:
            typer.echo(
                "rollcall: interrupted. The import is stored: the service completes it now, or when it next starts.",
                err=True,
            )
            raise
    await _report_import(runner, operation, rejects)


async def _ignore_stored(connection: AsyncConnection, operation: Operation) -> None:
    """Do nothing: the command line has no idempotency key to complete."""


@asynccontextmanager
async def _keep_running(runner: Runner, operation: Operation) -> AsyncIterator[None]:
    """Run the operation in this process, unless a server or worker is alive and does it."""
    presence = create_presence(runner.database)
    try:
        is_alone = await presence.enter() and await presence.living() == {presence.name}
        running = asyncio.create_task(runner.run(operation)) if is_alone else None
        try:
            yield
        finally:
            runner.stop()
            if running is not None:
                await running
    finally:
        await presence.leave()


def _open_input(file: Path) -> BinaryIO:
    try:
        source = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from None
    if source.seekable():
        return source
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with source:
        shutil.copyfileobj(source, spool)
    return spool


async def _follow(runner: Runner, operation: Operation) -> Operation:
    """Show progress until the operation has ended: a bar on a terminal, elsewhere a line for every tenth."""
    if operation.is_finished:
        return operation
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    stderr = Console(stderr=True)
    shown_tenth = 0
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:
        bar = progress.add_task("Importing", total=operation.total)
        while not operation.is_finished:
            operation = await runner.wait(operation, _REFRESH_SECONDS)
            doing = "Checking" if operation.is_rehearsal else "Importing"
            progress.update(bar, description=doing, completed=operation.done, total=operation.total)
            tenth = operation.done * 10 // max(1, operation.total)
            if not stderr.is_terminal and tenth > shown_tenth:
                shown_tenth = tenth
                typer.echo(f"{operation.done:,} of {operation.total:,} rows", err=True)
    return operation


async def _report_import(runner: Runner, operation: Operation, rejects: Path | None) -> None:
    for warning in operation.warnings:
        typer.echo(f"warning: {warning['detail']}", err=True)
    kind = "Dry run" if operation.dry_run else "Operation"
    lines = [f"{kind} {operation.id}: {operation.state.value}"]
    lines += (
        f"  {outcome.value:<10} {operation.counts.get(outcome, 0):>10,}"
        for outcome in OUTCOMES[Kind.CSV_IMPORT]
    )
    typer.echo("\n".join(lines), err=rejects is not None and is_stdout(rejects))
    if operation.deactivated:
        loses = "would lose" if operation.dry_run or operation.is_refused else "lost"
        typer.echo(f"{operation.deactivated:,} of the changed learners {loses} access.", err=True)
    not_applied = sum(operation.counts.get(outcome, 0) for outcome in _NOT_APPLIED.names)
    if operation.problem is not None:
        typer.echo(describe_refusal(operation.problem), err=True)
    if not_applied:
        await _show_problems(runner, operation, not_applied)
        if rejects is not None:
            await _write_rejects(runner, operation, rejects)
            if not is_stdout(rejects):
                typer.echo(f"Wrote the rows that were not applied to {rejects}.", err=True)
    if not_applied or operation.problem is not None:
        raise typer.Exit(1)


async def _show_problems(runner: Runner, operation: Operation, not_applied: int) -> None:
    async with runner.database.read() as connection:
        found = await operations.list_outcomes(
            connection, operation, wanted=_NOT_APPLIED, first_item=0, limit=_SHOWN_PROBLEMS
        )
    for each in found:
        detail = "" if each.problem is None else each.problem["detail"]
        typer.echo(f"  line {each.line}: {each.outcome.value}: {detail}", err=True)
    if not_applied > _SHOWN_PROBLEMS:
        typer.echo(
            f"  … and {not_applied - _SHOWN_PROBLEMS:,} more. Use --rejects FILE to write all of them.",
            err=True,
        )


async def _write_rejects(runner: Runner, operation: Operation, rejects: Path) -> None:
    with open_output(rejects) as output:
        async for lines in stream_report(runner.database, operation, _HANDLER, _NOT_APPLIED):
            output.write(lines)
