"""The tables of learners, of the texts in which they are searched, and of events.

A comment at each index names the queries that need it. Every index costs a write for each changed row, so there is
none without a query.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TextClause,
    false,
    text,
)

from app.learners import status_sql
from app.learners.fields import PROFILE
from app.learners.plan import PlanRow
from app.platform.column_types import BinaryText, Id, Instant
from app.platform.metadata import keep_for, metadata

# The columns of `plan_input` that are not those of `plan_rows`.
_INPUT_TYPES: Mapping[str, Any] = {
    "active": Boolean(),
    "fields": Integer(),
    "outcome": Text(),
    "problems": Text(),
}


def _make_order_indexes(column: str, where: TextClause | None = None) -> Iterator[Index]:
    """Make the indexes that hold the order of a column, one for each database.

    Learners with equal values need an order, too. PostgreSQL takes the id. On SQLite each entry of an index ends with
    the row's number anyway, and an id of 36 characters more would double the index.
    """
    name, columns = f"ix_learners_{column}", ("organization_id", column)
    yield keep_for("postgresql", Index(name, *columns, "id", postgresql_where=where))
    yield keep_for("sqlite", Index(f"{name}_rowid", *columns, sqlite_where=where))


learners = Table(
    "learners",
    metadata,
    # No foreign key here and in the other large tables: PostgreSQL would check it for each row and lock the
    # organization each time. Organizations and operations are never deleted.
    Column("organization_id", Integer, nullable=False),
    Column("id", Id, nullable=False),
    *(
        Column(field.name, BinaryText if field.is_exact else Text, nullable=not field.is_required)
        for field in PROFILE
    ),
    Column("username_key", BinaryText, nullable=False),
    Column("last_name_key", BinaryText, nullable=False),
    *status_sql.COLUMNS,
    Column("last_accessed_at", Instant),
    Column("updated_at", Instant, nullable=False),
    Column("version", Integer, nullable=False),
    # One learner; sort=created_at (the id carries it); the walk of exports and selections.
    PrimaryKeyConstraint("organization_id", "id"),
    # Unique usernames; filter username; sort=username.
    Index("uq_learners_username_key", "organization_id", "username_key", unique=True),
    # Unique external ids; filter external_id; the keys of an import.
    Index(
        "uq_learners_external_id",
        "organization_id",
        "external_id",
        unique=True,
        postgresql_where=text("external_id IS NOT NULL"),
        sqlite_where=text("external_id IS NOT NULL"),
    ),
    # sort=last_name.
    *_make_order_indexes("last_name_key"),
    # sort=expires_on.
    *_make_order_indexes("expires_key"),
    # Filters expires_before and expires_after; sort=expires_on among those with a date.
    *_make_order_indexes("expires_on", text("expires_on IS NOT NULL")),
    # Status counts; filter status. Without the id, PostgreSQL stores each of the few different keys once. SQLite would
    # look up each row to select the learners of a bulk action.
    keep_for(
        "postgresql",
        Index("ix_learners_status_key", "organization_id", "status_unless_expired", "expires_key"),
    ),
    keep_for(
        "sqlite", Index("ix_learners_status", "organization_id", "status_unless_expired", "expires_key", "id")
    ),
    # sort=updated_at.
    *_make_order_indexes("updated_at"),
)

# A table of its own, so that a change of status does not touch the large index for searching. A migration creates
# that index (trigrams on both databases), because SQLAlchemy cannot declare it.
learner_search = Table(
    "learner_search",
    metadata,
    # A rowid that never changes: SQLite's full-text index refers to it.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("organization_id", Integer, nullable=False),
    Column("learner_id", Id, nullable=False),
    Column("text", Text, nullable=False),
    # The text of one learner; searches for fewer than three characters.
    Index("uq_learner_search_learner_id", "learner_id", unique=True),
)

# What the events of a chunk of an operation share. Like events, it is never changed or removed.
event_causes = Table(
    "event_causes",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("organization_id", Integer, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("actor", JSON, nullable=False),
    Column("operation_id", Id, nullable=False),
    Column("reason", Text),
)

# Read it with `history`. An event of an operation has organization_id, learner_id, version, type, cause_id, before and
# after, and nothing else. If it created the learner, `before` is `{}` and `after` is `{"status": ...}`. Any other event
# has no cause_id but all the rest, so that a single change pays for one insert.
events = Table(
    "events",
    metadata,
    # The order in which events were written; the feed's order.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("organization_id", Integer, nullable=False),
    Column("id", Id),
    Column("learner_id", Id, nullable=False),
    # The learner's version after the change. Unique, so that no change is recorded twice.
    Column("version", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("occurred_at", Instant),
    Column("actor", JSON(none_as_null=True)),
    Column("operation_id", Id),
    Column("reason", Text),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("cause_id", Integer),
    # One learner's history.
    Index("uq_events_learner_id_version", "learner_id", "version", unique=True),
    sqlite_autoincrement=True,
)

# What an operation is going to do to each learner or row. The rows of a chunk are removed when it has been applied, so
# the table is nearly empty most of the time.
plan_rows = Table(
    "plan_rows",
    metadata,
    # The number of the operation.
    Column("plan", Integer, nullable=False),
    Column("item", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    # What a Fields and an Effect of `plan` say: what changes, and what that comes to.
    Column("changes", Integer, nullable=False),
    Column("effects", Integer, nullable=False),
    Column("line", Integer),
    # The learner's version that was decided; 0 for a learner to be created.
    Column("version", Integer),
    Column("learner_id", Id),
    Column("expires_on", Date),
    Column("deactivated_at", Instant),
    # Whether a change was applied before its chunk, because its names move between learners.
    Column("is_applied", Boolean, nullable=False, server_default=false()),
    # An OutcomeName, and a Reason if the row is not applied.
    Column("outcome", BinaryText, nullable=False),
    Column("reason", BinaryText),
    # The type of the event; None if nothing changes.
    Column("event_type", BinaryText),
    # The names of the learner after the change. For an unknown learner: the names in the row.
    Column("username", Text),
    Column("external_id", BinaryText),
    # The other values, where they change.
    Column("username_key", BinaryText),
    Column("email", Text),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("last_name_key", BinaryText),
    Column("search_text", Text),
    # Other learners who have the wanted username or external id now.
    Column("username_holder", Id),
    Column("external_id_holder", Id),
    # The facts that change, as events hold them.
    Column("before", Text),
    Column("after", Text),
    Column("problems", JSON(none_as_null=True)),
    PrimaryKeyConstraint("plan", "item"),
    sqlite_with_rowid=False,
)

# What is asked for the rows of a plan, while one statement decides them: a temporary table on SQLite, arrays on
# PostgreSQL (see `bulk_rows.hand_over`). It is no part of the schema.
plan_input = Table(
    "plan_input",
    MetaData(),
    *(
        Column(name, _INPUT_TYPES[name] if name in _INPUT_TYPES else plan_rows.c[name].type)
        for name in PlanRow._fields
    ),
)
