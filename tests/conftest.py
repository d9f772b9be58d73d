"""What the tests share: both databases, the service on each, and an organization of its own for each test."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from app.limits import Limits
from tests.support.databases import KINDS, create_database
from tests.support.memory import find_memory
from tests.support.missing import missing, say_missing
from tests.support.postgres import PostgresMissing, PostgresServer
from tests.support.service import NOON, Api, Service, run_service
from tests.support.tiers import find_tier

# Examples are slow on a busy machine, not wrong; fixtures are made to be shared between them.
settings.register_profile(
    "rollcall",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("rollcall")


def pytest_configure() -> None:
    """Keep the databases of the tests in memory, unless somebody has chosen another folder."""
    if (memory := find_memory()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark each test with its tier, so that `-m unit` selects those that need nothing."""
    for item in items:
        item.add_marker(find_tier(item))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL that only these tests use."""
    try:
        server = PostgresServer()
        server.start()
    except PostgresMissing as error:
        if os.environ.get("CI"):
            raise
        say_missing(f"PostgreSQL: {error}")
        pytest.skip("no PostgreSQL")
    yield server
    server.stop()


@pytest.fixture(scope="session", params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind."""
    return create_database(request, tmp_path_factory)


@pytest.fixture(scope="session")
async def shared_service(
    database_url: str,
    anyio_backend: str,  # noqa: ARG001 - the loop of the session
) -> AsyncIterator[Service]:
    """One service on each database for all tests, which keep to organizations of their own."""
    async with run_service(database_url) as service:
        yield service


@pytest.fixture
async def service(shared_service: Service) -> Service:
    """The shared service, with its clock at noon and the limits of production."""
    shared_service.limits = Limits()
    shared_service.clock.instant = NOON
    return shared_service


@pytest.fixture
async def api(service: Service) -> AsyncIterator[Api]:
    """An administrator of a fresh organization."""
    organization = await service.found_organization()
    async with service.client(await service.issue_key(organization)) as client:
        yield Api(service, organization, client)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was missing: a run without it has not tested everything."""
    for each in missing:
        terminalreporter.section("MISSING: not everything was tested", sep="!", red=True, bold=True)
        terminalreporter.write_line(each)
