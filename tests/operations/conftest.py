"""What the tests of operations share: chunks of a size that they can fill, a second process, and the log."""

from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from app.platform.database import Database
from tests.support.logs import Logs
from tests.support.runners import CHUNK
from tests.support.service import Service


@pytest.fixture
async def second_database(service: Service) -> AsyncIterator[Database]:
    """The same database as another process sees it."""
    database = Database(service.url)
    yield database
    await database.close()


@pytest.fixture
def logged() -> Iterator[Logs]:
    """The lines of the log, kept as they are: to render a traceback with all its locals takes seconds."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def chunk_sizes(service: Service) -> None:
    service.limit(chunk_rows=CHUNK)
