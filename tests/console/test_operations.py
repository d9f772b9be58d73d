"""Operations: the list, the panel with the outcomes, running operations, and reverts."""

import csv
import io
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.console import Portal, SignIn


def rows(page: Page) -> Locator:
    """Find the names of the listed operations, newest first."""
    return page.get_by_role("rowheader")


def bulk(portal: Portal, action: str, *usernames: str, **members: Any) -> dict[str, Any]:
    """Run the action on these learners and return the operation."""
    body = {"action": action, "selection": {"usernames": usernames}, **members}
    return dict(portal.client.post("/learners/bulk-actions", json=body).raise_for_status().json())


def start_import(portal: Portal, count: int) -> dict[str, Any]:
    """Start an import of this many new learners and return the operation."""
    text = "Username\n" + "".join(f"u{number:06}\n" for number in range(count))
    headers = {"Content-Type": "text/csv", "Prefer": "respond-async"}
    answer = portal.client.post("/imports/csv", content=text, headers=headers)
    return dict(answer.raise_for_status().json())


def create_history(portal: Portal) -> dict[str, dict[str, Any]]:
    """Run an import with all kinds of rows, a bulk action with one refused, and a dry run."""
    portal.create_of_each_status()
    return {
        "import": portal.import_csv("Username,Active\nemre,\nbjoern,Maybe\ndat,Yes\nada,No\nchiara,No\n"),
        "bulk": bulk(portal, "activate", "ada", "dat", "nobody", reason="back from leave"),
        "dry run": bulk(portal, "deactivate", "ada", dry_run=True),
    }


def test_operations_are_listed_newest_first_and_filtered(portal: Portal, signed_in: SignIn) -> None:
    create_history(portal)
    console = signed_in(place="#/operations")
    page = console.page
    expect(rows(page)).to_have_text([re.compile("^Activate 3 learners"), "Import"])
    page.get_by_label("Show previews").check()
    expect(rows(page)).to_have_text(
        [re.compile("^Deactivate 1 learner · Preview"), re.compile("^Activate 3 learners"), "Import"]
    )
    expect(rows(page).nth(1)).to_contain_text("back from leave")
    expect(page.get_by_role("row").nth(2)).to_contain_text("Done: 1 activated, 1 refused, 1 not found")
    expect(page.get_by_role("row").nth(3)).to_contain_text(
        "Done: 1 created, 1 changed (1 deactivated), 1 unchanged, 1 refused, 1 invalid"
    )
    console.photograph("operations")
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        console.check_manners()

    page.get_by_label("Operation", exact=True).select_option("csv-import")
    expect(rows(page)).to_have_text(["Import"])
    expect(page).to_have_url(re.compile(r"#/operations\?dry_runs=shown&kind=csv-import$"))
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_text("No operations found.")).to_be_visible()
    console.check_manners()
    page.go_back()
    expect(rows(page)).to_have_text(["Import"])
    page.get_by_label("Operation", exact=True).select_option("All")
    expect(rows(page)).to_have_count(3)


def test_older_operations_are_shown_on_request(portal: Portal, signed_in: SignIn) -> None:
    portal.create(username="ada")
    for number in range(52):
        bulk(portal, "deactivate" if number % 2 else "activate", "ada")
    page = signed_in(place="#/operations").page
    expect(rows(page)).to_have_count(50)
    page.get_by_role("button", name="Show older").click()
    expect(rows(page)).to_have_count(52)
    expect(page.get_by_role("button", name="Show older")).to_have_count(0)


def test_panel_shows_one_operation_with_its_outcomes(portal: Portal, signed_in: SignIn) -> None:
    create_history(portal)
    console = signed_in(place="#/operations?dry_runs=shown")
    page = console.page
    page.get_by_role("table").get_by_role("link", name="Import").click()
    panel = page.get_by_role("complementary", name="Import")
    expect(panel.get_by_role("heading", name="Import")).to_be_focused()
    expect(panel.locator("summary")).to_have_text(
        ["1 created", "1 changed", "1 deactivated", "1 unchanged", "1 refused", "1 invalid"]
    )
    panel.locator("summary").filter(has_text="1 deactivated").click()
    expect(panel.locator("details").nth(2).get_by_role("listitem")).to_have_text(
        "Line 5 adaStatus: Active → Deactivated"
    )
    expect(panel.get_by_role("term").filter(has_text="By")).to_be_visible()
    panel.get_by_text("1 refused").last.click()
    expect(panel.get_by_role("listitem").filter(has_text="dat")).to_contain_text("The account expired after")
    console.photograph("operation")
    console.check_manners()

    with page.expect_download() as saved:
        panel.get_by_role("button", name="Download all as CSV").click()
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert [row["Outcome"] for row in csv.DictReader(io.StringIO(text))] == [
        "created",
        "invalid",
        "refused",
        "changed",
        "unchanged",
    ]
    with page.expect_download() as saved:
        panel.get_by_role("button", name="Download 2 rejected rows").click()
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert [row["Username"] for row in csv.DictReader(io.StringIO(text))] == ["bjoern", "dat"]

    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.get_by_role("table").get_by_role("link", name="Import")).to_be_focused()
    page.get_by_role("cell", name=re.compile("1 would be deactivated")).click()
    expect(page.get_by_role("complementary", name="Deactivate 1 learner")).to_be_visible()
    expect(page.get_by_role("button", name="Revert")).to_have_count(0)


