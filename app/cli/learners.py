"""`rollcall learners`: show, activate and deactivate single learners."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from app.cli.environment import get_actor, get_organization, run
from app.cli.errors import Failure
from app.cli.options import JsonOption, OrganizationOption, ReasonOption, show_examples
from app.cli.terminal import describe_instant, print_json, print_pairs
from app.cli.wording import describe_expired
from app.domain.errors import LearnerExpired
from app.domain.status import Status, can_log_in, resolve_status, restores_to
from app.learners import repository, service
from app.learners.learner import Cause, Learner
from app.learners.schemas import LearnerDocument, present
from app.learners.wish import Wish
from app.organizations.organization import DEFAULT_SLUG, Organization
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.ids import parse_id

LearnerId = Annotated[str | None, typer.Argument(metavar="ID", help="The learner's id.")]
Username = Annotated[str | None, typer.Option(help="The learner's username, in upper or lower case.")]
ExternalId = Annotated[str | None, typer.Option(help="The learner's id in the HR system.")]

commands = typer.Typer(
    name="learners", help="Show, activate and deactivate single learners.", no_args_is_help=True
)


@dataclass(frozen=True, slots=True)
class Key:
    """What finds a learner: one of id, username and external ID."""

    learner_id: str | None
    username: str | None
    external_id: str | None

    def __str__(self) -> str:
        if self.username is not None:
            return f"the username {self.username!r}"
        if self.external_id is not None:
            return f"the external ID {self.external_id!r}"
        return f"the id {self.learner_id!r}"

    async def find(self, connection: AsyncConnection, organization: Organization) -> Learner:
        """Return the learner. Raises Failure."""
        found = None
        if self.username is not None:
            found = await repository.find_by_username(connection, organization.id, self.username)
        elif self.external_id is not None:
            found = await repository.find_by_external_id(connection, organization.id, self.external_id)
        elif (learner_id := parse_id(str(self.learner_id))) is not None:
            found = await repository.find_learner(connection, organization.id, learner_id)
        if found is None:
            raise Failure(f"the organization {organization.slug} has no learner with {self}.")
        return found


def make_key(learner_id: str | None, username: str | None, external_id: str | None) -> Key:
    """Return the key. Raises BadParameter unless exactly one is given."""
    given = [each for each in (learner_id, username, external_id) if each is not None]
    if len(given) != 1:
        raise typer.BadParameter("Name one learner: with an id, with --username or with --external-id.")
    return Key(learner_id, username, external_id)


@commands.command(
    "show",
    epilog=show_examples(
        "rollcall learners show --username a.okafor", "rollcall learners show --external-id HR-1003 --json"
    ),
)
def show_learner(
    learner_id: LearnerId = None,
    username: Username = None,
    external_id: ExternalId = None,
    organization: OrganizationOption = DEFAULT_SLUG,
    json: JsonOption = False,
) -> None:
    """Show a learner: the status, and the dates that it follows from."""
    run(_show, organization, make_key(learner_id, username, external_id), is_json=json)


async def _show(database: Database, slug: str, key: Key, *, is_json: bool) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
        learner = await key.find(connection, owner)
    _print_learner(learner, owner.today(SystemClock().now()), is_json=is_json)


@commands.command(
    "activate",
    epilog=show_examples('rollcall learners activate --username a.okafor --reason "back from leave"'),
)
def activate_learner(
    learner_id: LearnerId = None,
    username: Username = None,
    external_id: ExternalId = None,
    organization: OrganizationOption = DEFAULT_SLUG,
    reason: ReasonOption = None,
    json: JsonOption = False,
) -> None:
    """Give a deactivated learner access again. Safe to repeat.

    An expired learner cannot be activated: the expiration date has to change.
    The exit status is then 1.
    """
    key = make_key(learner_id, username, external_id)
    run(_change, organization, key, Wish(is_active=True), reason, is_json=json)


@commands.command(
    "deactivate",
    epilog=show_examples('rollcall learners deactivate --external-id HR-1003 --reason "contract ended"'),
)
def deactivate_learner(
    learner_id: LearnerId = None,
    username: Username = None,
    external_id: ExternalId = None,
    organization: OrganizationOption = DEFAULT_SLUG,
    reason: ReasonOption = None,
    json: JsonOption = False,
) -> None:
    """Take access away from a learner, at once. Safe to repeat. Deletes nothing."""
    key = make_key(learner_id, username, external_id)
    run(_change, organization, key, Wish(is_active=False), reason, is_json=json)


async def _change(
    database: Database, slug: str, key: Key, wish: Wish, reason: str | None, *, is_json: bool
) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
    now = SystemClock().now()
    cause = Cause(get_actor().document(), now, owner.today(now), reason)
    before, after = await database.write(_store_change, owner, key, wish, cause)
    action = "activated" if wish.is_active else "deactivated"
    if not is_json:
        done = f"The learner was already {action}." if before == after else f"The learner is now {action}."
        typer.echo(done)
    _print_learner(after, cause.today, is_json=is_json)


async def _store_change(
    connection: AsyncConnection, owner: Organization, key: Key, wish: Wish, cause: Cause
) -> tuple[Learner, Learner]:
    found = await key.find(connection, owner)
    try:
        after = await service.change_learner(connection, owner.id, found.id, wish, expected=None, cause=cause)
    except LearnerExpired as error:
        raise Failure(describe_expired(found.username, error.reason)) from None
    return found, after


def _print_learner(learner: Learner, today: date, *, is_json: bool) -> None:
    if is_json:
        print_json(LearnerDocument, [present(learner, today)])
        return
    account, status = learner.account, resolve_status(learner.account, today)
    described = {
        "id": learner.id,
        "username": learner.username,
        "external id": learner.external_id,
        "email": learner.email,
        "name": " ".join(filter(None, (learner.first_name, learner.last_name))) or None,
        "status": status.value,
        "can log in": "yes" if can_log_in(status) else "no",
        "restores to": _describe_status(restores_to(account, today)),
        "expiration date": "never" if account.expires_on is None else account.expires_on.isoformat(),
        "deactivated": describe_instant(account.deactivated_at) or "no",
        "first access": describe_instant(account.first_accessed_at) or "never",
        "last access": describe_instant(learner.last_accessed_at) or "never",
        "created": describe_instant(learner.created_at),
        "changed": describe_instant(learner.updated_at),
    }
    print_pairs({name: value for name, value in described.items() if value is not None})


def _describe_status(status: Status | None) -> str | None:
    return None if status is None else status.value
