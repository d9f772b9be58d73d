"""What routes that show or change learners take, in this slice and in those above it."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import Path

from app.learners import problems
from app.learners.learner import Cause
from app.organizations.principal import Principal
from app.platform.ids import parse_id
from app.platform.state import StateKey

# Free places for exports: each keeps a database connection while it streams.
EXPORTS: StateKey[asyncio.Semaphore] = StateKey("exports")

LearnerIdPath = Annotated[
    str, Path(description="The learner's id.", examples=["019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"])
]


def cause_of(principal: Principal, now: datetime, reason: str | None = None) -> Cause:
    """The cause of a change that this principal makes now."""
    return Cause(principal.actor.document(), now, principal.organization.today(now), reason)


def learner_id_of(sent: str) -> str:
    """The id in canonical form. Raises the problem `not-found`: what is no UUID is nobody's id."""
    parsed = parse_id(sent)
    if parsed is None:
        raise problems.learner_not_found()
    return parsed
