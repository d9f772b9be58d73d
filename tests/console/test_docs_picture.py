"""The picture of the console in the docs: whether it still shows what the page has, and how it is taken again.

ROLLCALL_DOCS_PICTURE=1 make test ARGS="tests/console/test_docs_picture.py"
"""

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.console import Portal, SignIn

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "console.png"
MOST_BYTES = 150_000
SIZE = {"width": 1280, "height": 750}
# What a reader finds in the picture. If it changes, take the picture again.
NAVIGATION = ["User Management", "Import", "Operations", "API keys", "Webhooks", "Organization"]
COLUMNS = ["Status", "Name", "Username", "Email", "Expiration date", "Last access"]
STATUSES = ["All 9", "Active 4", "Activated 3", "Deactivated 1", "Expired 1"]

ROSTER = """\
Username,Email,First Name,Last Name,Active,Expiration Date
a.okafor,a.okafor@example.org,Adaeze,Okafor,,2035-12-31
l.bianchi,l.bianchi@example.org,Luca,Bianchi,,
m.chen,m.chen@example.org,Mei,Chen,,2034-06-30
j.dubois,j.dubois@example.org,Jeanne,Dubois,No,
s.eriksen,s.eriksen@example.org,Sofie,Eriksen,,
r.fernandez,r.fernandez@example.org,Rosa,Fernández,,2024-12-31
h.gruber,h.gruber@example.org,Hannes,Gruber,,
a.hassan,a.hassan@example.org,Amina,Hassan,,2036-03-31
p.kowalska,p.kowalska@example.org,Paulina,Kowalska,,
"""
ACCESSED = ("l.bianchi", "m.chen", "s.eriksen", "h.gruber")
SELECTED = ("Amina Hassan", "Paulina Kowalska")


def texts(page: Page, selector: str) -> list[str]:
    """What the elements say, in their order, with single spaces."""
    return [" ".join(each.split()) for each in page.locator(selector).all_inner_texts()]


def test_picture_is_small() -> None:
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert PICTURE.stat().st_size < MOST_BYTES


def test_page_has_what_the_picture_shows(portal: Portal, signed_in: SignIn) -> None:
    portal.import_csv(ROSTER)
    for username in ACCESSED:
        found = portal.client.get("/learners", params={"username": username}).json()["items"][0]
        portal.client.post(f"/learners/{found['id']}/access")
    page = signed_in().page
    page.set_viewport_size({"width": SIZE["width"], "height": SIZE["height"]})
    for name in SELECTED:
        page.get_by_role("checkbox", name=f"Select {name}").check()

    expect(page.get_by_text("2 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Choose action")).to_be_enabled()
    expect(page.get_by_role("button", name="Export")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_visible()
    assert texts(page, "nav a") == NAVIGATION
    assert [each for each in texts(page, "thead th") if each] == COLUMNS
    assert texts(page, ".chips button") == STATUSES

    if os.environ.get("ROLLCALL_DOCS_PICTURE"):
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.evaluate("scrollTo(0, 0)")
        page.mouse.move(0, 0)
        PICTURE.write_bytes(page.screenshot())
        assert PICTURE.stat().st_size < MOST_BYTES
