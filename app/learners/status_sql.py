"""The rules of app.domain.status in SQL. No other module of the service writes status logic in SQL.

This module declares the columns that the rules read; `tables.learners` has them. A property test compares
each expression with its Python form, on both databases.
"""

from collections.abc import Collection
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Computed,
    Date,
    String,
    and_,
    case,
    false,
    literal,
    not_,
    or_,
    true,
)

from app.domain.events import EventType
from app.domain.status import Status
from app.platform.column_types import BinaryText, Instant

# The stored facts of app.domain.status.Account.
DEACTIVATED_AT = Column("deactivated_at", Instant)
FIRST_ACCESSED_AT = Column("first_accessed_at", Instant)
EXPIRES_ON = Column("expires_on", Date)
SESSIONS_VALID_FROM = Column("sessions_valid_from", Instant)
# Two columns that the database computes from the facts, for the indexes. The status itself also depends on today's
# date, so it is resolved at each read.
STATUS_UNLESS_EXPIRED = Column(
    "status_unless_expired",
    BinaryText,
    Computed(
        "CASE WHEN deactivated_at IS NOT NULL THEN 'deactivated' "
        "WHEN first_accessed_at IS NULL THEN 'activated' ELSE 'active' END",
        persisted=True,
    ),
    nullable=False,
)
EXPIRES_KEY = Column(
    "expires_key", Date, Computed("coalesce(expires_on, '9999-12-31')", persisted=True), nullable=False
)
COLUMNS = (
    DEACTIVATED_AT,
    FIRST_ACCESSED_AT,
    EXPIRES_ON,
    SESSIONS_VALID_FROM,
    STATUS_UNLESS_EXPIRED,
    EXPIRES_KEY,
)

_NOT_EXPIRED = (Status.ACTIVE, Status.ACTIVATED, Status.DEACTIVATED)


def has_expired(today: date) -> ColumnElement[bool]:
    """Return whether the learner has expired on the calendar day `today`."""
    return today > EXPIRES_KEY


def resolve_status(
    today: date, unless_expired: ColumnElement[str] = STATUS_UNLESS_EXPIRED
) -> ColumnElement[str]:
    """Return the status on `today`. `unless_expired` replaces the stored facts that are about to change."""
    return case((has_expired(today), literal(Status.EXPIRED.value, String)), else_=unless_expired)


def has_status(statuses: Collection[Status], today: date) -> ColumnElement[bool]:
    """Return whether the status is one of these, in the form that the status index answers."""
    lasting = [status.value for status in _NOT_EXPIRED if status in statuses]
    conditions: list[ColumnElement[Any]] = []
    if lasting:
        conditions.append(and_(STATUS_UNLESS_EXPIRED.in_(lasting), today <= EXPIRES_KEY))
    if Status.EXPIRED in statuses:
        every = [status.value for status in _NOT_EXPIRED]
        conditions.append(and_(STATUS_UNLESS_EXPIRED.in_(every), has_expired(today)))
    return or_(*conditions)


def has_status_in_order(
    statuses: Collection[Status], today: date, order: ColumnElement[Any] | None
) -> ColumnElement[bool]:
    """Return whether the status is one of these, in a form for walking learners in the order of a column."""
    condition = resolve_status(today).in_([status.value for status in statuses])
    if order is not EXPIRES_ON and order is not EXPIRES_KEY:
        return condition
    # Expired learners are at one end of this order, all others at the other.
    if Status.EXPIRED not in statuses:
        return and_(condition, order >= today)
    return and_(condition, order < today) if len(statuses) == 1 else condition


def is_deactivated() -> ColumnElement[bool]:
    """Return whether the learner is deactivated, expired or not."""
    return DEACTIVATED_AT.is_not(None)


def is_not_deactivated() -> ColumnElement[bool]:
    """Return whether the learner is not deactivated, expired or not, in the form that the status index answers."""
    return STATUS_UNLESS_EXPIRED.in_([Status.ACTIVE.value, Status.ACTIVATED.value])


# The rules for facts that a statement computes, such as those after a change.


class Facts(NamedTuple):
    """The facts of an account as SQL. `expires_on` is null for an account that never expires."""

    is_deactivated: ColumnElement[bool]
    is_accessed: ColumnElement[bool]
    expires_on: ColumnElement[Any]


def facts_have_expired(facts: Facts, today: ColumnElement[date]) -> ColumnElement[bool]:
    """Return whether an account with these facts has expired on `today`. Never null."""
    return case((facts.expires_on < today, true()), else_=false())


def restored_status(facts: Facts) -> ColumnElement[str]:
    """Return the status of these facts without the expiration date."""
    return case(
        (facts.is_deactivated, literal(Status.DEACTIVATED.value, String)),
        (facts.is_accessed, literal(Status.ACTIVE.value, String)),
        else_=literal(Status.ACTIVATED.value, String),
    )


def status_of(facts: Facts, today: ColumnElement[date]) -> ColumnElement[str]:
    """Return the status of these facts on `today`."""
    return case(
        (facts_have_expired(facts, today), literal(Status.EXPIRED.value, String)),
        else_=restored_status(facts),
    )


def event_type(
    before: Facts, after: Facts, dates_differ: ColumnElement[bool], today: ColumnElement[date]
) -> ColumnElement[str]:
    """Return the type of the event for a change between these facts, as `classify_change` has it."""
    had_expired, expires_now = facts_have_expired(before, today), facts_have_expired(after, today)
    types = (
        (and_(after.is_deactivated, not_(before.is_deactivated)), EventType.DEACTIVATED),
        (and_(before.is_deactivated, not_(after.is_deactivated)), EventType.ACTIVATED),
        (and_(dates_differ, expires_now, not_(had_expired)), EventType.EXPIRED),
        (and_(dates_differ, had_expired, not_(expires_now)), EventType.RESTORED),
    )
    return case(
        *((condition, literal(name.value, String)) for condition, name in types),
        else_=literal(EventType.UPDATED.value, String),
    )
