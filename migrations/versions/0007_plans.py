"""Plan large operations before they change anything, and store their outcomes chunk by chunk.

Outcomes of earlier operations become one compressed document for each chunk. Running operations continue: their
remaining chunks are planned again.

Revision ID: 0007
Revises: 0006
"""

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BINARY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.Text().with_variant(sa.Uuid(as_uuid=False), "postgresql")
_INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Operations of which housekeeping has not removed the outcomes.
_KEPT = 2
# How many learners a statement names.
_AT_ONCE = 1000
# The phase in which the guards judge a plan.
_JUDGE = 3
_DEACTIVATED, _ACTIVATED, _RENAMED, _REKEYED, _EXPIRATION = 1, 2, 4, 8, 16
_EFFECTS = {
    "deactivated": _DEACTIVATED,
    "activated": _ACTIVATED,
    "renamed": _RENAMED,
    "rekeyed": _REKEYED,
    "expiration": _EXPIRATION,
}

# The options of an import that a request can show, and what they are if nothing else is asked.
_OPTIONS = {
    "create": True,
    "protect_manual": False,
    "missing": "keep",
    "max_deactivations": None,
    "date_format": "iso",
    "empty": "keep",
    "ignore_columns": [],
}
_FACTS = (
    *("username", "external_id", "email", "first_name", "last_name"),
    *("expires_on", "deactivated_at", "first_accessed_at"),
)
_FACT_TYPES: dict[str, Any] = {
    "expires_on": sa.Date(),
    "deactivated_at": _INSTANT,
    "first_accessed_at": _INSTANT,
}

_operations = sa.table(
    "operations",
    sa.column("number", sa.Integer),
    sa.column("id", _ID),
    sa.column("organization_id", sa.Integer),
    sa.column("kind", sa.Text),
    sa.column("action", sa.Text),
    sa.column("state", sa.Text),
    sa.column("dry_run", sa.Boolean),
    sa.column("parameters", sa.JSON),
    sa.column("problem", sa.JSON(none_as_null=True)),
    sa.column("cursor", sa.Integer),
    sa.column("counts", sa.JSON),
    sa.column("reverts", _ID),
    sa.column("reverted_by", _ID),
    sa.column("tidied", sa.Integer),
    sa.column("is_rehearsal", sa.Boolean),
    sa.column("deactivated", sa.Integer),
    sa.column("request", sa.JSON),
    sa.column("effects", sa.JSON),
    sa.column("revertible", sa.Integer),
    sa.column("finished_at", _INSTANT),
    sa.column("started_at", _INSTANT),
    sa.column("created_at", _INSTANT),
    sa.column("phase", sa.Integer),
)
_chunks = sa.table(
    "operation_chunks",
    sa.column("operation_id", _ID),
    sa.column("number", sa.Integer),
    sa.column("first_item", sa.Integer),
    sa.column("items", sa.Integer),
    sa.column("content", sa.LargeBinary),
    sa.column("outcomes", sa.LargeBinary),
    sa.column("counts", sa.JSON),
)
_outcomes = sa.table(
    "operation_outcomes",
    sa.column("operation_number", sa.Integer),
    sa.column("item", sa.BigInteger),
    sa.column("outcome", sa.Text),
    sa.column("line", sa.Integer),
    sa.column("learner_id", _ID),
    sa.column("username", sa.Text),
    sa.column("problem", sa.JSON(none_as_null=True)),
    sa.column("deactivated", sa.Boolean),
)
_events = sa.table(
    "events",
    sa.column("organization_id", sa.Integer),
    sa.column("learner_id", _ID),
    sa.column("version", sa.Integer),
    sa.column("operation_id", _ID),
    sa.column("cause_id", sa.Integer),
    sa.column("before", sa.JSON),
    sa.column("after", sa.JSON),
)
_causes = sa.table("event_causes", sa.column("id", sa.Integer), sa.column("operation_id", _ID))
_learners = sa.table(
    "learners",
    sa.column("organization_id", sa.Integer),
    sa.column("id", _ID),
    *(sa.column(name, _FACT_TYPES.get(name, sa.Text())) for name in _FACTS),
)


