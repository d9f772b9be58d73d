"""`rollcall organizations`: create, change and list the tenants."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from app.cli.environment import get_organization, run
from app.cli.options import JsonOption, check_as, show_examples
from app.cli.terminal import print_json, print_pairs, print_table
from app.organizations import repository, service
from app.organizations.organization import Organization, OrganizationChange, clean_slug
from app.organizations.schemas import (
    DisplayName,
    ExpiringDays,
    MaxDeactivations,
    OrganizationDocument,
    TimeZone,
    present_organization,
)
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


@commands.command(
    "edit",
    epilog=show_examples(
        "rollcall organizations edit acme --time-zone Europe/Berlin",
        "rollcall organizations edit default --max-deactivations 5% --expiring-days 30",
    ),
)
def edit_organization(
    slug: Annotated[str, typer.Argument(help="The organization's slug. It cannot be changed.")],
    name: Annotated[
        str | None, typer.Option(callback=check_as(DisplayName | None), help="The name that people see.")
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            callback=check_as(TimeZone | None),
            help="An IANA time zone, such as Europe/Berlin. Accounts expire by its calendar, so a new one can expire "
            "or restore accounts at once.",
        ),
    ] = None,
    max_deactivations: Annotated[
        str | None,
        typer.Option(
            callback=check_as(MaxDeactivations | None),
            help="How many learners an import with --missing deactivate may deactivate: a number, or a percentage "
            "such as 5%.",
        ),
    ] = None,
    expiring_days: Annotated[
        int | None,
        typer.Option(
            callback=check_as(ExpiringDays | None),
            help="Days of notice before the expiration date: 0 to 366.",
        ),
    ] = None,
) -> None:
    """Change an organization. What you leave out stays as it is.

    The change takes effect in every process within 5 seconds.
    """
    change = OrganizationChange(name, time_zone, max_deactivations, expiring_days)
    if change == OrganizationChange():
        raise typer.BadParameter(
            "Nothing to change. Use --name, --time-zone, --max-deactivations or --expiring-days."
        )
    run(_edit_organization, slug, change)


async def _edit_organization(database: Database, slug: str, change: OrganizationChange) -> None:
    organization = await database.write(_store_change, slug, change)
    typer.echo(f"Changed the organization {slug}.")
    print_pairs(dict(zip(_COLUMNS, _describe(organization), strict=True)))


async def _store_change(connection: AsyncConnection, slug: str, change: OrganizationChange) -> Organization:
    organization = await get_organization(connection, slug)
    return await repository.update_organization(connection, organization.id, change)


_COLUMNS = ("slug", "name", "time zone", "max deactivations", "expiring days", "id")


def _describe(organization: Organization) -> tuple[str, ...]:
    return (
        organization.slug,
        organization.name,
        organization.time_zone,
        organization.max_deactivations,
        str(organization.expiring_days),
        organization.public_id,
    )


@commands.command("list")
def list_organizations(json: JsonOption = False) -> None:
    """List the organizations, with their settings."""
    run(_list_organizations, is_json=json)


async def _list_organizations(database: Database, *, is_json: bool) -> None:
    async with database.read() as connection:
        found = await repository.list_organizations(connection)
    if is_json:
        print_json(OrganizationDocument, map(present_organization, found))
    else:
        print_table(_COLUMNS, list(map(_describe, found)))
