"""One learner as stored, one change of a learner, and what the history records of a change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import Any, NamedTuple

from app.domain.events import EventType, classify_change
from app.domain.profile import fold, fold_username, sort_form
from app.domain.status import Account, resolve_status
from app.learners.fields import EVENT_FACTS, PROFILE, SearchPart
from app.platform.ids import instant_of
from app.platform.instants import instant_text


class Learner(NamedTuple):
    """The profile and the account of one learner. `version` counts the changes, from 1.

    A tuple, like Change: a million of them cost a third of as many dataclasses.
    """

    id: str
    username: str
    account: Account
    updated_at: datetime
    version: int = 1
    external_id: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    last_accessed_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        """The instant, to the millisecond, that the id carries."""
        return instant_of(self.id)

    @property
    def username_key(self) -> str:
        """The form in which the username is unique."""
        return username_key(self.username)

    @property
    def last_name_key(self) -> str:
        """The form by which last names are sorted. A missing one comes first."""
        return sort_form(self.last_name) if self.last_name else ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who made a change, when, why, and as part of which operation."""

    actor: Mapping[str, Any]
    at: datetime
    today: date
    reason: str | None = None
    operation_id: str | None = None


class Change(NamedTuple):
    """One learner before (None = created) and after. It becomes one event."""

    before: Learner | None
    after: Learner
    type: EventType


class Event(NamedTuple):
    """A recorded change, as its readers see it. `before` and `after` hold the facts that changed."""

    id: str
    type: str
    learner_id: str
    # The learner's version after the change.
    version: int
    occurred_at: datetime
    actor: Mapping[str, Any]
    operation_id: str | None
    reason: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


# Between the parts of a searched text. No field and no search can contain it, so no match spans two parts.
PART_BREAK = "\x1f"


def creation_of(learner: Learner) -> Change:
    """Make the change that creates this learner."""
    return Change(None, learner, EventType.CREATED)


def change_of(
    before: Learner, cause: Cause, account: Account, profile: Mapping[str, str | None]
) -> Change | None:
    """Make the change from `before` to these facts, or None if nothing differs.

    `profile` holds the cleaned fields of `fields.PROFILE` that are to be set.
    """
    if account == before.account and all(getattr(before, name) == value for name, value in profile.items()):
        return None
    after = before._replace(account=account, updated_at=cause.at, version=before.version + 1, **profile)  # type: ignore[arg-type]
    return Change(before, after, classify_change(before.account, account, cause.today))


class EventDocuments(NamedTuple):
    """The facts of a learner before and after a change, as JSON."""

    before: dict[str, Any]
    after: dict[str, Any]


_read_facts = attrgetter(*EVENT_FACTS.values())
_NOTHING: dict[str, Any] = {}


def event_documents(change: Change, today: date) -> EventDocuments:
    """Make the documents of an event: the facts that changed, each time with the status on `today`."""
    before, after, _ = change
    new: dict[str, Any] = {}
    if before is None:
        for name, value in zip(EVENT_FACTS, _read_facts(after), strict=True):
            if value is not None:
                new[name] = write_fact(value)
        new["status"] = resolve_status(after.account, today).value
        return EventDocuments(_NOTHING, new)
    old: dict[str, Any] = {}
    for name, was, becomes in zip(EVENT_FACTS, _read_facts(before), _read_facts(after), strict=True):
        if was != becomes:
            old[name], new[name] = write_fact(was), write_fact(becomes)
    old["status"] = resolve_status(before.account, today).value
    new["status"] = resolve_status(after.account, today).value
    return EventDocuments(old, new)


def write_fact(value: str | date | None) -> str | None:
    """Return a fact as events hold it."""
    if value is None or isinstance(value, str):
        return value
    return instant_text(value) if isinstance(value, datetime) else value.isoformat()


# The searched fields in the order of their parts: names, fields in parts of their own, the email.
_searched = [field.name for part in SearchPart for field in PROFILE if field.search_part is part]
_read_searched = attrgetter(*_searched)
_NAMES_END = sum(field.search_part is SearchPart.NAME for field in PROFILE)


def search_text(learner: Learner) -> str:
    """Join the text that `q` searches, folded.

    The email comes last, so that a search can recognize a whole address by the end of the text.
    """
    return _join_searched(_read_searched(learner))


def search_text_of(profile: Mapping[str, str | None]) -> str:
    """Join the text that `q` searches for a learner with this profile."""
    return _join_searched([profile.get(name) for name in _searched])


def _join_searched(values: Sequence[str | None]) -> str:
    name = " ".join(filter(None, values[:_NAMES_END]))
    own = filter(None, values[_NAMES_END:-1])
    return fold(PART_BREAK.join((name, *own, values[-1] or "")))


def username_key(username: str) -> str:
    """Fold a username into the form in which it is unique. See fold_username."""
    return fold_username(username)
