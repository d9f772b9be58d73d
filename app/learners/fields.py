"""A learner's fields, each described once.

Columns, rows, events, JSON members, CSV columns and the searched text all derive from these descriptions.
Only the standard library and the rules are imported here, so that pure modules can use it too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, auto

from app.domain.profile import (
    MAX_EMAIL_LENGTH,
    MAX_LENGTH,
    clean_email,
    clean_external_id,
    clean_name,
    clean_username,
)


class SearchPart(Enum):
    """Which part of the text that `q` searches a field belongs to."""

    # Joined with a space and first, so that "Adaeze Okafor" finds her.
    NAME = auto()
    # In a part of its own.
    OWN = auto()
    # Last, so that the end of the text marks a whole address.
    EMAIL = auto()


@dataclass(frozen=True, slots=True)
class ProfileField:
    """A text that says who a learner is. People and HR systems write it."""

    # The name of the attribute, the column, the JSON member, the fact in events and the CSV column.
    name: str
    # The title of the CSV column in exports and messages.
    title: str
    clean: Callable[[str], str]
    max_length: int
    description: str
    example: str
    # The code of the problem for a CSV row in which `clean` refuses this field.
    problem: str
    is_required: bool = False
    # Compared byte by byte by the database, as keys are.
    is_exact: bool = False
    search_part: SearchPart | None = None


@dataclass(frozen=True, slots=True)
class AccountFact:
    """A date or an instant of `Account`. The rules write it."""

    name: str
    # Reads the text that events hold.
    parse: Callable[[str], date]
    is_in_events: bool = True


@dataclass(frozen=True, slots=True)
class RosterColumn:
    """A column that a roster may have. `name` is stored with operations that are still running."""

    name: str
    title: str
    # The code of the problem for a row in which this cell cannot be read.
    problem: str


# In the order of JSON members, events and CSV columns.
PROFILE = (
    ProfileField(
        "username",
        "Username",
        clean_username,
        MAX_LENGTH,
        description="Unique in the organization. Case, width and the number of spaces make no difference: `Ada B` "
        "and `ada  b` are the same. Invisible, private-use and undefined characters are refused.",
        example="a.okafor",
        problem="invalid-username",
        is_required=True,
        search_part=SearchPart.OWN,
    ),
    ProfileField(
        "external_id",
        "External ID",
        clean_external_id,
        MAX_LENGTH,
        description="The learner's id in the HR system. Unique in the organization, and compared exactly. Invisible "
        "characters are refused.",
        example="HR-1003",
        problem="invalid-external-id",
        is_exact=True,
    ),
    ProfileField(
        "email",
        "Email",
        clean_email,
        MAX_EMAIL_LENGTH,
        description="An address such as name@example.org. Several learners may share one.",
        example="a.okafor@example.org",
        problem="invalid-email",
        search_part=SearchPart.EMAIL,
    ),
    ProfileField(
        "first_name",
        "First Name",
        clean_name,
        MAX_LENGTH,
        description="The given name, in any script. Each run of spaces and line breaks becomes one space.",
        example="Adaeze",
        problem="invalid-name",
        search_part=SearchPart.NAME,
    ),
    ProfileField(
        "last_name",
        "Last Name",
        clean_name,
        MAX_LENGTH,
        description="The family name, in any script. Each run of spaces and line breaks becomes one space.",
        example="Okafor",
        problem="invalid-name",
        search_part=SearchPart.NAME,
    ),
)

ACCOUNT = (
    AccountFact("expires_on", date.fromisoformat),
    AccountFact("deactivated_at", datetime.fromisoformat),
    AccountFact("first_accessed_at", datetime.fromisoformat),
    # Not in events, because it follows from the deactivations there.
    AccountFact("sessions_valid_from", datetime.fromisoformat, is_in_events=False),
)

PROFILE_NAMES = tuple(field.name for field in PROFILE)
SEARCHED_NAMES = frozenset(field.name for field in PROFILE if field.search_part is not None)

# Each column of the table `learners`, except the organization, and the attribute of a Learner that it stores.
COLUMNS: dict[str, str] = {
    "id": "id",
    **{name: name for name in PROFILE_NAMES},
    "username_key": "username_key",
    "last_name_key": "last_name_key",
    **{fact.name: f"account.{fact.name}" for fact in ACCOUNT},
    "last_accessed_at": "last_accessed_at",
    "updated_at": "updated_at",
    "version": "version",
}

# Each fact that events record, except the status, and the attribute of a Learner that it comes from.
EVENT_FACTS: dict[str, str] = {
    **{name: name for name in PROFILE_NAMES},
    **{fact.name: f"account.{fact.name}" for fact in ACCOUNT if fact.is_in_events},
}

ACTIVE = RosterColumn("active", "Active", "invalid-active")
EXPIRATION_DATE = RosterColumn("expiration_date", "Expiration Date", "invalid-date")
# The columns of rosters and exports, in the order of exports.
ROSTER_COLUMNS = (
    *(RosterColumn(field.name, field.title, field.problem) for field in PROFILE),
    ACTIVE,
    EXPIRATION_DATE,
)
