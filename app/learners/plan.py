"""The vocabulary of a plan: what an operation asks of each learner or row, and what will happen to each.

A plan is one row of `plan_rows` for each learner or row of an operation. `plan_sql` decides the rows, `plan_conflicts`
judges them by the state after the whole operation, and `plan_apply` carries them out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntFlag, StrEnum
from typing import Any, NamedTuple

from app.domain.profile import sort_form
from app.learners.fields import PROFILE_NAMES
from app.learners.learner import search_text_of, username_key
from app.learners.wish import NoChange, Wish
from app.platform.instants import instant_text


class Fields(IntFlag):
    """The facts that a row sets, or that a change changes. Stored, so the numbers stay."""

    USERNAME = 1
    EXTERNAL_ID = 2
    EMAIL = 4
    FIRST_NAME = 8
    LAST_NAME = 16
    EXPIRES_ON = 32
    DEACTIVATED_AT = 64


# The facts by which a learner is found. Each is unique in the organization.
NAMES = Fields.USERNAME | Fields.EXTERNAL_ID
# Each fact of a learner that an operation can change, by its name.
FIELDS: Mapping[str, Fields] = {field.name.lower(): field for field in Fields if field.name is not None}


class Effect(IntFlag):
    """What is worth knowing about a planned row. Stored, so the numbers stay."""

    # The kinds of changes that an operation counts and that outcomes can be filtered by.
    DEACTIVATED = 1
    ACTIVATED = 2
    RENAMED = 4
    REKEYED = 8
    EXPIRATION = 16
    # `deactivated_at` becomes the instant at which the row is applied.
    DEACTIVATED_NOW = 32
    # The row does not say which learner it is about.
    UNIDENTIFIED = 64
    # The row asks to deactivate its learner.
    ASKS_TO_DEACTIVATE = 128
    # The row does not count as its learner's: an earlier import found that it was a duplicate.
    SET_ASIDE = 256
    # The row has found its learner by external id.
    OWN_ROW = 512
    # The row has found its learner by username, although it has another external id than the learner.
    TAKES_OVER = 1024
    # The row may not take over a learner, because that learner has a row of their own.
    YIELDS = 2048


COUNTED_EFFECTS = (
    Effect.DEACTIVATED,
    Effect.ACTIVATED,
    Effect.RENAMED,
    Effect.REKEYED,
    Effect.EXPIRATION,
)


def effect_name(effect: Effect) -> str:
    """Return the name by which an effect is counted and filtered."""
    return str(effect.name).lower()


class OutcomeName(StrEnum):
    """The outcome for one learner or row."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    REFUSED = "refused"
    INVALID = "invalid"
    NOT_FOUND = "not_found"


class Reason(StrEnum):
    """Why the plan does not apply a row. Rows that were invalid before carry their own problems instead."""

    EXPIRED = "expired"
    NOT_FOUND = "not-found"
    NO_USERNAME = "no-username"
    DEACTIVATED_BY_OTHERS = "deactivated-by-others"
    DUPLICATE = "duplicate"
    # The External ID belongs to one learner and the username to another.
    TWO_LEARNERS = "two-learners"
    # The username belongs to a learner who has another External ID.
    OTHER_EXTERNAL_ID = "other-external-id"
    # Another row or learner has the name after the operation.
    USERNAME_TAKEN = "username-taken"
    EXTERNAL_ID_TAKEN = "external-id-taken"


class PlanRow(NamedTuple):
    """What is asked for one learner or row. `item` is its place in the operation, `line` its line in the file.

    With a `learner_id` the row is about that learner. Without one, a known external id finds the learner, and
    otherwise the username does.
    """

    item: int
    line: int | None = None
    learner_id: str | None = None
    username: str | None = None
    username_key: str | None = None
    external_id: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    last_name_key: str | None = None
    # The searched text if the row creates a learner.
    search_text: str | None = None
    expires_on: date | None = None
    # The instant to go back to, for reverts.
    deactivated_at: datetime | None = None
    # True to activate, False to deactivate.
    active: bool | None = None
    fields: int = 0
    effects: int = 0
    # The outcome, if it is known before the row is decided: invalid, or kept.
    outcome: str | None = None
    problems: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operation allows its rows to do."""

    # Whether rows create learners that do not exist.
    create: bool = False
    # Whether a username finds a learner who has another external id, unless they have a row of their own.
    rekey: bool = False
    # Whether a row can be about the same learner as another row, which is then a duplicate.
    finds_by_names: bool = False


class Unexplained(NamedTuple):
    """A planned row that is not applied, with the facts that explain why."""

    item: int
    line: int | None
    reason: Reason | None
    learner_id: str | None
    username: str | None
    external_id: str | None
    expires_on: date | None = None
    restores_to: str | None = None
    is_new: bool = False
    first_line: int | None = None


def row_of_wish(item: int, line: int | None, wish: Wish) -> PlanRow:
    """Make the row of a wish that names its learner by username or external id."""
    profile = wish.profile
    fields = 0
    for name in PROFILE_NAMES:
        if name in profile:
            fields |= FIELDS[name]
    expires_on = wish.expires_on
    if not isinstance(expires_on, NoChange):
        fields |= Fields.EXPIRES_ON
    username, last_name = profile.get("username"), profile.get("last_name")
    return PlanRow(
        item,
        line,
        None,
        username,
        None if username is None else username_key(username),
        profile.get("external_id"),
        profile.get("email"),
        profile.get("first_name"),
        last_name,
        sort_form(last_name) if last_name else "",
        None if username is None else search_text_of(profile),
        None if isinstance(expires_on, NoChange) else expires_on,
        None,
        wish.is_active,
        int(fields),
        int(Effect.ASKS_TO_DEACTIVATE) if wish.is_active is False else 0,
    )


def write_deactivation(at: datetime) -> str:
    """Return the member of a planned change, as JSON, that deactivates a learner at this instant.

    A text of the learner cannot contain it, because JSON escapes its quotation marks.
    """
    return f'"deactivated_at":"{instant_text(at)}"'


def leave_out_names(row: PlanRow, names: Fields, problems: Sequence[Mapping[str, Any]]) -> PlanRow:
    """Make the row that asks for the same except these `names`, and is kept for these problems."""
    asked = row._replace(
        fields=row.fields & ~int(names),
        outcome=OutcomeName.KEPT.value,
        problems=[*(row.problems or ()), *problems],
    )
    if names & Fields.USERNAME:
        asked = asked._replace(username=None, username_key=None)
    return asked._replace(external_id=None) if names & Fields.EXTERNAL_ID else asked
