"""Import: preview, apply, the questions of the guards, revert; and the export of the list."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Download, FilePayload, Page, expect

from tests.support.console import Portal, SignIn

APPLY = re.compile("^Apply [0-9,]+ changes?$")
HEADER = "Username,First Name,Last Name,Active,Expiration Date\n"
MIXED = (
    HEADER + "ada,Ada,King,,\n"
    "dat,,,Yes,\n"
    "emre,Emre,Yılmaz,,2035-01-31\n"
    "chiara,Chiara,Bianchi,No,\n"
    "bjoern,,,Maybe,\n"
    "bjoern,,,perhaps,\n"
)


def file_of(text: str, name: str = "roster.csv", media_type: str = "text/csv") -> FilePayload:
    """Make a file as the user chooses it."""
    return {"name": name, "mimeType": media_type, "buffer": text.encode()}


def check(page: Page, text: str, **options: Any) -> None:
    """Choose a file with this text and preview it."""
    page.get_by_label("CSV file").set_input_files(file_of(text, **options))
    page.get_by_role("button", name="Preview").click()


def rows_of(download: Download) -> list[list[str]]:
    """Read the downloaded rows."""
    return list(csv.reader(io.StringIO(Path(download.path()).read_text(encoding="utf-8"), newline="")))


def operations(portal: Portal) -> list[dict[str, Any]]:
    """Return the stored operations, newest first."""
    found: list[dict[str, Any]] = portal.client.get("/operations").json()["items"]
    return found


def statuses(portal: Portal) -> dict[str, str]:
    """Return every learner's status by username."""
    items = portal.client.get("/learners", params={"limit": 1000}).json()["items"]
    return {each["username"]: each["status"] for each in items}


def test_preview_shows_outcomes_and_changes_nothing(portal: Portal, signed_in: SignIn) -> None:
    before = portal.create_of_each_status()
    console = signed_in(place="#/import")
    page = console.page
    expect(page.get_by_role("heading", name="Import")).to_be_visible()
    console.photograph("import")
    console.check_manners()
    check(page, MIXED)

    expect(page.get_by_role("heading", name="Preview of roster.csv")).to_be_focused()
    expect(page.get_by_text("1 would be created, 1 would be changed")).to_be_visible()
    groups = page.locator("main details")
    expect(groups.locator("summary")).to_have_text(
        ["1 would be created", "1 would be changed", "1 would be refused", "2 invalid"]
    )
    expect(groups.nth(0)).to_contain_text("Line 4 emre")
    expect(groups.nth(1)).to_contain_text("Line 2 ada")
    expect(groups.nth(1)).to_contain_text("Last name: Lovelace → King")
    expect(groups.nth(2)).to_contain_text("Line 3 dat")
    expect(groups.nth(2)).to_contain_text("The account expired after 2024-12-31")
    expect(groups.nth(3).get_by_role("listitem")).to_have_count(2)
    expect(groups.nth(3)).to_contain_text("'Maybe'")
    console.photograph("import-checked")
    console.check_manners()
    assert {each: portal.learner(each_before) for each, each_before in before.items()} == before
    assert len(statuses(portal)) == 4


def test_apply_imports_the_previewed_file_and_offers_rejected_rows(portal: Portal, signed_in: SignIn) -> None:
    before = portal.create_of_each_status()
    console = signed_in(place="#/import")
    page = console.page
    page.get_by_label("Reason").fill("spring intake")
    check(page, MIXED)
    with page.expect_request(lambda request: "dry_run=false" in request.url) as applied:
        page.get_by_role("button", name=APPLY).click()
    assert re.fullmatch("[0-9a-f]{32}", applied.value.headers["idempotency-key"])

    expect(page.get_by_role("heading", name="Import of roster.csv")).to_be_focused()
    expect(page.get_by_text("1 created, 1 changed, 1 unchanged, 1 refused, 2 invalid")).to_be_visible()
    expect(page.get_by_role("button", name="Preview")).to_have_count(0)
    console.photograph("import-applied")
    console.check_manners()
    assert portal.learner(before["active"])["last_name"] == "King"
    assert statuses(portal)["emre"] == "activated"
    newest, _ = operations(portal)
    assert (newest["dry_run"], newest["reason"], newest["state"]) == (False, "spring intake", "succeeded")
    assert newest["request"]["file_name"] == "roster.csv"

    with page.expect_download() as saved:
        page.get_by_role("button", name="Download 3 rejected rows").click()
    rows = rows_of(saved.value)
    assert [(row[0], row[-2]) for row in rows[1:]] == [
        ("dat", "refused"),
        ("bjoern", "invalid"),
        ("bjoern", "invalid"),
    ]

    operation = portal.client.get("/operations?dry_run=false").json()["items"][0]["id"]
    expect(page.get_by_role("link", name="View operation")).to_have_attribute(
        "href", f"#/operations?operation={operation}"
    )
    page.get_by_role("button", name="Import another file").click()
    expect(page.get_by_label("CSV file")).to_be_focused()
    expect(page.get_by_label("CSV file")).to_have_value("")
    expect(page.get_by_role("heading", name="Import of roster.csv")).to_have_count(0)
    expect(page.get_by_label("Create learners who do not exist yet")).to_be_checked()


