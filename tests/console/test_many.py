"""Bulk actions: selecting learners, the preview, the action, and its revert."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from tests.support.console import Console, Portal, SignIn

BULK = "**/learners/bulk-actions"


def roster(rows: int) -> str:
    """Make a CSV file of this many numbered learners."""
    lines = (f"u{number:05},Given{number:05},Family{number:05}\n" for number in range(1, rows + 1))
    return "Username,First Name,Last Name\n" + "".join(lines)


def boxes(page: Page) -> Locator:
    """Find the check boxes of the rows, in order."""
    return page.get_by_role("table").get_by_role("checkbox", name=re.compile("^Select (?!all)"))


def ticked(page: Page) -> int:
    """Count the ticked boxes."""
    return boxes(page).and_(page.locator(":checked")).count()


def pick(page: Page, *names: str) -> None:
    """Tick the boxes of these learners."""
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}").check()


def choose(page: Page, action: str) -> Locator:
    """Choose an action from the menu and return its dialog."""
    page.get_by_role("button", name="Choose action").click()
    page.get_by_role("button", name=action, exact=True).click()
    return page.get_by_role("dialog")


def statuses(portal: Portal) -> dict[str, int]:
    """Count the stored learners by status."""
    counts: dict[str, int] = portal.client.get("/learners/status-counts").json()
    return counts


def operations(portal: Portal) -> list[dict[str, Any]]:
    """Return the stored operations that are no dry runs, newest first."""
    found = portal.client.get("/operations").json()["items"]
    return [each for each in found if not each["dry_run"]]


# Selecting


def test_boxes_select_one_a_range_and_the_page(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(30))
    page = (console := signed_in(place="#/learners?limit=25")).page
    expect(boxes(page)).to_have_count(25)
    expect(page.get_by_role("button", name="Choose action")).to_be_disabled()
    console.check_manners()

    boxes(page).nth(2).click()
    expect(page.get_by_text("1 selected")).to_be_visible()
    boxes(page).nth(6).click(modifiers=["Shift"])
    expect(page.get_by_text("5 selected")).to_be_visible()
    boxes(page).nth(5).click()
    boxes(page).nth(4).click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    assert [index for index in range(25) if boxes(page).nth(index).is_checked()] == [2, 3, 6]
    header = page.get_by_role("checkbox", name="Select all on this page")
    assert header.evaluate("box => box.indeterminate")
    console.photograph("selected")
    console.check_manners()

    header.click()
    expect(page.get_by_text("25 selected")).to_be_visible()
    expect(header).to_be_checked()
    page.get_by_role("button", name="Next").click()
    expect(boxes(page)).to_have_count(5)
    expect(header).not_to_be_checked()
    boxes(page).first.check()
    expect(page.get_by_text("26 selected")).to_be_visible()
    page.get_by_role("button", name="Previous").click()
    expect(header).to_be_checked()
    header.click()
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_role("button", name="Clear selection").click()
    expect(page.get_by_text("Select learners to")).to_be_visible()
    expect(header).to_be_focused()


def test_keyboard_alone_selects_boxes_and_ranges(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(6))
    page = signed_in().page
    boxes(page).first.focus()
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(boxes(page).nth(3)).to_be_focused()
    page.keyboard.press("Shift+Space")
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(page.get_by_text("3 selected")).to_be_visible()
    expect(page.get_by_role("complementary")).to_have_count(0)

    page.get_by_role("button", name="Choose action").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Activate", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Choose action")).to_be_focused()
    expect(page.get_by_role("button", name="Activate", exact=True)).to_be_hidden()


def test_new_filter_clears_the_selection_and_new_order_keeps_it(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    pick(page, "Ada Lovelace", "Chiara Bianchi")
    page.get_by_role("columnheader", name="Username").get_by_role("button").click()
    expect(page).to_have_url(re.compile("sort=username"))
    expect(page.get_by_text("2 selected")).to_be_visible()
    assert ticked(page) == 2
    page.get_by_role("button", name="Active 1").click()
    expect(page.get_by_text("Select learners to")).to_be_visible()
    expect(boxes(page)).to_have_count(1)
    assert ticked(page) == 0


def test_key_without_bulk_scope_has_no_boxes(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in("learners:read", "learners:write").page
    expect(page.get_by_role("rowheader")).to_have_count(4)
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("button", name="Choose action")).to_have_count(0)


# Doing it


def test_selected_learners_are_deactivated_with_a_reason_and_reverted(
    portal: Portal, signed_in: SignIn
) -> None:
    made = portal.create_of_each_status()
    page = (console := signed_in()).page
    pick(page, "Ada Lovelace", "Björn Sørensen", "Chiara Bianchi")
    page.get_by_role("button", name="Choose action").click()
    console.photograph("menu")
    console.check_manners()
    page.keyboard.press("Escape")
    dialog = choose(page, "Deactivate")
    expect(dialog.get_by_role("heading", name="Deactivate 3 learners")).to_be_visible()
    expect(dialog.get_by_role("status")).to_have_text("2 would be deactivated, 1 already deactivated")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    assert statuses(portal)["deactivated"] == 1
    console.photograph("bulk-preview")
    console.check_manners()

    dialog.get_by_label("Reason").fill("contract ended")
    dialog.get_by_role("button", name="Deactivate 2").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 2 deactivated, 1 already deactivated")
    expect(dialog.get_by_role("status")).to_be_focused()
    expect(page.get_by_role("button", name="Deactivated 3", include_hidden=True)).to_be_attached()
    assert statuses(portal)["deactivated"] == 3
    history = portal.client.get(f"/learners/{made['active']['id']}/events").json()["items"]
    assert (history[0]["type"], history[0]["reason"]) == ("learner.deactivated", "contract ended")
    console.photograph("bulk-outcome")
    console.check_manners()

    dialog.get_by_role("button", name="Revert").click()
    expect(dialog).to_have_accessible_name(re.compile("^Revert “Deactivate 3 learners” of "))
    expect(dialog.get_by_role("status")).to_have_text("2 would be changed (2 activated)")
    dialog.get_by_label("Reason").fill("wrong list")
    dialog.get_by_role("button", name="Revert").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 2 changed (2 activated)")
    expect(dialog.get_by_role("status")).to_be_focused()
    assert portal.learner(made["active"])["status"] == "active"
    assert [(each["kind"], each["reason"]) for each in operations(portal)] == [
        ("revert", "wrong list"),
        ("bulk-action", "contract ended"),
    ]
    console.photograph("bulk-reverted")
    console.check_manners()
    dialog.get_by_role("button", name="Close").last.click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Active: deactivate Ada Lovelace")).to_be_visible()
    expect(page.get_by_text("Select learners to")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Select all on this page")).to_be_focused()


def test_expiration_date_of_selected_learners_is_set_after_a_preview(
    portal: Portal, signed_in: SignIn
) -> None:
    made = portal.create_of_each_status()
    page = (console := signed_in()).page
    pick(page, "Ada Lovelace", "Đạt Nguyễn")
    dialog = choose(page, "Set expiration date")
    expect(dialog.get_by_label("New expiration date")).to_be_focused()
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text("Choose a date or tick")).to_be_visible()
    console.check_manners()
    dialog.get_by_label("New expiration date").fill("2035-01-31")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_role("status")).to_have_text("2 dates would be changed")
    expect(dialog.get_by_role("listitem").filter(has_text="Expired")).to_contain_text(
        "Status: Expired → Activated"
    )
    assert portal.learner(made["expired"])["status"] == "expired"
    console.photograph("bulk-expiration")
    console.check_manners()
    dialog.get_by_label("Reason").fill("extended")
    dialog.get_by_role("button", name="Set the expiration date of 2 learners").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 2 dates changed")
    restored = portal.learner(made["expired"])
    assert (restored["status"], restored["expires_on"]) == ("activated", "2035-01-31")

    dialog.get_by_role("button", name="Revert").click()
    dialog.get_by_role("button", name="Revert").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 2 changed (2 expiration dates changed)")
    assert portal.learner(made["expired"])["status"] == "expired"
    assert portal.learner(made["active"])["expires_on"] is None


def test_expiration_date_of_selected_learners_can_be_removed(portal: Portal, signed_in: SignIn) -> None:
    made = portal.create_of_each_status()
    page = signed_in().page
    pick(page, "Đạt Nguyễn")
    dialog = choose(page, "Set expiration date")
    dialog.get_by_label("Never expires").check()
    dialog.get_by_role("button", name="Preview").click()
    dialog.get_by_role("button", name="Set the expiration date of 1 learner").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 1 date changed")
    restored = portal.learner(made["expired"])
    assert (restored["status"], restored["expires_on"]) == ("activated", None)


def test_refused_learners_are_listed_with_the_apis_reason(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = (console := signed_in()).page
    pick(page, "Đạt Nguyễn", "Chiara Bianchi")
    dialog = choose(page, "Activate")
    expect(dialog).to_contain_text("1 would be activated, 1 would be refused")
    expect(dialog.get_by_role("listitem")).to_contain_text("The account expired after 2024-12-31.")
    console.photograph("bulk-refused")
    console.check_manners()
    dialog.get_by_role("button", name="Activate 1").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 1 activated, 1 refused")
    expect(dialog.get_by_role("listitem")).to_contain_text("dat")
    expect(dialog.get_by_role("listitem")).to_contain_text("The account expired after 2024-12-31.")
    with page.expect_download() as downloading:
        dialog.get_by_role("button", name="Download as CSV").click()
    assert downloading.value.suggested_filename == "refused.csv"
    assert "learner-expired" in downloading.value.path().read_text()
    assert statuses(portal)["activated"] == 2


def test_bulk_action_without_changes_is_not_sent(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = (console := signed_in()).page
    pick(page, "Chiara Bianchi")
    dialog = choose(page, "Deactivate")
    expect(dialog).to_contain_text("Nothing to change.")
    expect(dialog.get_by_role("button", name="Close").last).to_be_focused()
    expect(dialog.get_by_role("textbox")).to_have_count(0)
    console.check_manners()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Choose action")).to_be_focused()
    expect(page.get_by_text("1 selected")).to_be_visible()
    assert operations(portal) == []


def test_select_all_except_some_acts_on_all_pages(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(60))
    portal.create(first_name="Ada", last_name="Lovelace")
    page = (console := signed_in(place="#/learners?q=family&limit=25")).page
    expect(boxes(page)).to_have_count(25)
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Select All (60)").click()
    expect(page.get_by_text("All 60 matching learners selected")).to_be_visible()
    expect(page.get_by_role("button", name="Choose action")).to_be_focused()
    console.photograph("all-selected")
    console.check_manners()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("rowheader").first).to_have_text("Given00026 Family00026")
    assert ticked(page) == 25
    boxes(page).nth(0).uncheck()
    boxes(page).nth(1).uncheck()
    expect(page.get_by_text("58 selected: all matching learners except 2")).to_be_visible()

    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    dialog = choose(page, "Deactivate")
    dialog.get_by_role("button", name="Deactivate 58").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 58 deactivated")
    assert statuses(portal) | {"total": 61} == statuses(portal) | {"deactivated": 58, "activated": 3}
    dry, real = (request.post_data_json for request in sent)
    left_out = [boxes(page).nth(index).get_attribute("value") for index in (0, 1)]
    assert real == {
        "action": "deactivate",
        "selection": {"filter": {"q": "family"}, "except_ids": left_out},
        "expected_count": 58,
        "reason": None,
    }
    assert dry["dry_run"] is True
    assert sent[1].headers["idempotency-key"]


def test_changed_selection_is_explained_and_previewed_again(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(30))
    page = (console := signed_in(place="#/learners?limit=25")).page
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Select All (30)").click()
    portal.create(first_name="Zoë", last_name="Zuse")
    dialog = choose(page, "Deactivate")
    expect(dialog.get_by_role("alert")).to_contain_text("You expected 30 learners, but 31 are selected now")
    expect(dialog.get_by_role("button", name="Refresh preview")).to_be_focused()
    console.photograph("selection-changed")
    console.check_manners()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("heading", name="Deactivate 31 learners")).to_be_visible()
    expect(dialog.get_by_role("button", name="Deactivate 31")).to_be_visible()

    # And once more, between the look and the deed.
    portal.create(first_name="Zoë", last_name="Zweig")
    dialog.get_by_role("button", name="Deactivate 31").click()
    expect(dialog.get_by_role("alert")).to_contain_text("You expected 31 learners, but 32 are selected now")
    assert statuses(portal)["deactivated"] == 0
    dialog.get_by_role("button", name="Refresh preview").click()
    dialog.get_by_role("button", name="Deactivate 32").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 32 deactivated")
    assert statuses(portal)["deactivated"] == 32


def test_bulk_action_after_a_lost_answer_runs_once(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    pick(page, "Ada Lovelace")
    dialog = choose(page, "Deactivate")
    expect(dialog.get_by_role("button", name="Deactivate 1")).to_be_visible()
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        route.fetch()
        route.abort()

    page.route(BULK, lose, times=1)
    dialog.get_by_role("button", name="Deactivate 1").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    with page.expect_request(BULK) as again:
        dialog.get_by_role("button", name="Deactivate 1").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 1 deactivated")
    assert [again.value.headers["idempotency-key"]] == keys
    assert len(operations(portal)) == 1


def test_too_long_reason_shows_an_error_at_its_field(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = (console := signed_in()).page
    pick(page, "Ada Lovelace")
    dialog = choose(page, "Deactivate")
    dialog.get_by_label("Reason").fill("why " * 300)
    dialog.get_by_role("button", name="Deactivate 1").click()
    expect(dialog.get_by_label("Reason")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    console.check_manners()
    dialog.get_by_label("Reason").fill("why")
    dialog.get_by_role("button", name="Deactivate 1").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 1 deactivated")


# Many more


def hold_progress(console: Console) -> list[Route]:
    """Hold the page's requests for progress; return the held routes."""
    held: list[Route] = []
    console.page.route("**/progress", lambda route: held.append(route))  # noqa: PLW0108 - it wants a function
    return held


