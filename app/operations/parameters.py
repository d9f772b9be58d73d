"""What each kind of operation was asked to do, and how it is stored as JSON.

Rows that an earlier version has stored stay readable: a missing member has its default, an unknown one is ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class BulkActionParameters:
    """How the learners of a bulk action were selected; the ids themselves are in the chunks."""

    # The filter as it was sent, or None for a list of ids or usernames.
    filter: Mapping[str, Any] | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` has made."""
        return cls(document.get("selection", {}).get("filter"))

    def to_document(self) -> dict[str, Any]:
        """Return the parameters as JSON."""
        return {"selection": {} if self.filter is None else {"filter": self.filter}}


@dataclass(frozen=True, slots=True)
class CsvImportParameters:
    """How the file of an import is written, and what was asked for."""

    header: tuple[str, ...]
    # The index in the header of each column that an import knows, by the column's name.
    columns: Mapping[str, int]
    delimiter: str = ","
    encoding: str = "utf-8"
    has_mark: bool = False
    # The value of a DateFormat.
    date_format: str = "iso"
    # The value of an EmptyCells.
    empty: str = "keep"
    # The columns that the request named to be ignored, as it spelled them.
    ignore_columns: tuple[str, ...] = ()
    # Whether an External ID such as 123.0 is a number that a spreadsheet has written.
    has_whole_ids: bool = False
    create: bool = True
    protect_manual: bool = False
    # The value of a Missing.
    missing: str = "keep"
    # A number or a percentage; None = no limit, or the organization's if missing learners are deactivated.
    max_deactivations: str | None = None
    # The position of the last event when the import was sent: learners created later are never missing.
    created_until: int = 0

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` has made."""
        names = cls.__dataclass_fields__.keys() & document.keys()
        known = {name: document[name] for name in names}
        created_until = document.get("created_by", 0)
        tuples = {name: tuple(document[name]) for name in ("header", "ignore_columns") if name in document}
        return cls(**{**known, **tuples, "created_until": created_until})

    def to_document(self) -> dict[str, Any]:
        """Return the parameters as JSON."""
        return {
            "header": list(self.header),
            "columns": dict(self.columns),
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "has_mark": self.has_mark,
            "date_format": self.date_format,
            "empty": self.empty,
            "ignore_columns": list(self.ignore_columns),
            "has_whole_ids": self.has_whole_ids,
            "create": self.create,
            "protect_manual": self.protect_manual,
            "missing": self.missing,
            "max_deactivations": self.max_deactivations,
            "created_by": self.created_until,
        }


@dataclass(frozen=True, slots=True)
class RevertParameters:
    """A revert has none: which operation it reverts is a column of its own."""

    @classmethod
    def from_document(cls, _document: Mapping[str, Any]) -> Self:
        """Read what `to_document` has made."""
        return cls()

    def to_document(self) -> dict[str, Any]:
        """Return the parameters as JSON."""
        return {}


Parameters = BulkActionParameters | CsvImportParameters | RevertParameters