def test_import_is_reverted_after_a_preview(portal: Portal, signed_in: SignIn) -> None:
    before = portal.create_of_each_status()
    page = signed_in(place="#/import").page
    check(page, MIXED)
    page.get_by_role("button", name=APPLY).click()
    page.get_by_role("button", name="Revert").click()
    dialog = page.get_by_role("dialog", name=re.compile("^Revert “Import” of "))
    expect(dialog.locator(".state")).to_contain_text("2 would be changed")
    assert statuses(portal)["emre"] == "activated"
    dialog.get_by_role("button", name="Revert").click()
    expect(dialog.get_by_text("Done: 2 changed")).to_be_focused()
    dialog.get_by_role("button", name="Close").last.click()
    assert statuses(portal)["emre"] == "deactivated"
    assert portal.learner(before["active"])["last_name"] == "Lovelace"


def test_file_dropped_anywhere_is_imported_as_csv(portal: Portal, signed_in: SignIn) -> None:
    console = signed_in(place="#/import")
    page = console.page
    page.get_by_role("heading", name="Import").wait_for()
    script = """() => {
      const dragged = new DataTransfer();
      const type = "application/vnd.ms-excel";
      dragged.items.add(new File(["Username\\nada\\n"], "dropped.csv", { type }));
      return dragged;
    }"""
    dragged = page.evaluate_handle(script)
    page.dispatch_event("h1", "dragover", {"dataTransfer": dragged})
    expect(page.locator(".drop.dragging")).to_be_visible()
    console.photograph("import-dragging")
    page.dispatch_event("h1", "drop", {"dataTransfer": dragged})
    expect(page.locator(".drop.dragging")).to_have_count(0)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_role("heading", name="Import of dropped.csv")).to_be_visible()
    expect(page.get_by_text("Done: 1 created")).to_be_visible()
    assert statuses(portal) == {"ada": "activated"}


def test_options_are_sent_as_chosen(portal: Portal, signed_in: SignIn) -> None:
    dat = portal.create_of_each_status()["deactivated"]
    page = signed_in(place="#/import").page
    page.get_by_label("Date format").select_option("dmy")
    page.get_by_label("Create learners").uncheck()
    page.get_by_label("Do not reactivate learners").check()
    check(page, HEADER + "chiara,,,Yes,\nada,,,,31.01.2035\nnobody,,,,\n")
    expect(
        page.get_by_text("1 would be changed (1 expiration date changed), 1 would be refused, 1 not found")
    ).to_be_visible()
    expect(page.locator("main")).to_contain_text("Line 2 chiara")
    page.get_by_role("button", name=APPLY).click()
    expect(
        page.get_by_text("Done: 1 changed (1 expiration date changed), 1 refused, 1 not found")
    ).to_be_visible()
    assert portal.learner(dat)["status"] == "deactivated"
    assert (
        portal.client.get("/learners", params={"q": "ada"}).json()["items"][0]["expires_on"] == "2035-01-31"
    )


def test_encoding_empty_cells_and_new_external_ids_are_sent_as_chosen(
    portal: Portal, signed_in: SignIn
) -> None:
    portal.import_csv("Username,External ID,First Name,Email\nada,E1,Ada,ada@example.org\n")
    console = signed_in(place="#/import")
    page = console.page
    page.get_by_label("Encoding").select_option("windows-1252")
    page.get_by_label("Empty cells clear the field").check()
    page.get_by_label("Let a row replace the External ID").check()
    content = "Username,External ID,First Name,Email\nada,E2,Adä,\n".encode("windows-1252")
    page.get_by_label("CSV file").set_input_files(
        {"name": "roster.csv", "mimeType": "text/csv", "buffer": content}
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("1 would be changed (1 external ID replaced)")).to_be_visible()
    changes = page.locator("main details").first
    for line in ("External ID: E1 → E2", "First name: Ada → Adä", "Email: ada@example.org → None"):
        expect(changes).to_contain_text(line)
    console.check_manners()
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_text("Done: 1 changed (1 external ID replaced)")).to_be_visible()
    [learner] = portal.client.get("/learners").json()["items"]
    assert (learner["external_id"], learner["first_name"], learner["email"]) == ("E2", "Adä", None)


