"""What a learner's account is: the stored facts, and the status that they and a date resolve to.

Status is never stored. Apart from everything else, so that the rule can be read on one page.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Status(StrEnum):
    """What an account resolves to on a day."""

    ACTIVE = "active"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"


class Account(NamedTuple):
    """The stored facts of one account.

    Instants are aware; `expires_on` is a calendar day in the organization's time zone, None = never.
    `sessions_valid_from` is the instant of the last deactivation, None = never deactivated: it
    outlives a later activation, so that portal sessions from before stay refused.
    """

    deactivated_at: datetime | None = None
    first_accessed_at: datetime | None = None
    expires_on: date | None = None
    sessions_valid_from: datetime | None = None


def calendar_day(now: datetime, time_zone: ZoneInfo) -> date:
    """The organization's calendar day at the aware instant `now`: what the rules call *today*."""
    return now.astimezone(time_zone).date()


def has_expired(account: Account, today: date) -> bool:
    """An expiration date has passed when today > expires_on: access lasts through the day itself."""
    return account.expires_on is not None and today > account.expires_on


def status_unless_expired(account: Account) -> Status:
    """The rules with their first line left out: the status that an expired account returns to."""
    if account.deactivated_at is not None:
        return Status.DEACTIVATED
    if account.first_accessed_at is None:
        return Status.ACTIVATED
    return Status.ACTIVE


def resolve_status(account: Account, today: date) -> Status:
    """The status of the account on the organization's calendar day `today`; first match wins."""
    if has_expired(account, today):
        return Status.EXPIRED
    return status_unless_expired(account)


def restores_to(account: Account, today: date) -> Status | None:
    """Where an expired account returns once its date is moved; None for one that has not expired."""
    return status_unless_expired(account) if has_expired(account, today) else None


def can_log_in(status: Status) -> bool:
    """Only an active or activated account lets its learner in."""
    return status in (Status.ACTIVE, Status.ACTIVATED)
