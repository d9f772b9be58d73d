"""The problems of imports, of the whole file and of single rows, and how the facts in `errors` become them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.imports.errors import (
    CellReason,
    DeactivatedByOthers,
    DuplicateRow,
    ExpiredRow,
    GuardReason,
    GuessedEncoding,
    IdentityConflict,
    IncompleteFeed,
    InvalidCell,
    MissingKey,
    MissingUsername,
    NameTakenByRow,
    NoRoomForUpload,
    NoRows,
    NotAnObject,
    OtherExternalId,
    RepeatedHeader,
    ReportedDuplicate,
    ReportedWrongNumber,
    RowReason,
    TooLittleDisk,
    TooManyDeactivations,
    TooManyUploads,
    UnclearColumns,
    UnidentifiedRows,
    UnknownLearner,
    UnknownMember,
    UnreadableCsv,
    UnreadableForm,
    UnreadableJson,
    UploadTooSlow,
    WrongNumberOfCells,
)
from app.learners.fields import ACTIVE, ROSTER_COLUMNS
from app.learners.problems import LEARNER_EXPIRED
from app.platform.problems import (
    CATALOGUE,
    INVALID_REQUEST,
    NOT_FOUND,
    OVERLOADED,
    RATE_LIMITED,
    REQUEST_TIMEOUT,
    Problem,
    ProblemType,
    Translations,
    define_problem,
    illustrate,
)

# How much of a name that was sent a sentence shows.
_LONGEST_QUOTE = 40


class UnreadableMembers(BaseModel):
    """The additional members of `unreadable-csv`."""

    line: Annotated[int | None, Field(description="The line, or null if the problem is not on one line.")]


class IncompleteMembers(BaseModel):
    """The additional members of `incomplete-feed`."""

    line: Annotated[int | None, Field(description="The line, or null if the problem is not on one line.")] = (
        None
    )
    row_count: Annotated[
        int | None, Field(description="How many rows do not say which learner they are about.")
    ] = None


class DeactivationMembers(BaseModel):
    """The additional members of `too-many-deactivations`."""

    deactivation_count: Annotated[int, Field(description="How many learners would be deactivated.")]
    allowed_count: Annotated[int, Field(description="How many may be deactivated.")]
    max_deactivations: Annotated[str, Field(description="The limit: a number or a percentage.")]


UNREADABLE_CSV = define_problem(
    "unreadable-csv",
    422,
    "The file cannot be read as a roster",
    "Nothing was imported. `detail` says what is wrong, and `line` says where. A roster is a CSV file. Its first line "
    "names the columns, including Username or External ID.",
    UnreadableMembers,
)
UNREADABLE_JSON = define_problem(
    "unreadable-json",
    422,
    "The file cannot be read as JSON",
    "Nothing was imported. `detail` says what is wrong, and `line` says where. Send a document "
    '`{"learners": [{"username": "a.okafor"}, …]}`, or NDJSON: one object on each line, with '
    "`Content-Type: application/x-ndjson`. Both are UTF-8.",
    UnreadableMembers,
)
INCOMPLETE_FEED = define_problem(
    "incomplete-feed",
    422,
    "The file may be incomplete",
    "With `missing=deactivate`, learners that the file does not list are deactivated, so the file must be "
    "complete. This file ends without a line break or inside a quoted cell. Or some rows do not say which "
    "learner they are about: `row_count` rows, the first on `line`. Nothing was changed. Send the whole file, "
    "correct the rows, or use `missing=keep`.",
    IncompleteMembers,
)
UNCONFIRMED_ENCODING = define_problem(
    "unconfirmed-encoding",
    422,
    "The encoding of the file must be confirmed",
    "The file does not say how it is encoded, so its encoding was guessed. With the guess the import would change "
    "stored names or emails that have other letters than A to Z. Nothing was changed. Send the file again with "
    "`encoding=`.",
    IncompleteMembers,
)
TOO_MANY_DEACTIVATIONS = define_problem(
    "too-many-deactivations",
    409,
    "Too many learners would be deactivated",
    "The import would deactivate `deactivation_count` learners, but its limit `max_deactivations` allows only "
    "`allowed_count`. Nothing was changed. The outcomes of the operation show what would have happened. Check that you "
    "sent the right file, and all of it. To apply it anyway, send it again with a higher `max_deactivations`.",
    DeactivationMembers,
)


def _row_problem(code: str, title: str, explanation: str, status: int = 422) -> ProblemType:
    return define_problem(code, status, title, f"{explanation} The row was not applied.")


WRONG_NUMBER_OF_CELLS = _row_problem(
    "wrong-number-of-cells",
    "The row has more or fewer cells than the header",
    "Usually a cell contains the delimiter but is not in quotes. Put such a cell in quotes. If you correct a "
    "report and send it back, put each cell into its column and empty the Problem cell.",
)
MISSING_KEY = _row_problem(
    "missing-key",
    "The row does not say which learner it is about",
    "A row needs a Username or an External ID.",
)
NOT_AN_OBJECT = _row_problem(
    "not-an-object",
    "The row is not an object",
    'Write each learner as a JSON object, such as {"username": "a.okafor", "active": false}.',
)
UNKNOWN_MEMBER = _row_problem(
    "unknown-member",
    "The row has an unknown member",
    "The members of a learner are username, external_id, email, first_name, last_name, active and expires_on. The "
    "status cannot be set: use active or expires_on.",
)
REPEATED_HEADER = _row_problem(
    "repeated-header",
    "The row is the header again",
    "Its cells are the names of the columns, as where two files were joined. Delete the row.",
)
MISSING_USERNAME = _row_problem(
    "missing-username",
    "A new learner needs a username",
    "No learner has this External ID, so the row would create one. A new learner needs a Username.",
)
INVALID_ACTIVE = _row_problem(
    "invalid-active",
    "Active is neither Yes nor No",
    "Use Yes (activate), No (deactivate) or an empty cell (keep the status). No other word is accepted.",
)
INVALID_DATE = _row_problem(
    "invalid-date",
    "The expiration date is not valid",
    "Write dates as YYYY-MM-DD, or as the import's `date_format` says. The word `never` removes the date.",
)
INVALID_USERNAME = _row_problem(
    "invalid-username",
    "The username is not valid",
    "Use 1 to 255 visible characters, without quotation marks around them. Remove the character that is named.",
)
INVALID_EXTERNAL_ID = _row_problem(
    "invalid-external-id",
    "The external id is not valid",
    "Use 1 to 255 visible characters, without quotation marks around them. If a spreadsheet has shortened the id, such "
    "as 1.23457E+11, format the column as text and enter the ids again.",
)
INVALID_EMAIL = _row_problem(
    "invalid-email",
    "The email address is not valid",
    "Write it like name@example.org, without mailto: and invisible characters.",
)
INVALID_NAME = _row_problem(
    "invalid-name",
    "The name is not valid",
    "Use 1 to 255 characters, without control characters, and without quotation marks around them.",
)
IDENTITY_CONFLICT = _row_problem(
    "identity-conflict",
    "Username and External ID belong to two learners",
    "One learner has the External ID of this row, and another has its Username. Or another row of the file gets the "
    "name. "
    "A name may be handed on in one file, if it has one holder in the end. To give a learner another External ID by "
    "their username, use `rekey=true`.",
)
DUPLICATE_ROW = _row_problem(
    "duplicate-row",
    "The file has an earlier row for this learner",
    "Only the first row of a learner is used. If you correct a report and send it back, delete this row, or empty its "
    "Problem cell to apply it.",
)
DEACTIVATED_BY_HAND = _row_problem(
    "deactivated-by-hand",
    "Someone else deactivated this learner",
    "With `protect_manual=true`, an import does not activate learners whose last deactivation was not made by its "
    "own API "
    "key. To restore access, activate the learner yourself.",
    status=409,
)


def _unreadable(error: UnreadableCsv) -> Problem:
    return Problem(UNREADABLE_CSV, error.detail, members={"line": error.line})


def _unreadable_json(error: UnreadableJson) -> Problem:
    return Problem(UNREADABLE_JSON, error.detail, members={"line": error.line})


def _unclear_columns(error: UnclearColumns) -> Problem:
    query = "&".join(f"ignore_columns={name}" for name in error.names)
    what = "this column" if len(error.names) == 1 else "these columns"
    return Problem(
        UNREADABLE_CSV,
        f"{error.detail} Or ignore {what}: send {query}.",
        members={"line": error.line},
    )


def _no_rows(error: NoRows) -> Problem:
    return Problem(
        UNREADABLE_CSV,
        f"{error.detail} With missing=deactivate, every learner would be missing. Send the whole file.",
        members={"line": None},
    )


def _incomplete(error: IncompleteFeed) -> Problem:
    return Problem(
        INCOMPLETE_FEED,
        f"{error.detail} With missing=deactivate, the file must be complete. Send the whole file, or use missing=keep.",
        members={"line": error.line},
    )


_RETRY_UPLOAD = {"Retry-After": "5"}


def _too_many_uploads(error: TooManyUploads) -> Problem:
    whose = "Your organization" if error.of_organization else "This process"
    detail = f"{whose} is already receiving {error.allowed} files. Wait until one of them is complete."
    return Problem(_kind_of_limit(error), detail, headers=_RETRY_UPLOAD)


def _no_room(error: NoRoomForUpload) -> Problem:
    whose = "your organization sends" if error.of_organization else "this process receives"
    detail = (
        f"The files that {whose} at once are too large together. Send this file when others are complete."
    )
    return Problem(_kind_of_limit(error), detail, headers=_RETRY_UPLOAD)


def _kind_of_limit(error: TooManyUploads | NoRoomForUpload) -> ProblemType:
    return RATE_LIMITED if error.of_organization else OVERLOADED


def _too_little_disk(_error: TooLittleDisk) -> Problem:
    detail = "The service has too little disk space for this file. Try again later, or tell the operator."
    return Problem(OVERLOADED, detail, headers={"Retry-After": "60"})


def _too_slow(_error: UploadTooSlow) -> Problem:
    detail = (
        "The file did not come in fast enough. Nothing was changed. Send it again over a better connection."
    )
    return Problem(REQUEST_TIMEOUT, detail, headers={"Connection": "close"})


def _unreadable_form(error: UnreadableForm) -> Problem:
    if error.parts is None:
        detail = "The form cannot be read. Send one part, named 'file', as multipart/form-data."
        return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "", "detail": detail}])
    found = ", ".join(repr(name[:_LONGEST_QUOTE]) for name in error.parts)
    detail = f"Send exactly one part, named 'file'. Found: {found}. Send options as query parameters."
    return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "/file", "detail": detail}])


TRANSLATIONS: Translations = {
    UnreadableCsv: _unreadable,
    UnreadableJson: _unreadable_json,
    UnclearColumns: _unclear_columns,
    NoRows: _no_rows,
    IncompleteFeed: _incomplete,
    TooManyUploads: _too_many_uploads,
    NoRoomForUpload: _no_room,
    TooLittleDisk: _too_little_disk,
    UploadTooSlow: _too_slow,
    UnreadableForm: _unreadable_form,
}


def describe_row(reason: RowReason) -> Mapping[str, Any]:
    """Return the problem document that the outcome of a row stores, in the words of a file."""
    return _row_problem_of(reason).document()


def _row_problem_of(reason: RowReason) -> Problem:
    match reason:
        case DuplicateRow(first_line):
            detail = f"Line {first_line} already has this learner. Only the first row is used."
            return Problem(DUPLICATE_ROW, detail, members={"first_line": first_line})
        case IdentityConflict(external_id, username):
            detail = (
                f"External ID {external_id!r} and Username {username!r} belong to two different learners. "
                "Correct one of them."
            )
            return Problem(IDENTITY_CONFLICT, detail)
        case UnknownLearner():
            return Problem(
                NOT_FOUND, "No such learner exists, and this import does not create learners. Check the row."
            )
        case MissingUsername(external_id):
            detail = f"No learner has the External ID {external_id!r}. Fill in Username to create one."
            return Problem(MISSING_USERNAME, detail)
        case OtherExternalId(username, external_id):
            detail = (
                f"Username {username!r} belongs to a learner with another External ID than {external_id!r}. Correct "
                "one of "
                "them, or use rekey=true to give that learner the new External ID."
            )
            return Problem(IDENTITY_CONFLICT, detail)
        case NameTakenByRow(column, value, first_line):
            detail = (
                f"Line {first_line} gives the {column} {value!r} to another learner. Correct one of the rows."
            )
            return Problem(IDENTITY_CONFLICT, detail, members={"first_line": first_line, "column": column})
        case DeactivatedByOthers():
            detail = "Someone else deactivated this learner. This import does not undo that. Activate them yourself."
            return Problem(DEACTIVATED_BY_HAND, detail, members={"column": ACTIVE.title})
        case ExpiredRow():
            return _expired_row(reason)
        case _:
            return _cell_problem_of(reason)


def _expired_row(reason: ExpiredRow) -> Problem:
    day = reason.expired.expires_on.isoformat()
    if reason.is_new:
        detail = f"Expiration Date {day} has passed, so a new learner cannot be activated. Write today or a later day."
    else:
        detail = (
            f"The account expired after {day}. Write today, a later day or the word never in Expiration Date."
        )
    return Problem(
        LEARNER_EXPIRED,
        detail,
        members={
            "expires_on": day,
            "restores_to": reason.expired.restores_to.value,
            "column": ACTIVE.title,
        },
    )


_CELL_PROBLEMS = {column.name: CATALOGUE[column.problem] for column in ROSTER_COLUMNS}


def _cell_problem_of(reason: CellReason) -> Problem:
    match reason:
        case WrongNumberOfCells(cells, columns):
            detail = (
                f"Cells in the row: {cells}. Columns in the header: {columns}. Put a cell that contains the delimiter "
                "in quotes."
            )
            return Problem(WRONG_NUMBER_OF_CELLS, detail)
        case MissingKey():
            return Problem(MISSING_KEY, "The row has no Username and no External ID. Fill in one of them.")
        case InvalidCell(field, column, detail):
            return Problem(_CELL_PROBLEMS[field], detail, members={"column": column})
        case NotAnObject():
            return Problem(NOT_AN_OBJECT, "The row is not a JSON object. Write each learner as an object.")
        case UnknownMember(member):
            return _unknown_member(member)
        case RepeatedHeader():
            return Problem(REPEATED_HEADER, "The row is the header again. Delete it.")
        case ReportedWrongNumber(column):
            detail = (
                "An earlier import found too few or too many cells in this row. Put each cell into its column, then "
                f"empty the cell in the column {column}."
            )
            return Problem(WRONG_NUMBER_OF_CELLS, detail, members={"column": column})
        case ReportedDuplicate(column):
            detail = (
                "An earlier import found a row for the same learner above this one. Delete this row. To apply "
                f"it, empty its cell in the column {column}."
            )
            return Problem(DUPLICATE_ROW, detail, members={"column": column})


def _unknown_member(member: str) -> Problem:
    if member == "status":
        detail = "You cannot set the status. Send active or expires_on instead."
    else:
        shown = member if len(member) <= _LONGEST_QUOTE else f"{member[:_LONGEST_QUOTE]}…"
        detail = f"Unknown member {shown!r}. Check the spelling, or leave it out."
    return Problem(UNKNOWN_MEMBER, detail)


def describe_guard(reason: GuardReason) -> Mapping[str, Any]:
    """Return the problem document of an import that a guard has stopped."""
    return _guard_problem(reason).document()


def _guard_problem(reason: GuardReason) -> Problem:
    if isinstance(reason, UnidentifiedRows):
        return _unidentified_rows(reason)
    if isinstance(reason, GuessedEncoding):
        return _guessed_encoding(reason)
    return _too_many_deactivations(reason)


def _guessed_encoding(reason: GuessedEncoding) -> Problem:
    return Problem(
        UNCONFIRMED_ENCODING,
        f"The file does not say how it is encoded, and the guess would change the texts of {reason.row_count:,} "
        f"learners, the first on line {reason.first_line}. Nothing was changed. Look at the changes. If the names are "
        "right, send the file again with the encoding that the warning names, otherwise with its real encoding.",
        members={"line": reason.first_line, "row_count": reason.row_count},
    )


def warn_of_deactivations(row_count: int, first_line: int | None) -> Mapping[str, str]:
    """Return the warning that learners keep access although their rows say No."""
    where = "" if first_line is None else f" The first is on line {first_line}."
    return {
        "code": "deactivations-not-applied",
        "detail": f"Rows with Active=No that were not applied: {row_count:,}. Their learners may keep access.{where}",
    }


def _unidentified_rows(reason: UnidentifiedRows) -> Problem:
    if reason.row_count == 1:
        what = f"Line {reason.first_line} does not say which learner it is about."
    else:
        what = (
            f"{reason.row_count:,} rows do not say which learner they are about. The first is on line "
            f"{reason.first_line}."
        )
    return Problem(
        INCOMPLETE_FEED,
        f"{what} So Rollcall cannot tell which learners are missing. Nothing was changed. Correct the file, or use "
        "missing=keep.",
        members={"line": reason.first_line, "row_count": reason.row_count},
    )


def _too_many_deactivations(reason: TooManyDeactivations) -> Problem:
    share = ""
    if reason.limit.endswith("%"):
        share = f" ({reason.limit} of the {reason.not_deactivated:,} learners who are not deactivated)"
    return Problem(
        TOO_MANY_DEACTIVATIONS,
        f"This would deactivate {reason.total:,} learners{_causes_of(reason)}. The limit is {reason.allowed:,}{share}. "
        f"Nothing was changed. To apply it anyway, send the file with max_deactivations={reason.total}.",
        members={
            "deactivation_count": reason.total,
            "allowed_count": reason.allowed,
            "max_deactivations": reason.limit,
        },
    )


def _causes_of(reason: TooManyDeactivations) -> str:
    if not reason.missing:
        return " by their rows"
    if not reason.by_row:
        return " because the file does not list them"
    return f": {reason.by_row:,} by their rows, {reason.missing:,} because the file does not list them"


illustrate(
    _unreadable(
        UnreadableCsv(
            "The header on line 1 has no column Username and no column External ID. It has: 'Name', 'Active'. "
            "Rename one of these, or add a column.",
            line=1,
        )
    )
)
illustrate(_unidentified_rows(UnidentifiedRows(first_line=17, row_count=1)))
illustrate(_too_many_deactivations(TooManyDeactivations(12, 2328, 1800, "20%", 9000)))
illustrate(_too_slow(UploadTooSlow()))
illustrate(
    _unreadable_json(
        UnreadableJson("The JSON is not valid at line 3, column 17. A comma is missing.", line=3)
    )
)
