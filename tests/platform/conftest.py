"""Fixtures for the platform's tests: the lines that the service logs."""

import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO

import pytest
import structlog

from app.platform.logging import configure_logging
from tests.support.logs import Lines


@pytest.fixture
def logged() -> Iterator[Lines]:
    """Return the lines logged so far. The logging configuration is restored afterwards."""
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    written = StringIO()
    with redirect_stderr(written):
        configure_logging("json", "debug")
    # The client of the tests logs complete URLs.
    logging.getLogger("httpx").disabled = True
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.getLogger("httpx").disabled = False
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("rollcall").setLevel(logging.NOTSET)
    structlog.configure(**configuration)
