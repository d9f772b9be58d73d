"""The organization: the tenant that owns learners, keys and operations, with its time zone and limits."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

from app.domain.errors import InvalidValue
from app.domain.status import calendar_day

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_DEACTIVATIONS = re.compile(r"[0-9]{1,9}|(?:100(?:\.00?)?|[0-9]{1,2}(?:\.[0-9]{1,2})?)%")
# Some tz databases list these names, but they stand for no fixed zone.
_UNUSABLE_ZONES = frozenset({"localtime", "Factory"})
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
        """Return the calendar day in the organization's time zone at the aware instant `now`."""
        return calendar_day(now, ZoneInfo(self.time_zone))


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """An organization to store, with cleaned values."""

    public_id: str
    slug: str
    name: str
    time_zone: str
    created_at: datetime
    max_deactivations: str = DEFAULT_MAX_DEACTIVATIONS
    expiring_days: int = DEFAULT_EXPIRING_DAYS


@dataclass(frozen=True, slots=True)
class OrganizationChange:
    """New (cleaned) values for an organization. None leaves a value unchanged."""

    name: str | None = None
    time_zone: str | None = None
    max_deactivations: str | None = None
    expiring_days: int | None = None


def clean_slug(value: str) -> str:
    """Return the slug if it is 1 to 63 lowercase letters, digits and inner hyphens. Raises InvalidValue."""
    if not _SLUG.fullmatch(value):
        raise InvalidValue(
            "Invalid slug: use 1 to 63 lowercase letters, digits and hyphens. "
            "It must not begin or end with a hyphen."
        )
    return value


def clean_time_zone(value: str) -> str:
    """Return the value if it is an IANA time zone name of the tz database. Raises InvalidValue."""
    if value in _UNUSABLE_ZONES or value not in available_timezones():
        raise InvalidValue(f"{value!r} is not an IANA time zone. Use a name such as Europe/Berlin.")
    return value


def clean_max_deactivations(value: str) -> str:
    """Return the value if it is a number of learners (`250`) or a percentage (`5%`). Raises InvalidValue."""
    if not _MAX_DEACTIVATIONS.fullmatch(value):
        raise InvalidValue(
            "Invalid limit: use a number of learners, such as 250, or a percentage up to 100%, such as 5%."
        )
    return value


def count_allowed(max_deactivations: str, learners: int) -> int:
    """Return how many deactivations a (cleaned) limit allows. A percentage is rounded down.

    `learners`: how many learners are not deactivated yet.
    """
    if max_deactivations.endswith("%"):
        return int(Decimal(max_deactivations.removesuffix("%")) * learners / 100)
    return int(max_deactivations)
