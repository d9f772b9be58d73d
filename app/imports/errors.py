"""What can be wrong with an import, as facts."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import Expired


class UnreadableFile(Exception):
    """The file as a whole is not a roster.

    `detail` is a sentence that says what was found, on which line, and what to do. `line` is that line, counted from
    1, or None if the problem is not on one line. `is_cut_off`: the file ends within a row.
    """

    def __init__(self, detail: str, line: int | None = None, *, is_cut_off: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.is_cut_off = is_cut_off


class UnreadableCsv(UnreadableFile):
    """The file cannot be read as CSV with the columns of a roster."""


class UnreadableJson(UnreadableFile):
    """The file cannot be read as JSON or NDJSON with learners."""


class UnclearColumns(UnreadableCsv):
    """The header has columns that cannot be read. `names` are those that the import could ignore instead."""

    def __init__(self, detail: str, names: tuple[str, ...], line: int) -> None:
        super().__init__(detail, line)
        self.names = names


class NoRows(UnreadableCsv):
    """The file has a header but no rows, so every learner would be missing from it."""

    def __init__(self) -> None:
        super().__init__("The file has a header but no rows.")


class IncompleteFeed(UnreadableCsv):
    """The file may be cut off, so it cannot show which learners are missing."""


class TooManyUploads(Exception):
    """As many uploads as are allowed are still unfinished, in the organization or in the process."""

    def __init__(self, allowed: int, *, of_organization: bool) -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.of_organization = of_organization


class NoRoomForUpload(Exception):
    """The files that are being received or read have as many bytes as allowed, in the organization or the process."""

    def __init__(self, *, of_organization: bool) -> None:
        super().__init__()
        self.of_organization = of_organization


class TooLittleDisk(Exception):
    """The disk for temporary files is nearly full."""


class UploadTooSlow(Exception):
    """The file did not come in fast enough, or stopped coming."""


class UnreadableForm(Exception):
    """A form is broken, or does not have exactly one part, the file.

    `parts` are the names of its parts as far as they were read, or None if it is broken.
    """

    def __init__(self, parts: Sequence[str] | None = None) -> None:
        super().__init__(parts)
        self.parts = parts


@dataclass(frozen=True, slots=True)
class WrongNumberOfCells:
    """The row has more or fewer cells than the header has columns."""

    cells: int
    columns: int


@dataclass(frozen=True, slots=True)
class MissingKey:
    """The row has neither a username nor an external id."""


@dataclass(frozen=True, slots=True)
class InvalidCell:
    """A cell, or a member of JSON, cannot be read; `detail` is a sentence that a person can act on."""

    # The name of the roster column, and its title in the header of this file or the name of the member.
    field: str
    column: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotAnObject:
    """The row is JSON, but not an object."""


@dataclass(frozen=True, slots=True)
class UnknownMember:
    """The row has a member that no learner has, or that cannot be set."""

    member: str


@dataclass(frozen=True, slots=True)
class RepeatedHeader:
    """The cells are the names of the columns again, as where two files were joined."""


@dataclass(frozen=True, slots=True)
class ReportedWrongNumber:
    """An earlier import found a wrong number of cells in the row, as its cell in `column` says."""

    column: str


@dataclass(frozen=True, slots=True)
class ReportedDuplicate:
    """An earlier import found an earlier row of the same learner, as the row's cell in `column` says."""

    column: str


@dataclass(frozen=True, slots=True)
class DuplicateRow:
    """An earlier row of the file is about the same learner."""

    first_line: int


@dataclass(frozen=True, slots=True)
class IdentityConflict:
    """The external id belongs to one learner and the username to another."""

    external_id: str | None
    username: str | None


@dataclass(frozen=True, slots=True)
class UnknownLearner:
    """No such learner exists, and the import does not create learners."""


@dataclass(frozen=True, slots=True)
class MissingUsername:
    """The row would create a learner, who needs a username."""

    external_id: str | None


@dataclass(frozen=True, slots=True)
class OtherExternalId:
    """The username belongs to a learner who has another external id than the row."""

    username: str
    external_id: str | None


@dataclass(frozen=True, slots=True)
class NameTakenByRow:
    """An earlier row gets the username or external id that this row wants."""

    column: str
    value: str
    first_line: int


@dataclass(frozen=True, slots=True)
class DeactivatedByOthers:
    """Someone other than this import's own key deactivated the learner, and the import protects that."""


@dataclass(frozen=True, slots=True)
class ExpiredRow:
    """The row would activate an account that has expired, or that is new and would have expired."""

    expired: Expired
    is_new: bool


# Why a row cannot be read.
CellReason = (
    WrongNumberOfCells
    | MissingKey
    | RepeatedHeader
    | InvalidCell
    | NotAnObject
    | UnknownMember
    | ReportedWrongNumber
    | ReportedDuplicate
)
# Why a row was not applied.
RowReason = (
    CellReason
    | DuplicateRow
    | IdentityConflict
    | UnknownLearner
    | MissingUsername
    | OtherExternalId
    | NameTakenByRow
    | DeactivatedByOthers
    | ExpiredRow
)


@dataclass(frozen=True, slots=True)
class UnidentifiedRows:
    """Rows do not say which learner they are about, so no learner can be called missing from the file."""

    first_line: int
    row_count: int


@dataclass(frozen=True, slots=True)
class TooManyDeactivations:
    """The import would deactivate more learners than its limit allows."""

    by_row: int
    missing: int
    allowed: int
    # The limit that was sent: a number, or a percentage of `not_deactivated` learners.
    limit: str
    not_deactivated: int

    @property
    def total(self) -> int:
        """How many learners would be deactivated."""
        return self.by_row + self.missing


@dataclass(frozen=True, slots=True)
class GuessedEncoding:
    """The encoding was guessed, and would change stored texts that have accents."""

    row_count: int
    first_line: int


# Why an import must not change anything.
GuardReason = UnidentifiedRows | TooManyDeactivations | GuessedEncoding
