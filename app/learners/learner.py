"""One learner as stored, one change of a learner, and what is written of it into the history."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from app.domain.events import EventType, classify_change
from app.domain.profile import fold, sort_form
from app.domain.status import Account, resolve_status
from app.platform.database import instant_text
from app.platform.ids import instant_of


@dataclass(frozen=True, slots=True)
class Learner:
    """The profile and the account of one learner; `version` counts the changes, from 1."""

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


@dataclass(frozen=True, slots=True)
class Change:
    """One learner before (None = created) and after; becomes one event."""

    before: Learner | None
    after: Learner
    type: EventType


PROFILE_FIELDS = ("username", "email", "first_name", "last_name", "external_id")
ACCOUNT_FIELDS = ("expires_on", "deactivated_at", "first_accessed_at")


def creation_of(learner: Learner) -> Change:
    """The change that creates this learner."""
    return Change(None, learner, EventType.CREATED)


def change_of(before: Learner, cause: Cause, account: Account, profile: Mapping[str, Any]) -> Change | None:
    """The change from `before` to these facts, or None where nothing differs.

    `profile` holds the fields of PROFILE_FIELDS that are to be set, cleaned.
    """
    if account == before.account and all(getattr(before, name) == value for name, value in profile.items()):
        return None
    after = replace(before, account=account, updated_at=cause.at, version=before.version + 1, **profile)
    return Change(before, after, classify_change(before.account, account, cause.today))


def event_documents(change: Change, today: date) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts that changed, as they were and as they are, each with the status on `today`."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for holder, names in ((None, PROFILE_FIELDS), ("account", ACCOUNT_FIELDS)):
        new = change.after if holder is None else change.after.account
        old = change.before if holder is None or change.before is None else change.before.account
        for name in names:
            is_now = getattr(new, name)
            if old is None:
                if is_now is not None:
                    after[name] = _json(is_now)
                continue
            was = getattr(old, name)
            if was != is_now:
                before[name], after[name] = _json(was), _json(is_now)
    if change.before is not None:
        before["status"] = resolve_status(change.before.account, today).value
    after["status"] = resolve_status(change.after.account, today).value
    return before, after


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def search_text(learner: Learner) -> str:
    """The text that `q` looks into, folded; the email stands last, so that its end marks an exact one."""
    name = " ".join(part for part in (learner.first_name, learner.last_name) if part)
    return fold(f"{name}\n{learner.username}\n{learner.email or ''}")


def username_key(username: str) -> str:
    """The form in which usernames are unique: without regard to case."""
    return fold(username)


def last_name_key(last_name: str | None) -> str:
    """The form by which last names are sorted; a missing one comes first."""
    return sort_form(last_name) if last_name else ""
