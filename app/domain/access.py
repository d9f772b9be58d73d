"""Decides whether a learner, or one of their portal sessions, may enter now."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from app.domain.status import Account, Status, can_log_in, resolve_status


class DenialReason(StrEnum):
    """Why access is refused."""

    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    SESSION_REVOKED = "session-revoked"


@dataclass(frozen=True, slots=True)
class Access:
    """The answer to an access check. `reason` is None if `allowed` is true."""

    allowed: bool
    status: Status
    reason: DenialReason | None


def decide_access(account: Account, today: date, session_started_at: datetime | None = None) -> Access:
    """Decide for the calendar day `today`. `session_started_at` (aware) is the start of a portal session.

    A session that began before the last deactivation is refused, even if the learner has been activated since.
    """
    status = resolve_status(account, today)
    if not can_log_in(status):
        return Access(allowed=False, status=status, reason=DenialReason(status.value))
    if (
        session_started_at is not None
        and account.sessions_valid_from is not None
        and session_started_at < account.sessions_valid_from
    ):
        return Access(allowed=False, status=status, reason=DenialReason.SESSION_REVOKED)
    return Access(allowed=True, status=status, reason=None)
