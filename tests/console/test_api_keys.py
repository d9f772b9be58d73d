"""API keys: the list, creating a key with its secret, and revoking keys."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.console import Console, Portal, SignIn

PLACE = "#/api-keys"
NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).date()


def keys(portal: Portal) -> list[dict[str, Any]]:
    """Return the stored keys, newest first."""
    found: list[dict[str, Any]] = portal.client.get("/api-keys").json()["items"]
    return found


def row(page: Page, name: str) -> Locator:
    """Find the row of the key with this name."""
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def test_list_shows_each_key_with_its_scopes(portal: Portal, signed_in: SignIn) -> None:
    used = portal.issue_key("learners:read", "learners:bulk", name="hr-feed")
    expires_at = f"{NEXT_YEAR}T12:00:00Z"
    body = {"name": "مفتاح البوابة", "scopes": ["access:check"], "expires_at": expires_at}
    portal.client.post("/api-keys", json=body).raise_for_status()
    revoked = portal.issue_key("learners:read", name="an old one " * 20)
    portal.revoke(revoked)
    page = (console := signed_in(place=PLACE)).page

    expect(page.get_by_role("heading", name="API keys")).to_be_visible()
    expect(page.get_by_role("rowheader")).to_have_text(
        ["consoleYour key", ("an old one " * 20).strip(), "مفتاح البوابة", "hr-feed", "test"]
    )
    cells = row(page, "hr-feed").get_by_role("cell")
    expect(cells).to_have_text(
        [
            f"{used['prefix']}…",
            "learners:bulklearners:read",
            re.compile(r"\d{4}$"),
            "Never",
            "Never",
            "Revoke",
        ]
    )
    expect(row(page, "مفتاح")).to_contain_text(str(NEXT_YEAR.year))
    expect(row(page, "an old one")).to_contain_text("Revoked on ")
    expect(row(page, "an old one").get_by_role("button")).to_have_count(0)
    assert page.title() == "API keys – Rollcall"
    console.photograph("api-keys")
    for width in (320, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        console.check_manners()


def test_new_key_shows_its_secret_once(portal: Portal, signed_in: SignIn) -> None:
    page = (console := signed_in(place=PLACE)).page
    page.get_by_role("button", name="New API key").click()
    dialog = page.get_by_role("dialog", name="New API key")
    expect(dialog.get_by_label("Name")).to_be_focused()
    console.photograph("api-key-new")
    console.check_manners()
    dialog.get_by_label("Name").fill("portal")
    dialog.get_by_label("access:check").check()
    dialog.get_by_label("Expires").fill(NEXT_YEAR.isoformat())
    dialog.get_by_role("button", name="Create key").click()

    issued = page.get_by_role("dialog", name="Key created: portal")
    expect(issued).to_contain_text("You won’t see it again.")
    expect(issued.get_by_label("Secret")).to_be_focused()
    console.photograph("api-key-secret")
    console.check_manners()
    secret = issued.get_by_label("Secret").input_value()
    with portal.server.client(secret) as client:
        me = client.get("/me").json()
    assert (me["actor"]["name"], me["scopes"]) == ("portal", ["access:check"])
    assert keys(portal)[0]["expires_at"] == f"{NEXT_YEAR}T23:59:59Z"

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    issued.get_by_role("button", name="Copy secret").click()
    expect(issued.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    issued.get_by_role("button", name="Done").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="New API key")).to_be_focused()
    expect(page.get_by_role("rowheader").first).to_have_text("portal")
    assert secret not in page.content()
    assert page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})").count("rollcall_") == 1


def test_escape_before_copying_keeps_the_secret_open(signed_in: SignIn) -> None:
    page = signed_in(place=PLACE).page
    page.get_by_role("button", name="New API key").click()
    page.get_by_label("Name").fill("portal")
    page.get_by_label("admin").check()
    page.get_by_label("Name").press("Enter")
    issued = page.get_by_role("dialog", name="Key created: portal")
    issued.get_by_label("Secret").press("Escape")
    expect(issued.get_by_role("button", name="Copy secret")).to_be_focused()
    # Where the browser has no clipboard, as without TLS, the older way is taken.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    issued.get_by_role("button", name="Copy secret").press("Enter")
    expect(issued.get_by_text("Copied.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(issued).to_have_count(0)


def test_invalid_new_key_shows_errors_at_its_fields(portal: Portal, signed_in: SignIn) -> None:
    before = keys(portal)
    page = (console := signed_in(place=PLACE)).page
    page.get_by_role("button", name="New API key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create key").click()
    expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_label("Name")).to_be_focused()
    expect(dialog.get_by_role("group", name="Scopes")).to_have_accessible_description(
        re.compile("at least 1")
    )
    console.photograph("api-key-wrong")
    console.check_manners()

    dialog.get_by_label("Name").fill("late")
    dialog.get_by_label("learners:read").check()
    dialog.get_by_label("Expires").fill("2025-01-31")
    dialog.get_by_role("button", name="Create key").click()
    expect(dialog.get_by_label("Expires")).to_have_accessible_description(re.compile("in the past"))
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="New API key")).to_be_focused()
    assert len(keys(portal)) == len(before) + 1  # the one of the tab


@pytest.mark.parametrize(
    ("time_zone", "day", "ends"),
    [
        ("Europe/Berlin", "2035-07-01", "2035-07-01T21:59:59Z"),
        ("Europe/Berlin", "2035-10-28", "2035-10-28T22:59:59Z"),  # the clocks are put back on this day
        ("America/St_Johns", "2035-01-15", "2035-01-16T03:29:59Z"),
        ("Pacific/Kiritimati", "2035-01-15", "2035-01-15T09:59:59Z"),
    ],
)
def test_last_day_of_a_key_ends_in_the_organizations_time_zone(
    portal: Portal, signed_in: SignIn, time_zone: str, day: str, ends: str
) -> None:
    portal.client.patch("/organization", json={"time_zone": time_zone}).raise_for_status()
    page = signed_in(place=PLACE).page
    page.get_by_role("button", name="New API key").click()
    page.get_by_label("Name").fill("portal")
    page.get_by_label("access:check").check()
    page.get_by_label("Expires").fill(day)
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_label("Secret")).to_be_visible()
    assert keys(portal)[0]["expires_at"] == ends


def test_revoked_key_is_named_and_refused(portal: Portal, signed_in: SignIn) -> None:
    feed = portal.issue_key("learners:read", name="hr-feed")
    page = (console := signed_in(place=PLACE)).page
    page.get_by_role("button", name="Revoke hr-feed").click()
    dialog = page.get_by_role("dialog", name="Revoke the key hr-feed?")
    expect(dialog).to_contain_text(feed["prefix"])
    expect(dialog).to_contain_text("Last used: Never")
    console.photograph("api-key-revoke")
    console.check_manners()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Revoke hr-feed")).to_be_focused()
    assert keys(portal)[1]["revoked_at"] is None

    page.get_by_role("button", name="Revoke hr-feed").press("Enter")
    dialog.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Key revoked: hr-feed.")).to_be_visible()
    expect(row(page, "hr-feed")).to_contain_text("Revoked on ")
    expect(row(page, "hr-feed").locator("bdi")).to_be_focused()
    assert keys(portal)[1]["revoked_at"] is not None
    with portal.server.client(feed["secret"]) as client:
        assert client.get("/learners").status_code == 401


def test_revoking_own_key_warns_and_signs_out(portal: Portal, signed_in: SignIn) -> None:
    page = (console := signed_in(place=PLACE)).page
    row(page, "Your key").get_by_role("button").click()
    dialog = page.get_by_role("dialog", name="Revoke the key console?")
    expect(dialog).to_contain_text("You are signed in with this key.")
    expect(dialog).not_to_contain_text("No other valid key has the scope admin.")
    console.photograph("api-key-revoke-own")
    console.check_manners()
    dialog.get_by_role("button", name="Revoke my key and sign out").click()
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.get_by_text("Key revoked: console.")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert keys(portal)[0]["revoked_at"] is not None


def test_revoking_the_last_admin_key_warns(portal: Portal, console: Console) -> None:
    own = portal.issue_key(name="own")
    (first,) = (key for key in keys(portal) if key["name"] == "test")
    portal.issue_key("learners:read", name="no admin")
    portal.revoke(first)
    console.keep_key(own["secret"])
    console.open(PLACE)
    row(console.page, "Your key").get_by_role("button").click()
    dialog = console.page.get_by_role("dialog")
    expect(dialog).to_contain_text("No other valid key has the scope admin.")
    console.check_manners()


def test_failed_revoke_is_shown_in_the_dialog(portal: Portal, signed_in: SignIn) -> None:
    portal.issue_key("learners:read", name="hr-feed")
    page = signed_in(place=PLACE).page
    page.route("**/api-keys/*", lambda route: route.abort())
    page.get_by_role("button", name="Revoke hr-feed").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke key").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    assert keys(portal)[1]["revoked_at"] is None


def test_older_keys_are_shown_on_request(portal: Portal, signed_in: SignIn) -> None:
    for number in range(52):
        portal.issue_key("learners:read", name=f"key {number}")
    page = signed_in(place=PLACE).page
    expect(page.get_by_role("rowheader")).to_have_count(50)
    page.get_by_role("button", name="Show older").click()
    expect(page.get_by_role("rowheader")).to_have_count(54)
    expect(page.get_by_role("rowheader").nth(50).locator("bdi")).to_be_focused()
    expect(page.get_by_role("button", name="Show older")).to_have_count(0)


def test_unreachable_list_can_be_tried_again(signed_in: SignIn) -> None:
    console = signed_in(place="#/organization")
    expect(console.page.get_by_label("Time zone")).to_be_visible()
    console.page.route("**/api-keys", lambda route: route.abort())
    console.page.get_by_role("link", name="API keys").click()
    expect(console.page.get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    console.check_manners()
    console.page.unroute("**/api-keys")
    console.page.get_by_role("button", name="Try again").click()
    expect(console.page.get_by_role("rowheader")).to_have_count(2)
    expect(console.page.get_by_role("alert")).to_have_count(0)


def test_only_admin_keys_see_keys_and_the_organization(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in("learners:read", "learners:write", place=PLACE).page
    expect(page.get_by_role("heading", name="User Management")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["User Management", "Operations"])


def test_keyboard_alone_creates_and_revokes_a_key(portal: Portal, signed_in: SignIn) -> None:
    page = signed_in(place="#/learners").page
    expect(page.get_by_role("table")).to_be_visible()
    page.get_by_role("link", name="API keys").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="New API key")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("night feed")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Key created: night feed")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Done")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="New API key")).to_be_focused()
    # Once the list has come again; before, there is nothing to go on to.
    expect(page.get_by_role("button", name="Revoke night feed")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Revoke night feed")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Revoke key")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(page, "night feed").locator("bdi")).to_be_focused()
    assert keys(portal)[0]["scopes"] == ["learners:read"]
    assert keys(portal)[0]["revoked_at"] is not None
