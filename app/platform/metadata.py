"""The metadata that every table of the service belongs to."""

from typing import Any

from sqlalchemy import Index, MetaData

# One convention for every constraint, so that migrations and tables agree on names.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def keep_for(dialect: str, index: Index) -> Index:
    """Declare that only databases of this dialect have the index."""
    index.info["dialect"] = dialect
    return index.ddl_if(dialect=dialect)


def is_kept_for(dialect: str, item: Any) -> bool:
    """Return whether databases of this dialect have the table, column or index."""
    return bool(item.info.get("dialect", dialect) == dialect)
