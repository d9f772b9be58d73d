"""What routes that show or change learners take, in this slice and in those above it."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request

from app.learners.errors import LearnerNotFound
from app.learners.etags import is_current, parse_if_match
from app.learners.learner import Cause
from app.organizations.principal import Principal
from app.platform.ids import parse_id
from app.platform.state import StateKey

# How many more exports may start. Each keeps a database connection while it streams.
EXPORTS: StateKey[asyncio.Semaphore] = StateKey("exports")


LearnerIdPath = Annotated[
    str, Path(description="The learner's id.", examples=["019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"])
]


def parse_learner_id(text: str) -> str:
    """Return the id in canonical form. Raises LearnerNotFound if the text is not a UUID."""
    parsed = parse_id(text)
    if parsed is None:
        raise LearnerNotFound
    return parsed


def read_if_match(request: Request) -> frozenset[int] | None:
    """Return the versions that `If-Match` allows, None = any. Raises InvalidIfMatch."""
    return parse_if_match(_join_header(request, "if-match"))


def is_known(request: Request, etag: str) -> bool:
    """Return whether `If-None-Match` says that the client already has this representation."""
    return is_current(_join_header(request, "if-none-match"), etag)


def _join_header(request: Request, name: str) -> str:
    return ",".join(request.headers.getlist(name))


def _describe_header(name: str, description: str) -> dict[str, Any]:
    parameter = {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}
    return {"parameters": [parameter | {"example": '"7.active.0"'}]}


# How routes that take these headers describe them in openapi.yaml.
IF_MATCH = _describe_header(
    "If-Match",
    "An `ETag` of this learner. If the learner has changed since then, the response is 412 `version-mismatch`.",
)
IF_NONE_MATCH = _describe_header(
    "If-None-Match", "The `ETag` that the client already has. The response is 304 if nothing has changed."
)


def make_cause(principal: Principal, now: datetime, reason: str | None = None) -> Cause:
    """Make the cause of a change that this principal makes now."""
    return Cause(principal.actor.document(), now, principal.organization.today(now), reason)
