"""The table of idempotency keys, the only table of the platform."""

from sqlalchemy import JSON, Column, Index, Integer, Table, Text

from app.platform.column_types import BinaryText, Id, Instant
from app.platform.metadata import metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organization_id", Integer, primary_key=True),
    Column("key", BinaryText, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("claim", Id, nullable=False),
    Column("claimed_until", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("status", Integer),
    Column("headers", JSON(none_as_null=True)),
    Column("body", Text),
    Index("ix_idempotency_keys_created_at", "created_at"),
)
