"""One learner: the status control, expired learners, editing, and the side panel."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Locator, expect

from tests.support.console import Console, Portal, SignIn

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()


def test_click_deactivates_at_once_and_undo_activates(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    page = (console := signed_in()).page
    page.get_by_role("button", name="Active: deactivate Ada Lovelace").click()

    expect(page.get_by_text("Ada Lovelace is deactivated and can no longer log in.")).to_be_visible()
    expect(page.get_by_role("button", name="Deactivated: activate Ada Lovelace")).to_be_focused()
    expect(page.get_by_role("button", name="Deactivated 2")).to_be_visible()
    assert portal.learner(ada)["status"] == "deactivated"
    console.photograph("toast")
    console.check_manners()

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Active: deactivate Ada Lovelace")).to_be_focused()
    expect(page.get_by_role("button", name="Deactivated 1")).to_be_visible()
    assert portal.learner(ada)["status"] == "active"
    assert portal.events(ada)[:2] == ["learner.activated", "learner.deactivated"]


def test_activated_row_stays_though_it_no_longer_matches(portal: Portal, signed_in: SignIn) -> None:
    chiara = portal.create_of_each_status()["deactivated"]
    page = signed_in(place="#/learners?status=deactivated").page
    page.get_by_role("button", name="Deactivated: activate Chiara Bianchi").click()
    expect(page.get_by_role("button", name="Activated: deactivate Chiara Bianchi")).to_be_visible()
    assert portal.learner(chiara)["status"] == "activated"


def test_undo_after_another_change_is_refused(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    page = signed_in().page
    page.get_by_role("button", name="Active: deactivate Ada Lovelace").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    portal.client.patch(f"/learners/{ada['id']}", json={"last_name": "King"}).raise_for_status()

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("has changed")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Ada King")).to_be_visible()
    assert portal.learner(ada)["status"] == "deactivated"


def test_activating_a_newly_expired_learner_is_refused(portal: Portal, signed_in: SignIn) -> None:
    chiara = portal.create_of_each_status()["deactivated"]
    page = signed_in().page
    expect(page.get_by_role("rowheader")).to_have_count(4)
    portal.client.patch(f"/learners/{chiara['id']}", json={"expires_on": "2025-01-31"}).raise_for_status()
    page.get_by_role("button", name="activate Chiara Bianchi").click()
    expect(page.get_by_text("The account expired after 2025-01-31.")).to_be_visible()
    expect(page.get_by_role("button", name="Expired: set a new expiration date for Chiara")).to_be_visible()


def test_expired_learner_is_restored_with_a_new_date(portal: Portal, signed_in: SignIn) -> None:
    dat = portal.create_of_each_status()["expired"]
    page = (console := signed_in()).page
    page.get_by_role("button", name="Expired: set a new expiration date for Đạt Nguyễn").click()
    dialog = page.get_by_role("dialog", name="Đạt Nguyễn: account expired")
    expect(dialog).to_contain_text("The last day of access was 31 Dec 2024.")
    expect(dialog).to_contain_text("The status will then be: Activated")
    expect(dialog.get_by_label("New expiration date")).to_be_focused()
    console.photograph("expired")
    console.check_manners()

    dialog.get_by_role("button", name="Set date").click()
    expect(dialog.get_by_text("Choose a date or")).to_be_visible()
    expect(dialog.get_by_label("New expiration date")).to_be_focused()
    console.check_manners()
    dialog.get_by_label("New expiration date").fill("2020-01-01")
    dialog.get_by_role("button", name="Set date").click()
    expect(dialog.get_by_text("With an earlier date the account stays expired")).to_be_visible()
    assert portal.learner(dat)["expires_on"] == "2024-12-31"
    dialog.get_by_label("New expiration date").fill(TOMORROW)
    dialog.get_by_role("button", name="Set date").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Activated: deactivate Đạt Nguyễn")).to_be_focused()
    changed = portal.learner(dat)
    assert (changed["status"], changed["expires_on"]) == ("activated", TOMORROW)

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Expired: set a new")).to_be_visible()
    assert portal.learner(dat)["expires_on"] == "2024-12-31"
    assert portal.events(dat)[:2] == ["learner.expired", "learner.restored"]


def test_expired_and_deactivated_learner_stays_deactivated_with_a_new_date(
    portal: Portal, signed_in: SignIn
) -> None:
    dat = portal.create_of_each_status()["expired"]
    portal.client.post(f"/learners/{dat['id']}/deactivate").raise_for_status()
    page = signed_in().page
    page.get_by_role("button", name="Expired: set a new").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The status will then be: Deactivated")
    dialog.get_by_label("Never expires").check()
    dialog.get_by_role("button", name="Set date").click()
    expect(
        page.get_by_text("Đạt Nguyễn: the account no longer expires. Status: Deactivated.")
    ).to_be_visible()
    assert portal.learner(dat)["expires_on"] is None


def test_date_set_by_someone_else_is_not_overwritten(portal: Portal, signed_in: SignIn) -> None:
    dat = portal.create_of_each_status()["expired"]
    page = signed_in().page
    page.get_by_role("button", name="Expired: set a new").click()
    portal.client.patch(f"/learners/{dat['id']}", json={"expires_on": "2035-01-31"}).raise_for_status()
    page.get_by_label("Never expires").check()
    page.get_by_role("button", name="Set date").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("has changed")
    page.keyboard.press("Escape")
    assert portal.learner(dat)["expires_on"] == "2035-01-31"


def test_read_only_key_has_no_controls_but_explains_expired_learners(
    portal: Portal, signed_in: SignIn
) -> None:
    portal.create_of_each_status()
    page = (console := signed_in("learners:read")).page
    expect(page.get_by_role("rowheader")).to_have_count(4)
    expect(page.get_by_role("button", name=re.compile(": (de)?activate "))).to_have_count(0)
    console.check_manners()
    page.get_by_role("button", name="Expired: show details").click()
    expect(page.get_by_role("dialog")).to_contain_text("The last day of access was 31 Dec 2024.")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_have_count(0)
    expect(page.get_by_role("button", name="Set date")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Expired: show details")).to_be_focused()


def test_panel_shows_one_learner_and_returns_the_focus(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    body = {"reason": "parental leave"}
    portal.client.post(f"/learners/{ada['id']}/deactivate", json=body).raise_for_status()
    page = (console := signed_in()).page
    page.get_by_role("link", name="Ada Lovelace").click()
    panel = page.get_by_role("complementary", name="Ada Lovelace")
    expect(panel.get_by_role("heading", name="Ada Lovelace")).to_be_focused()
    expect(panel.get_by_role("listitem").first).to_contain_text("parental leave")
    expect(panel.get_by_role("listitem").locator("strong")).to_have_text(
        ["Deactivated", "First access to training", "Created"]
    )
    expect(page).to_have_url(re.compile(f"learner={ada['id']}"))
    console.photograph("panel")
    console.check_manners()

    panel.get_by_role("button", name="activate Ada Lovelace").click()
    expect(panel.get_by_role("listitem")).to_have_count(4)
    expect(page.get_by_role("table").get_by_role("button", name="Active: deactivate Ada")).to_be_visible()

    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.get_by_role("link", name="Ada Lovelace")).to_be_focused()
    page.go_back()
    expect(panel).to_be_visible()
    page.go_back()
    expect(panel).to_have_count(0)


# Editing


def open_form(console: Console, learner: dict[str, Any]) -> Locator:
    """Open the form in this learner's panel and return the panel."""
    console.open(f"#/learners?learner={learner['id']}")
    console.page.get_by_role("button", name="Edit").click()
    expect(console.page.get_by_label("First name")).to_be_focused()
    return console.page.get_by_role("complementary")


