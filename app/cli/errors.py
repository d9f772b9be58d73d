"""What the user can mend, and how it is said."""

from pydantic_core import ErrorDetails


class Failure(Exception):
    """Something that the user can mend; the message is shown without a traceback."""


def sentence(error: ErrorDetails) -> str:
    """What pydantic found wrong, in the words of whoever wrote the check."""
    return error["msg"].removeprefix("Value error, ")
