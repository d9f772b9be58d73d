"""Errors that the user can fix, and how the command line shows them."""

from sqlalchemy.exc import SQLAlchemyError

from app.cli.wording import describe_unreadable_file
from app.domain.errors import InvalidValue
from app.imports.errors import UnreadableCsv
from app.organizations.errors import SlugTaken
from app.platform.schema import SchemaMismatch


class Failure(Exception):
    """An error that the user can fix. The message is shown without a traceback."""


def explain(error: Exception) -> str | None:
    """Return what went wrong, in one line, or None if it is a bug."""
    if isinstance(error, (Failure, InvalidValue, SlugTaken, SchemaMismatch)):
        return str(error)
    if isinstance(error, UnreadableCsv):
        return describe_unreadable_file(error)
    if isinstance(error, SQLAlchemyError):
        reason = getattr(error, "orig", None) or error
        return f"cannot use the database: {reason}. Check ROLLCALL_DATABASE_URL, and that the database is running."
    if isinstance(error, OSError):
        return f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error)
    return None
