"""Database URLs: which databases the service can use, and how each driver wants the URL."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_FORMS = "use sqlite:///path/to/rollcall.db or postgresql://user@host/name"


def driver_url(url: str) -> URL:
    """Return the URL with the driver that the service uses. Raises ValueError for any other kind of database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(f"not a database URL: {_FORMS}") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("an SQLite database needs a file: use sqlite:///path/to/rollcall.db")
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        # libpq's name for it; asyncpg calls the same values `ssl`.
        query = {("ssl" if key == "sslmode" else key): value for key, value in parsed.query.items()}
        return parsed.set(drivername="postgresql+asyncpg", query=query)
    raise ValueError(f"{backend} is not a supported database: {_FORMS}")


def libpq_url(url: URL) -> str:
    """Return a PostgreSQL URL from `driver_url` in the form that libpq takes."""
    query = {("sslmode" if key == "ssl" else key): value for key, value in url.query.items()}
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)
