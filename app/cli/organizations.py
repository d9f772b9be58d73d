"""`rollcall organizations`: create and list the tenants."""

from typing import Annotated

import typer

from app.cli.environment import run
from app.cli.options import check_as, show_examples
from app.cli.terminal import print_table
from app.organizations import repository, service
from app.organizations.organization import clean_slug
from app.organizations.schemas import DisplayName, TimeZone
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.fields import clean_with

commands = typer.Typer(
    name="organizations",
    help="Manage the tenants. Each has its own learners, keys and time zone.",
    no_args_is_help=True,
)


@commands.command(
    "create",
    epilog=show_examples(
        'rollcall organizations create acme --name "Acme Academy" --time-zone Europe/Berlin'
    ),
)
def create_organization(
    slug: Annotated[
        str,
        typer.Argument(
            callback=check_as(Annotated[str, clean_with(clean_slug)]),
            help="A short name for --organization: lowercase letters, digits and hyphens.",
        ),
    ],
    name: Annotated[str, typer.Option(callback=check_as(DisplayName), help="The name that people see.")],
    time_zone: Annotated[
        str, typer.Option(callback=check_as(TimeZone), help="An IANA time zone, such as Europe/Berlin.")
    ],
) -> None:
    """Create an organization. Then create a key for it with `rollcall keys create`."""
    run(_create_organization, slug, name, time_zone)


async def _create_organization(database: Database, slug: str, name: str, time_zone: str) -> None:
    organization = await database.write(
        service.create_organization, slug, name, time_zone, SystemClock().now()
    )
    typer.echo(f"Created the organization {organization.slug} ({organization.public_id}).")


@commands.command("list")
def list_organizations() -> None:
    """List the organizations."""
    run(_list_organizations)


async def _list_organizations(database: Database) -> None:
    async with database.read() as connection:
        found = await repository.list_organizations(connection)
    print_table(
        ("slug", "name", "time zone", "id"),
        [(each.slug, each.name, each.time_zone, each.public_id) for each in found],
    )
