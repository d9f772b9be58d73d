"""Decides the rows of a plan, thousands with one statement: finds the learner of each, and applies the rules in SQL.

The rules of one account are in `status_sql`. A property test compares what this module decides with
`decide.decide_change`, on both databases.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    Date,
    FromClause,
    Insert,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.events import EventType
from app.learners import status_sql
from app.learners.fields import PROFILE_NAMES
from app.learners.plan import FIELDS, Effect, Fields, OutcomeName, PlanRow, Reason, Rules
from app.learners.status_sql import Facts
from app.learners.tables import learners, plan_input, plan_rows
from app.platform.bulk_rows import hand_over, rows_as_table
from app.platform.column_types import instant_as_text
from app.platform.ids import new_ids, timestamp_parameter
from app.platform.instants import instant_text

# The facts that a row gives as they are stored; `deactivated_at` follows other rules.
FACTS = (*PROFILE_NAMES, "expires_on")
_PROBLEMS = PlanRow._fields.index("problems")
# Learners, each time they are looked up for another reason.
_by_external_id, _by_username = learners.alias("by_external_id"), learners.alias("by_username")
_NOTHING = null()
_organization_id = bindparam("organization_id", type_=Integer)
_today = bindparam("today", type_=Date)
# The instant, as JSON, that stands in the plan for the moment at which a row will be applied.
_planned_text = bindparam("planned_text", type_=Text)
_INSERTED = (
    "plan",
    "item",
    "changes",
    "effects",
    "line",
    "version",
    "learner_id",
    "expires_on",
    "deactivated_at",
    "outcome",
    "reason",
    "event_type",
    "username",
    "external_id",
    "username_key",
    "email",
    "first_name",
    "last_name",
    "last_name_key",
    "search_text",
    "username_holder",
    "external_id_holder",
    "before",
    "after",
    "problems",
)


async def add_rows(
    connection: AsyncConnection,
    organization_id: int,
    plan: int,
    rows: Sequence[PlanRow],
    rules: Rules,
    *,
    today: date,
    planned_at: datetime,
) -> None:
    """Decide these rows against the learners as they are now, and add them to the plan.

    `planned_at` stands in the plan for the instant at which a row will be applied.
    """
    if not rows:
        return
    given: Sequence[Sequence[Any]] = rows
    if any(row.problems is not None for row in rows):
        given = [row if row.problems is None else _dump_problems(row) for row in rows]
    parameters = await hand_over(connection, plan_input, given)
    parameters |= {
        "organization_id": organization_id,
        "plan": plan,
        "today": today,
        "planned_text": f'"{instant_text(planned_at)}"',
        **timestamp_parameter(planned_at),
    }
    await connection.execute(_decide(connection.dialect.name, rules), parameters)


def _dump_problems(row: PlanRow) -> Sequence[Any]:
    return (*row[:_PROBLEMS], orjson.dumps(row.problems).decode(), *row[_PROBLEMS + 1 :])


def _look_up(learner: FromClause, condition: ColumnElement[bool], dialect: str) -> FromClause:
    """Return the learner that a unique index has for this condition, to be joined row by row.

    Left alone, PostgreSQL's planner would read all learners if there are thousands of rows or no statistics.
    """
    if dialect == "sqlite":
        return learner
    return select(learner).where(learner.c.organization_id == _organization_id, condition).limit(1).lateral()


def _join(rows: Any, learner: FromClause, found: FromClause, condition: ColumnElement[bool]) -> Any:
    if found is learner:
        return rows.outerjoin(learner, and_(learner.c.organization_id == _organization_id, condition))
    return rows.outerjoin(found, true())


@lru_cache
def _decide(dialect: str, rules: Rules) -> Insert:
    valued = _compute_values(_resolve(rows_as_table(plan_input, dialect), dialect, rules), dialect)
    columns = _Decision(valued, rules, dialect).columns()
    query = select(*(columns[name].label(f"new_{name}") for name in _INSERTED))
    return insert(plan_rows).from_select(list(_INSERTED), query)


def _resolve(given: FromClause, dialect: str, rules: Rules) -> CTE:
    """Find the learner of each row: the one it is about by id, by external id, or by username."""
    has_external_id = _by_external_id.c.external_id == given.c.external_id
    has_username = _by_username.c.username_key == given.c.username_key
    named = _look_up(_by_external_id, has_external_id, dialect)
    titled = _look_up(_by_username, has_username, dialect)
    joined = _join(_join(given, _by_external_id, named, has_external_id), _by_username, titled, has_username)
    is_by_username = and_(given.c.learner_id.is_(None), named.c.id.is_(None))
    # A row with another external id is not about the learner who has its username now.
    differs = and_(given.c.external_id.is_not(None), titled.c.external_id.is_not(None))
    may_take_over = given.c.effects.bitwise_and(int(Effect.YIELDS)) == 0 if rules.rekey else false()
    by_username = case((or_(not_(differs), may_take_over), titled.c.id), else_=null())
    chosen = func.coalesce(given.c.learner_id, named.c.id, by_username)
    query = select(
        *given.c,
        chosen.label("chosen_id"),
        is_by_username.label("is_by_username"),
        and_(is_by_username, differs, may_take_over).label("takes_over"),
        case((titled.c.id.is_distinct_from(chosen), titled.c.id), else_=null()).label("username_holder"),
        case((named.c.id.is_distinct_from(chosen), named.c.id), else_=null()).label("external_id_holder"),
    ).select_from(joined)
    # Materialized, because the database would otherwise find the learner again for each column that needs it.
    return query.cte("resolved").prefix_with("MATERIALIZED")


def _compute_values(given: CTE, dialect: str) -> CTE:
    """Add the learner of each row as stored, what the row makes of each fact, and which facts that changes."""
    learner = learners.alias("learner")
    condition = learner.c.id == given.c.chosen_id
    found = _look_up(learner, condition, dialect)

    def sets(field: Fields) -> ColumnElement[bool]:
        return given.c.fields.bitwise_and(field.value) != 0

    # A username in another case changes nothing in a row that it finds.
    sets_username = and_(sets(Fields.USERNAME), not_(and_(given.c.is_by_username, found.c.id.is_not(None))))
    values = {
        name: case(
            (sets_username if name == "username" else sets(FIELDS[name]), given.c[name]), else_=found.c[name]
        )
        for name in FACTS
    }
    was_deactivated = found.c.deactivated_at.is_not(None)
    goes_back = sets(Fields.DEACTIVATED_AT)
    is_deactivated = _decide_deactivation(given, goes_back, was_deactivated)
    deactivation_differs = or_(
        is_deactivated != was_deactivated,
        and_(goes_back, given.c.deactivated_at.is_distinct_from(found.c.deactivated_at)),
    )
    differ = {name: value.is_distinct_from(found.c[name]) for name, value in values.items()}
    differ["deactivated_at"] = deactivation_differs
    changes = _sum_bits((condition, FIELDS[name]) for name, condition in differ.items())
    computed: dict[str, ColumnElement[Any]] = {
        "found_id": found.c.id,
        "version": found.c.version,
        "was_username_key": found.c.username_key,
        "was_deactivated_at": found.c.deactivated_at,
        "was_deactivated": was_deactivated,
        "is_deactivated": is_deactivated,
        "is_accessed": found.c.first_accessed_at.is_not(None),
        "goes_back": goes_back,
        "changes": changes,
        **{f"was_{name}": found.c[name] for name in FACTS},
        **{f"becomes_{name}": value for name, value in values.items()},
    }
    query = select(
        *(column for column in given.c if column.name not in computed),
        *(column.label(name) for name, column in computed.items()),
    ).select_from(_join(given, learner, found, condition))
    return query.cte("valued").prefix_with("MATERIALIZED")


def _decide_deactivation(
    given: CTE, goes_back: ColumnElement[bool], was_deactivated: ColumnElement[bool]
) -> ColumnElement[bool]:
    return case(
        (goes_back, given.c.deactivated_at.is_not(None)),
        (given.c.active.is_(True), false()),
        (given.c.active.is_(False), true()),
        else_=was_deactivated,
    )


def _sum_bits(found: Iterable[tuple[ColumnElement[bool], int]]) -> ColumnElement[int]:
    total: ColumnElement[int] = literal(0, Integer)
    for condition, bit in found:
        total = total + case((condition, int(bit)), else_=0)
    return total


class _Decision:
    """The columns of a planned row, from what `_compute_values` has found."""

    def __init__(self, valued: CTE, rules: Rules, dialect: str) -> None:
        self._row, self._rules, self._dialect = valued.c, rules, dialect
        row = self._row
        self._exists = row.found_id.is_not(None)
        self._before = Facts(row.was_deactivated, row.is_accessed, row.was_expires_on)
        self._after = Facts(row.is_deactivated, row.is_accessed, row.becomes_expires_on)

    def columns(self) -> dict[str, ColumnElement[Any]]:
        """Return the columns of plan_rows by name."""
        row, event_type = self._row, self._event_type()
        applies = event_type.is_not(None)

        def if_applied(
            value: ColumnElement[Any], otherwise: ColumnElement[Any] = _NOTHING
        ) -> ColumnElement[Any]:
            return case((applies, value), else_=otherwise)

        return {
            "plan": bindparam("plan", type_=Integer),
            "item": row.item,
            "changes": if_applied(row.changes, literal(0, Integer)),
            "effects": self._kept_effects() + if_applied(self._effects(), literal(0, Integer)),
            "line": row.line,
            "version": func.coalesce(row.version, if_applied(literal(0, Integer))),
            "learner_id": func.coalesce(row.found_id, row.learner_id, if_applied(new_ids(row.item))),
            "expires_on": row.becomes_expires_on,
            "deactivated_at": case((row.goes_back, row.deactivated_at), else_=null()),
            "outcome": self._outcome(),
            "reason": self._reason(),
            "event_type": event_type,
            "username": if_applied(row.becomes_username, func.coalesce(row.was_username, row.username)),
            "external_id": if_applied(
                row.becomes_external_id, func.coalesce(row.was_external_id, row.external_id)
            ),
            # Null also where the username is only spelled in another way, because that takes and gives up nothing.
            "username_key": case(
                (not_(self._exists), row.username_key),
                (
                    and_(self._differs(Fields.USERNAME), row.username_key != row.was_username_key),
                    row.username_key,
                ),
                else_=null(),
            ),
            "email": row.becomes_email,
            "first_name": row.becomes_first_name,
            "last_name": row.becomes_last_name,
            "last_name_key": row.last_name_key,
            "search_text": case((self._exists, null()), else_=row.search_text),
            "username_holder": row.username_holder,
            "external_id_holder": row.external_id_holder,
            "before": if_applied(self._document("was", self._before)),
            "after": if_applied(self._document("becomes", self._after)),
            "problems": cast(row.problems, JSON) if self._dialect == "postgresql" else row.problems,
        }

    def _differs(self, field: Fields) -> ColumnElement[bool]:
        return self._row.changes.bitwise_and(field.value) != 0

    def _refusals(self) -> list[tuple[ColumnElement[bool], OutcomeName, Reason | None]]:
        """Return why a row may not be applied, in the order in which the reasons count."""
        row, is_unknown = self._row, not_(self._exists)
        is_refused = and_(row.active.is_(True), status_sql.facts_have_expired(self._after, _today))
        may_not_exist = row.learner_id.is_(None) if self._rules.create else false()
        return [
            (row.outcome == OutcomeName.INVALID.value, OutcomeName.INVALID, None),
            (and_(is_unknown, not_(may_not_exist)), OutcomeName.NOT_FOUND, Reason.NOT_FOUND),
            (and_(is_unknown, row.username.is_(None)), OutcomeName.INVALID, Reason.NO_USERNAME),
            (is_refused, OutcomeName.REFUSED, Reason.EXPIRED),
        ]

    def _outcome(self) -> ColumnElement[str]:
        return case(
            *((condition, literal(outcome.value, Text)) for condition, outcome, _ in self._refusals()),
            (self._row.outcome.is_not(None), self._row.outcome),
            (not_(self._exists), literal(OutcomeName.CREATED.value, Text)),
            (self._row.changes == 0, literal(OutcomeName.UNCHANGED.value, Text)),
            else_=literal(OutcomeName.CHANGED.value, Text),
        )

    def _reason(self) -> ColumnElement[Any]:
        refusals = [
            (condition, null() if reason is None else literal(reason.value, Text))
            for condition, _, reason in self._refusals()
        ]
        return case(*refusals, else_=null())

    def _event_type(self) -> ColumnElement[Any]:
        dates_differ = self._differs(Fields.EXPIRES_ON)
        return case(
            *((condition, null()) for condition, _, _ in self._refusals()),
            (not_(self._exists), literal(EventType.CREATED.value, Text)),
            (self._row.changes == 0, null()),
            else_=status_sql.event_type(self._before, self._after, dates_differ, _today),
        )

    def _kept_effects(self) -> ColumnElement[int]:
        # A row that finds its learner does say which one it is about.
        row, given = self._row, self._row.effects
        kept = case((self._exists, given.bitwise_and(~int(Effect.UNIDENTIFIED))), else_=given)
        if not self._rules.rekey:
            return kept
        is_own_row = and_(self._exists, row.learner_id.is_(None), not_(row.is_by_username))
        return kept + _sum_bits(((is_own_row, Effect.OWN_ROW), (row.takes_over, Effect.TAKES_OVER)))

    def _effects(self) -> ColumnElement[int]:
        row, exists = self._row, self._exists
        had_external_id = row.was_external_id.is_not(None)
        return _sum_bits(
            (
                (and_(exists, row.is_deactivated, not_(row.was_deactivated)), Effect.DEACTIVATED),
                (and_(exists, row.was_deactivated, not_(row.is_deactivated)), Effect.ACTIVATED),
                (and_(exists, self._differs(Fields.USERNAME)), Effect.RENAMED),
                (and_(had_external_id, self._differs(Fields.EXTERNAL_ID)), Effect.REKEYED),
                (and_(exists, self._differs(Fields.EXPIRES_ON)), Effect.EXPIRATION),
                (self._is_deactivated_now(), Effect.DEACTIVATED_NOW),
            )
        )

    def _is_deactivated_now(self) -> ColumnElement[bool]:
        return and_(self._row.active.is_(False), not_(self._row.was_deactivated))

    def _document(self, prefix: str, facts: Facts) -> ColumnElement[Any]:
        """Make the JSON of the facts that change, as events hold them, and of the status."""
        is_after = prefix == "becomes"
        text: ColumnElement[Any] = literal("{", Text)
        for name in FACTS:
            member = _JSON_OF[self._dialect](name, self._row[f"{prefix}_{name}"])
            text = text + self._member(name, member)
        text = text + self._member("deactivated_at", self._deactivated_at(is_after=is_after))
        status = status_sql.status_of(facts, _today)
        whole = text + literal('"status":"', Text) + status + literal('"}', Text)
        return whole if is_after else case((self._exists, whole), else_=literal("{}", Text))

    def _member(self, name: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
        member = literal(f'"{name}":', Text) + value + literal(",", Text)
        return case((self._differs(FIELDS[name]), member), else_=literal("", Text))

    def _deactivated_at(self, *, is_after: bool) -> ColumnElement[Any]:
        row = self._row
        if not is_after:
            return self._instant(row.was_deactivated_at)
        return case(
            (row.goes_back, self._instant(row.deactivated_at)),
            (self._is_deactivated_now(), _planned_text),
            else_=_NULL,
        )

    def _instant(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        quoted = literal('"', Text) + instant_as_text(column, self._dialect) + literal('"', Text)
        return func.coalesce(quoted, _NULL)


_NULL = literal("null", Text)


def _make_json_on_postgresql(name: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
    if name == "expires_on":
        value = func.to_char(value, "YYYY-MM-DD", type_=Text)
    return func.coalesce(cast(func.to_json(cast(value, Text)), Text), _NULL)


def _make_json_on_sqlite(_name: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.json_quote(value, type_=Text)


_JSON_OF = {"postgresql": _make_json_on_postgresql, "sqlite": _make_json_on_sqlite}
