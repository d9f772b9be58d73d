"""User Management: the list with its filters, order and pages, all of them in the address."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, Route, expect

from tests.support.console import Console, Portal, SignIn

NAMES = ["Chiara Bianchi", "Ada Lovelace", "Đạt Nguyễn", "Björn Sørensen"]  # by last name


def names(page: Page) -> Locator:
    """Find the names of the rows, in order."""
    return page.get_by_role("rowheader")


def roster(rows: int) -> str:
    """Make a CSV file of this many numbered learners."""
    lines = (f"u{number:04},Given{number:04},Family{number:04}\n" for number in range(1, rows + 1))
    return "Username,First Name,Last Name\n" + "".join(lines)


def test_list_shows_learners_with_their_status(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = (console := signed_in()).page
    expect(names(page)).to_have_text(NAMES)
    expect(page.get_by_role("columnheader")).to_have_text(
        ["", "Status", "Name", "Username", "Email", "Expiration date", "Last access"]
    )
    ada = page.get_by_role("row", name="Ada Lovelace").get_by_role("cell")
    expect(ada).to_have_text(["", "Active", "ada", "ada@example.org", "Never", re.compile(r"\d{4}$")])
    expired = page.get_by_role("row", name="Đạt Nguyễn")
    expect(expired).to_contain_text("Expired")
    expect(expired).to_contain_text("31 Dec 2024")
    expect(page.get_by_text("1–4 of 4 learners")).to_be_visible()
    assert page.title() == "User Management – Rollcall"
    console.photograph("learners")
    console.check_manners()


def test_chips_count_and_filter_and_back_returns(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    portal.create(first_name="Emre", last_name="Yılmaz")
    page = signed_in().page
    expect(page.get_by_role("group", name="Filter by status").get_by_role("button")).to_have_text(
        ["All5", "Active1", "Activated2", "Deactivated1", "Expired1"]
    )

    page.get_by_role("button", name="Activated 2").click()
    expect(names(page)).to_have_text(["Björn Sørensen", "Emre Yılmaz"])
    expect(page.get_by_role("button", name="Activated 2")).to_be_focused()
    page.get_by_role("button", name="Expired 1").click()
    expect(names(page)).to_have_text(["Đạt Nguyễn", "Björn Sørensen", "Emre Yılmaz"])
    expect(page.get_by_text("1–3 of 3 learners")).to_be_visible()
    expect(page.get_by_role("button", pressed=True)).to_have_text(["Activated2", "Expired1"])
    expect(page).to_have_url(re.compile(r"#/learners\?status=activated&status=expired$"))

    page.go_back()
    expect(names(page)).to_have_text(["Björn Sørensen", "Emre Yılmaz"])
    page.get_by_role("button", name="All 5").click()
    expect(names(page)).to_have_count(5)


def test_search_while_typing_asks_once_and_is_one_step_back(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    expect(names(page)).to_have_count(4)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).query))

    page.get_by_label("Search").press_sequentially("LOVE", delay=20)
    expect(names(page)).to_have_text(["Ada Lovelace"])
    page.get_by_label("Search").press_sequentially("lace", delay=20)
    expect(page).to_have_url(re.compile(r"\?q=LOVElace$"))
    expect(page.get_by_role("group", name="Filter by status").get_by_role("button").first).to_have_text(
        "All1"
    )
    assert len([each for each in asked if "limit" in each]) <= 3  # eight keys
    expect(page.get_by_label("Search")).to_be_focused()

    page.go_back()
    expect(names(page)).to_have_text(NAMES)
    expect(page.get_by_label("Search")).to_have_value("")


def test_first_list_is_requested_once_while_the_key_is_checked(portal: Portal, console: Console) -> None:
    portal.create_of_each_status()
    page = console.page
    asked: list[str] = []
    held: list[Route] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/me", hold)
    console.keep_key(portal.issue_key("learners:read")["secret"])
    with page.expect_response("**/learners?*q=ada*"):
        console.open("#/learners?q=ada")
    assert len(held) == 1
    expect(names(page)).to_have_count(0)
    held[0].continue_()
    expect(names(page)).to_have_text(["Ada Lovelace"])
    assert asked.count("/learners") == 1


def test_late_answer_is_not_shown(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    expect(names(page)).to_have_count(4)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/learners?*q=ada*", hold)
    page.get_by_label("Search").fill("ada")
    expect(page).to_have_url(re.compile("q=ada"))
    page.get_by_label("Search").fill("chiara")
    expect(names(page)).to_have_text(["Chiara Bianchi"])
    assert len(held) == 1
    assert held[0].request.failure == "net::ERR_ABORTED"


def test_search_without_match_says_so(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    console = signed_in(place="#/learners?q=nobody")
    expect(console.page.get_by_text("No learners found.")).to_be_visible()
    expect(names(console.page)).to_have_count(0)
    console.check_manners()


def test_heading_sorts_and_second_click_reverses(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    username = page.get_by_role("columnheader", name="Username")
    username.get_by_role("button").click()
    expect(names(page)).to_have_text(["Ada Lovelace", "Björn Sørensen", "Chiara Bianchi", "Đạt Nguyễn"])
    expect(username).to_have_attribute("aria-sort", "ascending")
    expect(username.get_by_role("button")).to_be_focused()
    username.get_by_role("button").press("Enter")
    expect(names(page)).to_have_text(["Đạt Nguyễn", "Chiara Bianchi", "Björn Sørensen", "Ada Lovelace"])
    expect(username).to_have_attribute("aria-sort", "descending")
    expect(page).to_have_url(re.compile(r"\?sort=-username$"))
    page.get_by_role("columnheader", name="Expiration date").get_by_role("button").click()
    expect(names(page).first).to_have_text("Đạt Nguyễn")


def test_pages_are_turned_and_can_be_bookmarked(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(roster(60))
    page = signed_in().page
    page.get_by_label("Rows per page").select_option("25")
    expect(page.get_by_text("1–25 of 60 learners")).to_be_visible()
    previous, following = page.get_by_role("button", name="Previous"), page.get_by_role("button", name="Next")
    expect(previous).to_be_disabled()
    following.click()
    expect(page.get_by_text("26–50 of 60 learners")).to_be_visible()
    second = page.url
    following.click()
    expect(page.get_by_text("51–60 of 60 learners")).to_be_visible()
    expect(names(page).last).to_have_text("Given0060 Family0060")
    expect(following).to_be_disabled()
    expect(following).to_be_focused()
    previous.click()
    expect(page.get_by_text("26–50 of 60 learners")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("51–60 of 60 learners")).to_be_visible()

    # Opened elsewhere, it is not known how many pages came before it.
    page.goto("about:blank")
    page.goto(second)
    expect(names(page).first).to_have_text("Given0026 Family0026")
    expect(page.get_by_text("25 of 60 learners")).to_be_visible()
    previous.click()
    expect(page.get_by_text("1–25 of 60 learners")).to_be_visible()


def test_invalid_cursor_is_shown_and_leads_to_the_first_page(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in(place="#/learners?cursor=nonsense").page
    expect(page.get_by_role("alert")).to_contain_text("This cursor is damaged or belongs to another query")
    page.get_by_role("button", name="Try again").click()
    expect(names(page)).to_have_count(4)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_invalid_filter_shows_the_apis_problem(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    console = signed_in(place="#/learners?status=sleeping")
    expect(console.page.get_by_role("alert")).to_contain_text("The request is not valid. ?status")
    console.check_manners()
    console.page.get_by_role("button", name="All").click()
    expect(names(console.page)).to_have_count(4)


def test_names_of_any_script_are_shown_as_text(portal: Portal, signed_in: SignIn) -> None:
    shown = ["<img src=x onerror=alert(1)>", '{name} & "quotes"', "山田 太郎", "אבג דהו", "عائشة", "Ā" * 120]
    for number, name in enumerate(shown):
        portal.create(username=f"n{number}", first_name=name)
    console = signed_in(place="#/learners?sort=username")
    expect(names(console.page)).to_have_text(shown)
    console.photograph("scripts")
    for width in (320, 768, 1440):
        console.page.set_viewport_size({"width": width, "height": 900})
        console.check_manners()
    console.page.set_viewport_size({"width": 1280, "height": 900})
    console.page.get_by_role("button", name="deactivate {name}").click()
    expect(console.page.get_by_text('{name} & "quotes" is deactivated')).to_be_visible()


def test_keyboard_alone_searches_and_deactivates(portal: Portal, signed_in: SignIn) -> None:
    learner = portal.create_of_each_status()["activated"]
    page = signed_in().page
    expect(names(page)).to_have_count(4)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Export")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("björn")
    expect(names(page)).to_have_count(1)
    control = page.get_by_role("button", name="deactivate Björn Sørensen")
    for _ in range(20):
        if control.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Deactivated: activate Björn Sørensen")).to_be_focused()
    assert portal.learner(learner)["status"] == "deactivated"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Björn Sørensen")).to_be_focused()
