"""Make the indexes of learners smaller.

On SQLite, the indexes that hold an order end with the row's number instead of the id. On PostgreSQL, the index of
statuses has no id, so it has few different keys, each of which is stored once.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The columns that lists are sorted by, and which learners are in the index.
_ORDERS = {
    "last_name_key": None,
    "expires_key": None,
    "expires_on": sa.text("expires_on IS NOT NULL"),
    "updated_at": None,
}


_STATUS = ["organization_id", "status_unless_expired", "expires_key"]


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_learners_status_key", "learners", _STATUS)
        op.drop_index("ix_learners_status", "learners")
        return
    for column, where in _ORDERS.items():
        op.create_index(
            f"ix_learners_{column}_rowid", "learners", ["organization_id", column], sqlite_where=where
        )
        op.drop_index(f"ix_learners_{column}", "learners")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_learners_status", "learners", [*_STATUS, "id"])
        op.drop_index("ix_learners_status_key", "learners")
        return
    for column, where in _ORDERS.items():
        op.create_index(
            f"ix_learners_{column}", "learners", ["organization_id", column, "id"], sqlite_where=where
        )
        op.drop_index(f"ix_learners_{column}_rowid", "learners")