def test_changed_option_removes_the_preview(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in(place="#/import").page
    check(page, MIXED)
    expect(page.get_by_role("button", name=APPLY)).to_be_visible()
    page.get_by_label("Create learners").uncheck()
    expect(page.get_by_role("button", name=APPLY)).to_have_count(0)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("1 would be changed")).not_to_have_count(0)
    expect(page.get_by_text("would be created")).to_have_count(0)


def test_preview_without_changes_cannot_be_applied(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in(place="#/import").page
    check(page, "Username,Active\nada,Yes\n")
    expect(page.get_by_text("Nothing to import.")).to_be_visible()
    expect(page.get_by_role("button", name=APPLY)).to_have_count(0)


def test_too_many_deactivations_are_applied_after_raising_the_limit(
    portal: Portal, signed_in: SignIn
) -> None:
    portal.create_of_each_status()
    console = signed_in(place="#/import")
    page = console.page
    page.get_by_label("Deactivate learners who are not in the file").check()
    check(page, "Username,Last Name\nada,King\n")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("would deactivate 2 learners because the file does not list them")
    expect(page.locator("summary").filter(has_text="2 would be deactivated")).to_be_visible()
    expect(
        page.locator("main details").last.get_by_role("listitem").filter(has_text="Not in the file")
    ).to_have_count(2)
    expect(page.get_by_role("button", name=APPLY)).to_have_count(0)
    console.photograph("import-question")
    console.check_manners()

    page.get_by_role("button", name="Deactivate 2 learners").click()
    expect(page.get_by_role("heading", name="Preview of roster.csv")).to_be_focused()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_label("Deactivation limit")).to_have_value("2")
    expect(page.locator("main details").last).to_contain_text("bjoern")
    assert statuses(portal)["bjoern"] == "activated"
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_text("Done: 3 changed")).to_be_visible()
    assert statuses(portal) == {
        "ada": "active",
        "bjoern": "deactivated",
        "chiara": "deactivated",
        "dat": "expired",
    }


def test_too_many_deactivations_are_avoided_by_keeping_missing_learners(
    portal: Portal, signed_in: SignIn
) -> None:
    portal.create_of_each_status()
    page = signed_in(place="#/import").page
    page.get_by_label("Deactivate learners who are not in the file").check()
    check(page, "Username,Last Name\nada,King\n")
    page.get_by_role("button", name="Keep missing learners").click()
    expect(page.get_by_label("Deactivate learners who are not in the file")).not_to_be_checked()
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_text("Done: 1 changed")).to_be_visible()
    assert statuses(portal)["bjoern"] == "activated"


def test_limit_for_rows_alone_asks_too(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in(place="#/import").page
    page.get_by_label("Deactivation limit").fill("0")
    check(page, "Username,Active\nada,No\n")
    expect(page.get_by_role("button", name="Keep missing learners")).to_have_count(0)
    page.get_by_role("button", name="Deactivate 1 learner").click()
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_text("Done: 1 changed")).to_be_visible()
    assert statuses(portal)["ada"] == "deactivated"


def test_limit_exceeded_between_preview_and_apply_asks_again(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in(place="#/import").page
    page.get_by_label("Deactivation limit").fill("2")
    page.get_by_label("Deactivate learners who are not in the file").check()
    check(page, "Username,Last Name\nada,King\n")
    expect(page.get_by_role("button", name=APPLY)).to_be_visible()
    portal.create(username="emre")
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_role("alert")).to_contain_text("3 learners")
    assert statuses(portal)["bjoern"] == "activated"
    page.get_by_role("button", name="Deactivate 3 learners").click()
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_text("Done: 4 changed")).to_be_visible()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Username,Last Name\nada,King", "The file does not end with a line break"),
        ("Username,Last Name\nada,King\n,Who\n", "Line 3 does not say which learner it is about"),
    ],
)
def test_incomplete_file_asks_whether_to_keep_missing_learners(
    portal: Portal, signed_in: SignIn, text: str, said: str
) -> None:
    portal.create_of_each_status()
    console = signed_in(place="#/import")
    page = console.page
    page.get_by_label("Deactivate learners who are not in the file").check()
    check(page, text)
    expect(page.get_by_role("alert")).to_contain_text(said)
    console.check_manners()
    page.get_by_role("button", name="Keep missing learners").click()
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_role("heading", name="Import of roster.csv")).to_be_visible()
    assert statuses(portal)["bjoern"] == "activated"


def test_unreadable_file_shows_the_apis_problem(signed_in: SignIn) -> None:
    console = signed_in(place="#/import")
    page = console.page
    check(page, "Name;Active\nAda;Yes\n")
    expect(page.get_by_role("alert")).to_contain_text(
        "The header on line 1 has no column Username and no column External ID."
    )
    console.photograph("import-unreadable")
    console.check_manners()
    page.get_by_label("Deactivation limit").fill("many")
    check(page, MIXED)
    expect(page.get_by_label("Deactivation limit")).to_be_focused()
    expect(page.get_by_label("Deactivation limit")).to_have_attribute("aria-invalid", "true")
    console.check_manners()