def at_once(route: Route) -> None:
    """Ask the API not to wait for the end, so that there is progress to show."""
    route.continue_(headers={**route.request.headers, "prefer": "respond-async"})


def test_long_action_shows_progress_and_is_reverted(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(20_000))
    page = (console := signed_in()).page
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Select All (20,000)").click()
    page.route(BULK, at_once)
    page.route("**/revert", at_once)
    held = hold_progress(console)
    dialog = choose(page, "Deactivate")
    bar = dialog.get_by_role("progressbar", name="Progress")
    expect(bar).to_be_visible()
    expect(dialog.get_by_role("button", name="Stop")).to_be_visible()
    console.photograph("bulk-progress")
    console.check_manners()
    page.unroute("**/progress")
    held[0].continue_()
    dialog.get_by_role("button", name="Deactivate 20,000").click()
    expect(dialog.get_by_text(re.compile("of 20,000$"))).to_be_visible()
    expect(dialog.get_by_role("status")).to_have_text("Done: 20,000 deactivated", timeout=60_000)
    assert statuses(portal)["deactivated"] == 20_000
    dialog.get_by_role("button", name="Revert").click()
    expect(dialog.get_by_role("status")).to_have_text(
        "20,000 would be changed (20,000 activated)", timeout=60_000
    )
    dialog.get_by_role("button", name="Revert").click()
    expect(dialog.get_by_role("status")).to_have_text(
        "Done: 20,000 changed (20,000 activated)", timeout=60_000
    )
    assert statuses(portal)["deactivated"] == 0


