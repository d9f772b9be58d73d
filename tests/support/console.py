"""The console in a browser, as its tests use it, and an organization as it is seen past the page."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from app.organizations import service
from app.organizations.api_keys import Scope
from app.organizations.organization import Organization
from app.platform.clock import SystemClock
from app.platform.database import Database
from tests.support.processes import Server

_slugs = count(1)


@dataclass
class Portal:
    """An organization, seen past the page: what tests prepare, and what is stored."""

    server: Server
    organization: Organization
    client: httpx.Client
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def create(self, **members: Any) -> dict[str, Any]:
        """A new learner; the username is made up where it is not given."""
        body = {"username": f"learner{next(self._numbers):04}", **members}
        return self._answer(self.client.post("/learners", json=body))

    def create_of_each_status(self) -> dict[str, dict[str, Any]]:
        """Ada is active, Björn activated, Chiara deactivated, and Đạt expired."""
        made = {
            "active": self.create(
                username="ada", first_name="Ada", last_name="Lovelace", email="ada@example.org"
            ),
            "activated": self.create(username="bjoern", first_name="Björn", last_name="Sørensen"),
            "deactivated": self.create(username="chiara", first_name="Chiara", last_name="Bianchi"),
            "expired": self.create(
                username="dat", first_name="Đạt", last_name="Nguyễn", expires_on="2024-12-31"
            ),
        }
        self._answer(self.client.post(f"/learners/{made['active']['id']}/access"))
        self._answer(self.client.post(f"/learners/{made['deactivated']['id']}/deactivate"))
        return {status: self.learner(each) for status, each in made.items()}

    def import_csv(self, text: str) -> dict[str, Any]:
        """Import this text and answer the operation."""
        headers = {"Content-Type": "text/csv", "Prefer": "wait=30"}
        return self._answer(self.client.post("/imports/csv", content=text.encode(), headers=headers))

    def learner(self, learner: dict[str, Any]) -> dict[str, Any]:
        """The learner as stored now."""
        return self._answer(self.client.get(f"/learners/{learner['id']}"))

    def events(self, learner: dict[str, Any]) -> list[str]:
        """The types of the learner's events, newest first."""
        page = self._answer(self.client.get(f"/learners/{learner['id']}/events"))
        return [each["type"] for each in page["items"]]

    def issue_key(self, *scopes: str, name: str = "console") -> dict[str, Any]:
        """A new key with its `id` and its `secret`; admin without scopes."""
        body = {"name": name, "scopes": list(scopes) or ["admin"]}
        return self._answer(self.client.post("/api-keys", json=body))

    def create_webhook(self, url: str, **members: Any) -> dict[str, Any]:
        """A new webhook with its secret."""
        return self._answer(self.client.post("/webhooks", json={"url": url, **members}))

    def revoke(self, key: dict[str, Any]) -> None:
        """Revoke a key."""
        assert self.client.delete(f"/api-keys/{key['id']}").status_code == 204

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        assert response.is_success, response.text
        document: dict[str, Any] = response.json()
        return document


async def found(database_url: str) -> tuple[Organization, str]:
    """A new organization, and the secret of its administrator."""
    slug, now = f"console-{next(_slugs)}", SystemClock().now()
    database = Database(database_url)
    try:
        organization = await database.write(
            partial(service.create_organization, slug=slug, name="Example Academy", time_zone="UTC", now=now)
        )
        created = await database.write(
            partial(
                service.create_key,
                organization=organization,
                name="test",
                scopes=[Scope.ADMIN],
                expires_at=None,
                now=now,
            )
        )
    finally:
        await database.close()
    return organization, created.secret


@dataclass
class Console:
    """The page in one tab, and what a person does there."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", self._see)

    def _hear(self, message: Any) -> None:
        # The browser says of every answer from 400 on that it failed; those are the API's words, not faults.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def _see(self, request: Any) -> None:
        if urlsplit(request.url).scheme in ("http", "https") and not request.url.startswith(self.url):
            self.faults.append(f"asked somebody else: {request.url}")

    def open(self, place: str = "") -> None:
        """Open the address of a place, such as `#/learners?q=ada`."""
        self.page.goto(f"{self.url}/console/{place}")

    def keep_key(self, secret: str) -> None:
        """As if this key had been signed in with in this tab before."""
        script = f"if (location.host) sessionStorage.setItem('rollcall.key', {secret!r})"
        self.page.add_init_script(script)

    def check_manners(self) -> None:
        """Axe finds nothing, in either colour scheme, and nothing is wider than the screen."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = Axe().run(self.page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, found.generate_report()
        width = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], "the page scrolls sideways"

    def photograph(self, name: str) -> None:
        """Screenshots at three widths in both schemes, where ROLLCALL_SCREENSHOTS names a folder for them."""
        folder = os.environ.get("ROLLCALL_SCREENSHOTS")
        if folder is None:
            return
        size = self.page.viewport_size
        for width in (320, 768, 1440):
            self.page.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                self.page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png")
        self.page.set_viewport_size(size or {"width": 1280, "height": 900})


SignIn = Callable[..., Console]
