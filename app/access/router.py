"""Access checks by id and by username, and the check that also records the access."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.access import service
from app.access.metrics import ACCESS_CHECKS
from app.access.problems import ACCESS_DENIED, access_denied
from app.access.schemas import AccessDocument, present
from app.access.service import CheckedAccess
from app.learners.dependencies import LearnerIdPath, make_cause, parse_learner_id
from app.learners.filters import UsernameText
from app.learners.problems import learner_not_found
from app.learners.schemas import SessionStartedAt
from app.organizations.dependencies import AccessChecker, AuthenticatedRoute
from app.platform.dependencies import Db, Now
from app.platform.openapi import Tag, answers

_NOT_FOUND = learner_not_found()

TAG = Tag(name="access", description="For the portal: may this learner log in?")
router = APIRouter(tags=["access"], route_class=AuthenticatedRoute)


@router.get(
    "/learners/{learner_id}/access",
    summary="Check a learner's access",
    response_model=AccessDocument,
    responses=answers(_NOT_FOUND),
)
async def check_access(
    principal: AccessChecker,
    database: Db,
    now: Now,
    learner_id: LearnerIdPath,
    session_started_at: Annotated[SessionStartedAt, Query()] = None,
) -> Any:
    """Check whether a learner may enter now. Records nothing.

    A deactivated learner is refused by every process as soon as the deactivation has been answered.
    """
    organization = principal.organization
    async with database.read() as connection:
        checked = await service.check_access(
            connection,
            organization.id,
            parse_learner_id(learner_id),
            organization.today(now),
            session_started_at,
        )
    return _answer(checked, now)


@router.get(
    "/access",
    summary="Check access by username",
    response_model=AccessDocument,
    responses=answers(_NOT_FOUND),
)
async def check_access_by_username(
    principal: AccessChecker,
    database: Db,
    now: Now,
    username: Annotated[
        UsernameText,
        Query(description="The learner's username. Case, width and the number of spaces make no difference."),
    ],
    session_started_at: Annotated[SessionStartedAt, Query()] = None,
) -> Any:
    """Check access like `GET /learners/{id}/access`, but for a username."""
    organization = principal.organization
    async with database.read() as connection:
        checked = await service.check_access_by_username(
            connection, organization.id, username, organization.today(now), session_started_at
        )
    return _answer(checked, now)


@router.post(
    "/learners/{learner_id}/access",
    summary="Check and record access",
    response_model=AccessDocument,
    responses=answers(_NOT_FOUND, ACCESS_DENIED),
)
async def record_access(
    principal: AccessChecker,
    database: Db,
    now: Now,
    learner_id: LearnerIdPath,
    session_started_at: Annotated[SessionStartedAt, Query()] = None,
) -> Any:
    """Check whether a learner may enter now. If so, record that they accessed training.

    The first access makes an activated learner active. `status` is the status after the access. A refusal records
    nothing.
    """
    checked = await database.write(
        service.check_and_record_access,
        principal.organization.id,
        parse_learner_id(learner_id),
        session_started_at,
        make_cause(principal, now),
    )
    document = _answer(checked, now)
    if not checked.access.allowed:
        raise access_denied(document)
    return document


def _answer(checked: CheckedAccess, now: datetime) -> dict[str, Any]:
    access = checked.access
    ACCESS_CHECKS.labels(str(access.allowed).lower(), access.reason or "").inc()
    return present(checked, now)
