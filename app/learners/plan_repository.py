"""Reads and marks the rows of a plan. `plan_sql` adds them, `plan_apply` carries them out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Text,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import status_sql
from app.learners.plan import (
    COUNTED_EFFECTS,
    FIELDS,
    Effect,
    Fields,
    OutcomeName,
    Reason,
    Unexplained,
    effect_name,
)
from app.learners.plan_conflicts import Claim, Conflict, Mover, find_repeats
from app.learners.tables import learners, plan_rows
from app.platform.bulk_rows import delete_up_to, is_one_of, update_rows

_NAMES = Fields.USERNAME | Fields.EXTERNAL_ID
_ALL_EFFECTS = (
    Effect.DEACTIVATED
    | Effect.ACTIVATED
    | Effect.RENAMED
    | Effect.REKEYED
    | Effect.EXPIRATION
    | Effect.DEACTIVATED_NOW
)


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


_APPLIES = plan_rows.c.event_type.is_not(None)
_IS_UNKNOWN = func.coalesce(plan_rows.c.version, 0) == 0


_IS_KNOWN = plan_rows.c.version > 0
# The rows that count as their learner's. A duplicate names nobody: another row does.
_COUNTS = and_(
    plan_rows.c.reason.is_distinct_from(Reason.DUPLICATE.value),
    ~has_effect(Effect.SET_ASIDE),
    plan_rows.c.is_applied.is_(False),
)
# A learner who exists has the names of the row only if it gives them. A new one is known only by them.
_CLAIMED_USERNAME = case(
    (or_(_IS_UNKNOWN, and_(_APPLIES, changes_any(Fields.USERNAME))), plan_rows.c.username_key),
    else_=null(),
)
_CLAIMED_EXTERNAL_ID = case(
    (or_(_IS_UNKNOWN, and_(_APPLIES, changes_any(Fields.EXTERNAL_ID))), plan_rows.c.external_id),
    else_=null(),
)
_CLAIM_COLUMNS = (
    plan_rows.c.item,
    plan_rows.c.line,
    case((_IS_KNOWN, plan_rows.c.learner_id), else_=null()).label("learner_id"),
    _CLAIMED_USERNAME.label("username_key"),
    _CLAIMED_EXTERNAL_ID.label("external_id"),
    _APPLIES.label("applies"),
)


async def find_repeated_rows(connection: AsyncConnection, plan: int) -> list[Conflict]:
    """Return the rows of a learner who has an earlier row, and those that want a name which an earlier row gets."""
    claims: dict[int, Claim] = {}
    for key, condition in (
        (plan_rows.c.learner_id, _IS_KNOWN),
        (plan_rows.c.username_key, _CLAIMED_USERNAME.is_not(None)),
        (plan_rows.c.external_id, _CLAIMED_EXTERNAL_ID.is_not(None)),
    ):
        mine = and_(plan_rows.c.plan == plan, condition, _COUNTS)
        repeated = select(key).where(mine).group_by(key).having(func.count() > 1)
        keys = list((await connection.execute(repeated)).scalars())
        if keys:
            statement = select(*_CLAIM_COLUMNS).where(mine, is_one_of(key, keys, connection.dialect.name))
            claims |= {row.item: _make_claim(row) for row in await connection.execute(statement)}
    return find_repeats(sorted(claims.values()))


def _make_claim(row: Any) -> Claim:
    return Claim(*row)._replace(applies=bool(row.applies))


async def find_yielding_rows(connection: AsyncConnection, plan: int, limit: int) -> list[int]:
    """Return up to `limit` items of rows that would take over a learner who has a row of their own."""
    owned = select(plan_rows.c.learner_id).where(
        plan_rows.c.plan == plan, has_effect(Effect.OWN_ROW), ~has_effect(Effect.SET_ASIDE)
    )
    statement = select(plan_rows.c.item).where(
        plan_rows.c.plan == plan,
        has_effect(Effect.TAKES_OVER),
        plan_rows.c.is_applied.is_(False),
        plan_rows.c.learner_id.in_(owned),
    )
    return list((await connection.execute(statement.order_by(plan_rows.c.item).limit(limit))).scalars())


def _wanted_from(holder: Column[Any], field: Fields) -> ColumnElement[Any]:
    """Return the other learner who has the name, if the row wants it.

    A row that leaves a username as it is wants none, even if another learner is found by it: see migration 0004.
    """
    return case((or_(_IS_UNKNOWN, changes_any(field)), holder), else_=null()).label(holder.name)


async def find_rows_beside(connection: AsyncConnection, plan: int, items: Sequence[int]) -> list[Conflict]:
    """Return the rows of the learners of these rows that are not the first of their learner."""
    dialect = connection.dialect.name
    of_learner = (plan_rows.c.plan == plan, plan_rows.c.version > 0)
    chosen = select(plan_rows.c.learner_id).where(
        *of_learner, Scope(plan, items=items).condition(dialect), ~has_effect(Effect.SET_ASIDE)
    )
    ids = list((await connection.execute(chosen)).scalars())
    statement = (
        select(plan_rows.c.item, plan_rows.c.line, plan_rows.c.learner_id, plan_rows.c.is_applied)
        .where(
            *of_learner,
            is_one_of(plan_rows.c.learner_id, ids, dialect),
            plan_rows.c.reason.is_distinct_from(Reason.DUPLICATE.value),
            ~has_effect(Effect.SET_ASIDE),
        )
        .order_by(plan_rows.c.is_applied.desc(), plan_rows.c.item)
    )
    first_lines: dict[str, int | None] = {}
    found = []
    for row in await connection.execute(statement):
        if row.learner_id in first_lines:
            found.append(Conflict(row.item, Reason.DUPLICATE, first_lines[row.learner_id]))
        else:
            first_lines[row.learner_id] = row.line
    return found


_MOVER_COLUMNS = (
    plan_rows.c.item,
    plan_rows.c.line,
    case((_IS_UNKNOWN, null()), else_=plan_rows.c.learner_id).label("learner_id"),
    # Another spelling of the same username neither takes nor gives up a name.
    case(
        (
            plan_rows.c.username_key.is_(None),
            plan_rows.c.changes.bitwise_and(int(Fields.EXTERNAL_ID)),
        ),
        else_=plan_rows.c.changes.bitwise_and(int(_NAMES)),
    ).label("changes"),
    _wanted_from(plan_rows.c.username_holder, Fields.USERNAME),
    _wanted_from(plan_rows.c.external_id_holder, Fields.EXTERNAL_ID),
    _APPLIES.label("applies"),
)


async def list_movers(connection: AsyncConnection, plan: int) -> list[Mover]:
    """List the rows that want a name which another learner has now, and the rows of these learners."""
    wants = or_(plan_rows.c.username_holder.is_not(None), plan_rows.c.external_id_holder.is_not(None))
    may_apply = or_(_APPLIES, plan_rows.c.outcome == OutcomeName.NOT_FOUND.value)
    mine = plan_rows.c.plan == plan
    statement = select(*_MOVER_COLUMNS).where(mine, wants, may_apply, plan_rows.c.is_applied.is_(False))
    wanting = [_make_mover(row) for row in await connection.execute(statement)]
    holders = {mover.username_holder for mover in wanting} | {mover.external_id_holder for mover in wanting}
    known = [holder for holder in holders if holder is not None]
    if not known:
        return []
    statement = select(*_MOVER_COLUMNS).where(
        mine,
        _APPLIES,
        plan_rows.c.is_applied.is_(False),
        changes_any(_NAMES),
        plan_rows.c.version > 0,
        is_one_of(plan_rows.c.learner_id, known, connection.dialect.name),
    )
    giving = [_make_mover(row) for row in await connection.execute(statement)]
    return sorted({mover.item: mover for mover in (*wanting, *giving)}.values())


def _make_mover(row: Any) -> Mover:
    return Mover(*row)._replace(changes=Fields(row.changes), applies=bool(row.applies))


async def list_unexplained(
    connection: AsyncConnection, organization_id: int, scope: Scope
) -> list[Unexplained]:
    """List the rows that have a reason and no problems yet."""
    return await list_rows(
        connection, organization_id, scope, plan_rows.c.reason.is_not(None), plan_rows.c.problems.is_(None)
    )


async def list_rows(
    connection: AsyncConnection, organization_id: int, scope: Scope, *conditions: ColumnElement[bool]
) -> list[Unexplained]:
    """List the facts that can explain these rows, in order."""
    # A value, not a join: each row looks into the index once, whatever the planner assumes.
    status = (
        select(learners.c.status_unless_expired)
        .where(learners.c.organization_id == organization_id, learners.c.id == plan_rows.c.learner_id)
        .scalar_subquery()
    )
    restores_to = case((_IS_UNKNOWN, literal("activated", Text)), else_=status)
    statement = (
        select(
            plan_rows.c.item,
            plan_rows.c.line,
            plan_rows.c.reason,
            plan_rows.c.learner_id,
            plan_rows.c.username,
            plan_rows.c.external_id,
            plan_rows.c.expires_on,
            restores_to.label("restores_to"),
            _IS_UNKNOWN.label("is_new"),
        )
        .where(scope.condition(connection.dialect.name), *conditions)
        .order_by(plan_rows.c.item)
    )
    return [
        Unexplained(*row)._replace(
            reason=None if row.reason is None else Reason(row.reason), is_new=bool(row.is_new)
        )
        for row in await connection.execute(statement)
    ]


def is_decidable() -> ColumnElement[bool]:
    """Return SQL for whether the rules have decided the row, so that they can decide it again."""
    return and_(
        plan_rows.c.is_applied.is_(False),
        plan_rows.c.outcome != OutcomeName.INVALID.value,
        func.coalesce(plan_rows.c.reason, Reason.EXPIRED.value).in_(
            [Reason.EXPIRED.value, Reason.DEACTIVATED_BY_OTHERS.value]
        ),
    )


async def list_applied(connection: AsyncConnection, plan: int) -> list[int]:
    """List the items of the rows that were applied before their chunks, in order."""
    statement = select(plan_rows.c.item).where(plan_rows.c.plan == plan, plan_rows.c.is_applied)
    return list((await connection.execute(statement.order_by(plan_rows.c.item))).scalars())


async def count_waiting(connection: AsyncConnection, scope: Scope) -> int:
    """Count the rows that are to be applied and are not applied yet."""
    statement = select(func.count()).where(
        scope.condition(connection.dialect.name), _APPLIES, plan_rows.c.is_applied.is_(False)
    )
    return int((await connection.execute(statement)).scalar_one())


async def list_items(connection: AsyncConnection, scope: Scope) -> list[int]:
    """List the items of the rows that can be decided again."""
    statement = select(plan_rows.c.item).where(scope.condition(connection.dialect.name), is_decidable())
    return list((await connection.execute(statement)).scalars())


class Verdict(NamedTuple):
    """What a row that was to be applied comes to instead."""

    item: int
    outcome: OutcomeName
    reason: Reason | None = None
    problems: Sequence[Any] | None = None


async def explain(
    connection: AsyncConnection, plan: int, problems: Iterable[tuple[int, Sequence[Any]]]
) -> None:
    """Store the problems of these rows, by item."""
    rows = [(plan, item, described) for item, described in problems]
    await update_rows(connection, plan_rows, ("plan", "item"), ("problems",), rows)


async def reject(connection: AsyncConnection, plan: int, verdicts: Iterable[Verdict]) -> None:
    """Store that these rows are not applied, and why."""
    rows = [
        (
            plan,
            each.item,
            each.outcome.value,
            None if each.reason is None else each.reason.value,
            each.problems,
        )
        for each in verdicts
    ]
    if not rows:
        return
    await update_rows(connection, plan_rows, ("plan", "item"), ("outcome", "reason", "problems"), rows)
    items = [row[1] for row in rows]
    await connection.execute(
        update(plan_rows)
        .where(Scope(plan, items=items).condition(connection.dialect.name))
        .values(
            changes=0,
            event_type=None,
            effects=case(
                # A duplicate is about the learner of the first row.
                (
                    plan_rows.c.reason == Reason.DUPLICATE.value,
                    plan_rows.c.effects.bitwise_and(~int(_ALL_EFFECTS | Effect.UNIDENTIFIED)),
                ),
                else_=plan_rows.c.effects.bitwise_and(~int(_ALL_EFFECTS)),
            ),
            learner_id=case((_IS_UNKNOWN, null()), else_=plan_rows.c.learner_id),
            before=None,
            after=None,
        )
    )


class Totals(NamedTuple):
    """The number of rows by outcome, and by the effects that an operation counts, by their names."""

    outcomes: Counter[str]
    effects: Counter[str]
    # How many of the kept rows change something nevertheless.
    partly_kept: int = 0


async def count_rows(connection: AsyncConnection, scope: Scope) -> Totals:
    """Count the rows by outcome and by effect."""
    outcomes: Counter[str] = Counter()
    effects: Counter[str] = Counter()
    partly_kept = 0
    statement = (
        select(
            plan_rows.c.outcome,
            func.count(),
            func.count().filter(_APPLIES),
            *(func.count().filter(has_effect(each)) for each in COUNTED_EFFECTS),
        )
        .where(scope.condition(connection.dialect.name))
        .group_by(plan_rows.c.outcome)
    )
    for outcome, number, applied, *counted in await connection.execute(statement):
        outcomes[outcome] += number
        partly_kept += applied if outcome == OutcomeName.KEPT else 0
        for effect, each in zip(COUNTED_EFFECTS, counted, strict=True):
            if each:
                effects[effect_name(effect)] += each
    return Totals(outcomes, effects, partly_kept)


class RowCount(NamedTuple):
    """How many rows there are, how many of them stand in a file, and the first line of these."""

    rows: int
    with_line: int
    first_line: int | None


async def count_with(
    connection: AsyncConnection, plan: int, effect: Effect, *, rejected: bool = False
) -> RowCount:
    """Count the rows of a plan that have an effect, or only those of them that are invalid or refused."""
    conditions = [has_effect(effect)]
    if rejected:
        outcomes = (OutcomeName.INVALID, OutcomeName.REFUSED)
        conditions.append(plan_rows.c.outcome.in_([outcome.value for outcome in outcomes]))
    return await _count(connection, plan, *conditions)


async def count_non_ascii_changes(connection: AsyncConnection, plan: int) -> RowCount:
    """Count the rows that give a stored learner a text with other characters than those of ASCII."""
    texts = {name: field for name, field in FIELDS.items() if plan_rows.c[name].type.python_type is str}
    changed = [
        and_(changes_any(field), _is_not_ascii(plan_rows.c[name], connection.dialect.name))
        for name, field in texts.items()
    ]
    return await _count(connection, plan, plan_rows.c.version > 0, _APPLIES, or_(*changed))


def _is_not_ascii(text: ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    if dialect == "sqlite":
        return text.bool_op("GLOB")("*[^ -~]*")
    return text.regexp_match("[^ -~]")


async def _count(connection: AsyncConnection, plan: int, *conditions: ColumnElement[bool]) -> RowCount:
    line = plan_rows.c.line
    statement = select(func.count(), func.count(line), func.min(line)).where(
        plan_rows.c.plan == plan, *conditions
    )
    return RowCount(*(await connection.execute(statement)).one())


class PlacedLearner(NamedTuple):
    """The learner of a planned row."""

    item: int
    line: int | None
    learner_id: str


async def list_with(connection: AsyncConnection, scope: Scope, effect: Effect) -> list[PlacedLearner]:
    """List the learners of the rows that have an effect and are not applied yet."""
    statement = select(plan_rows.c.item, plan_rows.c.line, plan_rows.c.learner_id).where(
        scope.condition(connection.dialect.name), has_effect(effect), plan_rows.c.is_applied.is_(False)
    )
    return [PlacedLearner._make(row) for row in await connection.execute(statement)]


async def list_missing(
    connection: AsyncConnection, organization_id: int, plan: int, *, after: str | None, limit: int
) -> list[str]:
    """List up to `limit` ids beyond `after` of learners who are not deactivated and whom no row of the plan names."""
    mine = plan_rows.c.plan == plan
    wanted = select(learners.c.id).where(
        learners.c.organization_id == organization_id, status_sql.is_not_deactivated()
    )
    if after is not None:
        wanted = wanted.where(learners.c.id > after)
    columns = (plan_rows.c.learner_id, plan_rows.c.username_holder, plan_rows.c.external_id_holder)
    named = union_all(
        *(select(column.label("id")).where(mine, column.is_not(None)) for column in columns)
    ).subquery()
    missing = wanted.except_(select(named.c.id)).subquery()
    # EXCEPT, because both sides are sorted or hashed once, whatever the planner assumes of the plan's size.
    statement = select(missing.c.id).order_by(missing.c.id).limit(limit)
    return list((await connection.execute(statement)).scalars())


async def read_outcomes(connection: AsyncConnection, scope: Scope, *, hides_new: bool) -> str:
    """Return the rows as a JSON array, each in the form of `OutcomeRow`. The database writes it.

    `hides_new`: leave out the ids of learners that were only planned.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    learner_id: ColumnElement[Any] = plan_rows.c.learner_id
    if hides_new:
        is_planned_only = plan_rows.c.outcome == OutcomeName.CREATED.value
        learner_id = case((is_planned_only, null()), else_=learner_id)
    values = [
        plan_rows.c.item,
        plan_rows.c.line,
        plan_rows.c.outcome,
        learner_id,
        plan_rows.c.version,
        plan_rows.c.username,
        plan_rows.c.external_id,
        plan_rows.c.effects,
    ]
    condition = scope.condition(connection.dialect.name)
    before, after, problems = plan_rows.c.before, plan_rows.c.after, plan_rows.c.problems
    if is_sqlite:
        row = func.json_array(*values, func.json(before), func.json(after), func.json(problems))
        each = select(row.label("row")).where(condition).order_by(plan_rows.c.item).subquery()
        statement = select(func.json_group_array(func.json(each.c.row), type_=Text))
    else:
        row = func.json_build_array(*values, cast(before, JSON), cast(after, JSON), problems)
        each = select(row.label("row")).where(condition).order_by(plan_rows.c.item).subquery()
        statement = select(cast(func.coalesce(func.json_agg(each.c.row), func.json_build_array()), Text))
    return str((await connection.execute(statement)).scalar_one())


async def delete_rows(connection: AsyncConnection, scope: Scope) -> None:
    """Remove these rows."""
    await connection.execute(delete(plan_rows).where(scope.condition(connection.dialect.name)))


async def delete_some(connection: AsyncConnection, plan: int, limit: int) -> int:
    """Remove up to `limit` rows of the plan, and return how many were removed."""
    return await delete_up_to(connection, plan_rows, plan_rows.c.plan == plan, limit)
