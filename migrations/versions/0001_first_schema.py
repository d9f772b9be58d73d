"""Create the first schema: organizations, API keys, learners, events, operations, imports.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BINARY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.Text().with_variant(sa.Uuid(), "postgresql")
_INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_organizations()
    _create_learners()
    _create_events()
    _create_operations()
    op.create_table(
        "idempotency_keys",
        sa.Column("organization_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("key", _BINARY, primary_key=True),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("claim", _ID, nullable=False),
        sa.Column("claimed_until", _INSTANT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.JSON()),
        sa.Column("body", sa.Text()),
        sa.PrimaryKeyConstraint("organization_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", _ID, nullable=False),
        sa.Column("slug", _BINARY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("max_deactivations", sa.Text(), nullable=False),
        sa.Column("expiring_days", sa.Integer(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
        sa.UniqueConstraint("public_id", name="uq_organizations_public_id"),
        sa.UniqueConstraint("slug", name="uq_organizations_slug"),
        sa.CheckConstraint("expiring_days >= 0", name=op.f("ck_organizations_expiring_days")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", _BINARY, nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("last_used_at", _INSTANT),
        sa.Column("revoked_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("secret_hash", name="uq_api_keys_secret_hash"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_api_keys_organization_id"
        ),
    )
    # GET /api-keys, newest first.
    op.create_index("ix_api_keys_organization_id_id", "api_keys", ["organization_id", "id"])


def _create_learners() -> None:
    op.create_table(
        "learners",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("username_key", _BINARY, nullable=False),
        sa.Column("external_id", _BINARY),
        sa.Column("email", sa.Text()),
        sa.Column("first_name", sa.Text()),
        sa.Column("last_name", sa.Text()),
        sa.Column("last_name_key", _BINARY, nullable=False),
        sa.Column("deactivated_at", _INSTANT),
        sa.Column("first_accessed_at", _INSTANT),
        sa.Column("expires_on", sa.Date()),
        sa.Column("sessions_valid_from", _INSTANT),
        sa.Column("last_accessed_at", _INSTANT),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "status_unless_expired",
            _BINARY,
            sa.Computed(
                "CASE WHEN deactivated_at IS NOT NULL THEN 'deactivated' "
                "WHEN first_accessed_at IS NULL THEN 'activated' ELSE 'active' END",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column(
            "expires_key",
            sa.Date(),
            sa.Computed("coalesce(expires_on, '9999-12-31')", persisted=True),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name="pk_learners"),
    )
    # Unique usernames; filter username; sort=username.
    op.create_index("uq_learners_username_key", "learners", ["organization_id", "username_key"], unique=True)
    # Unique external ids; filter external_id; the keys of an import.
    op.create_index(
        "uq_learners_external_id",
        "learners",
        ["organization_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
        sqlite_where=sa.text("external_id IS NOT NULL"),
    )
    # sort=last_name.
    op.create_index("ix_learners_last_name_key", "learners", ["organization_id", "last_name_key", "id"])
    # sort=expires_on.
    op.create_index("ix_learners_expires_key", "learners", ["organization_id", "expires_key", "id"])
    # Filters expires_before and expires_after; sort=expires_on among those with a date.
    op.create_index(
        "ix_learners_expires_on",
        "learners",
        ["organization_id", "expires_on", "id"],
        postgresql_where=sa.text("expires_on IS NOT NULL"),
        sqlite_where=sa.text("expires_on IS NOT NULL"),
    )
    # Status counts, which it covers; filter status.
    op.create_index(
        "ix_learners_status", "learners", ["organization_id", "status_unless_expired", "expires_key", "id"]
    )
    # sort=updated_at.
    op.create_index("ix_learners_updated_at", "learners", ["organization_id", "updated_at", "id"])

    op.create_table(
        "learner_search",
        sa.Column("number", _LONG, sa.Identity(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("learner_id", _ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_learner_search"),
    )
    # The text of one learner; searches for fewer than three characters.
    op.create_index("uq_learner_search_learner_id", "learner_search", ["learner_id"], unique=True)
    # Filters q and email: trigrams find any part of a text.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute("CREATE INDEX ix_learner_search_trigrams ON learner_search USING gin (text gin_trgm_ops)")
    else:
        op.execute(
            "CREATE VIRTUAL TABLE learner_search_trigrams USING fts5(text, content='learner_search', "
            "content_rowid='number', tokenize='trigram case_sensitive 1', detail='none', columnsize=0)"
        )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("position", _LONG, sa.Identity(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("learner_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("actor", sa.JSON(), nullable=False),
        sa.Column("operation_id", _ID),
        sa.Column("reason", sa.Text()),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_events"),
        sqlite_autoincrement=True,
    )
    # One learner's history.
    op.create_index("uq_events_learner_id_version", "events", ["learner_id", "version"], unique=True)
    # The database refuses to change or delete events.
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'events are never changed or removed'; END $$"
        )
        op.execute(
            "CREATE TRIGGER events_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()"
        )
    else:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER events_refuse_{action.lower()} BEFORE {action} ON events "
                "BEGIN SELECT RAISE(ABORT, 'events are never changed or removed'); END"
            )


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("number", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("kind", _BINARY, nullable=False),
        sa.Column("action", sa.Text()),
        sa.Column("state", _BINARY, nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("created_by", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("problem", sa.JSON()),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("reverts", _ID),
        sa.Column("reverted_by", _ID),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("started_at", _INSTANT),
        sa.Column("finished_at", _INSTANT),
        sa.Column("tidied", sa.Integer(), nullable=False),
        sa.Column("is_rehearsal", sa.Boolean(), nullable=False),
        sa.Column("rehearsed", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_operations"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_operations_organization_id"
        ),
    )
    # One operation; GET /operations, newest first.
    op.create_index("uq_operations_organization_id_id", "operations", ["organization_id", "id"], unique=True)
    # Unfinished operations, which a process continues when it starts.
    op.create_index(
        "ix_operations_unfinished",
        "operations",
        ["id"],
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "operation_chunks",
        sa.Column("operation_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_item", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "number", name="pk_operation_chunks"),
    )
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
        sa.PrimaryKeyConstraint("operation_number", "item", name="pk_operation_outcomes"),
        sqlite_with_rowid=False,
    )
    # GET /operations/{id}/outcomes?outcome=
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


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("import_keys")
    op.drop_table("operation_outcomes")
    op.drop_table("operation_names")
    op.drop_table("operation_chunks")
    op.drop_table("operations")
    op.drop_table("events")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change_of_events()")
    else:
        op.execute("DROP TABLE learner_search_trigrams")
    op.drop_table("learner_search")
    op.drop_table("learners")
    op.drop_table("api_keys")
    op.drop_table("organizations")
