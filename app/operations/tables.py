"""The tables of operations, of the work that is staged for them, and of what became of each learner."""

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
    # The world sees the id; the number keeps a million outcomes small.
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
    # How far it is: chunks done of all, learners or rows done of all, and how many had which outcome.
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
    # How much housekeeping has removed of it.
    Column("tidied", Integer, nullable=False),
    # Whether the cursor is that of a rehearsal, which comes before all else, and what it has counted.
    Column("is_rehearsal", Boolean, nullable=False),
    Column("rehearsed", JSON, nullable=False),
    # One operation; GET /operations, newest first.
    Index("uq_operations_organization_id_id", "organization_id", "id", unique=True),
    # What a process that starts must take up again.
    Index(
        "ix_operations_unfinished",
        "id",
        postgresql_where=text("finished_at IS NULL"),
        sqlite_where=text("finished_at IS NULL"),
    ),
)

# Staged before the operation's row exists, which is inserted last and makes the stage count; a stage
# whose operation never came is what a crash leaves, and is cleaned up.
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

# A dry run changes nothing, so it notes here who would have which username and external id after its earlier
# chunks; of a revert only, whose changes pass names from one learner to another.
operation_names = Table(
    "operation_names",
    metadata,
    Column("operation_number", Integer, nullable=False),
    Column("kind", BinaryText, nullable=False),
    Column("name", BinaryText, nullable=False),
    # None: nobody.
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
    # Whether it takes access away, or would.
    Column("deactivated", Boolean, nullable=False, server_default=false()),
    # All outcomes in order; unique, so that nothing is handled twice.
    PrimaryKeyConstraint("operation_number", "item"),
    # GET /operations/{id}/outcomes?outcome=
    Index("ix_operation_outcomes_outcome", "operation_number", "outcome", "item"),
    sqlite_with_rowid=False,
)
