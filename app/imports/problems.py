"""The problems of imports: of the file as a whole, and of single rows."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.imports.reader import IncompleteFeed, UnreadableCsv
from app.platform.problems import Problem, ProblemType, Translations, define_problem, illustrate


class UnreadableMembers(BaseModel):
    """What `unreadable-csv` tells besides."""

    line: Annotated[int | None, Field(description="Where; null where it is no matter of one line.")]


class IncompleteMembers(BaseModel):
    """What `incomplete-feed` tells besides."""

    line: Annotated[int | None, Field(description="Where; null where it is no matter of one line.")] = None
    row_count: Annotated[int | None, Field(description="How many rows do not tell whose they are.")] = None


class DeactivationMembers(BaseModel):
    """What `too-many-deactivations` tells besides."""

    deactivation_count: Annotated[int, Field(description="How many learners would be deactivated.")]
    allowed_count: Annotated[int, Field(description="How many may be.")]
    max_deactivations: Annotated[str, Field(description="The limit, as it was given.")]


UNREADABLE_CSV = define_problem(
    "unreadable-csv",
    422,
    "The file cannot be read as a roster",
    "Nothing was imported. The detail tells what was found, and `line` where. A roster is a CSV file whose first "
    "line names its columns, Username or External ID among them.",
    UnreadableMembers,
)
INCOMPLETE_FEED = define_problem(
    "incomplete-feed",
    422,
    "The file may not name everybody",
    "With `missing=deactivate`, learners without a row would be deactivated. But the file does not end with a line "
    "break, or ends within a quoted cell, as one does that was cut off; or it has rows that do not tell whose they "
    "are. So nothing was done. Send the whole file, mend the rows (`row_count` of them, the first on `line`), or "
    "import it with `missing=keep`.",
    IncompleteMembers,
)
TOO_MANY_DEACTIVATIONS = define_problem(
    "too-many-deactivations",
    409,
    "More learners would be deactivated than may be",
    "The import would deactivate `deactivation_count` learners, and its limit `max_deactivations` allows "
    "`allowed_count`, so nothing was done; the operation's outcomes show what would have been. Look whether the file "
    "is the right one and whole; if this is meant, send it again with a `max_deactivations` that allows it.",
    DeactivationMembers,
)


def _row_problem(code: str, title: str, explanation: str, status: int = 422) -> ProblemType:
    return define_problem(code, status, title, f"{explanation} Nothing of this row was applied.")


_ACTIVE = "Active takes Yes (activate), No (deactivate), or nothing (leave as it is); anything else is never guessed."
WRONG_NUMBER_OF_CELLS = _row_problem(
    "wrong-number-of-cells",
    "The row has more or fewer cells than the header",
    "Often a comma inside a cell that is not in quotes. In a report that is sent back it stays out: put each cell "
    "into its column, and empty its cell Problem to apply it.",
)
MISSING_KEY = _row_problem("missing-key", "The row names nobody", "A row needs a Username or an External ID.")
MISSING_USERNAME = _row_problem(
    "missing-username",
    "A new learner needs a username",
    "The External ID is not known, so the row would create a learner, who needs a Username.",
)
INVALID_ACTIVE = _row_problem("invalid-active", "Active is neither Yes nor No", _ACTIVE)
INVALID_DATE = _row_problem(
    "invalid-date",
    "The expiration date is no date",
    "Dates are YYYY-MM-DD, or as the import's `date_format` says; the word `never` clears the date.",
)
INVALID_USERNAME = _row_problem(
    "invalid-username",
    "The username cannot be one",
    "A username is 1 to 255 characters without control characters and invisible ones.",
)
INVALID_EXTERNAL_ID = _row_problem(
    "invalid-external-id",
    "The external id cannot be one",
    "An external id is 1 to 255 characters without control characters.",
)
INVALID_EMAIL = _row_problem(
    "invalid-email", "The email address cannot be one", "It looks like name@example.org."
)
INVALID_NAME = _row_problem(
    "invalid-name", "The name cannot be one", "A name is 1 to 255 characters without control characters."
)
IDENTITY_CONFLICT = _row_problem(
    "identity-conflict",
    "Username and External ID name two learners",
    "The External ID finds one learner and the Username another.",
)
DUPLICATE_ROW = _row_problem(
    "duplicate-row",
    "The learner stands in the file already",
    "The first row of a learner counts; this one is a later one. In a report that is sent back it stays one: delete "
    "the row, or empty its cell Problem to apply it.",
)
DEACTIVATED_BY_HAND = _row_problem(
    "deactivated-by-hand",
    "A person deactivated this learner",
    "The import has `protect_manual=true`, so that a feed does not undo what a person did.",
    status=409,
)


def _unreadable(error: UnreadableCsv) -> Problem:
    return Problem(UNREADABLE_CSV, error.detail, members={"line": error.line})


def _incomplete(error: IncompleteFeed) -> Problem:
    return Problem(INCOMPLETE_FEED, error.detail, members={"line": error.line})


TRANSLATIONS: Translations = {UnreadableCsv: _unreadable, IncompleteFeed: _incomplete}

illustrate(
    _unreadable(
        UnreadableCsv(
            "The header on line 1 has neither a column Username nor a column External ID. It has: 'Name', 'Active'.",
            line=1,
        )
    )
)
