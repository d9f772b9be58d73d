"""The rules of app.domain.status in SQL. Nothing else writes status logic in SQL.

A property test holds each expression against its Python form, on both databases.
"""

from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, literal, or_

from app.domain.status import Status
from app.learners.tables import learners

_UNLESS_EXPIRED = learners.c.status_unless_expired
_NOT_EXPIRED = (Status.ACTIVE, Status.ACTIVATED, Status.DEACTIVATED)


def has_expired(today: date) -> ColumnElement[bool]:
    """Whether the learner has expired on the calendar day `today`."""
    return learners.c.expires_key < today


def resolve_status(today: date, unless_expired: ColumnElement[str] = _UNLESS_EXPIRED) -> ColumnElement[str]:
    """The status on `today`; `unless_expired` stands in for the facts, where they are about to change."""
    return case((has_expired(today), literal(Status.EXPIRED.value, String)), else_=unless_expired)


def status_after_deactivation() -> ColumnElement[str]:
    """status_unless_expired of the learner, were they deactivated."""
    return literal(Status.DEACTIVATED.value, String)


def status_after_activation() -> ColumnElement[str]:
    """status_unless_expired of the learner, were they activated."""
    return case(
        (learners.c.first_accessed_at.is_(None), literal(Status.ACTIVATED.value, String)),
        else_=literal(Status.ACTIVE.value, String),
    )


def is_not_deactivated() -> ColumnElement[bool]:
    """Whether nobody has deactivated the learner, who may have expired."""
    return learners.c.deactivated_at.is_(None)


def deactivate_outcome() -> ColumnElement[str]:
    """The outcome of transitions.deactivate, as `changed` or `unchanged`."""
    return case((learners.c.deactivated_at.is_(None), "changed"), else_="unchanged")


def activate_outcome(today: date) -> ColumnElement[str]:
    """The outcome of transitions.activate, as `changed`, `unchanged` or `refused`."""
    return case(
        (has_expired(today), "refused"), (learners.c.deactivated_at.is_(None), "unchanged"), else_="changed"
    )


def has_status(statuses: Collection[Status], today: date) -> ColumnElement[bool]:
    """Whether the status is one of these, in the form that the status index answers."""
    lasting = [status.value for status in _NOT_EXPIRED if status in statuses]
    conditions: list[ColumnElement[Any]] = []
    if lasting:
        conditions.append(and_(_UNLESS_EXPIRED.in_(lasting), learners.c.expires_key >= today))
    if Status.EXPIRED in statuses:
        every = [status.value for status in _NOT_EXPIRED]
        conditions.append(and_(_UNLESS_EXPIRED.in_(every), has_expired(today)))
    return or_(*conditions)
