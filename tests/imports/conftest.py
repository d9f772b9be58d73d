"""What the tests of imports share: databases of their own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.databases import KINDS, create_database
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
