"""`rollcall export`: write learners as CSV to a file or a pipe."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.environment import get_organization, run
from app.cli.options import OrganizationOption, check_as, show_examples
from app.cli.terminal import open_output
from app.domain.status import Status
from app.learners import export as learners
from app.learners.filters import LearnerFilter, SearchText
from app.learners.sort import Sort
from app.limits import Limits
from app.organizations.organization import DEFAULT_SLUG
from app.platform.clock import SystemClock
from app.platform.database import Database

commands = typer.Typer()


@commands.command(
    epilog=show_examples(
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
            help="Only learners with this status: active, activated, deactivated or expired. Repeatable.",
        ),
    ] = None,
    q: Annotated[
        str | None,
        typer.Option(
            "--query",
            "-q",
            callback=check_as(SearchText | None),
            help="Only learners with this text in their name, username or email.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write, or - for standard output (the default)."),
    ] = None,
) -> None:
    """Write learners as CSV, in the columns of an import. Importing the file again changes nothing."""
    wanted = LearnerFilter(status=tuple(status) if status else None, q=q)

    run(_write_export, organization, wanted, output)


async def _write_export(database: Database, slug: str, wanted: LearnerFilter, output: Path | None) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
    today = owner.today(SystemClock().now())
    with open_output(output) as target:
        async with (
            database.snapshot() as connection,
            learners.open_export(
                connection,
                owner.id,
                wanted,
                today,
                sort=Sort("username"),
                few=Limits().few_matches,
            ) as parts,
        ):
            async for part in parts:
                target.write(part.decode())