def upgrade() -> None:
    for column in (
        sa.Column("request", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("effects", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("revertible", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("phase", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("planned_on", sa.Date()),
    ):
        op.add_column("operations", column)
    op.add_column("operation_chunks", sa.Column("outcomes", sa.LargeBinary()))
    op.add_column("operation_chunks", sa.Column("counts", sa.JSON()))
    _create_plan_rows()
    connection = op.get_bind()
    for operation in _list_operations(connection):
        _carry_over(connection, operation)
    op.drop_column("operations", "is_rehearsal")
    op.drop_column("operations", "rehearsed")
    op.drop_column("operations", "deactivated")
    op.drop_table("operation_outcomes")
    op.drop_table("operation_names")
    op.drop_table("import_keys")


def _create_plan_rows() -> None:
    op.create_table(
        "plan_rows",
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("item", _LONG, nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("effects", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer()),
        sa.Column("version", sa.Integer()),
        sa.Column("learner_id", _ID),
        sa.Column("expires_on", sa.Date()),
        sa.Column("deactivated_at", _INSTANT),
        sa.Column("is_applied", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("outcome", _BINARY, nullable=False),
        sa.Column("reason", _BINARY),
        sa.Column("event_type", _BINARY),
        sa.Column("username", sa.Text()),
        sa.Column("external_id", _BINARY),
        sa.Column("username_key", _BINARY),
        sa.Column("email", sa.Text()),
        sa.Column("first_name", sa.Text()),
        sa.Column("last_name", sa.Text()),
        sa.Column("last_name_key", _BINARY),
        sa.Column("search_text", sa.Text()),
        sa.Column("username_holder", _ID),
        sa.Column("external_id_holder", _ID),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        sa.Column("problems", sa.JSON()),
        sa.PrimaryKeyConstraint("plan", "item", name="pk_plan_rows"),
        sqlite_with_rowid=False,
    )


def _list_operations(connection: sa.Connection) -> Sequence[Any]:
    return connection.execute(sa.select(*_operations.c).order_by(_operations.c.number)).all()


def _select_chunks(operation: Any) -> sa.Select[Any]:
    """Make a query for the places of an operation's chunks, without their contents: together they can be large."""
    places = (_chunks.c.number, _chunks.c.first_item, _chunks.c["items"])
    return sa.select(*places).where(_chunks.c.operation_id == operation.id).order_by(_chunks.c.number)


def _update_chunk(connection: sa.Connection, operation: Any, number: int, **values: Any) -> None:
    of_operation = _chunks.c.operation_id == operation.id
    connection.execute(sa.update(_chunks).where(of_operation, _chunks.c.number == number).values(values))


def _carry_over(connection: sa.Connection, operation: Any) -> None:
    """Make the documents of an operation's outcomes, and the values of its new columns."""
    totals: Counter[str] = Counter()
    is_kept = operation.tidied < _KEPT and not operation.is_rehearsal
    for chunk in connection.execute(_select_chunks(operation)).all():
        if is_kept and chunk.number < operation.cursor:
            totals += _store_document(connection, operation, chunk)
        elif operation.kind == "revert" and operation.finished_at is None:
            _add_versions(connection, operation, chunk)
    if operation.tidied >= _KEPT:
        totals["deactivated"] = operation.deactivated
    values = {
        "effects": {name: totals[name] for name in _EFFECTS if totals[name]},
        "revertible": _count_revertible(connection, operation),
        **_describe(operation),
    }
    if operation.finished_at is None:
        # It is planned again from its cursor on. If it was being checked, the guards judge the new plan.
        values["started_at"] = None
        if operation.is_rehearsal:
            values["cursor"] = 0
    connection.execute(sa.update(_operations).where(_operations.c.number == operation.number).values(values))


def _describe(operation: Any) -> dict[str, Any]:
    """Return what was asked, and the parameters in the new form."""
    parameters = dict(operation.parameters or {})
    if operation.kind == "bulk-action":
        return {"request": {"selection": parameters.get("selection") or {}}, "parameters": parameters}
    if operation.kind != "csv-import":
        return {"request": {}, "parameters": parameters}
    chosen = {
        name: parameters[name]
        for name, default in _OPTIONS.items()
        if parameters.get(name, default) != default
    }
    parameters["created_until"] = parameters.pop("created_by", 0)
    if operation.finished_at is None and not operation.is_rehearsal:
        # Its guards have judged, and its missing learners are in its last chunks. Rows that have been applied are not
        # in the new plan, so that their learners would be missing.
        parameters |= {"missing": "keep", "max_deactivations": None}
    return {"request": {"file_name": None, "options": chosen}, "parameters": parameters}


def _count_revertible(connection: sa.Connection, operation: Any) -> int:
    changed: int = sum(operation.counts.get(name, 0) for name in ("created", "changed"))
    is_refused = operation.problem is not None and operation.state != "failed"
    if operation.dry_run or operation.tidied >= _KEPT or is_refused:
        return 0
    if operation.reverted_by is None:
        return changed
    revert = connection.execute(
        sa.select(_operations.c.counts).where(_operations.c.id == operation.reverted_by)
    ).one()
    done: int = sum(revert.counts.get(name, 0) for name in ("changed", "unchanged"))
    return max(0, changed - done)


def _store_document(connection: sa.Connection, operation: Any, chunk: Any) -> Counter[str]:
    """Make one document of the outcomes of a chunk. Return how many have which outcome and effect."""
    before_item = chunk.first_item + chunk.items
    rows = connection.execute(
        sa.select(_outcomes)
        .where(
            _outcomes.c.operation_number == operation.number,
            _outcomes.c.item >= chunk.first_item,
            _outcomes.c.item < before_item,
        )
        .order_by(_outcomes.c.item)
    ).all()
    ids = [row.learner_id for row in rows if row.learner_id is not None]
    changed = [row.learner_id for row in rows if row.outcome in ("created", "changed") and row.learner_id]
    learners = {each.id: each for each in _find_learners(connection, operation, ids)}
    changes = {} if operation.dry_run else _find_changes(connection, operation, operation.id, changed)
    _complete_creations(connection, changes, learners)
    document = []
    counts: Counter[str] = Counter()
    for row in rows:
        change = changes.get(row.learner_id, _NO_CHANGE)
        if row.outcome not in ("created", "changed"):
            change = _NO_CHANGE
        effects = _find_effects(row, change)
        counts.update([row.outcome, *(name for name, effect in _EFFECTS.items() if effects & effect)])
        version = None if change.version is None else change.version - 1
        learner = learners.get(row.learner_id)
        external_id = None if learner is None else learner.external_id
        problems = None if row.problem is None else [row.problem]
        document.append(
            (
                *(row.item, row.line, row.outcome, row.learner_id, version, row.username),
                *(external_id, effects, change.before, change.after, problems),
            )
        )
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    _update_chunk(
        connection, operation, chunk.number, outcomes=zlib.compress(text.encode(), 1), counts=dict(counts)
    )
    return counts


def _add_versions(connection: sa.Connection, operation: Any, chunk: Any) -> None:
    """Write into a chunk of a revert which version of each learner the reverted operation made."""
    content = connection.execute(_select_content(operation, chunk.number)).scalar_one()
    ids = json.loads(content)
    changes = _find_changes(connection, operation, operation.reverts, ids)
    changed = [(each, changes[each].version) for each in ids if each in changes]
    _update_chunk(connection, operation, chunk.number, content=json.dumps(changed).encode())


def _select_content(operation: Any, number: int) -> sa.Select[Any]:
    return sa.select(_chunks.c.content).where(
        _chunks.c.operation_id == operation.id, _chunks.c.number == number
    )


class _Change(NamedTuple):
    """The version that a change made, and the facts that its event has recorded."""

    version: int | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


_NO_CHANGE = _Change()


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _find_changes(
    connection: sa.Connection, operation: Any, changed_by: str, ids: Sequence[str]
) -> dict[str, _Change]:
    """Find what one operation has changed in each of these learners."""
    found: dict[str, _Change] = {}
    for part in _parts(ids):
        rows = connection.execute(
            sa.select(_events.c.learner_id, _events.c.version, _events.c.before, _events.c.after)
            .select_from(_events.outerjoin(_causes, _causes.c.id == _events.c.cause_id))
            .where(
                _events.c.organization_id == operation.organization_id,
                _events.c.learner_id.in_(part),
                sa.func.coalesce(_events.c.operation_id, _causes.c.operation_id) == changed_by,
            )
        )
        found |= {row.learner_id: _Change(row.version, row.before, row.after) for row in rows}
    return found


def _complete_creations(
    connection: sa.Connection, changes: dict[str, _Change], learners: Mapping[str, Any]
) -> None:
    """Add the facts to creations whose events store only the status: those of today, without every later change."""
    facts = {
        learner_id: {name: _write_fact(getattr(learners[learner_id], name)) for name in _FACTS}
        for learner_id, change in changes.items()
        if change.version == 1 and len(change.after or ()) == 1 and learner_id in learners
    }
    for part in _parts(list(facts)):
        later = (
            sa.select(_events.c.learner_id, _events.c.before)
            .where(_events.c.learner_id.in_(part), _events.c.version > 1)
            .order_by(_events.c.learner_id, _events.c.version.desc())
        )
        for learner_id, before in connection.execute(later):
            facts[learner_id] |= {name: before[name] for name in _FACTS if name in before}
    for learner_id, each in facts.items():
        known = {name: value for name, value in each.items() if value is not None}
        change = changes[learner_id]
        changes[learner_id] = change._replace(after={**known, **(change.after or {})})


def _write_fact(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    return value if value is None or isinstance(value, str) else value.isoformat()


def _find_learners(connection: sa.Connection, operation: Any, ids: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    for part in _parts(ids):
        # With the organization: the primary key begins with it.
        mine = (_learners.c.organization_id == operation.organization_id, _learners.c.id.in_(part))
        found += connection.execute(sa.select(_learners).where(*mine)).all()
    return found


def _find_effects(row: Any, change: _Change) -> int:
    effects = _DEACTIVATED if row.deactivated else 0
    if not change.before or not change.after:
        return effects
    if change.before.get("deactivated_at") and not change.after.get("deactivated_at"):
        effects |= _ACTIVATED
    if "username" in change.after:
        effects |= _RENAMED
    if change.before.get("external_id"):
        effects |= _REKEYED
    if "expires_on" in change.after:
        effects |= _EXPIRATION
    return effects


def downgrade() -> None:
    op.add_column(
        "operations",
        sa.Column("deactivated", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column(
        "operations", sa.Column("is_rehearsal", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("operations", sa.Column("rehearsed", sa.JSON(), nullable=False, server_default="{}"))
    _create_earlier_tables()
    connection = op.get_bind()
    for operation in _list_operations(connection):
        _carry_back(connection, operation)
    op.drop_table("plan_rows")
    op.drop_column("operation_chunks", "counts")
    op.drop_column("operation_chunks", "outcomes")
    for name in ("planned_on", "phase", "revertible", "effects", "request"):
        op.drop_column("operations", name)


def _create_earlier_tables() -> None:
    op.create_table(
        "operation_names",
        sa.Column("operation_number", sa.Integer(), nullable=False),
        sa.Column("kind", _BINARY, nullable=False),
        sa.Column("name", _BINARY, nullable=False),
        sa.Column("learner_id", _ID),
        sa.PrimaryKeyConstraint("operation_number", "kind", "name", name="pk_operation_names"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "operation_outcomes",
        sa.Column("operation_number", sa.Integer(), nullable=False),
        sa.Column("item", _LONG, nullable=False),
        sa.Column("outcome", _BINARY, nullable=False),
        sa.Column("line", sa.Integer()),
        sa.Column("learner_id", _ID),
        sa.Column("username", sa.Text()),
        sa.Column("problem", sa.JSON()),
        sa.Column("deactivated", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("operation_number", "item", name="pk_operation_outcomes"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_operation_outcomes_outcome", "operation_outcomes", ["operation_number", "outcome", "item"]
    )
    op.create_table(
        "import_keys",
        sa.Column("operation_number", sa.Integer(), nullable=False),
        sa.Column("is_rehearsal", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("key", _ID, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("operation_number", "is_rehearsal", "kind", "key", name="pk_import_keys"),
        sqlite_with_rowid=False,
    )


def _carry_back(connection: sa.Connection, operation: Any) -> None:
    """Make rows of an operation's outcomes, and its chunks and parameters what the earlier version reads."""
    is_known = operation.kind != "json-import" and operation.action != "set-expiration"
    applied = 0
    for place in connection.execute(_select_chunks(operation)).all():
        whole = sa.select(_chunks).where(
            _chunks.c.operation_id == operation.id, _chunks.c.number == place.number
        )
        chunk = connection.execute(whole).one()
        applied += chunk.outcomes is not None
        _store_outcomes(connection, operation, chunk)
        content = _convert_content(connection, operation, chunk)
        if content != chunk.content:
            _update_chunk(connection, operation, chunk.number, content=content)
    parameters = dict(operation.parameters or {})
    if operation.kind == "csv-import":
        parameters["created_by"] = parameters.pop("created_until", 0)
    elif operation.kind == "bulk-action":
        wanted = (operation.request or {}).get("selection", {}).get("filter")
        parameters = {"selection": {} if wanted is None else {"filter": wanted}}
    values: dict[str, Any] = {"deactivated": (operation.effects or {}).get("deactivated", 0)}
    if not is_known:
        # The earlier version shows it as the nearest kind that it knows, and can revert it.
        header = ["Username", "External ID"]
        parameters = {"header": header, "columns": {"username": 0, "external_id": 1}}
        values |= {"kind": "csv-import", "action": None}
    if operation.finished_at is None:
        has_guards = parameters.get("missing", "keep") != "keep" or parameters.get("max_deactivations")
        is_rehearsal = bool(has_guards) and operation.phase <= _JUDGE and not applied
        values |= {"cursor": applied, "is_rehearsal": is_rehearsal}
        if not is_known:
            values |= {"state": "cancelled", "finished_at": operation.started_at or operation.created_at}
    values["parameters"] = parameters
    connection.execute(sa.update(_operations).where(_operations.c.number == operation.number).values(values))


def _store_outcomes(connection: sa.Connection, operation: Any, chunk: Any) -> None:
    if chunk.outcomes is None:
        return
    rows = [
        {
            "operation_number": operation.number,
            "item": item,
            "outcome": outcome,
            "line": line,
            "learner_id": learner_id,
            "username": username,
            "problem": problems[0] if problems else None,
            "deactivated": bool(effects & _DEACTIVATED),
        }
        for item, line, outcome, learner_id, _, username, _, effects, _, _, problems in json.loads(
            zlib.decompress(chunk.outcomes)
        )
    ]
    if rows:
        connection.execute(sa.insert(_outcomes), rows)


def _convert_content(connection: sa.Connection, operation: Any, chunk: Any) -> bytes:
    """Return a chunk's content as the earlier version reads it."""
    content: bytes = chunk.content
    if not content:
        return content
    asked = json.loads(content if content[:1] in b"{[" else zlib.decompress(content))
    if operation.kind == "revert":
        asked = [learner_id for learner_id, _ in asked]
    elif operation.kind == "bulk-action" and operation.action != "set-expiration":
        asked = {"ids": asked["ids"], "unknown": [*asked["unknown"], *asked.get("unknown_external_ids", ())]}
    elif isinstance(asked, dict):
        found = _find_learners(connection, operation, asked["ids"])
        external_ids = {each.id: each.external_id for each in found}
        known = [external_ids.get(each) for each in asked["ids"]]
        asked = {"ids": asked["ids"], "external_ids": known + [None] * (chunk.items - len(known))}
    elif operation.kind == "json-import":
        asked = [(line, _cells_of(row)) for line, row in asked]
    return json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()


def _cells_of(row: Any) -> list[str]:
    values = row if isinstance(row, dict) else {}
    return [str(values.get(name) or "") for name in ("username", "external_id")]
