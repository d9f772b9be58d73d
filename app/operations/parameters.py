"""What each kind of operation was asked to do, and how it is stored as JSON.

Rows that an earlier version has stored stay readable: a missing member has its default, an unknown one is ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class BulkActionParameters:
    """What a bulk action needs besides its action; the learners are in the chunks."""

    # The expiration date to set, None = never expires.
    expires_on: date | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` has made."""
        expires_on = document.get("expires_on")
        return cls(None if expires_on is None else date.fromisoformat(expires_on))

    def to_document(self) -> dict[str, Any]:
        """Return the parameters as JSON."""
        return {"expires_on": None if self.expires_on is None else self.expires_on.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportParameters:
    """What was asked of an import, whatever its rows are written in."""

    create: bool = True
    rekey: bool = False
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
        known = {name: document[name] for name in cls.__dataclass_fields__.keys() & document.keys()}
        return cls(**known)

    def to_document(self) -> dict[str, Any]:
        """Return the parameters as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvImportParameters(ImportParameters):
    """How the file of an import is written, and what was asked for."""

    header: Sequence[str]
    # The index in the header of each column that an import knows, by the column's name.
    columns: Mapping[str, int]
    delimiter: str = ","
    encoding: str = "utf-8"
    has_mark: bool = False
    # The value of a DateFormat.
    date_format: str = "iso"
    # The value of an EmptyCells.
    empty: str = "keep"
    # Whether an External ID such as 123.0 is a number that a spreadsheet has written.
    has_whole_ids: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonImportParameters(ImportParameters):
    """What was asked of an import of JSON rows."""


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


Parameters = BulkActionParameters | ImportParameters | RevertParameters