def test_details_are_edited_and_undone(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    panel = open_form(console := signed_in(), ada)
    page = console.page
    console.photograph("edit")
    console.check_manners()

    panel.get_by_label("Last name").fill(" King ")
    panel.get_by_label("Email").fill("")
    panel.get_by_label("External ID").fill("HR-7")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        panel.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Changes to Ada King saved.")).to_be_visible()
    assert sent.value.post_data_json == {"last_name": "King", "email": None, "external_id": "HR-7"}
    assert sent.value.headers["if-match"]
    expect(panel.get_by_role("button", name="Edit")).to_be_focused()
    expect(panel.get_by_role("listitem").first).to_contain_text("Last name: Lovelace → King")
    expect(page.get_by_role("rowheader", name="Ada King")).to_be_visible()
    changed = portal.learner(ada)
    assert (changed["last_name"], changed["email"], changed["external_id"]) == ("King", None, "HR-7")

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("rowheader", name="Ada Lovelace")).to_be_visible()
    restored = portal.learner(ada)
    assert (restored["email"], restored["external_id"]) == ("ada@example.org", None)


def test_expiration_date_is_a_date_or_never(portal: Portal, signed_in: SignIn) -> None:
    bjoern = portal.create_of_each_status()["activated"]
    panel = open_form(console := signed_in(), bjoern)
    day = panel.get_by_label("Expiration date")
    expect(panel.get_by_label("Never expires")).to_be_checked()
    expect(day).to_be_disabled()
    panel.get_by_label("Never expires").uncheck()
    panel.get_by_role("button", name="Save").click()
    expect(panel.get_by_text("Choose a date or")).to_be_visible()
    expect(day).to_be_focused()
    console.check_manners()

    day.fill(TOMORROW)
    panel.get_by_role("button", name="Save").click()
    expect(console.page.get_by_text("Status: Activated")).to_be_visible()
    assert portal.learner(bjoern)["expires_on"] == TOMORROW
    panel.get_by_role("button", name="Edit").click()
    panel.get_by_label("Never expires").check()
    panel.get_by_role("button", name="Save").click()
    expect(console.page.get_by_text("no longer expires")).to_be_visible()
    assert portal.learner(bjoern)["expires_on"] is None


