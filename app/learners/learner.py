"""One learner as stored, one change of a learner, and what is written of it into the history."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from app.domain.events import EventType, classify_change
from app.domain.profile import fold, sort_form
from app.domain.status import Account, resolve_status
from app.domain.transitions import deactivate
from app.platform.ids import instant_of
from app.platform.instants import instant_text


class Learner(NamedTuple):
    """The profile and the account of one learner; `version` counts the changes, from 1.

    A tuple, as Change and what imports make of rows are: a million of them cost a third of as many dataclasses.
    """

    id: str
    username: str
    account: Account
    updated_at: datetime
    version: int = 1
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    external_id: str | None = None
    last_accessed_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        """The instant, to the millisecond, that the id carries."""
        return instant_of(self.id)


@dataclass(frozen=True, slots=True)
class Cause:
    """Who made a change, when, why, and as part of which operation."""

    actor: Mapping[str, Any]
    at: datetime
    today: date
    reason: str | None = None
    operation_id: str | None = None


class Change(NamedTuple):
    """One learner before (None = created) and after; becomes one event."""

    before: Learner | None
    after: Learner
    type: EventType

    @property
    def deactivates(self) -> bool:
        """Whether it takes access away from a learner who was there already and not deactivated."""
        return self.type is EventType.DEACTIVATED


PROFILE_FIELDS = ("username", "email", "first_name", "last_name", "external_id")
# Between the parts of a searched text: neither a field nor a search can hold it, so that none spans two parts.
PART_BREAK = "\x1f"


def creation_of(learner: Learner) -> Change:
    """The change that creates this learner."""
    return Change(None, learner, EventType.CREATED)


def change_of(before: Learner, cause: Cause, account: Account, profile: Mapping[str, Any]) -> Change | None:
    """The change from `before` to these facts, or None where nothing differs.

    `profile` holds the fields of PROFILE_FIELDS that are to be set, cleaned.
    """
    if account == before.account and all(getattr(before, name) == value for name, value in profile.items()):
        return None
    after = before._replace(account=account, updated_at=cause.at, version=before.version + 1, **profile)
    return Change(before, after, classify_change(before.account, account, cause.today))


# How the facts of an account are read from an event's documents.
_ACCOUNT_FACTS: dict[str, Callable[[str], date]] = {
    "expires_on": date.fromisoformat,
    "deactivated_at": datetime.fromisoformat,
    "first_accessed_at": datetime.fromisoformat,
}


def change_back(learner: Learner, before: Mapping[str, Any], cause: Cause) -> Change | None:
    """The change that takes the learner's last one back, or None where there is nothing to take back.

    `before` is what the event of that last change tells, and empty where it created the learner, who is then
    deactivated, never removed. Going back to deactivated takes access away now, whenever it was before.
    """
    if not before:
        return change_of(learner, cause, deactivate(learner.account, cause.at).account, {})
    profile = {name: before[name] for name in PROFILE_FIELDS if name in before}
    facts = {
        name: None if before[name] is None else parse(before[name])
        for name, parse in _ACCOUNT_FACTS.items()
        if name in before
    }
    account = learner.account._replace(**facts)  # type: ignore[arg-type]
    if account.deactivated_at is not None and learner.account.deactivated_at is None:
        account = account._replace(sessions_valid_from=cause.at)
    return change_of(learner, cause, account, profile)


# The facts that events tell, apart from the status.
_FACTS = (*PROFILE_FIELDS, "expires_on", "deactivated_at", "first_accessed_at")
_NOTHING: dict[str, Any] = {}


def event_documents(change: Change, today: date) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts that changed, as they were and as they are, each with the status on `today`."""
    before, after, _ = change
    new: dict[str, Any] = {}
    if before is None:
        for name, value in zip(_FACTS, _facts(after), strict=True):
            if value is not None:
                new[name] = _json(value)
        new["status"] = resolve_status(after.account, today).value
        return _NOTHING, new
    old: dict[str, Any] = {}
    for name, was, becomes in zip(_FACTS, _facts(before), _facts(after), strict=True):
        if was != becomes:
            old[name], new[name] = _json(was), _json(becomes)
    old["status"] = resolve_status(before.account, today).value
    new["status"] = resolve_status(after.account, today).value
    return old, new


def _facts(learner: Learner) -> tuple[str | date | None, ...]:
    account = learner.account
    return (
        learner.username,
        learner.email,
        learner.first_name,
        learner.last_name,
        learner.external_id,
        account.expires_on,
        account.deactivated_at,
        account.first_accessed_at,
    )


def _json(value: str | date | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return instant_text(value) if isinstance(value, datetime) else value.isoformat()


def search_text(learner: Learner) -> str:
    """The text that `q` looks into, folded; the email stands last, so that its end marks an exact one."""
    name = " ".join(part for part in (learner.first_name, learner.last_name) if part)
    return fold(PART_BREAK.join((name, learner.username, learner.email or "")))


def username_key(username: str) -> str:
    """The form in which usernames are unique: without regard to case."""
    return fold(username)


def last_name_key(last_name: str | None) -> str:
    """The form by which last names are sorted; a missing one comes first."""
    return sort_form(last_name) if last_name else ""
