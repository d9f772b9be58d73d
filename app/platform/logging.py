"""Structured logs on stderr: one event a line, with the request's id, and no personal data.

Queries, bodies and credentials are never logged; a path is logged as its template.
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
    """Send our lines and those of every library through one renderer: `json`, `console` or `auto`."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer = [
        structlog.processors.ExceptionRenderer(_describe),
        # The default formatter would print local variables: bodies, names and credentials.
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
    # Libraries say at debug what they bind to their statements, which is what people sent.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level.upper()]))
    logging.getLogger("rollcall").setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # Our own line for each request says more, and nothing personal.
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
    """Where an exception came from, its kind and code and those of its causes; messages quote what people sent."""
    error: BaseException | None = exc_info[1]
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(
        "".join(traceback.format_tb(each.__traceback__)) + _kind(each) for each in reversed(chain)
    )


def _kind(error: BaseException) -> str:
    """Its class, with the code by which a database or the system says what it was, such as SQLITE_FULL or ENOSPC."""
    said = getattr(error, "orig", error)  # by the driver, where SQLAlchemy has wrapped it
    code = getattr(said, "sqlite_errorname", None) or getattr(said, "sqlstate", None)
    if isinstance(error, OSError) and error.errno is not None:
        code = errno.errorcode.get(error.errno)
    return f"{type(error).__module__}.{type(error).__qualname__}" + (f" ({code})" if code else "")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose keyword arguments become members of the line."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
