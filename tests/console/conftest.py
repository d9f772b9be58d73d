"""The fixtures of the console's tests: a real server, a real browser, and a new organization for each test."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.support.chromium import ARGUMENTS, find_chromium
from tests.support.console import Console, Portal, SignIn, found
from tests.support.missing import say_missing
from tests.support.processes import Server, server

_PATIENCE_MILLISECONDS = 20_000


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find the system's browser."""
    path = find_chromium()
    if path is None:
        missing = "Chromium: the console was not tested; `apt-get install chromium-headless-shell` brings it."
        if os.environ.get("CI"):
            pytest.fail(missing)
        say_missing(missing)
        pytest.skip("no Chromium")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Start a browser for each module: while it runs, its event loop blocks asynchronous tests."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def running(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: ARG001 - not without
    """Start one server for all tests. Each test has an organization of its own."""
    folder = tmp_path_factory.mktemp("console")
    with server(f"sqlite:///{folder}/rollcall.db", folder, webhooks_to_private_networks=True) as started:
        yield started


@pytest.fixture
def portal(running: Server) -> Iterator[Portal]:
    """Create an organization for the test, with an admin key."""
    # In a thread of its own, since Playwright's event loop is running in this one.
    with ThreadPoolExecutor(1) as thread:
        founded, secret = thread.submit(lambda: asyncio.run(found(running.database_url))).result()
    with running.client(secret) as client:
        yield Portal(running, founded, client)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Create an unused browser profile, in English."""
    made = browser.new_context(
        locale="en-GB", viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    made.set_default_timeout(_PATIENCE_MILLISECONDS)
    yield made
    made.close()


@pytest.fixture
def console(context: BrowserContext, running: Server) -> Iterator[Console]:
    """Open a tab that is not signed in. The test fails if an error is left in its console."""
    opened = Console(context.new_page(), running.url)
    yield opened
    assert opened.faults == []


@pytest.fixture
def signed_in(console: Console, portal: Portal) -> SignIn:
    """Sign in with a new key of the given scopes (admin if none), and open a place."""

    def sign_in(*scopes: str, place: str = "") -> Console:
        console.keep_key(portal.issue_key(*scopes)["secret"])
        console.open(place)
        return console

    return sign_in
