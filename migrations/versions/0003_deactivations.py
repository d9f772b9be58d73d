"""Store which learners an operation deactivates, besides their outcomes.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "operations", sa.Column("deactivated", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column(
        "operation_outcomes",
        sa.Column("deactivated", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("operation_outcomes", "deactivated")
    op.drop_column("operations", "deactivated")
