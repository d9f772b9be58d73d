"""The tables of operations, and of their chunks: what is staged for them, and their outcomes."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from app.platform.column_types import BinaryText, Id, Instant
from app.platform.metadata import metadata

operations = Table(
    "operations",
    metadata,
    # Clients see the id; the number keeps the rows of plans small.
    Column("number", Integer, Identity(), primary_key=True),
    Column("id", Id, nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("kind", BinaryText, nullable=False),
    Column("action", Text),
    Column("state", BinaryText, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("reason", Text),
    Column("created_by", JSON, nullable=False),
    # What was asked: as the API shows it, and all that is needed to do it.
    Column("request", JSON, nullable=False, server_default="{}"),
    Column("parameters", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("problem", JSON(none_as_null=True)),
    # How far it is: chunks done, learners or rows done, and how many had which outcome.
    Column("cursor", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("effects", JSON, nullable=False, server_default="{}"),
    Column("revertible", Integer, nullable=False, server_default="0"),
    Column("reverts", Id),
    Column("reverted_by", Id),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    # How much of it housekeeping has removed.
    Column("tidied", Integer, nullable=False),
    # A Phase, and the day by which the plan was decided.
    Column("phase", Integer, nullable=False, server_default="0"),
    Column("planned_on", Date),
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
    # What was asked: the cells of rows as they were sent, or ids.
    Column("content", LargeBinary, nullable=False),
    # The outcomes, once the chunk is applied: compressed JSON, because there are millions and few are read.
    Column("outcomes", LargeBinary),
    # How many of them have which outcome and effect, so that a reader who wants some skips the other chunks.
    Column("counts", JSON(none_as_null=True)),
    PrimaryKeyConstraint("operation_id", "number"),
)
