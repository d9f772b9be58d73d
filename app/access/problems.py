"""The problem of a learner who may not enter."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.access.schemas import EXAMPLE, CheckedAt, SessionsValidFrom
from app.domain.access import DenialReason
from app.domain.status import Status
from app.platform.problems import Problem, define_problem, illustrate


class DeniedMembers(BaseModel):
    """The members of `access-denied`. `learner_status` is not called `status`, which is the HTTP status (RFC 9457)."""

    learner_id: str
    allowed: Literal[False]
    learner_status: Annotated[Status, Field(description="The learner's status.")]
    reason: Annotated[DenialReason, Field(description="Why the learner may not enter.")]
    sessions_valid_from: SessionsValidFrom
    checked_at: CheckedAt


ACCESS_DENIED = define_problem(
    "access-denied",
    403,
    "Access denied",
    "The learner may not enter, or this portal session is no longer valid. `reason` says why. Nothing was recorded.",
    DeniedMembers,
)

_SENTENCES = {
    DenialReason.DEACTIVATED: "The learner is deactivated. An administrator can activate them.",
    DenialReason.EXPIRED: "The learner has expired. An administrator can set a new expiration date.",
    DenialReason.SESSION_REVOKED: "The learner was deactivated after this portal session began. Ask the learner to log "
    "in again.",
}


def access_denied(document: dict[str, Any]) -> Problem:
    """Return the problem for the members of an AccessDocument that does not allow access."""
    members = DeniedMembers(learner_status=document["status"], **document)
    return Problem(ACCESS_DENIED, _SENTENCES[members.reason], members=members.model_dump(mode="json"))


illustrate(access_denied(EXAMPLE))
