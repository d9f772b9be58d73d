"""What can be asked of an account, as pure functions of the stored facts and the day.

Each answers Changed, Unchanged or Refused and leaves it to the caller to store and to report.
"""

from dataclasses import dataclass
from datetime import date, datetime

from app.domain.errors import Expired
from app.domain.status import Account, has_expired, status_unless_expired


@dataclass(frozen=True, slots=True)
class Changed:
    """The account as it is now to be stored."""

    account: Account


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing to store, nothing to record."""

    account: Account


@dataclass(frozen=True, slots=True)
class Refused:
    """The rules say no. The stored facts do not change."""

    reason: Expired


def deactivate(account: Account, now: datetime) -> Changed | Unchanged:
    """Take access away at the aware instant `now`. Always works, safe to repeat, deletes nothing.

    An expired account stays expired and will come back as deactivated.
    """
    if account.deactivated_at is not None:
        return Unchanged(account)
    return Changed(account._replace(deactivated_at=now, sessions_valid_from=now))


def activate(account: Account, today: date) -> Changed | Unchanged | Refused:
    """Give access back, to the status that the facts then resolve to. Refused for an expired account."""
    if account.expires_on is not None and has_expired(account, today):
        return Refused(Expired(account.expires_on, status_unless_expired(account)))
    if account.deactivated_at is None:
        return Unchanged(account)
    return Changed(account._replace(deactivated_at=None))


def change_expiration(account: Account, expires_on: date | None) -> Changed | Unchanged:
    """Set the last day of access, None = never expires. A past day expires at once, a later one restores."""
    if account.expires_on == expires_on:
        return Unchanged(account)
    return Changed(account._replace(expires_on=expires_on))


def record_access(account: Account, now: datetime) -> Changed | Unchanged:
    """Note that training was accessed at the aware instant `now`; only the first access is a change."""
    if account.first_accessed_at is not None:
        return Unchanged(account)
    return Changed(account._replace(first_accessed_at=now))
