"""`rollcall import`: import a roster to its end, and report the rows that were not applied."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from app.cli import operation_reports as reports
from app.cli.environment import get_organization, run
from app.cli.errors import Failure
from app.cli.options import DetachOption, OrganizationOption, ReasonOption, check_as, show_examples
from app.cli.terminal import is_stdout, open_output
from app.cli.work import carry_out, create_runner, plan_import
from app.imports.encodings import clean_encoding
from app.imports.guards import Missing
from app.imports.reader import clean_delimiter
from app.imports.rows import DateFormat, EmptyCells
from app.imports.service import ImportOptions
from app.operations.operation import Operation
from app.operations.report import stream_report
from app.operations.runner import Runner
from app.organizations.organization import DEFAULT_SLUG, clean_max_deactivations
from app.platform.database import Database
from app.platform.fields import PlainText, clean_with
from app.platform.logging import configure_logging
from app.platform.runtime import tune_interpreter

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen. Change nothing.")]
Create = Annotated[bool, typer.Option("--create/--no-create", help="Create learners that do not exist yet.")]
Rekey = Annotated[
    bool,
    typer.Option("--rekey", help="Let a row replace the External ID of the learner who has its Username."),
]
ProtectManual = Annotated[
    bool,
    typer.Option("--protect-manual", help="Refuse to activate learners that anyone else deactivated."),
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
Rejects = Annotated[
    Path | None,
    typer.Option(
        help="Write the rows that were not applied to this CSV file, to correct and import again. With - they go to "
        "standard output, and everything else to standard error."
    ),
]

_HELP = """Import a roster.

Columns, in any order: Username, External ID, Email, First Name, Last Name,
Active (Yes or No), Expiration Date (a date, or the word never).
A missing column leaves the field unchanged, and so does an empty cell
without --empty clear.

Ctrl-C cancels the import. The rows in progress are completed, and the
command says how many are done and how to revert them. A second Ctrl-C
ends the command at once. The service then completes the import.

Exit status: 0 if every row was applied, 1 if any row was not applied or
the import was refused, 2 for a usage error, 130 after Ctrl-C, 143 after
SIGTERM.
"""

commands = typer.Typer()


@commands.command(
    "import",
    help=_HELP,
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
    rekey: Rekey = False,
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
    detach: DetachOption = False,
) -> None:
    """Import a roster."""
    if rejects is not None and not rejects.absolute().parent.is_dir():
        raise Failure(f"cannot write {rejects}: its folder does not exist")
    import_options = ImportOptions(
        dry_run=dry_run,
        create=create,
        rekey=rekey,
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
    # Before the event loop starts, because a signal could not interrupt this there.
    with _open_input(file) as opened:
        run(_import, organization, opened, import_options, rejects, is_detached=detach)


async def _import(
    database: Database,
    slug: str,
    opened: BinaryIO,
    options: ImportOptions,
    rejects: Path | None,
    *,
    is_detached: bool,
) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
    runner = create_runner(database)
    ended = await carry_out(runner, plan_import(runner, owner, opened, options, is_detached=is_detached))
    operation = ended.operation
    reports.print_warnings(operation)
    reports.print_counts(operation, to_stderr=rejects is not None and is_stdout(rejects))
    if not operation.is_finished:
        reports.print_detached(operation, owner)
        return
    reports.print_lost_access(operation)
    reports.print_end(operation, owner, was_stopped=ended.exit_status is not None)
    if reports.count_not_applied(operation):
        hint = "Use --rejects FILE to write all of them."
        await reports.print_problems(database, operation, hint)
        if rejects is not None:
            await _write_rejects(runner, operation, rejects)
    if ended.exit_status or not reports.is_complete(operation):
        raise typer.Exit(ended.exit_status or 1)


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


async def _write_rejects(runner: Runner, operation: Operation, rejects: Path) -> None:
    handler = runner.handlers[operation.kind]
    with open_output(rejects) as output:
        async for lines in stream_report(runner.database, operation, handler, reports.NOT_APPLIED):
            output.write(lines)
    if not is_stdout(rejects):
        typer.echo(f"Wrote the rows that were not applied to {rejects}.", err=True)
