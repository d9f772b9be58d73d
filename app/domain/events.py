"""Names the kind of event that a change of an account becomes."""

from datetime import date
from enum import StrEnum

from app.domain.status import Account, has_expired


class EventType(StrEnum):
    """The kinds of event in a learner's history."""

    CREATED = "learner.created"
    UPDATED = "learner.updated"
    ACTIVATED = "learner.activated"
    DEACTIVATED = "learner.deactivated"
    ACCESSED = "learner.accessed"
    EXPIRED = "learner.expired"
    RESTORED = "learner.restored"


def classify_change(before: Account | None, after: Account, today: date) -> EventType:
    """Name the change from `before` (None = no account existed) to `after`, on the day `today`.

    One change is one event. If it did several things, the first of these that applies names it: created, deactivated
    or activated, accessed, expired or restored by a new date, updated.
    """
    if before is None:
        return EventType.CREATED
    if before.deactivated_at is None and after.deactivated_at is not None:
        return EventType.DEACTIVATED
    if before.deactivated_at is not None and after.deactivated_at is None:
        return EventType.ACTIVATED
    if before.first_accessed_at is None and after.first_accessed_at is not None:
        return EventType.ACCESSED
    if before.expires_on != after.expires_on:
        had_expired, expires_now = has_expired(before, today), has_expired(after, today)
        if expires_now and not had_expired:
            return EventType.EXPIRED
        if had_expired and not expires_now:
            return EventType.RESTORED
    return EventType.UPDATED
