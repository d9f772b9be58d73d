"""Reads the rows of a plan that may be about one learner, or want one name. `plan_conflicts` judges them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, case, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.plan import NAMES, Effect, Fields, OutcomeName, Reason
from app.learners.plan_conditions import (
    APPLIES,
    COUNTS,
    IS_KNOWN,
    IS_UNKNOWN,
    WAITS,
    Scope,
    changes_any,
    has_effect,
)
from app.learners.plan_conflicts import Claim, Conflict, Mover, find_repeats
from app.learners.tables import plan_rows
from app.platform.bulk_rows import is_one_of

# A learner who exists has the names of the row only if it gives them. A new one is known only by them.
_CLAIMED_USERNAME = case(
    (or_(IS_UNKNOWN, and_(APPLIES, changes_any(Fields.USERNAME))), plan_rows.c.username_key),
    else_=null(),
)
_CLAIMED_EXTERNAL_ID = case(
    (or_(IS_UNKNOWN, and_(APPLIES, changes_any(Fields.EXTERNAL_ID))), plan_rows.c.external_id),
    else_=null(),
)
_CLAIM_COLUMNS = (
    plan_rows.c.item,
    plan_rows.c.line,
    case((IS_KNOWN, plan_rows.c.learner_id), else_=null()).label("learner_id"),
    _CLAIMED_USERNAME.label("username_key"),
    _CLAIMED_EXTERNAL_ID.label("external_id"),
    APPLIES.label("applies"),
)


async def find_repeated_rows(connection: AsyncConnection, plan: int) -> list[Conflict]:
    """Return the rows of a learner who has an earlier row, and those that want a name which an earlier row gets."""
    claims: dict[int, Claim] = {}
    for key, condition in (
        (plan_rows.c.learner_id, IS_KNOWN),
        (plan_rows.c.username_key, _CLAIMED_USERNAME.is_not(None)),
        (plan_rows.c.external_id, _CLAIMED_EXTERNAL_ID.is_not(None)),
    ):
        mine = and_(plan_rows.c.plan == plan, condition, COUNTS, plan_rows.c.is_applied.is_(False))
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
    return case((or_(IS_UNKNOWN, changes_any(field)), holder), else_=null()).label(holder.name)


async def find_rows_beside(connection: AsyncConnection, plan: int, items: Sequence[int]) -> list[Conflict]:
    """Return the rows of the learners of these rows that are not the first of their learner."""
    dialect = connection.dialect.name
    of_learner = (plan_rows.c.plan == plan, IS_KNOWN)
    chosen = select(plan_rows.c.learner_id).where(
        *of_learner, Scope(plan, items=items).condition(dialect), ~has_effect(Effect.SET_ASIDE)
    )
    ids = list((await connection.execute(chosen)).scalars())
    statement = (
        select(plan_rows.c.item, plan_rows.c.line, plan_rows.c.learner_id, plan_rows.c.is_applied)
        .where(
            *of_learner,
            is_one_of(plan_rows.c.learner_id, ids, dialect),
            COUNTS,
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
    case((IS_KNOWN, plan_rows.c.learner_id), else_=null()).label("learner_id"),
    # Another spelling of the same username neither takes nor gives up a name.
    case(
        (
            plan_rows.c.username_key.is_(None),
            plan_rows.c.changes.bitwise_and(int(Fields.EXTERNAL_ID)),
        ),
        else_=plan_rows.c.changes.bitwise_and(int(NAMES)),
    ).label("changes"),
    _wanted_from(plan_rows.c.username_holder, Fields.USERNAME),
    _wanted_from(plan_rows.c.external_id_holder, Fields.EXTERNAL_ID),
    APPLIES.label("applies"),
)


async def list_movers(connection: AsyncConnection, plan: int) -> list[Mover]:
    """List the rows that want a name which another learner has now, and the rows of these learners."""
    wants = or_(plan_rows.c.username_holder.is_not(None), plan_rows.c.external_id_holder.is_not(None))
    may_apply = or_(APPLIES, plan_rows.c.outcome == OutcomeName.NOT_FOUND.value)
    mine = plan_rows.c.plan == plan
    statement = select(*_MOVER_COLUMNS).where(mine, wants, may_apply, plan_rows.c.is_applied.is_(False))
    wanting = [_make_mover(row) for row in await connection.execute(statement)]
    holders = {mover.username_holder for mover in wanting} | {mover.external_id_holder for mover in wanting}
    known = [holder for holder in holders if holder is not None]
    if not known:
        return []
    statement = select(*_MOVER_COLUMNS).where(
        mine,
        WAITS,
        changes_any(NAMES),
        IS_KNOWN,
        is_one_of(plan_rows.c.learner_id, known, connection.dialect.name),
    )
    giving = [_make_mover(row) for row in await connection.execute(statement)]
    return sorted({mover.item: mover for mover in (*wanting, *giving)}.values())


def _make_mover(row: Any) -> Mover:
    return Mover(*row)._replace(changes=Fields(row.changes), applies=bool(row.applies))
