"""The organization: its name, its time zone and its limits."""

import re
from typing import Any

from playwright.sync_api import expect

from tests.support.console import Portal, SignIn

PLACE = "#/organization"


def stored(portal: Portal) -> dict[str, Any]:
    """Return the stored organization."""
    answer: dict[str, Any] = portal.client.get("/organization").json()
    return answer


def test_settings_are_shown_and_changed(portal: Portal, signed_in: SignIn) -> None:
    page = (console := signed_in(place=PLACE)).page
    expect(page.get_by_role("heading", name="Organization")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Example Academy")
    expect(page.get_by_label("Time zone")).to_have_value("UTC")
    expect(page.get_by_label("Deactivation limit")).to_have_value("20%")
    expect(page.get_by_label("Expiration notice")).to_have_value("14")
    assert page.title() == "Organization – Rollcall"
    console.photograph("organization")
    for width in (320, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        console.check_manners()

    page.get_by_label("Name").fill("  אקדמיה לדוגמה  ")
    page.get_by_label("Deactivation limit").fill("250")
    page.get_by_label("Expiration notice").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Organization saved.")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_focused()
    expect(page.get_by_label("Name")).to_have_value("אקדמיה לדוגמה")
    expect(page.get_by_role("banner")).to_contain_text("אקדמיה לדוגמה")
    now = stored(portal)
    assert (now["name"], now["time_zone"], now["max_deactivations"], now["expiring_days"]) == (
        "אקדמיה לדוגמה",
        "UTC",
        "250",
        30,
    )


def test_new_time_zone_changes_the_shown_dates(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in(place=PLACE).page
    zone = page.get_by_label("Time zone")
    zone.focus()
    page.keyboard.type("Pacific/Kiritim")
    expect(zone).to_have_value("Pacific/Kiritim")
    expect(page.get_by_text("Current time there")).to_have_count(0)
    page.keyboard.type("ati")
    expect(page.get_by_text(re.compile(r"^Current time there: .*\d{4} at \d\d:\d\d$"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Organization saved.")).to_be_visible()
    expect(zone).to_be_focused()
    assert stored(portal)["time_zone"] == "Pacific/Kiritimati"
    shown = page.evaluate(
        "new Intl.DateTimeFormat('en-GB', {dateStyle: 'medium', timeZone: 'Pacific/Kiritimati'}).format()"
    )
    page.get_by_role("link", name="User Management").click()
    expect(page.get_by_role("row", name="Ada Lovelace")).to_contain_text(shown)


def test_time_zones_of_the_browser_are_offered(signed_in: SignIn) -> None:
    page = signed_in(place=PLACE).page
    offered = page.locator("datalist option")
    expect(page.get_by_label("Time zone")).to_have_attribute("list", "time-zones")
    names = [each.get_attribute("value") for each in offered.all()]
    assert names[0] == "UTC"
    assert {"Europe/Berlin", "America/New_York"} < set(names)


def test_invalid_setting_shows_an_error_and_is_not_stored(portal: Portal, signed_in: SignIn) -> None:
    before = stored(portal)
    page = (console := signed_in(place=PLACE)).page
    for label, wrong, said in (
        ("Name", " ", "must not be empty"),
        ("Time zone", "Mars/Olympus", "is not an IANA time zone"),
        ("Deactivation limit", "some", "use a number of learners"),
        ("Expiration notice", "", "whole number"),
        ("Expiration notice", "1.5", "whole number"),
        ("Expiration notice", "367", "366"),
    ):
        field = page.get_by_label(label)
        was = field.input_value()
        field.fill(wrong)
        page.get_by_role("button", name="Save").click()
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile(said))
        expect(field).to_be_focused()
        if label == "Time zone":
            console.photograph("organization-wrong")
            console.check_manners()
        field.fill(was)
    assert stored(portal) == before


def test_only_changed_settings_are_sent(portal: Portal, signed_in: SignIn) -> None:
    page = signed_in(place=PLACE).page
    expect(page.get_by_label("Name")).to_have_value("Example Academy")
    portal.client.patch("/organization", json={"max_deactivations": "5%"}).raise_for_status()
    page.get_by_label("Name").fill("Example School")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_label("Deactivation limit")).to_have_value("5%")
    expect(page.get_by_label("Name")).to_be_focused()
    assert (stored(portal)["name"], stored(portal)["max_deactivations"]) == ("Example School", "5%")


def test_unreachable_organization_can_be_tried_again(signed_in: SignIn) -> None:
    page = signed_in().page
    expect(page.get_by_role("table")).to_be_visible()
    page.route("**/me", lambda route: route.abort())
    page.get_by_role("link", name="Organization").click()
    expect(page.get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    page.unroute("**/me")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_label("Time zone")).to_have_value("UTC")


def test_long_name_fits(portal: Portal, signed_in: SignIn) -> None:
    portal.client.patch("/organization", json={"name": "Ā" * 255}).raise_for_status()
    console = signed_in(place=PLACE)
    expect(console.page.get_by_label("Name")).to_have_value("Ā" * 255)
    console.photograph("organization-long")
    for width in (320, 768, 1440):
        console.page.set_viewport_size({"width": width, "height": 900})
        console.check_manners()
