"""The command `rollcall`: serve, migrate, and what an administrator does at a terminal."""

import asyncio
import getpass
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TextIO

import orjson
import typer
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app import __version__
from app.domain.errors import InvalidValue
from app.domain.status import Status
from app.imports.reader import UnreadableCsv
from app.imports.rows import DateFormat
from app.imports.service import ImportOptions, submit_import
from app.learners import export as export_csv
from app.learners import repository as learners
from app.learners.filters import LearnerFilter, SearchText
from app.learners.repository import Sort
from app.main import WORKERS, create_app
from app.operations import repository as operations
from app.operations.operation import Kind, Operation, OutcomeName
from app.operations.report import stream_report
from app.operations.runner import Runner
from app.organizations import repository as organizations
from app.organizations import service as organization_service
from app.organizations.api_keys import Scope
from app.organizations.authentication import Actor
from app.organizations.errors import ApiKeyNotFound, SlugTaken
from app.organizations.organization import DEFAULT_SLUG, Organization
from app.organizations.schemas import DisplayName
from app.platform import schema
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.fields import Reason
from app.platform.garbage import tune_collection
from app.platform.ids import parse_id
from app.platform.logging import configure_logging
from app.platform.schema import SchemaMismatch
from app.platform.service_routes import to_yaml
from app.settings import Settings

_NOT_APPLIED = (OutcomeName.REFUSED, OutcomeName.INVALID, OutcomeName.NOT_FOUND)
_SHOWN_PROBLEMS = 20
_REFRESH_SECONDS = 0.3
# A worker that does not answer its supervisor for this long is replaced. On a busy machine it takes some seconds
# before it answers at all; uvicorn's five would then replace it for ever.
_WORKER_START_SECONDS = 60

app = typer.Typer(
    name="rollcall",
    help="Decides who may log in to a learning portal.\n\n"
    "Start with `rollcall serve`: it sets up its database, prints the first API key and where to go. "
    "The database is named by ROLLCALL_DATABASE_URL (default: sqlite:///var/rollcall.db).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
organizations_app = typer.Typer(
    help="The tenants: each has its own learners, keys and time zone.", no_args_is_help=True
)
keys_app = typer.Typer(help="The API keys of an organization.", no_args_is_help=True)
app.add_typer(organizations_app, name="organizations")
app.add_typer(keys_app, name="keys")

console = Console()
errors = Console(stderr=True)

OrganizationOption = Annotated[str, typer.Option("--organization", help="The organization's slug.")]


class Failure(Exception):
    """Something that the user can mend; the message is shown without a traceback."""


class DocumentFormat(StrEnum):
    """How `rollcall openapi` writes."""

    YAML = "yaml"
    JSON = "json"


def main() -> None:
    """Run the command line: exit status 0 = done, 1 = not (all) done, 2 = called wrongly, 130 = interrupted."""
    try:
        app()
    except (Failure, InvalidValue, SlugTaken, SchemaMismatch) as error:
        _fail(str(error))
    except UnreadableCsv as error:
        _fail(error.detail if error.line is None else f"line {error.line}: {error.detail}")
    except (SQLAlchemyError, OSError) as error:
        _fail(f"the database or a file is out of reach: {getattr(error, 'orig', None) or error}")


def _fail(message: str) -> None:
    sys.stderr.write(f"rollcall: {message}\n")
    raise SystemExit(1)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"ROLLCALL_{str(each['loc'][0]).upper()}: {_sentence(each)}" for each in error.errors()]
        raise Failure("; ".join(wrong)) from None


