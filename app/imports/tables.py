"""The table in which an import stores which learners it has already handled."""

from sqlalchemy import Boolean, Column, Integer, PrimaryKeyConstraint, Table

from app.platform.column_types import Id
from app.platform.metadata import metadata

import_keys = Table(
    "import_keys",
    metadata,
    Column("operation_number", Integer, nullable=False),
    # The two passes over the rows do not see each other's keys.
    Column("is_rehearsal", Boolean, nullable=False),
    # A KeyKind of the repository.
    Column("kind", Integer, nullable=False),
    Column("key", Id, nullable=False),
    Column("line", Integer, nullable=False),
    # Unique, so that no learner can be handled twice; also answers whether one was handled.
    PrimaryKeyConstraint("operation_number", "is_rehearsal", "kind", "key"),
    sqlite_with_rowid=False,
)
