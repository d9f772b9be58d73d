"""The changes of an account, as pure functions of the stored facts and the day.

Each returns Changed, Unchanged or Refused. The caller stores and reports the result.
"""

from dataclasses import dataclass
from datetime import date, datetime

from app.domain.errors import Expired
from app.domain.status import Account, has_expired, status_unless_expired


@dataclass(frozen=True, slots=True)
class Changed:
    """The account to store."""

    account: Account


@dataclass(frozen=True, slots=True)
class Unchanged:
    """There is nothing to store or to record."""

    account: Account


@dataclass(frozen=True, slots=True)
class Refused:
    """The rules say no. The stored facts do not change."""

    reason: Expired


def deactivate(account: Account, now: datetime) -> Changed | Unchanged:
    """Take access away at the aware instant `now`. Never refused, safe to repeat, deletes nothing.

    An expired account stays expired. With a new expiration date it is deactivated.
    """
    if account.deactivated_at is not None:
        return Unchanged(account)
    return Changed(account._replace(deactivated_at=now, sessions_valid_from=now))


def activate(account: Account, today: date) -> Changed | Unchanged | Refused:
    """Give access back. Refused for an expired account."""
    if account.expires_on is not None and has_expired(account, today):
        return Refused(Expired(account.expires_on, status_unless_expired(account)))
    if account.deactivated_at is None:
        return Unchanged(account)
    return Changed(account._replace(deactivated_at=None))


def change_expiration(account: Account, expires_on: date | None) -> Changed | Unchanged:
    """Set the last day of access, None = never expires. A past day expires at once, any other restores access."""
    if account.expires_on == expires_on:
        return Unchanged(account)
    return Changed(account._replace(expires_on=expires_on))


def record_access(account: Account, now: datetime) -> Changed | Unchanged:
    """Record that training was accessed at the aware instant `now`. Only the first access is a change."""
    if account.first_accessed_at is not None:
        return Unchanged(account)
    return Changed(account._replace(first_accessed_at=now))
