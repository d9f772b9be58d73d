"""Access checks, by id and by username, and the one that records that training was accessed."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.metrics import ACCESS_CHECKS
from app.domain.access import Access, DenialReason, decide_access
from app.domain.status import Status, resolve_status
from app.learners import repository, service
from app.learners.dependencies import LearnerIdPath, cause_of, learner_id_of
from app.learners.errors import LearnerNotFound
from app.learners.filters import UsernameText
from app.learners.learner import Learner
from app.learners.problems import learner_not_found
from app.learners.schemas import SessionStartedAt
from app.organizations.dependencies import AccessChecker, AuthenticatedRoute
from app.platform.dependencies import Db, Now
from app.platform.openapi import Tag, answers
from app.platform.problems import Problem, define_problem, illustrate


class DeniedMembers(BaseModel):
    """What `access-denied` tells besides; `status` of a problem is the HTTP status (RFC 9457)."""

    learner_id: str
    allowed: Literal[False]
    learner_status: Annotated[Status, Field(description="The learner's status.")]
    reason: Annotated[DenialReason, Field(description="Why not.")]
    sessions_valid_from: Annotated[
        datetime | None, Field(description="Portal sessions that began before are refused. Null = no limit.")
    ]
    checked_at: datetime


ACCESS_DENIED = define_problem(
    "access-denied",
    403,
    "Access denied",
    "The learner, or this portal session, may not enter; `reason` says why. Nothing was recorded.",
    DeniedMembers,
)

_NOBODY = learner_not_found()

TAG = Tag(name="access", description="The portal asks: may this learner log in?")
router = APIRouter(tags=["access"], route_class=AuthenticatedRoute)


_EXAMPLE: JsonDict = {
    "learner_id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
    "allowed": False,
    "status": "deactivated",
    "reason": "deactivated",
    "sessions_valid_from": "2026-11-02T10:00:00Z",
    "checked_at": "2026-11-02T10:00:05Z",
}


class AccessDocument(BaseModel):
    """Whether a learner may enter now."""

    model_config = ConfigDict(
        title="Access",
        json_schema_extra={"examples": [_EXAMPLE]},
    )

    learner_id: str
    allowed: bool
    status: Status
    reason: Annotated[DenialReason | None, Field(description="Why not; null exactly where allowed.")]
    sessions_valid_from: Annotated[
        datetime | None, Field(description="Portal sessions that began before are refused. Null = no limit.")
    ]
    checked_at: datetime


def _present(learner: Learner, access: Access, now: datetime) -> dict[str, Any]:
    ACCESS_CHECKS.labels(str(access.allowed).lower(), access.reason or "").inc()
    return {
        "learner_id": learner.id,
        "allowed": access.allowed,
        "status": access.status,
        "reason": access.reason,
        "sessions_valid_from": learner.account.sessions_valid_from,
        "checked_at": now,
    }


@router.get(
    "/learners/{learner_id}/access",
    summary="May this learner enter?",
    response_model=AccessDocument,
    responses=answers(_NOBODY),
)
async def check_access(
    principal: AccessChecker,
    database: Db,
    now: Now,
    learner_id: LearnerIdPath,
    session_started_at: Annotated[SessionStartedAt, Query()] = None,
) -> Any:
    """The answer at this moment; a deactivation that has been answered counts, in every process."""
    async with database.read() as connection:
        learner = await service.get_learner(connection, principal.organization.id, learner_id_of(learner_id))
    return _present(
        learner, decide_access(learner.account, principal.organization.today(now), session_started_at), now
    )


@router.get(
    "/access",
    summary="May the learner with this username enter?",
    response_model=AccessDocument,
    responses=answers(_NOBODY),
)
async def check_access_by_username(
    principal: AccessChecker,
    database: Db,
    now: Now,
    username: Annotated[UsernameText, Query(description="In any case.")],
    session_started_at: Annotated[SessionStartedAt, Query()] = None,
) -> Any:
    """The same by username."""
    async with database.read() as connection:
        learner = await repository.find_by_username(connection, principal.organization.id, username)
    if learner is None:
        raise LearnerNotFound
    return _present(
        learner, decide_access(learner.account, principal.organization.today(now), session_started_at), now
    )


@router.post(
    "/learners/{learner_id}/access",
    summary="Let a learner in, and record it",
    response_model=AccessDocument,
    responses=answers(_NOBODY, ACCESS_DENIED),
)
async def enter(
    principal: AccessChecker,
    database: Db,
    now: Now,
    learner_id: LearnerIdPath,
    session_started_at: Annotated[SessionStartedAt, Query()] = None,
) -> Any:
    """The check that also records that training was accessed: the first access makes an activated learner active.

    The answer has the status that the learner has from then on. A refusal records nothing.
    """
    cause = cause_of(principal, now)
    identifier = learner_id_of(learner_id)

    async def transaction(connection: AsyncConnection) -> tuple[Learner, Access]:
        return await service.enter(
            connection, principal.organization.id, identifier, session_started_at, cause
        )

    learner, access = await database.write(transaction)
    # The first access has just changed what the decision rested on.
    status = resolve_status(learner.account, cause.today)
    document = _present(learner, replace(access, status=status), now)
    if not access.allowed:
        raise _denied(document)
    return document


def _denied(document: dict[str, Any]) -> Problem:
    members = DeniedMembers(learner_status=document["status"], **document)
    detail = f"The learner may not enter: {members.reason}."
    return Problem(ACCESS_DENIED, detail, members=members.model_dump(mode="json"))


illustrate(_denied(_EXAMPLE))
