"""The tables of organizations and API keys."""

from sqlalchemy import JSON, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from app.platform.column_types import BinaryText, Id, Instant
from app.platform.metadata import metadata

# An integer key keeps the indexes that begin with it small. The API shows only public_id and slug.
organizations = Table(
    "organizations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("public_id", Id, nullable=False, unique=True),
    Column("slug", BinaryText, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("max_deactivations", Text, nullable=False),
    Column("expiring_days", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("expiring_days >= 0", name="expiring_days"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("secret_hash", BinaryText, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    # GET /api-keys, newest first.
    Index("ix_api_keys_organization_id_id", "organization_id", "id"),
)
