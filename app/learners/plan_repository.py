"""Reads and marks the rows of a plan. `plan_sql` adds them, `plan_apply` carries them out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
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
    OutcomeName,
    Reason,
    Unexplained,
    effect_name,
)
from app.learners.plan_conditions import (
    APPLIES,
    IS_KNOWN,
    IS_UNKNOWN,
    WAITS,
    Scope,
    changes_any,
    has_effect,
    is_decidable,
)
from app.learners.tables import learners, plan_rows
from app.platform.bulk_rows import delete_up_to, update_rows

# All that a row no longer has if it is not applied.
_OF_CHANGES = Effect(sum(COUNTED_EFFECTS, Effect.DEACTIVATED_NOW))


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
    restores_to = case((IS_UNKNOWN, literal("activated", Text)), else_=status)
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
            IS_UNKNOWN.label("is_new"),
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


async def list_applied(connection: AsyncConnection, plan: int) -> list[int]:
    """List the items of the rows that were applied before their chunks, in order."""
    statement = select(plan_rows.c.item).where(plan_rows.c.plan == plan, plan_rows.c.is_applied)
    return list((await connection.execute(statement.order_by(plan_rows.c.item))).scalars())


async def count_waiting(connection: AsyncConnection, scope: Scope) -> int:
    """Count the rows that are to be applied and are not applied yet."""
    statement = select(func.count()).where(scope.condition(connection.dialect.name), WAITS)
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
                    plan_rows.c.effects.bitwise_and(~int(_OF_CHANGES | Effect.UNIDENTIFIED)),
                ),
                else_=plan_rows.c.effects.bitwise_and(~int(_OF_CHANGES)),
            ),
            learner_id=case((IS_UNKNOWN, null()), else_=plan_rows.c.learner_id),
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
            func.count().filter(APPLIES),
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
    return await _count(connection, plan, IS_KNOWN, APPLIES, or_(*changed))


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
    """List up to `limit` ids beyond `after` of learners who are not deactivated and not named by the plan."""
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
    """Return the rows as a JSON array, each an array of the values below. The database writes it.

    `hides_new`: leave out the ids of learners that were only planned.
    """
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
    is_sqlite = connection.dialect.name == "sqlite"
    make_row = func.json_array if is_sqlite else func.json_build_array
    make_list = func.json_group_array if is_sqlite else func.json_agg

    def as_json(document: ColumnElement[Any]) -> ColumnElement[Any]:
        # SQLite's CAST AS JSON would make a number of it.
        return func.json(document) if is_sqlite else cast(document, JSON)

    documents = map(as_json, (plan_rows.c.before, plan_rows.c.after, plan_rows.c.problems))
    each = (
        select(make_row(*values, *documents).label("row"))
        .where(scope.condition(connection.dialect.name))
        .order_by(plan_rows.c.item)
        .subquery()
    )
    statement = select(func.coalesce(cast(make_list(as_json(each.c.row)), Text), "[]"))
    return str((await connection.execute(statement)).scalar_one())


async def delete_rows(connection: AsyncConnection, scope: Scope) -> None:
    """Remove these rows."""
    await connection.execute(delete(plan_rows).where(scope.condition(connection.dialect.name)))


async def delete_some(connection: AsyncConnection, plan: int, limit: int) -> int:
    """Remove up to `limit` rows of the plan, and return how many were removed."""
    return await delete_up_to(connection, plan_rows, plan_rows.c.plan == plan, limit)
