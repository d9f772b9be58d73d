"""Measures how soon the console shows its first learners, with an empty and with a filled browser cache."""

import asyncio
from dataclasses import dataclass
from statistics import median
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from app.organizations import service
from app.organizations.api_keys import Scope
from app.platform.clock import SystemClock
from bench.databases import Databases, new_organization, open_prepared
from bench.population import FREQUENT, gather_statistics, populate
from tests.support.chromium import ARGUMENTS, find_chromium
from tests.support.processes import Server

_RUNS = 11
# The milliseconds from the request for the page to the drawn rows. A script in the page measures them, because
# polling from outside would slow the page down.
_NOTE_ROWS = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("tbody tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.rowsAt = performance.now())));
}).observe(document, { subtree: true, childList: true });
"""
# The milliseconds from a key press to the rows that it leads to.
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
_RESPONSE_ENDS = (
    "() => performance.getEntriesByType('resource').map(({name, responseEnd}) => [name, responseEnd])"
)
_PATIENCE_MILLISECONDS = 60_000


@dataclass(frozen=True)
class Load:
    """When each step was done, in milliseconds since the request for the page."""

    scripts: float
    identity: float
    learners: float
    rows: float

    @staticmethod
    def of(page: Page) -> "Load":
        """Return the times of the load that this page has just had."""
        responses: list[tuple[str, float]] = page.evaluate(_RESPONSE_ENDS)
        ends = {name.partition("?")[0].rpartition("/")[2]: end for name, end in responses}
        scripts = max(end for name, end in ends.items() if name.endswith(".js"))
        return Load(scripts, ends["me"], ends["learners"], page.evaluate("window.rowsAt"))


def measure(databases: Databases, learners: int) -> None:
    """Print the medians of the first visit, of later visits and of a search."""
    path = find_chromium()
    if path is None:
        print("\nconsole: skipped, Chromium was not found")
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
    _report("later visit", again)
    print(f"{'search, from key press to rows':<38} {median(searches):>45.0f} ms")


async def _prepare(url: str, learners: int) -> str:
    async with open_prepared(url) as database:
        organization = await new_organization(database, "large")
        await populate(database, organization.id, learners)
        await gather_statistics(database)
        now = SystemClock().now()
        created = await database.write(service.create_key, organization, "bench", [Scope.ADMIN], None, now)
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
    """Poll until the expression has a value, and return it. The page's security policy forbids waiting inside it."""
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
