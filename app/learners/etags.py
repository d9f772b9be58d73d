"""Entity tags of learners (RFC 9110 section 8.8.3), and how conditional requests are compared with them.

A tag begins with the version. If-Match compares only that. A login, or the end of the last day of access,
makes the learner look different but does not change the account.
"""

import re
from datetime import date

from app.domain.status import resolve_status
from app.learners.errors import InvalidIfMatch
from app.learners.learner import Learner

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
# The version in a tag that `etag_of` made. Any other tag names no version.
_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII)


def etag_of(learner: Learner, today: date) -> str:
    """Return the entity tag of the learner as it looks on the calendar day `today`."""
    last_access = int(learner.last_accessed_at.timestamp() * 1_000_000) if learner.last_accessed_at else 0
    return f'"{learner.version}.{resolve_status(learner.account, today).value}.{last_access:x}"'


def is_current(if_none_match: str, etag: str) -> bool:
    """Return whether the value of `If-None-Match` says that the client already has this representation."""
    return if_none_match.strip() == "*" or etag.strip('"') in _TAG.findall(if_none_match)


def parse_if_match(if_match: str) -> frozenset[int] | None:
    """Return the versions that the value of `If-Match` allows, None = any. Raises InvalidIfMatch."""
    value = if_match.strip()
    if value in ("", "*"):
        return None
    tags = _TAG.findall(value)
    if not tags:
        raise InvalidIfMatch
    numbers = (tag.partition(".")[0] for tag in tags)
    return frozenset(int(number) for number in numbers if _VERSION.fullmatch(number))
