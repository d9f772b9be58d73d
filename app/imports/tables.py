"""The table by which an import knows that it has had a learner already."""

from sqlalchemy import Boolean, Column, Integer, PrimaryKeyConstraint, Table

from app.platform.database import Id, metadata

import_keys = Table(
    "import_keys",
    metadata,
    Column("operation_number", Integer, nullable=False),
    # False: the key is the id of a learner. True: it stands for a username or external id of nobody.
    Column("is_name", Boolean, nullable=False),
    Column("key", Id, nullable=False),
    Column("line", Integer, nullable=False),
    # Unique, so that no learner can be handled twice; and the question whether one was.
    PrimaryKeyConstraint("operation_number", "is_name", "key"),
    sqlite_with_rowid=False,
)
