"""The tables of webhooks and their deliveries."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text, text

from app.platform.column_types import BinaryText, Id, Instant
from app.platform.metadata import metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text),
    # Empty = every type.
    Column("event_types", JSON, nullable=False),
    # Not hashed: signing needs the secret itself.
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("previous_secret_until", Instant),
    Column("is_enabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    # The position of the last event that was staged or skipped.
    Column("position", BigInteger, nullable=False),
    Column("last_delivered_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    # A removed webhook is invisible. Its row stays until housekeeping has deleted its deliveries.
    Column("removed_at", Instant),
    # GET /webhooks, newest first.
    Index("ix_webhooks_organization_id_id", "organization_id", "id"),
)

# No foreign key, as in the other large tables.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("webhook_id", Id, nullable=False),
    # Null = a test.
    Column("event_position", BigInteger),
    Column("event_id", Id),
    Column("event_type", Text, nullable=False),
    Column("state", BinaryText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_attempt_at", Instant),
    # When the next attempt is due. While an attempt runs: when its process counts as dead. Null = never again.
    Column("next_attempt_at", Instant),
    Column("response_status", Integer),
    Column("error", Text),
    Column("duration_ms", Integer),
    # GET /webhooks/{id}/deliveries, newest first, and with `state`.
    Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
    Index("ix_webhook_deliveries_webhook_id_state_id", "webhook_id", "state", "id"),
    # The deliveries that one webhook has due.
    Index(
        "ix_webhook_deliveries_due",
        "webhook_id",
        "next_attempt_at",
        postgresql_where=text("next_attempt_at IS NOT NULL"),
        sqlite_where=text("next_attempt_at IS NOT NULL"),
    ),
)
