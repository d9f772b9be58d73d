"""The orders of lists of learners, and the positions in them that cursors hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, literal, literal_column, select, tuple_

from app.learners.tables import learners
from app.platform.instants import instant_text

# What a list can be sorted by. The last column is unique in an organization.
_COLUMNS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "username": (learners.c.username_key,),
    "last_name": (learners.c.last_name_key, learners.c.id),
    "created_at": (learners.c.id,),
    "updated_at": (learners.c.updated_at, learners.c.id),
    "expires_on": (learners.c.expires_key, learners.c.id),
}
_PARSERS: dict[type, Callable[[str], Any]] = {
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    str: str,
}
# SQLite's number of a row. It orders learners with equal values, because the indexes have it anyway. A cursor holds the
# id all the same, so that it stays valid if the operator copies the database.
_ROWID: ColumnElement[Any] = literal_column("learners.rowid", Integer)

SORTS = tuple(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of learners: `username`, `last_name`, `created_at`, `updated_at` or `expires_on`."""

    key: str
    is_descending: bool = False

    @property
    def columns(self) -> tuple[ColumnElement[Any], ...]:
        """The columns that make the order. The last one is unique in an organization."""
        return _COLUMNS[self.key]

    def list_index_columns(
        self, columns: Sequence[ColumnElement[Any]], dialect: str
    ) -> tuple[ColumnElement[Any], ...]:
        """Return the columns of the index that holds the order of `columns`."""
        has_rowid = dialect == "sqlite" and len(columns) > 1
        return (*columns[:-1], _ROWID) if has_rowid else tuple(columns)

    def order_by(self, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """Return these columns, ascending or descending."""
        return [column.desc() if self.is_descending else column.asc() for column in columns]

    def is_beyond(
        self, columns: Sequence[ColumnElement[Any]], position: Sequence[Any]
    ) -> ColumnElement[bool]:
        """Return whether the row comes after `position` in this order."""
        here: ColumnElement[Any] = columns[0] if len(columns) == 1 else tuple_(*columns)
        values = [
            value if isinstance(value, ColumnElement) else literal(value, column.type)
            for column, value in zip(columns, position, strict=True)
        ]
        there: ColumnElement[Any] = values[0] if len(values) == 1 else tuple_(*values)
        return here < there if self.is_descending else here > there

    def list_ranges(
        self, columns: Sequence[ColumnElement[Any]], position: Sequence[Any]
    ) -> list[ColumnElement[bool]]:
        """Return the ranges of an index that come after `position`, in this order.

        There is more than one if the last of the columns is SQLite's number of a row: SQLite does not seek such a pair.
        """
        if columns[-1] is not _ROWID:
            return [self.is_beyond(columns, position)]
        first, last = columns
        return [
            and_(first == position[0], self.is_beyond([last], position[1:])),
            self.is_beyond([first], position[:1]),
        ]

    def parse_position(self, texts: Sequence[str]) -> list[Any]:
        """Return the position that `write_position` wrote. Raises ValueError for any other text."""
        return [
            _PARSERS[column.type.python_type](text) for column, text in zip(self.columns, texts, strict=True)
        ]


def find_index_position(
    columns: Sequence[ColumnElement[Any]], organization_id: int, position: Sequence[Any]
) -> list[Any]:
    """Return a position of a cursor as values of the index's columns."""
    if columns[-1] is not _ROWID:
        return list(position)
    *first, learner_id = position
    placed = learners.alias("placed")
    number = (
        select(literal_column("placed.rowid", Integer))
        .select_from(placed)
        .where(placed.c.organization_id == organization_id, placed.c.id == learner_id)
    )
    return [*first, number.scalar_subquery()]


def parse_sort(text: str) -> Sort:
    """Return the order that a key names, descending if it begins with `-`."""
    return Sort(text.removeprefix("-"), is_descending=text.startswith("-"))


def write_position(position: Sequence[Any]) -> list[str]:
    """Return a position as texts."""
    return [_write(value) for value in position]


def _write(value: Any) -> str:
    if isinstance(value, datetime):
        return instant_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)
