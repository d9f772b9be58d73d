"""Structured logs on stderr: one event per line, with the request id and without personal data.

Queries, bodies and credentials are never logged. A path is logged as its template.
"""

import errno
import logging
import sys
import traceback
from types import TracebackType
from typing import Any

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure_logging(log_format: str, level: str) -> None:
    """Send the lines of the service and of every library through one renderer: `json`, `console` or `auto`."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer = [
        structlog.processors.ExceptionRenderer(_describe),
        # The default formatter prints local variables, and so bodies, names and credentials.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # At debug level, libraries log the values in their statements, which can be personal data.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level.upper()]))
    logging.getLogger("rollcall").setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # The service's own line for each request says more, without personal data.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _describe(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Return the traceback, class and code of an exception and its causes. Messages can quote personal data."""
    error: BaseException | None = exc_info[1]
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(
        "".join(traceback.format_tb(each.__traceback__)) + _kind(each) for each in reversed(chain)
    )


def _kind(error: BaseException) -> str:
    """Return the class of an exception, with the code of the database or system, such as SQLITE_FULL or ENOSPC."""
    cause = getattr(error, "orig", error)  # SQLAlchemy wraps the driver's error
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    if isinstance(error, OSError) and error.errno is not None:
        code = errno.errorcode.get(error.errno)
    return f"{type(error).__module__}.{type(error).__qualname__}" + (f" ({code})" if code else "")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger. Keyword arguments become members of the line."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
