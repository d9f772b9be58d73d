"""`rollcall keys`: the API keys of an organization, including the first one."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from app.cli.environment import get_organization, run
from app.cli.errors import Failure
from app.cli.options import JsonOption, OrganizationOption, check_as, show_examples
from app.cli.terminal import print_json, print_table
from app.organizations import repository, service
from app.organizations.api_keys import ApiKey, Scope
from app.organizations.errors import ApiKeyNotFound
from app.organizations.organization import DEFAULT_SLUG
from app.organizations.schemas import ApiKeyDocument, DisplayName, present_key
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.ids import parse_id

_INSTANT_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ")

commands = typer.Typer(name="keys", help="Manage the API keys of an organization.", no_args_is_help=True)


def parse_expiry(text: str) -> datetime:
    """Return the instant at which a key expires. Raises BadParameter if it is in the past."""
    for each in _INSTANT_FORMATS:
        try:
            expires_at = datetime.strptime(text, each).replace(tzinfo=UTC)
        except ValueError:
            continue
        if expires_at <= SystemClock().now():
            raise typer.BadParameter(f"{text} is in the past. Use a later date or time.")
        return expires_at
    raise typer.BadParameter(
        f"{text!r} is not a date or time. Use the form 2027-12-31 or 2027-12-31T18:00:00Z."
    )


@commands.command(
    "create",
    epilog=show_examples(
        "rollcall keys create hr-feed --scope learners:read --scope learners:bulk",
        "ROLLCALL_KEY=$(rollcall keys create portal --scope access:check --organization acme | tail -n 1)",
    ),
)
def create_key(
    name: Annotated[
        str,
        typer.Argument(callback=check_as(DisplayName), help="A name for the key. The history shows it."),
    ],
    scope: Annotated[
        list[Scope],
        typer.Option(
            metavar="SCOPE",
            help="What the key may do. Repeatable: learners:read, learners:write (one learner), learners:bulk "
            "(bulk actions, imports), access:check (the portal), events:read, or admin (everything).",
        ),
    ],
    organization: OrganizationOption = DEFAULT_SLUG,
    expires_at: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_expiry,
            metavar="INSTANT",
            help="When the key expires, in UTC: 2027-12-31 (at the start of that day) or 2027-12-31T18:00:00Z.",
        ),
    ] = None,
) -> None:
    """Create an API key. The secret is the last line on standard output. It is shown only once."""
    run(_create_key, organization, name, scope, expires_at)


async def _create_key(
    database: Database, slug: str, name: str, scopes: list[Scope], expires_at: datetime | None
) -> None:
    secret = await database.write(_store_key, slug, name, scopes, expires_at)
    typer.echo(
        f"Created the key {name!r} for the organization {slug}. The secret is shown only once:", err=True
    )
    typer.echo(secret)


async def _store_key(
    connection: AsyncConnection, slug: str, name: str, scopes: list[Scope], expires_at: datetime | None
) -> str:
    now = SystemClock().now()
    if slug == DEFAULT_SLUG:
        await service.ensure_default_organization(connection, now)
    owner = await get_organization(connection, slug)
    return (await service.create_key(connection, owner, name, scopes, expires_at, now)).secret


@commands.command("list")
def list_keys(organization: OrganizationOption = DEFAULT_SLUG, json: JsonOption = False) -> None:
    """List the keys of an organization, newest first."""
    run(_list_keys, organization, is_json=json)


async def _list_keys(database: Database, slug: str, *, is_json: bool) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
        found = await repository.list_keys(connection, owner.id)
    if is_json:
        print_json(ApiKeyDocument, map(present_key, found))
        return
    now = SystemClock().now()
    print_table(
        ("id", "name", "prefix", "scopes", "valid", "last used"),
        [
            (
                key.id,
                key.name,
                key.prefix,
                " ".join(key.scopes),
                _tell_validity(key, now),
                _tell_last_use(key),
            )
            for key in found
        ],
    )


def _tell_validity(key: ApiKey, now: datetime) -> str:
    if key.is_valid(now):
        return "yes"
    return "revoked" if key.revoked_at else "expired"


def _tell_last_use(key: ApiKey) -> str:
    return "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}Z"


@commands.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, from `rollcall keys list`.")],
    organization: OrganizationOption = DEFAULT_SLUG,
) -> None:
    """Revoke a key. It stops working everywhere within 5 seconds."""
    run(_revoke_key, organization, key_id)


async def _revoke_key(database: Database, slug: str, key_id: str) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
    unknown = Failure(
        f"the organization {slug} has no key with the id {key_id}. List its keys with `rollcall keys list`."
    )
    identifier = parse_id(key_id)
    if identifier is None:
        raise unknown
    try:
        await database.write(service.revoke_key, owner.id, identifier, SystemClock().now())
    except ApiKeyNotFound:
        raise unknown from None
    typer.echo(f"Revoked {key_id}.")
