"""The column types in which SQLite and PostgreSQL differ."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Text, Uuid, func, type_coerce
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.platform.instants import instant_text, parse_instant

# Text that is compared byte by byte on both databases, whatever the server's locale.
BinaryText = Text().with_variant(Text(collation="C"), "postgresql")


class Id(TypeDecorator[str]):
    """A UUID as its canonical 36 characters in Python; `uuid` on PostgreSQL, TEXT on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the native type, or text if the database has none."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Uuid(as_uuid=False))
        return dialect.type_descriptor(Text())

    @property
    def python_type(self) -> type[str]:
        """The type to which paging converts a text from a cursor."""
        return str


class Instant(TypeDecorator[datetime]):
    """An aware instant in UTC, to the microsecond; TEXT in RFC 3339 form on SQLite, which sorts by time."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the native type, or text if the database has none."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(Text())

    @property
    def python_type(self) -> type[datetime]:
        """The type to which paging converts a text from a cursor."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert an instant for the database. Raises ValueError if it has no time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value if dialect.name == "postgresql" else instant_text(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Return the function that makes an aware datetime of what the database returns."""
        return _make_aware if dialect.name == "postgresql" else _parse_stored


def _make_aware(value: datetime | None) -> datetime | None:
    # PostgreSQL's driver stores the last microsecond of the year 9999 as `infinity`, and returns it without a zone.
    return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


def _parse_stored(value: str | None) -> datetime | None:
    return None if value is None else parse_instant(value)


def instant_as_text(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return SQL that computes `instant_text` of a column of the type Instant."""
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    return type_coerce(column, Text)