def test_result_of_a_closed_dialog_is_told_in_a_toast(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(8_000))
    page = (console := signed_in()).page
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Select All (8,000)").click()
    dialog = choose(page, "Deactivate")
    expect(dialog.get_by_role("button", name="Deactivate 8,000")).to_be_visible()
    page.route(BULK, at_once)
    held = hold_progress(console)
    dialog.get_by_role("button", name="Deactivate 8,000").click()
    expect(dialog.get_by_role("progressbar")).to_be_visible()
    page.unroute("**/progress")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Done: 8,000 deactivated")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Deactivated 8,000")).to_be_visible()
    assert len(held) == 1
    assert statuses(portal)["deactivated"] == 8_000
    page.get_by_label("Notifications").get_by_role("button", name="Revert").click()
    question = page.get_by_role("dialog", name=re.compile("^Revert “Deactivate 8,000 learners” of "))
    expect(question).to_contain_text("8,000 would be changed", timeout=60_000)
    question.get_by_role("button", name="Revert").click()
    expect(question.get_by_role("status").last).to_have_text(
        "Done: 8,000 changed (8,000 activated)", timeout=60_000
    )
    assert statuses(portal)["deactivated"] == 0


def test_broken_progress_stream_is_opened_again(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(6_000))
    page = signed_in().page
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Select All (6,000)").click()
    page.route(BULK, at_once)
    page.route("**/progress", lambda route: route.abort(), times=1)
    dialog = choose(page, "Deactivate")
    expect(dialog.get_by_role("button", name="Deactivate 6,000")).to_be_visible(timeout=60_000)


def test_stopped_action_shows_how_far_it_got(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(20_000))
    page = signed_in().page
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Select All (20,000)").click()
    dialog = choose(page, "Deactivate")
    submit = dialog.get_by_role("button", name="Deactivate 20,000")
    expect(submit).to_be_visible(timeout=60_000)
    page.route(BULK, at_once)
    submit.click()
    dialog.get_by_role("button", name="Stop").click()
    expect(dialog.get_by_role("status")).to_have_text(re.compile("^Stopped"), timeout=60_000)
    assert operations(portal)[0]["state"] == "cancelled"
    assert statuses(portal)["deactivated"] == operations(portal)[0]["counts"]["changed"]