def test_missing_or_changed_file_is_refused(signed_in: SignIn, tmp_path: Path) -> None:
    page = signed_in(place="#/import").page
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Choose a file first.")).to_be_visible()
    expect(page.get_by_label("CSV file")).to_be_focused()
    chosen = tmp_path / "roster.csv"
    chosen.write_text("Username\nada\n", encoding="utf-8")
    page.get_by_label("CSV file").set_input_files(chosen)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name=APPLY)).to_be_visible()
    chosen.write_text("Username\nada\nbjoern\n", encoding="utf-8")
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_role("alert")).to_contain_text("The file has changed since you chose it.")


def test_warnings_are_shown(portal: Portal, signed_in: SignIn) -> None:
    page = signed_in(place="#/import").page
    check(page, "Username,Department\nada,Sales\n")
    expect(page.get_by_text("Please note")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Department")
    assert statuses(portal) == {}


def test_large_file_is_sent_unread_and_shows_progress(portal: Portal, signed_in: SignIn) -> None:
    console = signed_in(place="#/import")
    page = console.page
    read = """
      window.read = [];
      for (const name of ["arrayBuffer", "text", "stream", "bytes"]) {
        const real = Blob.prototype[name];
        Blob.prototype[name] = function () { window.read.push(this.size); return real.call(this); };
      }
      FileReader.prototype.readAsText = () => { throw new Error("read"); };
    """
    page.evaluate(f"() => {{{read}}}")
    check(page, "Username\n" + "".join(f"u{number:06}\n" for number in range(100_000)))
    expect(page.get_by_role("heading", name="Preview of roster.csv")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    console.photograph("import-progress")
    console.check_manners()
    page.get_by_label("Reason").focus()
    page.keyboard.press("Tab")  # the page answers meanwhile
    state = page.locator("main").get_by_role("status").filter(has_text="100,000 would be created")
    expect(state).to_be_visible(timeout=120_000)
    expect(page.locator("main details").get_by_role("listitem")).to_have_count(50)
    assert page.evaluate("window.read") == [1]
    assert statuses(portal) == {}


def test_abandoned_preview_is_cancelled(portal: Portal, signed_in: SignIn) -> None:
    page = signed_in(place="#/import").page
    text = "Username\n" + "".join(f"u{number:06}\n" for number in range(60_000))
    check(page, text)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    with page.expect_response("**/cancel"):
        page.get_by_label("Create learners").uncheck()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    with page.expect_response("**/cancel"):
        page.get_by_role("link", name="Operations").click()
    page.get_by_label("Show previews").check()
    expect(page.get_by_role("cell").filter(has_text="Stopped")).to_have_count(2)
    assert [each["state"] for each in operations(portal)] == ["cancelled", "cancelled"]


def test_apply_after_a_lost_answer_runs_once(portal: Portal, signed_in: SignIn) -> None:
    page = signed_in(place="#/import").page
    check(page, "Username\nada\n")
    lost: list[int] = []

    def lose(route: Any) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().status)
            route.abort()

    page.route("**/imports/csv?*dry_run=false*", lose)
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_text("Done: 1 created")).to_be_visible()
    assert lost == [200]
    assert [each["dry_run"] for each in operations(portal)] == [False, True]


def test_key_without_bulk_scope_has_no_import(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in("learners:read", "learners:write", place="#/import").page
    expect(page.get_by_role("heading", name="User Management")).to_be_visible()
    expect(page.get_by_role("link", name="Import")).to_have_count(0)


def test_key_with_only_bulk_scope_imports_and_sees_the_outcome(portal: Portal, signed_in: SignIn) -> None:
    console = signed_in("learners:bulk")
    page = console.page
    check(page, "Username\nada\nADA\n")
    page.get_by_role("button", name=APPLY).click()
    expect(page.get_by_text("Done: 1 created, 1 invalid")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["Import", "Operations"])
    assert statuses(portal) == {"ada": "activated"}


# Export


def test_export_has_the_filtered_list_and_imports_back_unchanged(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in(place="#/learners?status=active&status=expired&q=a").page
    expect(page.get_by_role("rowheader")).to_have_count(2)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    assert re.fullmatch(r"learners-\d{4}-\d\d-\d\d\.csv", saved.value.suggested_filename)
    text = Path(saved.value.path()).read_text(encoding="utf-8-sig")
    assert sorted(row["Username"] for row in csv.DictReader(io.StringIO(text))) == ["ada", "dat"]
    assert portal.import_csv(text)["counts"]["unchanged"] == 2


def test_failed_export_shows_the_problem(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    expect(page.get_by_role("rowheader")).to_have_count(4)
    page.context.set_offline(True)
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("Rollcall cannot be reached.")).to_be_visible()
    page.context.set_offline(False)
