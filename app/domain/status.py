"""The rule: how the stored facts of an account and a date resolve to a status.

The status is never stored. This module holds nothing else, so that the rule can be read on one page.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Status(StrEnum):
    """A learner's status today. An activated learner has access but has not used it yet."""

    ACTIVE = "active"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"


class Account(NamedTuple):
    """The stored facts of one account.

    Instants are aware. `expires_on` is a calendar day in the organization's time zone, None = never.
    `sessions_valid_from` is the instant of the last deactivation, None = never deactivated. A later activation does
    not clear it, so that earlier portal sessions stay refused.
    """

    deactivated_at: datetime | None = None
    first_accessed_at: datetime | None = None
    expires_on: date | None = None
    sessions_valid_from: datetime | None = None


def calendar_day(now: datetime, time_zone: ZoneInfo) -> date:
    """Return the organization's calendar day at the aware instant `now`. The rules call it *today*."""
    return now.astimezone(time_zone).date()


def has_expired(account: Account, today: date) -> bool:
    """Return whether today > expires_on: access lasts to the end of the expiration date."""
    return account.expires_on is not None and today > account.expires_on


def status_unless_expired(account: Account) -> Status:
    """Resolve the status without the expiration date: the status that a new date gives back."""
    if account.deactivated_at is not None:
        return Status.DEACTIVATED
    if account.first_accessed_at is None:
        return Status.ACTIVATED
    return Status.ACTIVE


def resolve_status(account: Account, today: date) -> Status:
    """Resolve the status on the organization's calendar day `today`. The first match wins."""
    if has_expired(account, today):
        return Status.EXPIRED
    return status_unless_expired(account)


def restores_to(account: Account, today: date) -> Status | None:
    """Return the status that a new date gives back to an expired account, or None if it has not expired."""
    return status_unless_expired(account) if has_expired(account, today) else None


def can_log_in(status: Status) -> bool:
    """Return whether the status gives access: active and activated do."""
    return status in (Status.ACTIVE, Status.ACTIVATED)
