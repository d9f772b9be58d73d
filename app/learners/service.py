"""Reads and changes one learner: lock, decide by the rules, store. The caller owns the transaction."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import LearnerExpired
from app.domain.transitions import Refused
from app.learners import repository
from app.learners.decide import Unchanged, decide_change, decide_creation
from app.learners.errors import ExternalIdTaken, LearnerNotFound, UsernameTaken, VersionMismatch
from app.learners.learner import Cause, Learner, username_key
from app.learners.recording import record
from app.learners.wish import Wish
from app.platform.ids import new_id


async def create_learner(
    connection: AsyncConnection, organization_id: int, wish: Wish, cause: Cause
) -> Learner:
    """Create a learner. Raises UsernameTaken, ExternalIdTaken and LearnerExpired."""
    await _check_keys_are_free(connection, organization_id, wish.profile)
    decision = decide_creation(new_id(cause.at), wish, cause)
    if isinstance(decision, Refused):
        raise LearnerExpired(decision.reason)
    await record(connection, organization_id, decision, cause)
    return decision.after


async def get_learner(connection: AsyncConnection, organization_id: int, learner_id: str) -> Learner:
    """Return the learner. Raises LearnerNotFound."""
    learner = await repository.find_learner(connection, organization_id, learner_id)
    if learner is None:
        raise LearnerNotFound
    return learner


async def change_learner(
    connection: AsyncConnection,
    organization_id: int,
    learner_id: str,
    wish: Wish,
    *,
    expected: Collection[int] | None,
    cause: Cause,
) -> Learner:
    """Do all that the wish asks for, or nothing. `expected` holds the versions that may be changed, None = any.

    Raises LearnerNotFound, VersionMismatch, UsernameTaken, ExternalIdTaken and LearnerExpired.
    """
    learner = await repository.lock_learner(connection, organization_id, learner_id)
    if expected is not None and learner.version not in expected:
        raise VersionMismatch(learner.version)
    renamed = {
        name: value
        for name, value in wish.profile.items()
        if name in ("username", "external_id") and value != getattr(learner, name)
    }
    await _check_keys_are_free(connection, organization_id, renamed, own=learner)
    decision = decide_change(learner, wish, cause)
    if isinstance(decision, Refused):
        raise LearnerExpired(decision.reason)
    if isinstance(decision, Unchanged):
        return learner
    await record(connection, organization_id, decision, cause)
    return decision.after


async def _check_keys_are_free(
    connection: AsyncConnection,
    organization_id: int,
    keys: Mapping[str, Any],
    own: Learner | None = None,
) -> None:
    username, external_id = keys.get("username"), keys.get("external_id")
    own_id = None if own is None else own.id
    if username is not None and (own is None or username_key(username) != own.username_key):
        holder = await repository.find_by_username(connection, organization_id, username)
        if holder is not None and holder.id != own_id:
            raise UsernameTaken(username)
    if external_id is not None:
        holder = await repository.find_by_external_id(connection, organization_id, external_id)
        if holder is not None and holder.id != own_id:
            raise ExternalIdTaken(external_id)
