"""Which rows of a plan, as SQL: scopes, effects and changes, and how far a row is."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func

from app.learners.plan import Effect, OutcomeName, Reason
from app.learners.tables import plan_rows
from app.platform.bulk_rows import is_one_of


class Scope(NamedTuple):
    """Some rows of a plan: those of a chunk, or single ones."""

    plan: int
    first_item: int = 0
    before_item: int | None = None
    items: Sequence[int] | None = None

    def condition(self, dialect: str) -> ColumnElement[bool]:
        """Return SQL for whether a row is one of these."""
        conditions = [plan_rows.c.plan == self.plan]
        if self.items is not None:
            conditions.append(is_one_of(plan_rows.c.item, self.items, dialect))
        else:
            conditions.append(plan_rows.c.item >= self.first_item)
            if self.before_item is not None:
                conditions.append(plan_rows.c.item < self.before_item)
        return and_(*conditions)


def has_effect(effect: int) -> ColumnElement[bool]:
    """Return SQL for whether a row has any of these effects."""
    return plan_rows.c.effects.bitwise_and(int(effect)) != 0


def changes_any(fields: int) -> ColumnElement[bool]:
    """Return SQL for whether a row changes any of these facts."""
    return plan_rows.c.changes.bitwise_and(int(fields)) != 0


# The row changes or creates a learner.
APPLIES = plan_rows.c.event_type.is_not(None)
# It is still to do so.
WAITS = and_(APPLIES, plan_rows.c.is_applied.is_(False))
# The learner of the row exists, or does not.
IS_KNOWN = plan_rows.c.version > 0
IS_UNKNOWN = func.coalesce(plan_rows.c.version, 0) == 0
# The row counts as its learner's. A duplicate names no learner: another row does.
COUNTS = and_(
    plan_rows.c.reason.is_distinct_from(Reason.DUPLICATE.value),
    ~has_effect(Effect.SET_ASIDE),
)


def is_decidable() -> ColumnElement[bool]:
    """Return SQL for whether the rules have decided the row, so that they can decide it again."""
    return and_(
        plan_rows.c.is_applied.is_(False),
        plan_rows.c.outcome != OutcomeName.INVALID.value,
        func.coalesce(plan_rows.c.reason, Reason.EXPIRED.value).in_(
            [Reason.EXPIRED.value, Reason.DEACTIVATED_BY_OTHERS.value]
        ),
    )
