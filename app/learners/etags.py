"""Entity tags of learners (RFC 9110 section 8.8.3) and the conditional requests that use them.

The tag begins with the version, which alone decides If-Match: a learner who logs in, or whose
expiration day passes, looks different but has not been changed by anybody.
"""

import re
from datetime import date
from typing import Any

from fastapi import Request

from app.domain.status import resolve_status
from app.learners.learner import Learner
from app.platform.problems import INVALID_REQUEST, Problem

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
# Of our own tags; anything else is somebody else's and names no version.
_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII)


def _header(name: str, description: str) -> dict[str, Any]:
    parameter = {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}
    return {"parameters": [parameter | {"example": '"7.active.0"'}]}


# How routes that read these headers document them.
IF_MATCH = _header(
    "If-Match", "The `ETag` on which the decision rests: 412 `version-mismatch` where it lost the race."
)
IF_NONE_MATCH = _header("If-None-Match", "The `ETag` that the client has: 304 while nothing has changed.")


def etag_of(learner: Learner, today: date) -> str:
    """The entity tag of the learner's representation on the calendar day `today`."""
    last_access = int(learner.last_accessed_at.timestamp() * 1_000_000) if learner.last_accessed_at else 0
    return f'"{learner.version}.{resolve_status(learner.account, today).value}.{last_access:x}"'


def is_current(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` says that the client has this representation already."""
    header = ",".join(request.headers.getlist("if-none-match")).strip()
    return header == "*" or etag.strip('"') in _TAG.findall(header)


def expected_versions(request: Request) -> frozenset[int] | None:
    """The versions that `If-Match` allows; None = any. Raises the problem `invalid-request`."""
    header = ",".join(request.headers.getlist("if-match")).strip()
    if header in ("", "*"):
        return None
    tags = _TAG.findall(header)
    if not tags:
        detail = 'If-Match takes an ETag of a learner as it was received, such as "7.active.0", or *.'
        raise Problem(INVALID_REQUEST, detail, errors=[{"pointer": "header:If-Match", "detail": detail}])
    numbers = (tag.partition(".")[0] for tag in tags)
    return frozenset(int(number) for number in numbers if _VERSION.fullmatch(number))
