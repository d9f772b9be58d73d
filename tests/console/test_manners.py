"""Accessibility of every view: both languages, zoom, forced colors, reduced motion, right-to-left names."""

import pytest
from playwright.sync_api import expect

from tests.support.console import Console, Portal, SignIn

VIEWS = [
    "learners",
    "learners?learner={learner}",
    "import",
    "operations",
    "operations?operation={operation}",
    "api-keys",
    "webhooks",
    "webhooks?webhook={webhook}",
    "organization",
]
# Isolates around a name keep it from reordering the sentence around it.
ISOLATED = "\u2068{}\u2069"


def open_view(view: str, portal: Portal, sign_in: SignIn) -> tuple[Console, str]:
    """Open the view with some data; return it with a name for its screenshots."""
    learner = portal.create_of_each_status()["expired"]
    operation = portal.import_csv("Username,Active\nemre,\nbjoern,Maybe\ndat,Yes\nada,No\nchiara,No\n")
    webhook = portal.create_webhook("https://nobody.invalid/hook", event_types=["learner.expired"])
    portal.client.post(f"/webhooks/{webhook['id']}/test").raise_for_status()
    ids = {"learner": learner["id"], "operation": operation["id"], "webhook": webhook["id"]}
    console = sign_in(place=f"#/{view.format(**ids)}")
    wait_for(console, view)
    return console, f"{view.partition('?')[0]}-one" if "?" in view else view


def wait_for(console: Console, view: str) -> None:
    """Wait until the view shows its data."""
    panel = console.page.get_by_role("complementary").locator("li, details")
    rows_or_fields = console.page.locator("tbody tr, input[name=name], input[type=file]")
    expect((panel if "?" in view else rows_or_fields).first).to_be_visible()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_accessible_in_german(portal: Portal, signed_in: SignIn, view: str) -> None:
    console, name = open_view(view, portal, signed_in)
    console.page.evaluate("localStorage.setItem('rollcall.language', 'de')")
    console.page.reload()
    wait_for(console, view)
    assert console.page.evaluate("document.documentElement.lang") == "de"
    console.photograph(f"german-{name}")
    for width in (320, 768, 1440):
        console.page.set_viewport_size({"width": width, "height": 900})
        console.check_manners()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_accessible_at_four_times_the_size(
    portal: Portal, signed_in: SignIn, view: str
) -> None:
    console, _ = open_view(view, portal, signed_in)
    console.page.set_viewport_size({"width": 320, "height": 256})  # 1280 by 1024, magnified
    console.check_manners()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_accessible_in_forced_colors(portal: Portal, signed_in: SignIn, view: str) -> None:
    console, name = open_view(view, portal, signed_in)
    console.page.emulate_media(forced_colors="active")
    console.photograph(f"forced-{name}")
    console.check_manners()


def test_dialogs_are_accessible_at_four_times_the_size(signed_in: SignIn) -> None:
    page = (console := signed_in(place="#/api-keys")).page
    page.set_viewport_size({"width": 320, "height": 256})
    page.get_by_role("button", name="New API key").click()
    console.check_manners()
    page.get_by_label("Name").fill("portal")
    page.get_by_label("access:check").check()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_label("Secret")).to_be_visible()
    console.check_manners()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_bulk_action_is_accessible_at_four_times_the_size_in_german(
    portal: Portal, signed_in: SignIn
) -> None:
    portal.create_of_each_status()
    console = signed_in()
    page = console.page
    page.set_viewport_size({"width": 320, "height": 256})
    page.evaluate("localStorage.setItem('rollcall.language', 'de')")
    page.reload()
    page.get_by_role("checkbox", name="Ada Lovelace").check()
    page.get_by_role("checkbox", name="Đạt Nguyễn").check()
    console.check_manners()
    page.get_by_role("button", name="Aktion wählen").click()
    console.check_manners()
    page.get_by_role("button", name="Deaktivieren", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="deaktivieren")).to_be_visible()
    console.check_manners()
    dialog.get_by_role("button", name="deaktivieren").click()
    expect(dialog.get_by_role("button", name="Zurücknehmen")).to_be_visible()
    console.photograph("many-german-large")
    console.check_manners()


def test_reduced_motion_removes_animations(portal: Portal, signed_in: SignIn) -> None:
    portal.create_of_each_status()
    page = signed_in().page
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("button", name="deactivate Ada").click()
    toast = page.get_by_text("Ada Lovelace is deactivated")
    expect(toast).to_be_visible()
    animation = "element => getComputedStyle(element.parentElement).animationName"
    assert toast.evaluate(animation) == "arrive"
    page.emulate_media(reduced_motion="reduce")
    assert toast.evaluate(animation) == "none"


@pytest.mark.parametrize(("first_name", "isolated"), [("عائشة", ISOLATED), ("𞤀𞤣𞤢𞤥", ISOLATED), ("Ada", "{}")])
def test_right_to_left_name_is_isolated_in_its_sentence(
    portal: Portal, signed_in: SignIn, first_name: str, isolated: str
) -> None:
    portal.create(first_name=first_name)
    page = signed_in().page
    page.get_by_role("button", name=": deactivate ").click()
    toast = page.get_by_label("Notifications").get_by_role("paragraph")
    expect(toast).to_be_visible()
    assert toast.text_content() == f"{isolated.format(first_name)} is deactivated and can no longer log in."


def test_typed_text_runs_in_the_direction_of_its_script(signed_in: SignIn) -> None:
    page = signed_in().page
    page.get_by_label("Search").fill("عائشة")
    direction = "element => getComputedStyle(element).direction"
    assert page.get_by_label("Search").evaluate(direction) == "rtl"
    page.get_by_label("Search").fill("Ada")
    assert page.get_by_label("Search").evaluate(direction) == "ltr"
