"""Checks whether a learner may enter, and records that training was accessed."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.access import Access, decide_access
from app.domain.status import resolve_status
from app.domain.transitions import record_access
from app.learners import repository
from app.learners.errors import LearnerNotFound
from app.learners.learner import Cause, Learner, change_of
from app.learners.recording import record


@dataclass(frozen=True, slots=True)
class CheckedAccess:
    """A learner, and the decision whether they may enter."""

    learner: Learner
    access: Access


async def check_access(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    today: date,
    session_started_at: datetime | None,
) -> CheckedAccess:
    """Decide whether the learner may enter on `today`. Raises LearnerNotFound."""
    learner = await repository.find_learner(connection, organization_id, learner_id)
    return _decide(learner, today, session_started_at)


async def check_access_by_username(
    connection: AsyncConnection,
    organization_id: int,
    username: str,
    today: date,
    session_started_at: datetime | None,
) -> CheckedAccess:
    """Decide the same about the learner with this username. Raises LearnerNotFound."""
    learner = await repository.find_by_username(connection, organization_id, username)
    return _decide(learner, today, session_started_at)


async def check_and_record_access(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    session_started_at: datetime | None,
    cause: Cause,
) -> CheckedAccess:
    """Decide whether the learner may enter and, if so, record that training was accessed. Raises LearnerNotFound.

    The status in the answer is the one after the access: the first access makes an activated learner active.
    """
    learner = await repository.lock_learner(connection, organization_id, learner_id)
    access = decide_access(learner.account, cause.today, session_started_at)
    if not access.allowed:
        return CheckedAccess(learner, access)
    change = change_of(learner, cause, record_access(learner.account, cause.at).account, {})
    if change is not None:
        await record(connection, organization_id, change, cause)
        learner = change.after
    await repository.record_access_time(connection, organization_id, learner.id, cause.at)
    learner = learner._replace(last_accessed_at=cause.at)
    return CheckedAccess(learner, replace(access, status=resolve_status(learner.account, cause.today)))


def _decide(learner: Learner | None, today: date, session_started_at: datetime | None) -> CheckedAccess:
    if learner is None:
        raise LearnerNotFound
    return CheckedAccess(learner, decide_access(learner.account, today, session_started_at))