def test_invalid_details_show_errors_at_their_fields(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    panel = open_form(console := signed_in(), ada)
    panel.get_by_label("Username").fill("CHIARA")
    panel.get_by_role("button", name="Save").click()
    username = panel.get_by_label("Username")
    expect(username).to_have_attribute("aria-invalid", "true")
    expect(username).to_have_accessible_description("This username is taken. Choose another.")
    expect(username).to_be_focused()
    console.photograph("edit-invalid")
    console.check_manners()

    username.fill("")
    panel.get_by_label("Email").fill("no address")
    panel.get_by_role("button", name="Save").click()
    expect(panel.locator("[aria-invalid=true]")).to_have_count(2)
    expect(username).to_be_focused()
    assert portal.learner(ada) == ada


def test_conflicting_change_is_shown_at_its_fields(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    panel = open_form(console := signed_in(), ada)
    panel.get_by_label("Last name").fill("Byron")
    others = {"last_name": "King", "email": "countess@example.org", "expires_on": "2035-12-31"}
    portal.client.patch(f"/learners/{ada['id']}", json=others).raise_for_status()

    panel.get_by_role("button", name="Save").click()
    expect(panel.get_by_role("alert")).to_contain_text("has changed")
    expect(panel.get_by_label("Last name")).to_have_value("Byron")
    expect(panel.get_by_label("Last name")).to_have_accessible_description(
        re.compile("to: King. Save to keep")
    )
    expect(panel.get_by_label("Email")).to_have_value("countess@example.org")
    expect(panel.get_by_label("Expiration date")).to_have_value("2035-12-31")
    expect(console.page.get_by_role("rowheader", name="Ada King")).to_be_visible()
    assert portal.learner(ada)["last_name"] == "King"
    console.photograph("edit-lost")
    console.check_manners()

    panel.get_by_role("button", name="Save").click()
    expect(console.page.get_by_text("Changes to Ada Byron saved.")).to_be_visible()
    changed = portal.learner(ada)
    assert (changed["last_name"], changed["email"]) == ("Byron", "countess@example.org")


def test_status_click_during_editing_is_no_conflict(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    panel = open_form(console := signed_in(), ada)
    panel.get_by_label("First name").fill("Augusta")
    panel.get_by_role("button", name="deactivate Ada").click()
    expect(panel.get_by_role("button", name="Deactivated: activate Ada")).to_be_visible()
    panel.get_by_role("button", name="Save").click()
    expect(console.page.get_by_text("Changes to Augusta Lovelace saved.")).to_be_visible()
    assert portal.learner(ada)["status"] == "deactivated"


def test_cancelled_form_changes_nothing(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    panel = open_form(console := signed_in(), ada)
    panel.get_by_label("First name").fill("Augusta")
    console.page.keyboard.press("Escape")
    expect(panel.get_by_role("button", name="Edit")).to_be_focused()
    expect(panel.get_by_role("textbox")).to_have_count(0)
    panel.get_by_role("button", name="Edit").click()
    expect(panel.get_by_label("First name")).to_have_value("Ada")
    panel.get_by_role("button", name="Save").click()
    expect(panel.get_by_role("button", name="Edit")).to_be_focused()
    assert portal.learner(ada) == ada


def test_unsaved_changes_are_not_lost_without_asking(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    panel = open_form(console := signed_in(), ada)
    page = console.page
    panel.get_by_label("First name").fill("Augusta")
    another = page.get_by_role("link", name="Chiara Bianchi")
    another.click()
    question = page.get_by_role("dialog", name="Discard your changes?")
    expect(question).to_contain_text("have not been saved")
    console.photograph("unsaved")
    console.check_manners()
    question.get_by_role("button", name="Cancel").click()
    expect(panel.get_by_label("First name")).to_have_value("Augusta")
    panel.get_by_role("button", name="Close").click()
    question.get_by_role("button", name="Discard").click()
    expect(panel).to_have_count(0)
    assert portal.learner(ada) == ada

    another.click()
    panel.get_by_role("button", name="Edit").click()
    page.get_by_role("link", name="Ada Lovelace").click()  # nothing was entered, so nothing is asked
    expect(panel.get_by_role("heading", name="Ada Lovelace")).to_be_visible()


def test_read_only_key_cannot_edit(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create_of_each_status()["active"]
    page = signed_in("learners:read", place=f"#/learners?learner={ada['id']}").page
    expect(page.get_by_role("complementary").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)


# The panel


def test_click_on_a_row_opens_its_panel(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    page.get_by_role("cell", name="chiara", exact=True).click()
    expect(page.get_by_role("complementary", name="Chiara Bianchi")).to_be_visible()
    page.get_by_role("cell", name="dat", exact=True).click()
    expect(page.get_by_role("complementary")).to_have_count(1)
    panel = page.get_by_role("complementary", name="Đạt Nguyễn")
    expect(panel).to_contain_text("Status with a new date")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_have_count(0)


def test_older_events_are_shown_on_request(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create(first_name="Ada")
    for number in range(24):
        body = {"last_name": f"Name{number}", "expires_on": f"2035-01-{number + 1:02}"}
        portal.client.patch(f"/learners/{ada['id']}", json=body).raise_for_status()
    page = signed_in(place=f"#/learners?learner={ada['id']}").page
    events = page.get_by_role("complementary").get_by_role("listitem")
    expect(events).to_have_count(20)
    expect(events.first).to_contain_text("Last name: Name22 → Name23")
    expect(events.first).to_contain_text("Expiration date: 23 Jan 2035 → 24 Jan 2035")
    page.get_by_role("button", name="Show older").click()
    expect(events).to_have_count(25)
    expect(events.nth(20)).to_be_focused()
    expect(page.get_by_role("button", name="Show older")).to_have_count(0)


def test_unknown_learner_shows_the_apis_problem(signed_in: SignIn) -> None:
    console = signed_in(place="#/learners?learner=nobody")
    panel = console.page.get_by_role("complementary")
    expect(panel.get_by_role("alert")).to_contain_text("no such learner")
    console.check_manners()


def test_panel_covers_a_narrow_screen(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = (console := signed_in()).page
    page.set_viewport_size({"width": 320, "height": 640})
    page.get_by_role("link", name="Ada Lovelace").click()
    expect(page.get_by_role("complementary", name="Ada Lovelace")).to_be_visible()
    expect(page.locator("main")).to_have_attribute("inert", "")
    console.check_manners()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("link", name="Ada Lovelace")).to_be_focused()
    expect(page.get_by_role("rowheader")).to_have_count(4)
    console.check_manners()
