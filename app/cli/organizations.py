"""`rollcall organizations`: the tenants, created and listed."""

from functools import partial
from typing import Annotated

import typer

from app.cli.environment import run
from app.cli.options import checked_as, examples
from app.cli.terminal import print_table
from app.organizations import repository, service
from app.organizations.schemas import DisplayName
from app.platform.clock import SystemClock
from app.platform.database import Database

commands = typer.Typer(
    name="organizations",
    help="The tenants: each has its own learners, keys and time zone.",
    no_args_is_help=True,
)


@commands.command(
    "create",
    epilog=examples('rollcall organizations create acme --name "Acme Academy" --time-zone Europe/Berlin'),
)
def create_organization(
    slug: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens; names it here.")],
    name: Annotated[str, typer.Option(callback=checked_as(DisplayName), help="The name that people see.")],
    time_zone: Annotated[str, typer.Option(help="An IANA time zone, such as Europe/Berlin.")],
) -> None:
    """Create an organization. Give it a key next: `rollcall keys create`."""

    async def work(database: Database) -> None:
        now = SystemClock().now()
        create = partial(service.create_organization, slug=slug, name=name, time_zone=time_zone, now=now)
        organization = await database.write(create)
        typer.echo(f"Created the organization {organization.slug} ({organization.public_id}).")

    run(work)


@commands.command("list")
def list_organizations() -> None:
    """List the organizations."""

    async def work(database: Database) -> None:
        async with database.read() as connection:
            found = await repository.list_organizations(connection)
        print_table(
            ("slug", "name", "time zone", "id"),
            [(each.slug, each.name, each.time_zone, each.public_id) for each in found],
        )

    run(work)
