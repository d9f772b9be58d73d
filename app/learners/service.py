"""What is decided about one learner: lock, decide by the rules, record. The caller owns the transaction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.access import Access, decide_access
from app.domain.profile import fold
from app.domain.status import Account
from app.domain.transitions import Refused, activate, change_expiration, deactivate, record_access
from app.learners import repository
from app.learners.errors import ExternalIdTaken, LearnerNotFound, UsernameTaken, VersionMismatch
from app.learners.learner import Cause, Change, Learner, change_of, creation_of
from app.learners.recording import record
from app.platform.ids import new_id

Expected = Collection[int] | None


@dataclass(frozen=True, slots=True)
class NoChange:
    """Stands for "leave the expiration date as it is", since None means "never expires"."""


NO_CHANGE = NoChange()


async def create_learner(
    connection: AsyncConnection,
    organization_id: int,
    profile: Mapping[str, Any],
    expires_on: date | None,
    cause: Cause,
) -> Learner:
    """A new learner, activated. Raises UsernameTaken and ExternalIdTaken."""
    await _require_free(connection, organization_id, profile)
    learner = Learner(
        id=new_id(cause.at), account=Account(expires_on=expires_on), updated_at=cause.at, **profile
    )
    await record(connection, organization_id, [creation_of(learner)], cause)
    return learner


async def get_learner(connection: AsyncConnection, organization_id: int, learner_id: str) -> Learner:
    """The learner. Raises LearnerNotFound."""
    learner = await repository.find(connection, organization_id, learner_id)
    if learner is None:
        raise LearnerNotFound
    return learner


async def update_learner(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    *,
    profile: Mapping[str, Any],
    expires_on: date | NoChange | None,
    expected: Expected,
    cause: Cause,
) -> Learner:
    """Set some fields. Raises LearnerNotFound, VersionMismatch, UsernameTaken and ExternalIdTaken."""
    learner = await _lock(connection, organization_id, learner_id, expected)
    renamed = {
        name: value
        for name, value in profile.items()
        if name in ("username", "external_id") and value != getattr(learner, name)
    }
    await _require_free(connection, organization_id, renamed, besides=learner)
    account = learner.account
    if not isinstance(expires_on, NoChange):
        account = change_expiration(account, expires_on).account
    return await _store(connection, organization_id, learner, account, profile, cause)


async def activate_learner(
    connection: AsyncConnection, organization_id: int, learner_id: str, expected: Expected, cause: Cause
) -> Learner:
    """Give access back. Raises LearnerNotFound, VersionMismatch, and LearnerExpired, which changes nothing."""
    learner = await _lock(connection, organization_id, learner_id, expected)
    decision = activate(learner.account, cause.today)
    if isinstance(decision, Refused):
        raise decision.reason
    return await _store(connection, organization_id, learner, decision.account, {}, cause)


async def deactivate_learner(
    connection: AsyncConnection, organization_id: int, learner_id: str, expected: Expected, cause: Cause
) -> Learner:
    """Take access away; safe to repeat. Raises LearnerNotFound and VersionMismatch."""
    learner = await _lock(connection, organization_id, learner_id, expected)
    account = deactivate(learner.account, cause.at).account
    return await _store(connection, organization_id, learner, account, {}, cause)


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
        learner = await _store(connection, organization_id, learner, account, {}, cause)
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


async def _store(
    connection: AsyncConnection,
    organization_id: int,
    learner: Learner,
    account: Account,
    profile: Mapping[str, Any],
    cause: Cause,
) -> Learner:
    change: Change | None = change_of(learner, cause, account, profile)
    if change is None:
        return learner
    await record(connection, organization_id, [change], cause)
    return change.after


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
