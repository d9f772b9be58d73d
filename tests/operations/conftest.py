"""What the tests of operations share: chunks of a size that they can fill, a second process, and the log."""

from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from app.platform.database import Database
from tests.support.databases import KINDS, create_database
from tests.support.logs import Logs
from tests.support.runners import CHUNK
from tests.support.service import Service, run_service


@pytest.fixture(scope="module", params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database for each module: to read all that is stored is slow among much else."""
    return create_database(request, tmp_path_factory)


@pytest.fixture(scope="module")
async def shared_service(
    database_url: str,
    anyio_backend: str,  # noqa: ARG001 - the loop of the session
) -> AsyncIterator[Service]:
    """One service on each database for all tests of a module."""
    async with run_service(database_url) as service:
        yield service


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
