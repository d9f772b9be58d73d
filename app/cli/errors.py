"""What the user can mend, and how it is said."""

from pydantic_core import ErrorDetails
from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import InvalidValue
from app.imports.reader import UnreadableCsv
from app.organizations.errors import SlugTaken
from app.platform.schema import SchemaMismatch


class Failure(Exception):
    """Something that the user can mend; the message is shown without a traceback."""


def explain(error: Exception) -> str | None:
    """What has failed, in one line; None where it is a fault of the program."""
    if isinstance(error, (Failure, InvalidValue, SlugTaken, SchemaMismatch, UnreadableCsv)):
        return str(error)
    if isinstance(error, (SQLAlchemyError, OSError)):
        return f"the database or a file is out of reach: {getattr(error, 'orig', None) or error}"
    return None


def sentence(error: ErrorDetails) -> str:
    """What pydantic found wrong, in the words of whoever wrote the check."""
    return error["msg"].removeprefix("Value error, ")
