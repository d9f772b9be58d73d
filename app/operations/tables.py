"""The tables of operations, of the work that is staged for them, and of their outcomes."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    text,
)

from app.platform.column_types import BinaryText, Id, Instant
from app.platform.metadata import metadata

operations = Table(
    "operations",
    metadata,
    # Clients see the id; the number keeps a million outcomes small.
    Column("number", Integer, Identity(), primary_key=True),
    Column("id", Id, nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("kind", BinaryText, nullable=False),
    Column("action", Text),
    Column("state", BinaryText, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("reason", Text),
    Column("created_by", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("problem", JSON(none_as_null=True)),
    # How far it is: chunks done, learners or rows done, and how many had which outcome.
    Column("cursor", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("deactivated", Integer, nullable=False, server_default=text("0")),
    Column("reverts", Id),
    Column("reverted_by", Id),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    # How much of it housekeeping has removed.
    Column("tidied", Integer, nullable=False),
    # Whether it is in its rehearsal, the first of two passes, and what the rehearsal has counted.
    Column("is_rehearsal", Boolean, nullable=False),
    Column("rehearsed", JSON, nullable=False),
    # One operation; GET /operations, newest first.
    Index("uq_operations_organization_id_id", "organization_id", "id", unique=True),
    # What a process must continue when it starts.
    Index(
        "ix_operations_unfinished",
        "id",
        postgresql_where=text("finished_at IS NULL"),
        sqlite_where=text("finished_at IS NULL"),
    ),
)

# Staged before the operation's row, which is inserted last and makes the stage count. A stage without an operation
# is left by a crash, and housekeeping removes it.
operation_chunks = Table(
    "operation_chunks",
    metadata,
    Column("operation_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("first_item", Integer, nullable=False),
    Column("items", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("operation_id", "number"),
)

# A dry run of a revert changes nothing, so it stores here which learner would have which username and external id
# after its earlier chunks.
operation_names = Table(
    "operation_names",
    metadata,
    Column("operation_number", Integer, nullable=False),
    Column("kind", BinaryText, nullable=False),
    Column("name", BinaryText, nullable=False),
    # None: no learner has the name.
    Column("learner_id", Id),
    PrimaryKeyConstraint("operation_number", "kind", "name"),
    sqlite_with_rowid=False,
)

operation_outcomes = Table(
    "operation_outcomes",
    metadata,
    Column("operation_number", Integer, nullable=False),
    Column("item", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("outcome", BinaryText, nullable=False),
    Column("line", Integer),
    Column("learner_id", Id),
    Column("username", Text),
    Column("problem", JSON(none_as_null=True)),
    # Whether the learner lost access, or would lose it.
    Column("deactivated", Boolean, nullable=False, server_default=false()),
    # All outcomes in order; unique, so that nothing is handled twice.
    PrimaryKeyConstraint("operation_number", "item"),
    # GET /operations/{id}/outcomes?outcome=
    Index("ix_operation_outcomes_outcome", "operation_number", "outcome", "item"),
    sqlite_with_rowid=False,
)
