"""`rollcall export`: learners out as CSV, to a file or a pipe."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.environment import get_organization, run
from app.cli.options import OrganizationOption, checked_as, examples
from app.cli.terminal import open_output
from app.domain.status import Status
from app.learners import export as learners
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
        Path | None,
        typer.Option("--output", "-o", help="The file to write; else, or for -, standard output."),
    ] = None,
) -> None:
    """Write learners as CSV, in the columns of an import. What is exported imports back unchanged."""
    wanted = LearnerFilter(status=tuple(status) if status else None, q=q)

    async def work(database: Database) -> None:
        async with database.read() as connection:
            owner = await get_organization(connection, organization)
        today = owner.today(SystemClock().now())
        with open_output(output) as target:
            async with (
                database.snapshot() as connection,
                learners.open_export(connection, owner.id, wanted, today, Sort("username")) as parts,
            ):
                async for part in parts:
                    target.write(part.decode())

    run(work)
