"""`rollcall keys`: the API keys of an organization, the first one included."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from app.cli.environment import get_organization, run
from app.cli.errors import Failure
from app.cli.options import OrganizationOption, checked_as, examples
from app.cli.terminal import print_table
from app.organizations import repository, service
from app.organizations.api_keys import Scope
from app.organizations.errors import ApiKeyNotFound
from app.organizations.organization import DEFAULT_SLUG
from app.organizations.schemas import DisplayName
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.ids import parse_id

commands = typer.Typer(name="keys", help="The API keys of an organization.", no_args_is_help=True)


@commands.command(
    "create",
    epilog=examples(
        "rollcall keys create hr-feed --scope learners:read --scope learners:bulk",
        "ROLLCALL_KEY=$(rollcall keys create portal --scope access:check --organization acme | tail -n 1)",
    ),
)
def create_key(
    name: Annotated[
        str,
        typer.Argument(callback=checked_as(DisplayName), help="What the key is for; shown in histories."),
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
                await service.ensure_default_organization(connection, now)
            owner = await get_organization(connection, organization)
            return (await service.create_key(connection, owner, name, scope, ends, now)).secret

        secret = await database.write(issue)
        typer.echo(f"The key {name!r} of {organization}, shown only now:", err=True)
        typer.echo(secret)

    run(work)


@commands.command("list")
def list_keys(organization: OrganizationOption = DEFAULT_SLUG) -> None:
    """List an organization's keys, newest first."""

    async def work(database: Database) -> None:
        async with database.read() as connection:
            owner = await get_organization(connection, organization)
            found = await repository.list_keys(connection, owner.id)
        now = SystemClock().now()
        print_table(
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

    run(work)


@commands.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `rollcall keys list` shows it.")],
    organization: OrganizationOption = DEFAULT_SLUG,
) -> None:
    """Revoke a key; in force everywhere within 5 seconds."""

    async def work(database: Database) -> None:
        async with database.read() as connection:
            owner = await get_organization(connection, organization)
        identifier = parse_id(key_id)
        unknown = Failure(f"{organization} has no key with the id {key_id}")
        if identifier is None:
            raise unknown
        revoke = partial(
            service.revoke_key,
            organization_id=owner.id,
            key_id=identifier,
            now=SystemClock().now(),
        )
        try:
            await database.write(revoke)
        except ApiKeyNotFound:
            raise unknown from None
        typer.echo(f"Revoked {key_id}.")

    run(work)
