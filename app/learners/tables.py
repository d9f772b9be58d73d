"""The tables of learners, of the text in which they are searched, and of their events.

Each index stands beside the query that it serves. Every one of them costs a write for each changed row,
so there is none that no query needs.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Computed,
    Date,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from app.learners.fields import PROFILE
from app.platform.column_types import BinaryText, Id, Instant
from app.platform.metadata import metadata

learners = Table(
    "learners",
    metadata,
    # No foreign key, here and in the other large tables: PostgreSQL would check it row by row, and lock the
    # organization for each. Organizations and operations are never deleted.
    Column("organization_id", Integer, nullable=False),
    Column("id", Id, nullable=False),
    *(
        Column(field.name, BinaryText if field.is_exact else Text, nullable=not field.is_required)
        for field in PROFILE
    ),
    Column("username_key", BinaryText, nullable=False),
    Column("last_name_key", BinaryText, nullable=False),
    # The stored facts of app.domain.status.Account.
    Column("deactivated_at", Instant),
    Column("first_accessed_at", Instant),
    Column("expires_on", Date),
    Column("sessions_valid_from", Instant),
    Column("last_accessed_at", Instant),
    Column("updated_at", Instant, nullable=False),
    Column("version", Integer, nullable=False),
    # Two aids of the indexes, made by the database itself from the facts above and never written.
    # The status proper needs today's date and is resolved at each read.
    Column(
        "status_unless_expired",
        BinaryText,
        Computed(
            "CASE WHEN deactivated_at IS NOT NULL THEN 'deactivated' "
            "WHEN first_accessed_at IS NULL THEN 'activated' ELSE 'active' END",
            persisted=True,
        ),
        nullable=False,
    ),
    Column(
        "expires_key", Date, Computed("coalesce(expires_on, '9999-12-31')", persisted=True), nullable=False
    ),
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
    Index("ix_learners_last_name_key", "organization_id", "last_name_key", "id"),
    # sort=expires_on.
    Index("ix_learners_expires_key", "organization_id", "expires_key", "id"),
    # Filters expires_before and expires_after; sort=expires_on among those with a date.
    Index(
        "ix_learners_expires_on",
        "organization_id",
        "expires_on",
        "id",
        postgresql_where=text("expires_on IS NOT NULL"),
        sqlite_where=text("expires_on IS NOT NULL"),
    ),
    # Status counts, which it covers; filter status.
    Index("ix_learners_status", "organization_id", "status_unless_expired", "expires_key", "id"),
    # sort=updated_at.
    Index("ix_learners_updated_at", "organization_id", "updated_at", "id"),
)

# Apart from `learners`, so that a change of status does not touch the large index for searching. The
# index itself (trigrams on both databases) is the migration's: SQLAlchemy has no words for it.
learner_search = Table(
    "learner_search",
    metadata,
    # A rowid that stays what it is, which SQLite's full-text index refers to.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("organization_id", Integer, nullable=False),
    Column("learner_id", Id, nullable=False),
    Column("text", Text, nullable=False),
    # The text of one learner; searches for less than three characters.
    Index("uq_learner_search_learner_id", "learner_id", unique=True),
)

events = Table(
    "events",
    metadata,
    # The order in which events were written; the feed's order.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("organization_id", Integer, nullable=False),
    Column("id", Id, nullable=False),
    Column("learner_id", Id, nullable=False),
    # The learner's version after the change: unique, so that no change can be recorded twice.
    Column("version", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("actor", JSON, nullable=False),
    Column("operation_id", Id),
    Column("reason", Text),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    # One learner's history.
    Index("uq_events_learner_id_version", "learner_id", "version", unique=True),
    sqlite_autoincrement=True,
)
# What of an event its readers are told, and what its writers say.
EVENT_FIELDS = (
    "id",
    "type",
    "learner_id",
    "version",
    "occurred_at",
    "actor",
    "operation_id",
    "reason",
    "before",
    "after",
)