def test_panel_says_what_was_asked(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    body = {
        "action": "set-expiration",
        "selection": {"filter": {"status": ["active", "expired"], "q": "a"}, "except_ids": []},
        "expires_on": "2035-01-31",
    }
    portal.client.post("/learners/bulk-actions", json=body).raise_for_status()
    headers = {"Content-Type": "text/csv", "Content-Disposition": 'attachment; filename="hr.csv"'}
    query = {"missing": "deactivate", "max_deactivations": "100%", "dry_run": "true"}
    portal.client.post(
        "/imports/csv", content="Username\nada\n", headers=headers, params=query
    ).raise_for_status()
    console = signed_in(place="#/operations?dry_runs=shown")
    page = console.page
    expect(rows(page)).to_have_text(
        [
            "Import · Previewhr.csv",
            re.compile(
                "^Set the expiration date of 2 learnersNew expiration date: 31 Jan 2035 · Status: Active, "
            ),
        ]
    )
    expect(page.get_by_role("row").nth(2)).to_contain_text("Done: 2 dates changed")
    page.get_by_role("link", name="Set the expiration date").click()
    panel = page.get_by_role("complementary")
    facts = panel.locator(".facts")
    expect(facts).to_contain_text("SelectedStatus: Active, Expired · Search: a")
    expect(facts).to_contain_text("New expiration date31 Jan 2035")
    expect(panel.get_by_role("listitem").filter(has_text="ada")).to_contain_text(
        "Expiration date: Never → 31 Jan 2035"
    )
    expired = panel.get_by_role("listitem").filter(has=page.get_by_role("link", name="dat", exact=True))
    expect(expired).to_contain_text("Status: Expired → Activated")
    console.check_manners()
    page.get_by_role("table").get_by_role("link", name="Import").click()
    expect(facts).to_contain_text("Filehr.csv")
    expect(facts).to_contain_text("Optionsmissing: deactivate · max_deactivations: 100%")
    expect(panel.get_by_text("2 would be deactivated")).to_have_count(1)


def test_outcomes_list_each_kind_of_change_and_every_problem(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv("Username,External ID,Active\nada,E1,\nben,E2,No\n")
    operation = portal.import_csv(
        "Username,External ID,Active,Expiration Date\nben,E1,No,2035-01-31\nada,E2,Yes,\ncem,E3,Maybe,soon\n"
    )
    console = signed_in(place=f"#/operations?operation={operation['id']}")
    panel = console.page.get_by_role("complementary")
    expect(panel.locator("summary")).to_have_text(
        [
            "2 changed",
            "1 deactivated",
            "1 activated",
            "2 renamed",
            "1 expiration date changed",
            "1 invalid",
        ]
    )
    expect(panel.get_by_role("listitem").first).to_contain_text("Username: ada → ben")
    for group, name in (("1 activated", "ada"), ("1 expiration date changed", "ben")):
        panel.locator("summary").filter(has_text=group).click()
        found = panel.locator("details").filter(has_text=group).get_by_role("listitem")
        expect(found).to_have_count(1)
        expect(found.get_by_role("link")).to_have_text(name)
    panel.locator("summary").filter(has_text="1 invalid").click()
    invalid = panel.locator("details").filter(has_text="1 invalid").get_by_role("listitem")
    expect(invalid).to_contain_text("'Maybe'")
    expect(invalid).to_contain_text("'soon'")
    console.photograph("changes")
    console.check_manners()


def test_outcome_links_to_its_learner(portal: Portal, signed_in: SignIn) -> None:
    operation = create_history(portal)["bulk"]
    page = signed_in(place=f"#/operations?operation={operation['id']}").page
    panel = page.get_by_role("complementary")
    panel.get_by_text("1 not found").last.click()
    expect(panel.get_by_role("listitem").filter(has_text="nobody").get_by_role("link")).to_have_count(0)
    panel.get_by_text("1 refused").last.click()
    panel.get_by_role("link", name="dat", exact=True).click()
    expect(panel.get_by_role("heading", name="Đạt Nguyễn")).to_be_visible()
    page.go_back()
    expect(panel.get_by_role("heading", name="Activate 3 learners")).to_be_visible()


def test_operation_is_reverted_after_a_preview(portal: Portal, signed_in: SignIn) -> None:
    before = portal.create_of_each_status()
    operation = bulk(portal, "deactivate", "ada", "bjoern")
    portal.client.post(f"/learners/{before['activated']['id']}/activate").raise_for_status()
    console = signed_in(place=f"#/operations?operation={operation['id']}")
    page = console.page
    page.get_by_role("button", name="Revert").click()
    dialog = page.get_by_role("dialog", name=re.compile("^Revert “Deactivate 2 learners” of "))
    expect(
        dialog.get_by_text("1 would be changed (1 activated), 1 would be kept wholly or in part")
    ).to_be_visible()
    expect(dialog.get_by_role("listitem")).to_contain_text("The revert keeps the later change")
    console.photograph("revert")
    console.check_manners()
    assert portal.learner(before["active"])["status"] == "deactivated"

    dialog.get_by_label("Reason").fill("wrong list")
    dialog.get_by_role("button", name="Revert").click()
    expect(dialog.get_by_text("Done: 1 changed (1 activated), 1 kept wholly or in part")).to_be_focused()
    console.check_manners()
    dialog.get_by_role("button", name="Close").last.click()
    assert portal.learner(before["active"])["status"] == "active"
    expect(rows(page)).to_have_text(["Revertwrong list", "Deactivate 2 learners"])
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("button", name="Revert")).to_be_visible()  # one learner was kept
    expect(panel.locator(".facts > div").filter(has_text="Can be reverted")).to_have_text("Can be reverted1")
    expect(panel).to_contain_text("Reverted by")
    panel.get_by_role("link", name="View operation").click()
    expect(page.get_by_role("complementary", name="Revert")).to_contain_text("wrong list")
    expect(page.get_by_role("complementary", name="Revert")).to_contain_text("Reverts")


def test_reverted_operation_cannot_be_reverted_again(portal: Portal, signed_in: SignIn) -> None:
    portal.create(username="ada")
    operation = bulk(portal, "deactivate", "ada")
    page = signed_in(place=f"#/operations?operation={operation['id']}").page
    expect(page.get_by_role("button", name="Revert")).to_be_visible()
    portal.client.post(f"/operations/{operation['id']}/revert").raise_for_status()
    page.get_by_role("button", name="Revert").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
        "All changes of the operation have been undone"
    )


