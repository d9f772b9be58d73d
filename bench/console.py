"""How soon the console shows its first learners: in a browser that has never been there, and in one that has."""

import asyncio
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from app.organizations import service
from app.organizations.api_keys import Scope
from app.platform.clock import SystemClock
from bench.databases import Databases, new_organization, opened
from bench.population import FREQUENT, gather_statistics, populate
from tests.support.chromium import ARGUMENTS, find_chromium
from tests.support.processes import Server

_RUNS = 11
# Milliseconds since the page was asked for, once the rows have been drawn. By a script of the page, since a
# question from outside would take time from what it asks about.
_NOTE_ROWS = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("tbody tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.rowsAt = performance.now())));
}).observe(document, { subtree: true, childList: true });
"""
# The same from a key that was pressed to the rows that it led to.
_NOTE_SEARCH = """
() => {
  const rows = document.querySelector("tbody");
  const began = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => (window.foundAt = performance.now() - began)));
  }).observe(rows, { childList: true });
}
"""
_ANSWERED = "() => performance.getEntriesByType('resource').map(({name, responseEnd}) => [name, responseEnd])"
_PATIENCE_MILLISECONDS = 60_000


@dataclass(frozen=True)
class Load:
    """When what had happened, in milliseconds since the page was asked for."""

    scripts: float
    identity: float
    learners: float
    rows: float

    @staticmethod
    def of(page: Page) -> "Load":
        """The load that this page has just had."""
        answered: list[tuple[str, float]] = page.evaluate(_ANSWERED)
        ends = {name.partition("?")[0].rpartition("/")[2]: end for name, end in answered}
        scripts = max(end for name, end in ends.items() if name.endswith(".js"))
        return Load(scripts, ends["me"], ends["learners"], page.evaluate("window.rowsAt"))


def measure(databases: Databases, learners: int) -> None:
    """Print the medians of the loads, cold and again, and of a search."""
    path = find_chromium()
    if path is None:
        print("\nconsole: no Chromium")
        return
    url = databases.new_url()
    secret = asyncio.run(_prepare(url, learners))
    server = Server(url, databases.new_folder(), is_fresh=True)
    try:
        server.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            cold, again, searches = [], [], []
            for _ in range(_RUNS):
                context = browser.new_context()
                page = _open(context, server, secret)
                cold.append(Load.of(page))
                searches.append(_search(page))
                again.append(Load.of(_reload(page)))
                context.close()
            browser.close()
    finally:
        server.end()
    print(
        f"\n{f'Console, {learners:,} learners':<38} {'scripts':>12} {'/me':>9} {'/learners':>12} {'rows':>12}"
    )
    _report("first visit", cold)
    _report("again", again)
    print(f"{'search, from the key to the rows':<38} {median(searches):>45.0f} ms")


async def _prepare(url: str, learners: int) -> str:
    async with opened(url) as database:
        organization = await new_organization(database, "large")
        await populate(database, organization.id, learners)
        await gather_statistics(database)
        now = SystemClock().now()
        issuing = partial(
            service.create_key,
            organization=organization,
            name="bench",
            scopes=[Scope.ADMIN],
            expires_at=None,
            now=now,
        )
        created = await database.write(issuing)
    return created.secret


def _open(context: BrowserContext, server: Server, secret: str) -> Page:
    page = context.new_page()
    page.add_init_script(f"if (location.host) sessionStorage.setItem('rollcall.key', {secret!r})")
    page.add_init_script(_NOTE_ROWS)
    page.goto(f"{server.url}/console/", wait_until="commit")
    _wait(page, "window.rowsAt")
    return page


def _reload(page: Page) -> Page:
    page.reload(wait_until="commit")
    _wait(page, "window.rowsAt")
    return page


def _search(page: Page) -> float:
    page.get_by_role("searchbox").focus()
    page.evaluate(_NOTE_SEARCH)
    page.keyboard.insert_text(FREQUENT)
    return float(_wait(page, "window.foundAt"))


def _wait(page: Page, expression: str) -> Any:
    """What this comes to be. Asked seldom: the page's policy lets nobody wait inside it."""
    for _ in range(_PATIENCE_MILLISECONDS // 250):
        page.wait_for_timeout(250)
        value = page.evaluate(expression)
        if value is not None:
            return value
    raise TimeoutError(expression)


def _report(what: str, loads: list[Load]) -> None:
    scripts, identity, learners, rows = (
        median(getattr(load, name) for load in loads) for name in ("scripts", "identity", "learners", "rows")
    )
    print(f"{what:<38} {scripts:>9.0f} ms {identity:>6.0f} ms {learners:>9.0f} ms {rows:>9.0f} ms")
