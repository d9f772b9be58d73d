"""`rollcall export`: learners out as CSV, to a file or a pipe."""

import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from app.cli.environment import get_organization, run
from app.cli.options import OrganizationOption, checked_as, examples
from app.domain.status import Status
from app.learners import export as export_csv
from app.learners import repository as learners
from app.learners.filters import LearnerFilter, SearchText
from app.learners.repository import Sort
from app.organizations.organization import DEFAULT_SLUG
from app.platform.clock import SystemClock
from app.platform.database import Database

commands = typer.Typer()


@commands.command(
    epilog=examples(
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
            callback=checked_as(SearchText | None),
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
        async with database.read() as connection:
            owner = await get_organization(connection, organization)
        today = owner.today(SystemClock().now())
        with _written(output) as target:
            target.write(export_csv.header_line())
            async with database.snapshot() as connection:
                async for batch in learners.stream(connection, owner.id, wanted, today, Sort("username")):
                    target.write(export_csv.learner_lines(batch, today))

    run(work)


def _written(output: Path | None) -> TextIO:
    """The file to write, or stdout, which stays open; line ends are left as they come."""
    target = sys.stdout.fileno() if output is None else output
    return open(target, "w", encoding="utf-8", newline="", closefd=output is not None)