def test_running_operation_shows_progress_and_can_be_stopped(portal: Portal, signed_in: SignIn) -> None:
    portal.create(username="ada")
    operation = start_import(portal, 60_000)
    console = signed_in(place="#/operations")
    page = console.page
    expect(page.get_by_role("table").get_by_role("progressbar")).to_be_visible()
    page.get_by_role("table").get_by_role("link", name="Import").click()
    panel = page.get_by_role("complementary", name="Import")
    expect(panel.get_by_role("progressbar")).to_be_visible()
    console.photograph("running")
    console.check_manners()
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("Stopped")).to_be_visible()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Stopped")
    expect(page.get_by_role("progressbar")).to_have_count(0)
    stored = portal.client.get(f"/operations/{operation['id']}").json()
    assert stored["state"] == "cancelled"
    assert stored["progress"]["done"] < 60_000


def test_waiting_operations_are_followed_one_after_the_other(portal: Portal, signed_in: SignIn) -> None:
    for _ in range(3):
        start_import(portal, 10_000)
    page = signed_in(place="#/operations").page
    expect(rows(page)).to_have_count(3)
    expect(page.get_by_role("cell").filter(has_text="Done: ")).to_have_count(3, timeout=60_000)
    assert portal.client.get("/learners/status-counts").json()["total"] == 10_000


def test_read_only_key_cannot_revert(portal: Portal, signed_in: SignIn) -> None:
    operation = create_history(portal)["bulk"]
    console = signed_in("learners:read", place=f"#/operations?operation={operation['id']}")
    page = console.page
    expect(page.get_by_role("complementary").get_by_text("1 refused").last).to_be_visible()
    expect(page.get_by_role("button", name="Download all as CSV")).to_be_visible()
    expect(page.get_by_role("button", name="Revert")).to_have_count(0)
    console.check_manners()


def test_unknown_operation_shows_the_apis_problem(signed_in: SignIn) -> None:
    page = signed_in(place="#/operations?operation=nobody").page
    alert = page.get_by_role("complementary").get_by_role("alert")
    expect(alert).to_contain_text("no operation with this id")


def test_learners_history_links_to_the_operation(portal: Portal, signed_in: SignIn) -> None:
    ada = portal.create(username="ada", first_name="Ada")
    bulk(portal, "deactivate", "ada")
    page = signed_in(place=f"#/learners?learner={ada['id']}").page
    page.get_by_role("complementary").get_by_role("link", name="Operation").click()
    expect(page.get_by_role("complementary", name="Deactivate 1 learner")).to_contain_text("1 deactivated")


def test_operations_and_import_speak_german(portal: Portal, signed_in: SignIn) -> None:
    operation = create_history(portal)["import"]
    console = signed_in(place=f"#/operations?operation={operation['id']}")
    page = console.page
    page.get_by_label("Language").select_option("de")
    expect(page.get_by_role("heading", name="Vorgänge")).to_be_visible()
    expect(page.get_by_role("button", name="2 abgelehnte Zeilen herunterladen")).to_be_visible()
    console.check_manners()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Import").first.click()
    expect(page.get_by_role("button", name="Vorschau")).to_be_visible()
    console.photograph("import-de")
    console.check_manners()
