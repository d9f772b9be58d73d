"""The organization: the tenant to which learners, keys and operations belong, and whose day it is."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

from app.domain.errors import InvalidValue
from app.domain.status import calendar_day

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_DEACTIVATIONS = re.compile(r"[0-9]{1,9}|(?:100(?:\.00?)?|[0-9]{1,2}(?:\.[0-9]{1,2})?)%")
# In some tz databases, but no place: the server's own zone, and "not set up yet".
_NO_PLACES = frozenset({"localtime", "Factory"})
DEFAULT_SLUG = "default"
DEFAULT_MAX_DEACTIVATIONS = "20%"
DEFAULT_EXPIRING_DAYS = 14


@dataclass(frozen=True, slots=True)
class Organization:
    """One tenant. `id` is the internal key of its rows, `public_id` its UUID in the API."""

    id: int
    public_id: str
    slug: str
    name: str
    time_zone: str
    max_deactivations: str
    expiring_days: int
    created_at: datetime

    def today(self, now: datetime) -> date:
        """The calendar day in the organization's time zone at the aware instant `now`."""
        return calendar_day(now, ZoneInfo(self.time_zone))


def clean_slug(value: str) -> str:
    """1 to 63 lower-case letters, digits and inner hyphens. Raises InvalidValue."""
    if not _SLUG.fullmatch(value):
        raise InvalidValue(
            "A slug is 1 to 63 lower-case letters, digits and hyphens, and no hyphen at its ends."
        )
    return value


def clean_time_zone(value: str) -> str:
    """An IANA time zone name as it stands in the tz database. Raises InvalidValue."""
    if value in _NO_PLACES or value not in available_timezones():
        raise InvalidValue(f"{value!r} is not an IANA time zone; an example is Europe/Berlin.")
    return value


def clean_max_deactivations(value: str) -> str:
    """A whole number of learners (`250`) or a percentage of them (`5%`). Raises InvalidValue."""
    if not _MAX_DEACTIVATIONS.fullmatch(value):
        raise InvalidValue(
            "Give a whole number of learners, such as 250, or a percentage up to 100%, such as 5%."
        )
    return value


def count_allowed(max_deactivations: str, learners: int) -> int:
    """How many deactivations this (cleaned) limit allows where so many learners are not deactivated yet.

    A percentage is rounded down.
    """
    if max_deactivations.endswith("%"):
        return int(Decimal(max_deactivations.removesuffix("%")) * learners / 100)
    return int(max_deactivations)
