"""The service in this process, with a clock that stands, and an organization of its own for each test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
from fastapi import FastAPI

from app.limits import LIMITS, Limits
from app.main import create_app
from app.operations.dependencies import RUNNER
from app.operations.runner import Runner
from app.organizations import service as organization_service
from app.organizations.api_keys import Scope
from app.organizations.organization import Organization
from app.platform import schema
from app.platform.database import Database
from app.platform.dependencies import DATABASE
from app.settings import Settings
from tests.support.engines import TaskEngine

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
_slugs = count(1)


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
            organization_service.create_organization,
            name,
            f"Organization {name}",
            time_zone,
            self.clock.now(),
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
        created = await self.database.write(
            organization_service.create_key, organization, name, wanted, expires_at, self.clock.now()
        )
        return created.secret


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
