"""The orders of lists of learners, and the positions in them that cursors hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, tuple_

from app.learners.tables import learners
from app.platform.instants import instant_text

# What a list can be sorted by: the columns of the index that holds that order.
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

    def order_by(self, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """Return these columns, ascending or descending."""
        return [column.desc() if self.is_descending else column.asc() for column in columns]

    def is_beyond(
        self, columns: Sequence[ColumnElement[Any]], position: Sequence[Any]
    ) -> ColumnElement[bool]:
        """Return whether the row comes after `position` in this order."""
        here: ColumnElement[Any] = columns[0] if len(columns) == 1 else tuple_(*columns)
        there = position[0] if len(columns) == 1 else tuple(position)
        return here < there if self.is_descending else here > there

    def parse_position(self, texts: Sequence[str]) -> list[Any]:
        """Return the position that `write_position` wrote. Raises ValueError for any other text."""
        return [
            _PARSERS[column.type.python_type](text) for column, text in zip(self.columns, texts, strict=True)
        ]


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
