"""What is decided about one learner: lock, decide by the rules, record. The caller owns the transaction."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.access import Access, decide_access
from app.domain.errors import LearnerExpired
from app.domain.profile import fold
from app.domain.transitions import Refused, record_access
from app.learners import repository
from app.learners.decide import Unchanged, decide_change, decide_creation
from app.learners.errors import ExternalIdTaken, LearnerNotFound, UsernameTaken, VersionMismatch
from app.learners.learner import Cause, Learner, change_of
from app.learners.recording import record
from app.learners.wish import Wish
from app.platform.ids import new_id

Expected = Collection[int] | None


async def create_learner(
    connection: AsyncConnection, organization_id: int, wish: Wish, cause: Cause
) -> Learner:
    """Create a learner. Raises UsernameTaken, ExternalIdTaken and LearnerExpired."""
    await _require_free(connection, organization_id, wish.profile)
    decision = decide_creation(new_id(cause.at), wish, cause)
    if isinstance(decision, Refused):
        raise LearnerExpired(decision.reason)
    await record(connection, organization_id, [decision], cause)
    return decision.after


async def get_learner(connection: AsyncConnection, organization_id: int, learner_id: str) -> Learner:
    """The learner. Raises LearnerNotFound."""
    learner = await repository.find(connection, organization_id, learner_id)
    if learner is None:
        raise LearnerNotFound
    return learner


async def change_learner(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    wish: Wish,
    *,
    expected: Expected,
    cause: Cause,
) -> Learner:
    """Do what the wish asks for: all of it, or nothing.

    Raises LearnerNotFound, VersionMismatch, UsernameTaken, ExternalIdTaken and LearnerExpired.
    """
    learner = await _lock(connection, organization_id, learner_id, expected)
    renamed = {
        name: value
        for name, value in wish.profile.items()
        if name in ("username", "external_id") and value != getattr(learner, name)
    }
    await _require_free(connection, organization_id, renamed, besides=learner)
    decision = decide_change(learner, wish, cause)
    if isinstance(decision, Refused):
        raise LearnerExpired(decision.reason)
    if isinstance(decision, Unchanged):
        return learner
    await record(connection, organization_id, [decision], cause)
    return decision.after


async def enter(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    session_started_at: datetime | None,
    cause: Cause,
) -> tuple[Learner, Access]:
    """Check access and, where it is allowed, record it. Raises LearnerNotFound."""
    learner = await _lock(connection, organization_id, learner_id, None)
    access = decide_access(learner.account, cause.today, session_started_at)
    if access.allowed:
        account = record_access(learner.account, cause.at).account
        change = change_of(learner, cause, account, {})
        if change is not None:
            await record(connection, organization_id, [change], cause)
            learner = change.after
        await repository.record_access_time(connection, organization_id, learner.id, cause.at)
        learner = learner._replace(last_accessed_at=cause.at)
    return learner, access


async def _lock(
    connection: AsyncConnection, organization_id: int, learner_id: str, expected: Expected
) -> Learner:
    learner = await repository.lock(connection, organization_id, learner_id)
    if learner is None:
        raise LearnerNotFound
    if expected is not None and learner.version not in expected:
        raise VersionMismatch(learner.version)
    return learner


async def _require_free(
    connection: AsyncConnection,
    organization_id: int,
    keys: Mapping[str, Any],
    besides: Learner | None = None,
) -> None:
    username, external_id = keys.get("username"), keys.get("external_id")
    own = None if besides is None else besides.id
    if username is not None and (besides is None or fold(username) != fold(besides.username)):
        holder = await repository.find_by_username(connection, organization_id, username)
        if holder is not None and holder.id != own:
            raise UsernameTaken(username)
    if external_id is not None:
        holder = await repository.find_by_external_id(connection, organization_id, external_id)
        if holder is not None and holder.id != own:
            raise ExternalIdTaken(external_id)
