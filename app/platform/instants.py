"""Instants as text: RFC 3339 in UTC, to the microsecond."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(1024)
def instant_text(value: datetime) -> str:
    """Return RFC 3339 in UTC with `Z` and six digits. JSON documents and SQLite store instants in this form."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


# Rows that were written together carry the same instant.
@lru_cache(1024)
def parse_instant(text: str) -> datetime:
    """Return the aware instant that `instant_text` wrote."""
    return datetime.fromisoformat(text)
