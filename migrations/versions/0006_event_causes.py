"""Store once what the events of a chunk of an operation share.

Events that are stored already stay as they are.

Revision ID: 0006
Revises: 0005
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.Text().with_variant(sa.Uuid(as_uuid=False), "postgresql")
_INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SHARED = ("id", "occurred_at", "actor")
_AT_ONCE = 5000
_FACTS = (
    *("username", "external_id", "email", "first_name", "last_name"),
    *("expires_on", "deactivated_at", "first_accessed_at"),
)


def upgrade() -> None:
    op.create_table(
        "event_causes",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("actor", sa.JSON(), nullable=False),
        sa.Column("operation_id", _ID, nullable=False),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_event_causes"),
    )
    if _is_postgresql():
        op.add_column("events", sa.Column("cause_id", sa.Integer()))
        for name in _SHARED:
            op.alter_column("events", name, nullable=True)
        op.execute(
            "CREATE TRIGGER event_causes_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON event_causes "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()"
        )
        return
    _rebuild_events(is_wide=False)
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER event_causes_refuse_{action.lower()} BEFORE {action} ON event_causes "
            "BEGIN SELECT RAISE(ABORT, 'events are never changed or removed'); END"
        )


def downgrade() -> None:
    if _is_postgresql():
        op.execute("ALTER TABLE events DISABLE TRIGGER events_are_final")
        _widen_events()
        op.execute("ALTER TABLE events ENABLE TRIGGER events_are_final")
        for name in _SHARED:
            op.alter_column("events", name, nullable=False)
        op.drop_column("events", "cause_id")
    else:
        for action in ("update", "delete"):
            op.execute(f"DROP TRIGGER events_refuse_{action}")
        _widen_events()
        _rebuild_events(is_wide=True)
    op.drop_table("event_causes")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _rebuild_events(*, is_wide: bool) -> None:
    """Copy the events to a table that has everything in each row, or not. SQLite cannot change a column."""
    columns: list[sa.Column[Any]] = [
        sa.Column("position", _LONG, sa.Identity(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("id", _ID, nullable=not is_wide),
        sa.Column("learner_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=not is_wide),
        sa.Column("actor", sa.JSON(), nullable=not is_wide),
        sa.Column("operation_id", _ID),
        sa.Column("reason", sa.Text()),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
    ]
    names = ", ".join(f'"{column.name}"' for column in columns)
    if not is_wide:
        columns.append(sa.Column("cause_id", sa.Integer()))
    key = sa.PrimaryKeyConstraint("position", name="pk_events")
    op.create_table("new_events", *columns, key, sqlite_autoincrement=True)
    op.execute(f"INSERT INTO new_events ({names}) SELECT {names} FROM events ORDER BY position")  # noqa: S608
    op.drop_table("events")
    op.rename_table("new_events", "events")
    op.create_index("uq_events_learner_id_version", "events", ["learner_id", "version"], unique=True)
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_refuse_{action.lower()} BEFORE {action} ON events "
            "BEGIN SELECT RAISE(ABORT, 'events are never changed or removed'); END"
        )


def _widen_events() -> None:
    """Write into each event what its cause and its learner say."""
    events, causes, _ = _declare_tables()
    bind = op.get_bind()
    position = 0
    shared = (causes.c.occurred_at, causes.c.actor, causes.c.operation_id, causes.c.reason)
    named = (
        events.c.position,
        events.c.organization_id,
        events.c.learner_id,
        events.c.version,
        events.c.after,
    )
    while True:
        found = bind.execute(
            sa.select(*named, *shared)
            .join(causes, causes.c.id == events.c.cause_id)
            .where(events.c.position > position)
            .order_by(events.c.position)
            .limit(_AT_ONCE)
        ).all()
        if not found:
            return
        position = found[-1].position
        facts = _find_first_facts([row for row in found if row.version == 1])
        new = [
            {
                "at": row.position,
                "new_id": _derive_id(row.occurred_at, row.learner_id, row.version),
                "new_occurred_at": row.occurred_at,
                "new_actor": row.actor,
                "new_operation_id": row.operation_id,
                "new_reason": row.reason,
                "new_after": {**facts.get(row.learner_id, {}), **row.after}
                if row.version == 1
                else row.after,
            }
            for row in found
        ]
        names = ("id", "occurred_at", "actor", "operation_id", "reason", "after")
        values = {name: sa.bindparam(f"new_{name}", type_=events.c[name].type) for name in names}
        bind.execute(events.update().where(events.c.position == sa.bindparam("at")).values(values), new)


def _find_first_facts(creations: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Find the facts with which learners were created: those of today, without every later change."""
    events, _, learners = _declare_tables()
    bind = op.get_bind()
    ids = [row.learner_id for row in creations]
    organizations = {row.organization_id for row in creations}
    facts = {
        row.id: {name: _write_fact(getattr(row, name)) for name in _FACTS}
        for row in bind.execute(
            sa.select(learners).where(learners.c.organization_id.in_(organizations), learners.c.id.in_(ids))
        )
    }
    later = (
        sa.select(events.c.learner_id, events.c.before)
        .where(events.c.learner_id.in_(ids), events.c.version > 1)
        .order_by(events.c.learner_id, events.c.version.desc())
    )
    for learner_id, before in bind.execute(later):
        if learner_id in facts:
            facts[learner_id] |= {name: before[name] for name in _FACTS if name in before}
    return {
        learner_id: {name: value for name, value in each.items() if value is not None}
        for learner_id, each in facts.items()
    }


def _declare_tables() -> tuple[sa.TableClause, sa.TableClause, sa.TableClause]:
    shared: list[sa.ColumnClause[Any]] = [
        sa.column("occurred_at", _INSTANT),
        sa.column("actor", sa.JSON()),
        sa.column("operation_id", _ID),
        sa.column("reason", sa.Text()),
    ]
    events = sa.table(
        "events",
        sa.column("position", _LONG),
        sa.column("organization_id", sa.Integer()),
        sa.column("id", _ID),
        sa.column("learner_id", _ID),
        sa.column("version", sa.Integer()),
        sa.column("before", sa.JSON()),
        sa.column("after", sa.JSON()),
        sa.column("cause_id", sa.Integer()),
        *(sa.column(each.name, each.type) for each in shared),
    )
    causes = sa.table("event_causes", sa.column("id", sa.Integer()), *shared)
    dates: dict[str, Any] = {
        "expires_on": sa.Date(),
        "deactivated_at": _INSTANT,
        "first_accessed_at": _INSTANT,
    }
    learners = sa.table(
        "learners",
        sa.column("organization_id", sa.Integer()),
        sa.column("id", _ID),
        *(sa.column(name, dates.get(name, sa.Text())) for name in _FACTS),
    )
    return events, causes, learners


def _write_fact(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    return value if value is None or isinstance(value, str) else value.isoformat()


def _derive_id(occurred_at: str | datetime, learner_id: str, version: int) -> str:
    """Make the UUIDv7 that readers of such an event have seen."""
    if isinstance(occurred_at, str):
        occurred_at = datetime.fromisoformat(occurred_at)
    since = occurred_at - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since.days * 86_400 + since.seconds
    timestamp = f"{seconds * 1_000 + since.microseconds // 1_000:012x}"
    return f"{timestamp[:8]}-{timestamp[8:]}-7{version & 0xFFF:03x}-{learner_id[19:]}"
