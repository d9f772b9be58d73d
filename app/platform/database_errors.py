"""What a database error means for the work that met it."""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

# PostgreSQL's codes for a serialization failure, a deadlock and a unique violation.
_LOST_RACES = frozenset({"40001", "40P01", "23505"})
# PostgreSQL's classes for broken connections, exhausted resources, and starting up or shutting down.
_UNAVAILABLE_CLASSES = frozenset({"08", "53", "57"})


def lost_a_race(error: Exception) -> bool:
    """Return whether another transaction got in the way, so that the same work may succeed when run again."""
    return _sqlstate(error) in _LOST_RACES


def is_unavailable(error: BaseException) -> bool:
    """Return whether the database is unreachable, locked or full, so that the same work may succeed later."""
    if isinstance(error, OperationalError | InterfaceError | ConnectionError | TimeoutError):
        return True
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or _sqlstate(error)[:2] in _UNAVAILABLE_CLASSES
    )


def _sqlstate(error: BaseException) -> str:
    """Return the code that PostgreSQL's driver gave, or an empty text."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
