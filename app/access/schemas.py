"""The answer to an access check on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.access.service import CheckedAccess
from app.domain.access import DenialReason
from app.domain.status import Status

EXAMPLE: JsonDict = {
    "learner_id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
    "allowed": False,
    "status": "deactivated",
    "reason": "deactivated",
    "sessions_valid_from": "2026-11-02T10:00:00Z",
    "checked_at": "2026-11-02T10:00:05Z",
}

SessionsValidFrom = Annotated[
    datetime | None,
    Field(
        description="When the learner was last deactivated. Portal sessions that began earlier are refused. "
        "Null if never."
    ),
]
CheckedAt = Annotated[datetime, Field(description="When access was checked.")]


class AccessDocument(BaseModel):
    """Whether a learner may enter now."""

    model_config = ConfigDict(title="Access", json_schema_extra={"examples": [EXAMPLE]})

    learner_id: str
    allowed: Annotated[bool, Field(description="Whether the learner may enter now.")]
    status: Annotated[Status, Field(description="The learner's status.")]
    reason: Annotated[
        DenialReason | None, Field(description="Why the learner may not enter. Null if `allowed` is true.")
    ]
    sessions_valid_from: SessionsValidFrom
    checked_at: CheckedAt


def present(checked: CheckedAccess, now: datetime) -> dict[str, Any]:
    """Return the members of AccessDocument."""
    return {
        "learner_id": checked.learner.id,
        "allowed": checked.access.allowed,
        "status": checked.access.status,
        "reason": checked.access.reason,
        "sessions_valid_from": checked.learner.account.sessions_valid_from,
        "checked_at": now,
    }
