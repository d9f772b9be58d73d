"""Carries out the rows of a plan, thousands with a few statements, in the caller's transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import repository
from app.learners.fields import SEARCHED_NAMES
from app.learners.history import add_cause
from app.learners.learner import Cause, search_text
from app.learners.plan import FIELDS, Effect, Fields, write_deactivation
from app.learners.plan_conditions import IS_KNOWN, WAITS, Scope, changes_any, has_effect, is_decidable
from app.learners.search_index import LearnerText, add_texts_from, change_texts
from app.learners.tables import events, learners, plan_rows
from app.platform.bulk_rows import exists_row_by_row
from app.platform.column_types import Instant

_IS_NEW = plan_rows.c.version == 0
_SEARCHED = sum(FIELDS[name] for name in SEARCHED_NAMES)


async def lock(connection: AsyncConnection, organization_id: int, scope: Scope) -> None:
    """Lock the learners of these rows until the transaction ends, in id order as everywhere."""
    if connection.dialect.name == "sqlite":
        return  # the transaction has the only writer's lock
    chosen = select(plan_rows.c.learner_id).where(scope.condition("postgresql"), IS_KNOWN)
    await connection.execute(
        select(literal(1))
        .where(learners.c.organization_id == organization_id, learners.c.id.in_(chosen))
        .order_by(learners.c.id)
        .with_for_update()
    )


async def find_stale(connection: AsyncConnection, organization_id: int, scope: Scope) -> list[int]:
    """Return the items of rows that must be decided again, because learners have changed since they were decided.

    The learner of the row has changed, or another learner than then has the name that the row wants.
    """
    dialect = connection.dialect.name
    mine = learners.c.organization_id == organization_id
    moved = select(plan_rows.c.item).where(
        scope.condition(dialect),
        IS_KNOWN,
        is_decidable(),
        learners.c.id == plan_rows.c.learner_id,
        mine,
        learners.c.version != plan_rows.c.version,
    )
    stale = set((await connection.execute(moved)).scalars())
    for holder, key, wanted in (
        (plan_rows.c.username_holder, learners.c.username_key, plan_rows.c.username_key),
        (plan_rows.c.external_id_holder, learners.c.external_id, plan_rows.c.external_id),
    ):
        field = Fields.USERNAME if key is learners.c.username_key else Fields.EXTERNAL_ID
        is_other = and_(
            mine,
            key == wanted,
            learners.c.id.is_distinct_from(holder),
            learners.c.id != plan_rows.c.learner_id,
        )
        taken = select(plan_rows.c.item).where(
            scope.condition(dialect),
            WAITS,
            changes_any(field),
            wanted.is_not(None),
            exists_row_by_row(select(literal(1)).where(is_other)),
        )
        stale |= set((await connection.execute(taken)).scalars())
    return sorted(stale)


async def apply(
    connection: AsyncConnection,
    organization_id: int,
    scope: Scope,
    cause: Cause,
    planned_at: datetime,
    *,
    moves_names: bool = False,
) -> None:
    """Change and create the learners of these rows, and store one event for each.

    `moves_names`: learners in these rows take names from one another.
    """
    dialect = connection.dialect.name
    mine = scope.condition(dialect)
    if moves_names:
        await _release_names(connection, organization_id, mine)
    await _update_learners(connection, organization_id, mine, cause)
    await connection.execute(_insert_learners(organization_id, mine, cause))
    new_texts = select(literal(organization_id), plan_rows.c.learner_id, plan_rows.c.search_text).where(
        mine, WAITS, _IS_NEW
    )
    await add_texts_from(connection, new_texts.order_by(plan_rows.c.item))
    await _change_texts(connection, organization_id, mine)
    await _insert_events(connection, organization_id, mine, cause, planned_at)
    if moves_names:
        after = _set_instant(plan_rows.c.after, planned_at, cause.at)
        await connection.execute(update(plan_rows).where(mine).values(is_applied=True, after=after))


def _set_instant(document: ColumnElement[Any], planned_at: datetime, now: datetime) -> ColumnElement[Any]:
    """Return the document of a planned change with the instant at which it is applied."""
    was, becomes = (literal(write_deactivation(each), Text) for each in (planned_at, now))
    return func.replace(document, was, becomes, type_=Text)


async def _release_names(
    connection: AsyncConnection, organization_id: int, mine: ColumnElement[bool]
) -> None:
    """Give the learners whose names move a name that no learner can have, because unique indexes check each row."""
    chosen = select(plan_rows.c.learner_id).where(mine, WAITS, IS_KNOWN)
    no_key = literal("\x1f", Text) + cast(learners.c.id, Text)
    for moves, values in (
        (and_(changes_any(Fields.USERNAME), plan_rows.c.username_key.is_not(None)), {"username_key": no_key}),
        (changes_any(Fields.EXTERNAL_ID), {"external_id": null()}),
    ):
        await connection.execute(
            update(learners)
            .where(
                learners.c.organization_id == organization_id,
                learners.c.id.in_(chosen.where(moves)),
            )
            .values(values)
        )


async def _update_learners(
    connection: AsyncConnection, organization_id: int, mine: ColumnElement[bool], cause: Cause
) -> None:
    """Change the learners, those with the same changes at once.

    SQLite rewrites the indexes of every column that is set, so only what changes is set.
    """
    counted = Effect.DEACTIVATED | Effect.DEACTIVATED_NOW
    effects = plan_rows.c.effects.bitwise_and(int(counted))
    kinds = select(plan_rows.c.changes, effects.label("effects")).where(mine, WAITS, IS_KNOWN).distinct()
    for changes, effect in (await connection.execute(kinds)).all():
        values: dict[str, Any] = {
            name: plan_rows.c[name] for name, field in FIELDS.items() if changes & field
        }
        if changes & Fields.USERNAME:
            values["username_key"] = func.coalesce(plan_rows.c.username_key, learners.c.username_key)
        if changes & Fields.LAST_NAME:
            values["last_name_key"] = plan_rows.c.last_name_key
        if effect & Effect.DEACTIVATED_NOW:
            values["deactivated_at"] = cause.at
        if effect & Effect.DEACTIVATED:
            values["sessions_valid_from"] = cause.at
        await connection.execute(
            update(learners)
            .where(
                mine,
                WAITS,
                IS_KNOWN,
                plan_rows.c.changes == changes,
                effects == effect,
                learners.c.organization_id == organization_id,
                learners.c.id == plan_rows.c.learner_id,
            )
            .values(**values, updated_at=cause.at, version=learners.c.version + 1)
        )


def _insert_learners(organization_id: int, mine: ColumnElement[bool], cause: Cause) -> Any:
    now = bindparam("now", cause.at, type_=Instant())
    deactivated_at = case((has_effect(Effect.DEACTIVATED_NOW), now), else_=null())
    columns: dict[str, ColumnElement[Any]] = {
        "organization_id": literal(organization_id),
        "id": plan_rows.c.learner_id,
        **{name: plan_rows.c[name] for name in FIELDS if name != "deactivated_at"},
        "username_key": plan_rows.c.username_key,
        "last_name_key": func.coalesce(plan_rows.c.last_name_key, ""),
        "deactivated_at": deactivated_at,
        "sessions_valid_from": deactivated_at,
        "updated_at": now,
        "version": literal(1),
    }
    query = select(*(column.label(f"new_{name}") for name, column in columns.items()))
    # In the order of ids, so that SQLite numbers its rows in that order (see sort.py).
    return insert(learners).from_select(
        list(columns), query.where(mine, WAITS, _IS_NEW).order_by(plan_rows.c.learner_id)
    )


async def _change_texts(connection: AsyncConnection, organization_id: int, mine: ColumnElement[bool]) -> None:
    chosen = select(plan_rows.c.learner_id).where(mine, WAITS, IS_KNOWN, changes_any(_SEARCHED))
    changed = await repository.list_chosen(connection, organization_id, chosen)
    await change_texts(connection, [LearnerText(each.id, search_text(each)) for each in changed])


async def _insert_events(
    connection: AsyncConnection,
    organization_id: int,
    mine: ColumnElement[bool],
    cause: Cause,
    planned_at: datetime,
) -> None:
    """Store the events of the rows, as the comment at `tables.events` says."""
    any_row = select(plan_rows.c.item).where(mine, WAITS).limit(1)
    if (await connection.execute(any_row)).first() is None:
        return
    dialect = connection.dialect.name
    after: ColumnElement[Any] = _set_instant(plan_rows.c.after, planned_at, cause.at)
    find = func.instr if dialect == "sqlite" else func.strpos
    status = func.substr(plan_rows.c.after, find(plan_rows.c.after, '"status":"'), type_=Text)
    after = case((_IS_NEW, literal("{", Text) + status), else_=after)
    before: ColumnElement[Any] = plan_rows.c.before
    if dialect == "postgresql":
        before, after = cast(before, JSON), cast(after, JSON)
    columns: dict[str, ColumnElement[Any]] = {
        "organization_id": literal(organization_id),
        "learner_id": plan_rows.c.learner_id,
        "version": plan_rows.c.version + 1,
        "type": plan_rows.c.event_type,
        "cause_id": literal(await add_cause(connection, organization_id, cause)),
        "before": before,
        "after": after,
    }
    query = select(*(column.label(f"new_{name}") for name, column in columns.items()))
    await connection.execute(
        insert(events).from_select(list(columns), query.where(mine, WAITS).order_by(plan_rows.c.item))
    )
