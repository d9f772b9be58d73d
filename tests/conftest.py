"""What the tests share: both databases, the service on each, and an organization of its own for each test."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, settings

from app.main import create_app
from app.operations.dependencies import RUNNER
from app.operations.runner import Runner
from app.organizations import service as organization_service
from app.organizations.api_keys import Scope
from app.organizations.organization import Organization
from app.platform import schema
from app.platform.database import Database
from app.platform.dependencies import DATABASE, LIMITS
from app.platform.limits import Limits
from app.settings import Settings
from tests.engines import TaskEngine
from tests.postgres import PostgresMissing, PostgresServer

# Examples are slow on a busy machine, not wrong; fixtures are made to be shared between them.
settings.register_profile(
    "rollcall",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("rollcall")

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
_slugs = count(1)
_missing: list[str] = []


def say_missing(what: str) -> None:
    """Have this said at the end of the run, loudly."""
    _missing.append(what)


@dataclass
class FixedClock:
    """A clock that stands until a test moves it."""

    instant: datetime = NOON

    def now(self) -> datetime:
        return self.instant

    def advance(self, **by: float) -> None:
        """Move on by `timedelta(**by)`."""
        self.instant += timedelta(**by)


@dataclass
class Service:
    """The running service on one database."""

    app: FastAPI
    database: Database
    clock: FixedClock
    url: str

    @property
    def runner(self) -> Runner:
        """What runs the operations in this process."""
        return RUNNER.of(self.app)

    @property
    def limits(self) -> Limits:
        """How much is done at a time."""
        return self.runner.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.runner.limits = LIMITS.put(self.app, limits)

    def limit(self, **changes: Any) -> None:
        """Set some of the limits, for the rest of the test."""
        self.limits = replace(self.limits, **changes)

    @contextmanager
    def limited(self, **changes: Any) -> Iterator[None]:
        """Set some of the limits for a while."""
        before = self.limits
        self.limit(**changes)
        try:
            yield
        finally:
            self.limits = before

    def client(self, secret: str | None = None) -> httpx.AsyncClient:
        """A client with this key, or without any."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url="http://rollcall.test", headers=headers, timeout=60
        )

    async def found_organization(self, time_zone: str = "UTC", slug: str | None = None) -> Organization:
        """A new organization."""
        name = slug or f"org-{next(_slugs)}"
        return await self.database.write(
            lambda connection: organization_service.create_organization(
                connection, name, f"Organization {name}", time_zone, self.clock.now()
            )
        )

    async def issue_key(
        self,
        organization: Organization,
        *scopes: Scope,
        name: str = "test",
        expires_at: datetime | None = None,
    ) -> str:
        """The secret of a new key; admin without scopes."""
        wanted = list(scopes) or [Scope.ADMIN]
        _, secret = await self.database.write(
            lambda connection: organization_service.issue_key(
                connection, organization, name, wanted, expires_at, self.clock.now()
            )
        )
        return secret


@dataclass
class Api:
    """An administrator of an organization of the test's own."""

    service: Service
    organization: Organization
    client: httpx.AsyncClient
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    async def create(self, **members: Any) -> dict[str, Any]:
        """A new learner; the username is made up where it is not given."""
        body = {"username": f"learner{next(self._numbers):04}", **members}
        answer = await self.client.post("/learners", json=body)
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def get(self, learner: dict[str, Any]) -> dict[str, Any]:
        """The learner as it is now."""
        answer = await self.client.get(f"/learners/{learner['id']}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def events(self, learner: dict[str, Any]) -> list[dict[str, Any]]:
        """The learner's history, newest first."""
        answer = await self.client.get(f"/learners/{learner['id']}/events", params={"limit": 1000})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def import_csv(self, text: str | bytes, **params: Any) -> dict[str, Any]:
        """Import this text and answer the operation."""
        content = text.encode() if isinstance(text, str) else text
        answer = await self.client.post(
            "/imports/csv", content=content, params=params, headers={"Content-Type": "text/csv"}
        )
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def outcomes(self, operation: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
        """What became of each learner or row."""
        answer = await self.client.get(
            f"/operations/{operation['id']}/outcomes", params={"limit": 1000, **params}
        )
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def client_with(self, *scopes: Scope, name: str = "test") -> httpx.AsyncClient:
        """A client of the same organization with these scopes."""
        return self.service.client(await self.service.issue_key(self.organization, *scopes, name=name))


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


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/rollcall.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database("rollcall_tests")


@asynccontextmanager
async def run_service(url: str, **options: Any) -> AsyncIterator[Service]:
    """The service on this database, migrated, with its lifespan running."""
    clock = FixedClock()
    app = create_app(
        Settings(database_url=url, **{"rate_limit_per_minute": 0, "with_worker": True, **options}),
        clock,
        TaskEngine,
    )
    database = Database(url)
    await schema.prepare(database)
    await database.close()
    async with app.router.lifespan_context(app):
        yield Service(app, DATABASE.of(app), clock, url)


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
    for each in _missing:
        terminalreporter.section("MISSING: not everything was tested", sep="!", red=True, bold=True)
        terminalreporter.write_line(each)