def _sentence(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def _checked_as(field_type: Any) -> Callable[[Any], Any]:
    """A callback that takes and refuses for an option what the API does for the same member."""
    adapter = TypeAdapter(field_type)

    def check(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise typer.BadParameter(_sentence(error.errors()[0])) from None

    return check


def _examples(*lines: str) -> str:
    """What stands below the options of `--help`; an empty line between two keeps them apart."""
    return "\n\n".join(("For example:", *lines))


@asynccontextmanager
async def _database(*, prepared: bool = True) -> AsyncIterator[Database]:
    settings = _settings()
    database = Database(settings.database_url, pool_size=settings.database_pool_size)
    try:
        if prepared:
            await schema.prepare(database)
        yield database
    finally:
        await database.close()


def _run(work: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    async def with_database() -> None:
        async with _database() as database:
            await work(database)

    asyncio.run(with_database())


async def _organization(database: Database, slug: str) -> Organization:
    async with database.read() as connection:
        organization = await organizations.find_organization(connection, slug)
    if organization is None:
        raise Failure(
            f"there is no organization {slug!r}; `rollcall organizations list` shows those there are"
        )
    return organization


@app.callback(invoke_without_command=True)
def options(
    *, version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False
) -> None:
    """Options of the command as a whole."""
    if version:
        typer.echo(f"rollcall {__version__}")
        raise typer.Exit


@app.command(
    epilog=_examples(
        "rollcall serve --port 8080",
        "ROLLCALL_DATABASE_URL=postgresql://rollcall@db.example.org/rollcall rollcall serve --workers 4",
    )
)
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    workers: Annotated[
        int,
        typer.Option(min=1, max=64, help="Processes that answer requests; more than one needs PostgreSQL."),
    ] = 1,
) -> None:
    """Start the service. The first start creates the organization `default` and prints an admin key, once."""
    import uvicorn  # noqa: PLC0415 - half of the start-up time of every other command

    settings = _settings()
    if workers > 1 and settings.database_url.startswith("sqlite"):
        raise Failure("with SQLite one process does everything: leave --workers at 1, or use PostgreSQL")
    _require_free(host, port)
    secret = asyncio.run(_prepare_to_serve())
    address = f"http://{_shown_host(host)}:{port}"
    typer.echo(f"Rollcall {__version__}\n  API   {address}\n  docs  {address}/docs")
    if secret is not None:
        typer.echo(f"\nThe first API key (scope admin), shown only now:\n{secret}\n")
    sys.stdout.flush()
    configure_logging(settings.log_format, settings.log_level)
    # Once everything has ended in good order uvicorn raises the signal again, which would say that it had not.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="rollcall-metrics-") as directory:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        uvicorn.run(
            "app.main:serve_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
            timeout_worker_healthcheck=_WORKER_START_SECONDS,
        )


def _shown_host(host: str) -> str:
    """What to type into a browser on this machine."""
    if host in ("127.0.0.1", "0.0.0.0", "::"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _require_free(host: str, port: int) -> None:
    """Find out before the first key is shown, and say it in a sentence. Raises Failure."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Failure(
                f"cannot listen on {host}, port {port}: {error.strerror}; choose others with --host and --port"
            ) from None


async def _prepare_to_serve() -> str | None:
    async with _database() as database:
        now = SystemClock().now()
        return await database.write(partial(organization_service.found_default_organization, now=now))


@app.command(
    epilog=_examples("ROLLCALL_DATABASE_URL=postgresql://rollcall@db.example.org/rollcall rollcall migrate")
)
def migrate() -> None:
    """Bring the database's schema to this version. Safe to repeat, and from several machines at once.

    An empty database and any SQLite file are brought there by every start; a PostgreSQL schema only by this.
    """

    async def work() -> None:
        async with _database(prepared=False) as database:
            before = await schema.read_state(database)
            if before.current is not None and before.current not in before.known:
                before.require_current()
            await schema.upgrade(database)
            typer.echo(f"The schema is at revision {before.needed} (it was at {before.current or 'none'}).")

    asyncio.run(work())


@organizations_app.command(
    "create",
    epilog=_examples('rollcall organizations create acme --name "Acme Academy" --time-zone Europe/Berlin'),
)
def create_organization(
    slug: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens; names it here.")],
    name: Annotated[str, typer.Option(callback=_checked_as(DisplayName), help="The name that people see.")],
    time_zone: Annotated[str, typer.Option(help="An IANA time zone, such as Europe/Berlin.")],
) -> None:
    """Create an organization. Give it a key next: `rollcall keys create`."""

    async def work(database: Database) -> None:
        now = SystemClock().now()
        create = partial(
            organization_service.create_organization, slug=slug, name=name, time_zone=time_zone, now=now
        )
        organization = await database.write(create)
        typer.echo(f"Created the organization {organization.slug} ({organization.public_id}).")

    _run(work)


@organizations_app.command("list")
def list_organizations() -> None:
    """List the organizations."""

    async def work(database: Database) -> None:
        async with database.read() as connection:
            found = await organizations.list_organizations(connection)
        _print_table(
            ("slug", "name", "time zone", "id"),
            [(each.slug, each.name, each.time_zone, each.public_id) for each in found],
        )

    _run(work)


@keys_app.command(
    "create",
    epilog=_examples(
        "rollcall keys create hr-feed --scope learners:read --scope learners:bulk",
        "ROLLCALL_KEY=$(rollcall keys create portal --scope access:check --organization acme | tail -n 1)",
    ),
)
def create_key(
    name: Annotated[
        str,
        typer.Argument(callback=_checked_as(DisplayName), help="What the key is for; shown in histories."),
    ],
    scope: Annotated[
        list[Scope],
        typer.Option(
            metavar="SCOPE",
            help="What it may do; repeatable: learners:read, learners:write (one learner), learners:bulk "
            "(bulk actions, imports), access:check (the portal), events:read, or admin, which holds all.",
        ),
    ],
    organization: OrganizationOption = DEFAULT_SLUG,
    expires_at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"],
            metavar="INSTANT",
            help="When it ends, in UTC: 2027-12-31 (as that day begins) or 2027-12-31T18:00:00Z.",
        ),
    ] = None,
) -> None:
    """Issue an API key. The secret is the last line on stdout, alone, and is shown only now."""
    ends = None if expires_at is None else expires_at.replace(tzinfo=UTC)

    async def work(database: Database) -> None:
        now = SystemClock().now()
        if ends is not None and ends <= now:
            raise Failure("--expires-at is in the past; the key could never be used")

        async def issue(connection: AsyncConnection) -> str:
            if organization == DEFAULT_SLUG:
                await organization_service.ensure_default_organization(connection, now)
            owner = await organizations.find_organization(connection, organization)
            if owner is None:
                raise Failure(
                    f"there is no organization {organization!r}; `rollcall organizations list` shows those there are"
                )
            _, secret = await organization_service.issue_key(connection, owner, name, scope, ends, now)
            return secret

        secret = await database.write(issue)
        errors.print(f"The key {name!r} of {organization}, shown only now:", highlight=False)
        typer.echo(secret)

    _run(work)


@keys_app.command("list")
def list_keys(organization: OrganizationOption = DEFAULT_SLUG) -> None:
    """List an organization's keys, newest first."""

    async def work(database: Database) -> None:
        owner = await _organization(database, organization)
        async with database.read() as connection:
            found = await organizations.list_keys(connection, owner.id)
        now = SystemClock().now()
        _print_table(
            ("id", "name", "begins with", "scopes", "valid", "last used"),
            [
                (
                    key.id,
                    key.name,
                    key.prefix,
                    " ".join(key.scopes),
                    "yes" if key.is_valid(now) else "revoked" if key.revoked_at else "expired",
                    "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}Z",
                )
                for key in found
            ],
        )

    _run(work)


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `rollcall keys list` shows it.")],
    organization: OrganizationOption = DEFAULT_SLUG,
) -> None:
    """Revoke a key; in force everywhere within 5 seconds."""

    async def work(database: Database) -> None:
        owner = await _organization(database, organization)
        identifier = parse_id(key_id)
        unknown = Failure(f"{organization} has no key with the id {key_id}")
        if identifier is None:
            raise unknown
        revoke = partial(
            organization_service.revoke_key,
            organization_id=owner.id,
            key_id=identifier,
            now=SystemClock().now(),
        )
        try:
            await database.write(revoke)
        except ApiKeyNotFound:
            raise unknown from None
        typer.echo(f"Revoked {key_id}.")

    _run(work)


@app.command(
    "import",
    epilog=_examples(
        "rollcall import roster.csv --dry-run",
        'rollcall import roster.csv --rejects mend.csv --reason "autumn intake"',
        "rollcall import --date-format dmy - < roster.csv",
    ),
)
def import_csv(
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    organization: OrganizationOption = DEFAULT_SLUG,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")
    ] = False,
    create: Annotated[
        bool, typer.Option("--create/--no-create", help="Whether rows of unknown learners create them.")
    ] = True,
    protect_manual: Annotated[
        bool, typer.Option("--protect-manual", help="Activate nobody whom a person deactivated.")
    ] = False,
    date_format: Annotated[DateFormat, typer.Option(help="How dates are written.")] = DateFormat.ISO,
    delimiter: Annotated[str | None, typer.Option(help="One of , ; | or tab; else found out.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Such as utf-8 or windows-1252; else found out.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(callback=_checked_as(Reason | None), help="Why; kept in the history.")
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Write the rows that were not applied to this CSV, to mend and import again."),
    ] = None,
) -> None:
    """Import a roster. Exit status 1 when rows were not applied.

    Columns, in any order: Username, External ID, Email, First Name, Last Name,
    Active (Yes or No), Expiration Date (a date, or the word never).
    A cell that is empty or not there leaves that field as it is.
    """
    if rejects is not None and not rejects.absolute().parent.is_dir():
        raise Failure(f"there is no folder for {rejects}")
    import_options = ImportOptions(
        dry_run=dry_run,
        create=create,
        protect_manual=protect_manual,
        date_format=date_format,
        delimiter=delimiter,
        encoding=encoding,
        reason=reason,
    )

    async def work(database: Database) -> None:
        owner = await _organization(database, organization)
        clock = SystemClock()
        runner = Runner(database, clock, WORKERS)
        actor = Actor("command-line", None, getpass.getuser())
        with _opened(file) as opened:
            operation = await submit_import(
                runner, opened, import_options, owner, actor, clock.now(), _ignore_stored
            )
        try:
            operation = await _follow(runner, operation)
        except asyncio.CancelledError:
            typer.echo("rollcall: interrupted; the next start of `rollcall serve` does the rest", err=True)
            raise
        finally:
            await runner.stop()
        await _report_import(runner, operation, rejects)

    configure_logging("console", "error")
    tune_collection()
    _run(work)


async def _ignore_stored(connection: AsyncConnection, operation: Operation) -> None:
    """There is no idempotency key to complete at a terminal."""


def _opened(file: Path) -> BinaryIO:
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
    """A bar on a terminal; elsewhere a plain line for every tenth of the way."""
    if operation.is_finished:
        return operation
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown_tenth = 0
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("Importing", total=operation.total)
        while not operation.is_finished:
            operation = await runner.wait(operation, _REFRESH_SECONDS)
            progress.update(bar, completed=operation.done)
            tenth = operation.done * 10 // max(1, operation.total)
            if not errors.is_terminal and tenth > shown_tenth:
                shown_tenth = tenth
                typer.echo(f"{operation.done:,} of {operation.total:,} rows", err=True)
    return operation


async def _report_import(runner: Runner, operation: Operation, rejects: Path | None) -> None:
    for warning in operation.warnings:
        typer.echo(f"warning: {warning['detail']}", err=True)
    typer.echo(f"{'Dry run' if operation.dry_run else 'Operation'} {operation.id}: {operation.state.value}")
    for outcome in OutcomeName:
        typer.echo(f"  {outcome.value:<10} {operation.counts.get(outcome, 0):>10,}")
    not_applied = sum(operation.counts.get(outcome, 0) for outcome in _NOT_APPLIED)
    if operation.problem is not None:
        typer.echo(str(operation.problem["detail"]), err=True)
    if not_applied:
        await _show_problems(runner, operation, not_applied)
        if rejects is not None:
            await _write_rejects(runner, operation, rejects)
            typer.echo(f"The rows that were not applied are in {rejects}.", err=True)
    if not_applied or operation.problem is not None:
        raise typer.Exit(1)


async def _show_problems(runner: Runner, operation: Operation, not_applied: int) -> None:
    async with runner.database.read() as connection:
        found = await operations.list_outcomes(
            connection, operation, outcomes=_NOT_APPLIED, first_item=0, limit=_SHOWN_PROBLEMS
        )
    for each in found:
        detail = "" if each.problem is None else each.problem["detail"]
        typer.echo(f"  line {each.line}: {each.outcome.value}: {detail}", err=True)
    if not_applied > _SHOWN_PROBLEMS:
        typer.echo(
            f"  … and {not_applied - _SHOWN_PROBLEMS:,} more; --rejects FILE writes them all", err=True
        )


async def _write_rejects(runner: Runner, operation: Operation, rejects: Path) -> None:
    with rejects.open("w", encoding="utf-8", newline="") as output:
        worker = WORKERS[Kind.CSV_IMPORT]
        async for lines in stream_report(runner.database, operation, worker, _NOT_APPLIED):
            output.write(lines)


def _written(output: Path | None) -> TextIO:
    """The file to write, or stdout, which stays open; line ends are left as they come."""
    target = sys.stdout.fileno() if output is None else output
    return open(target, "w", encoding="utf-8", newline="", closefd=output is not None)


@app.command(
    epilog=_examples(
        "rollcall export -o learners.csv",
        "rollcall export --status deactivated --status expired --query okafor",
    )
)
def export(
    organization: OrganizationOption = DEFAULT_SLUG,
    status: Annotated[
        list[Status] | None,
        typer.Option(
            metavar="STATUS",
            help="Only with this status: active, activated, deactivated or expired; repeatable.",
        ),
    ] = None,
    q: Annotated[
        str | None,
        typer.Option(
            "--query",
            "-q",
            callback=_checked_as(SearchText | None),
            help="Only with this as part of the name, username or email.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; else stdout.")
    ] = None,
) -> None:
    """Write learners as CSV, in the columns of an import: what is exported imports back unchanged."""
    wanted = LearnerFilter(status=tuple(status) if status else None, q=q)

    async def work(database: Database) -> None:
        owner = await _organization(database, organization)
        today = owner.today(SystemClock().now())
        with _written(output) as target:
            target.write(export_csv.header_line())
            async with database.snapshot() as connection:
                async for batch in learners.stream(connection, owner.id, wanted, today, Sort("username")):
                    target.write(export_csv.learner_lines(batch, today))

    _run(work)


@app.command("openapi", epilog=_examples("rollcall openapi --format json > openapi.json"))
def print_openapi(
    document_format: Annotated[
        DocumentFormat, typer.Option("--format", help="How to write it.")
    ] = DocumentFormat.YAML,
) -> None:
    """Print the OpenAPI document of the service. Needs no database."""
    document = create_app(_settings()).openapi()
    if document_format is DocumentFormat.YAML:
        typer.echo(to_yaml(document), nl=False)
    else:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def _print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if not console.is_terminal:
        for row in (columns, *rows):
            typer.echo("\t".join(row))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
