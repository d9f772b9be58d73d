"""Webhooks: creating, testing, editing and removing them, and their deliveries."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from standardwebhooks import Webhook as Verifier

from tests.support.console import Console, Portal, SignIn
from tests.support.endpoint import Endpoint, endpoint_of_webhooks

PLACE = "#/webhooks"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with endpoint_of_webhooks() as endpoint:
        yield endpoint


def stored(portal: Portal) -> list[dict[str, Any]]:
    """Return the stored webhooks, newest first."""
    found: list[dict[str, Any]] = portal.client.get("/webhooks").json()["items"]
    return found


def panel(page: Page) -> Locator:
    return page.get_by_role("complementary")


def open_panel(sign_in: SignIn, webhook: dict[str, Any]) -> Console:
    """Open the page with this webhook's panel."""
    console = sign_in(place=f"{PLACE}?webhook={webhook['id']}")
    expect(panel(console.page).get_by_role("button", name="Send test")).to_be_visible()
    return console


def test_new_webhook_receives_events(portal: Portal, signed_in: SignIn, endpoint: Endpoint) -> None:
    page = (console := signed_in(place=PLACE)).page
    expect(page.get_by_text("No webhooks yet.")).to_be_visible()
    console.photograph("webhooks-none")
    console.check_manners()
    page.get_by_role("button", name="New webhook").click()
    dialog = page.get_by_role("dialog", name="New webhook")
    expect(dialog.get_by_label("URL")).to_be_focused()
    console.photograph("webhook-new")
    console.check_manners()
    dialog.get_by_label("URL").fill(endpoint.url)
    dialog.get_by_label("Description").fill("Tells HR")
    dialog.get_by_label("Deactivated").check()
    dialog.get_by_label("First access to training").check()
    dialog.get_by_role("button", name="Create webhook").click()
    shown = page.get_by_role("dialog", name="Webhook created")
    secret = shown.get_by_label("Secret").input_value()
    console.check_manners()
    shown.get_by_role("button", name="Copy secret").click()
    expect(shown.get_by_role("status")).not_to_be_empty()
    shown.get_by_role("button", name="Done").click()

    expect(panel(page).get_by_role("heading", name=endpoint.url)).to_be_visible()
    (webhook,) = stored(portal)
    assert (webhook["description"], webhook["event_types"]) == (
        "Tells HR",
        ["learner.deactivated", "learner.accessed"],
    )
    learner = portal.create(username="ada")
    portal.client.post(f"/learners/{learner['id']}/deactivate").raise_for_status()
    delivery = panel(page).get_by_role("listitem").filter(has_text="Deactivated").filter(has_text="Received")
    for _ in range(40):
        panel(page).get_by_role("button", name="Refresh").click()
        if endpoint.received and delivery.count():
            break
        page.wait_for_timeout(250)
    expect(delivery).to_have_count(1)
    expect(page.get_by_role("row").nth(1)).not_to_contain_text("Never")
    assert endpoint.types == ["learner.deactivated"]
    headers, content = endpoint.received[0]
    assert Verifier(secret).verify(content, headers)["data"]["learner_id"] == learner["id"]
    console.photograph("webhook-one")
    for width in (320, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        console.check_manners()


def test_test_message_shows_whether_it_was_received(
    portal: Portal, signed_in: SignIn, endpoint: Endpoint
) -> None:
    page = open_panel(signed_in, portal.create_webhook(endpoint.url)).page
    panel(page).get_by_role("button", name="Send test").click()
    expect(page.get_by_text("The endpoint received the test.")).to_be_visible()
    expect(page.get_by_role("row").nth(1)).not_to_contain_text("Never")
    expect(panel(page).get_by_role("listitem").filter(has_text="Test")).to_contain_text("Received")
    endpoint.status = 500
    panel(page).get_by_role("button", name="Send test").click()
    expect(
        page.get_by_text("The endpoint did not receive the test. The endpoint returned 500")
    ).to_be_visible()
    expect(panel(page).get_by_role("listitem").filter(has_text="Test").first).to_contain_text("Failed")
    assert endpoint.types == ["webhook.test", "webhook.test"]


def test_failed_delivery_is_shown_and_sent_again(
    portal: Portal, signed_in: SignIn, endpoint: Endpoint
) -> None:
    endpoint.status = 503
    webhook = portal.create_webhook(endpoint.url)
    portal.create(username="ada")
    console = open_panel(signed_in, webhook)
    page = console.page
    item = panel(page).get_by_role("listitem").filter(has_text="Created")
    for _ in range(40):
        panel(page).get_by_role("button", name="Refresh").click()
        page.wait_for_timeout(250)
        if item.filter(has_text="Next attempt").count():
            break
    expect(item).to_contain_text("Not received. It will be sent again.")
    expect(item).to_contain_text("The endpoint returned 503")
    console.photograph("webhook-failing")
    console.check_manners()
    endpoint.status = 204
    item.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("Sending it again.")).to_be_visible()
    expect(item).to_be_focused()
    for _ in range(40):
        if (
            portal.client.get(f"/webhooks/{webhook['id']}/deliveries").json()["items"][0]["state"]
            == "delivered"
        ):
            break
        page.wait_for_timeout(250)
    panel(page).get_by_role("button", name="Refresh").click()
    expect(item).to_contain_text("Received")


def test_webhook_is_edited(portal: Portal, signed_in: SignIn, endpoint: Endpoint) -> None:
    webhook = portal.create_webhook(endpoint.url, description="old", event_types=["learner.created"])
    page = open_panel(signed_in, webhook).page
    panel(page).get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit webhook")
    expect(dialog.get_by_label("URL")).to_have_value(endpoint.url)
    expect(dialog.get_by_label("Created")).to_be_checked()
    dialog.get_by_label("URL").fill("nonsense")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[data-error-of=url]")).to_contain_text("https URL")
    dialog.get_by_label("URL").fill(f"{endpoint.url}/two")
    dialog.get_by_label("Description").fill("")
    dialog.get_by_label("Created").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Webhook saved.")).to_be_visible()
    expect(page.get_by_role("rowheader")).to_have_text(f"{endpoint.url}/two")
    expect(page.get_by_role("row").nth(1)).to_contain_text("All")
    (changed,) = stored(portal)
    assert (changed["url"], changed["description"], changed["event_types"]) == (
        f"{endpoint.url}/two",
        None,
        [],
    )


def test_webhook_is_disabled_and_enabled(portal: Portal, signed_in: SignIn, endpoint: Endpoint) -> None:
    page = open_panel(signed_in, portal.create_webhook(endpoint.url)).page
    panel(page).get_by_role("button", name="Disable").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Disabled")
    expect(panel(page).get_by_role("button", name="Enable")).to_be_focused()
    assert stored(portal)[0]["enabled"] is False
    panel(page).get_by_role("button", name="Enable").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Enabled")
    assert stored(portal)[0]["enabled"] is True


def test_webhook_disabled_by_the_service_shows_the_reason(
    portal: Portal, signed_in: SignIn, endpoint: Endpoint
) -> None:
    endpoint.status = 410
    portal.create_webhook(endpoint.url)
    portal.create()
    page = signed_in(place=PLACE).page
    for _ in range(40):
        if not stored(portal)[0]["enabled"]:
            break
        page.wait_for_timeout(250)
    page.reload()
    expect(page.get_by_role("row").nth(1)).to_contain_text("the endpoint wants no more messages (410)")


def test_secret_is_replaced(portal: Portal, signed_in: SignIn, endpoint: Endpoint) -> None:
    webhook = portal.create_webhook(endpoint.url)
    console = open_panel(signed_in, webhook)
    page = console.page
    panel(page).get_by_role("button", name="Replace secret").click()
    question = page.get_by_role("dialog", name="Replace the secret?")
    console.check_manners()
    question.get_by_role("button", name="Replace secret").click()
    shown = page.get_by_role("dialog", name="Secret replaced")
    secret = shown.get_by_label("Secret").input_value()
    assert secret != webhook["secret"]
    shown.get_by_role("button", name="Copy secret").click()
    shown.get_by_role("button", name="Done").click()
    panel(page).get_by_role("button", name="Send test").click()
    expect(page.get_by_text("The endpoint received the test.")).to_be_visible()
    headers, content = endpoint.received[0]
    Verifier(secret).verify(content, headers)


def test_webhook_is_removed(portal: Portal, signed_in: SignIn, endpoint: Endpoint) -> None:
    page = open_panel(signed_in, portal.create_webhook(endpoint.url)).page
    panel(page).get_by_role("button", name="Remove").click()
    page.get_by_role("dialog", name="Remove this webhook?").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Webhook removed.")).to_be_visible()
    expect(panel(page)).to_have_count(0)
    expect(page.get_by_text("No webhooks yet.")).to_be_visible()
    assert stored(portal) == []


def test_unknown_webhook_shows_the_apis_problem(signed_in: SignIn) -> None:
    page = signed_in(place=f"{PLACE}?webhook=019a8c61-2222-7333-8444-555566667777").page
    expect(panel(page).get_by_role("alert")).to_contain_text("no webhook with this id")


def test_unreachable_list_can_be_tried_again(portal: Portal, signed_in: SignIn) -> None:
    portal.create_webhook("https://nobody.invalid/")
    page = signed_in(place="#/organization").page
    expect(page.get_by_label("Time zone")).to_be_visible()
    page.route("**/webhooks?*", lambda route: route.abort())
    page.get_by_role("link", name="Webhooks").click()
    expect(page.get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    page.unroute("**/webhooks?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("rowheader")).to_have_count(1)


def test_keyboard_and_address_open_the_panel(portal: Portal, signed_in: SignIn) -> None:
    webhook = portal.create_webhook("https://nobody.invalid/")
    page = signed_in(place=PLACE).page
    link = page.get_by_role("link", name="https://nobody.invalid/")
    link.focus()
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading", name="https://nobody.invalid/")).to_be_focused()
    assert page.url.endswith(f"{PLACE}?webhook={webhook['id']}")
    page.keyboard.press("Escape")
    expect(panel(page)).to_have_count(0)
    expect(link).to_be_focused()
    page.go_back()
    expect(panel(page)).to_be_visible()


def test_only_admin_keys_see_webhooks(signed_in: SignIn) -> None:
    page = signed_in("learners:read", "learners:write", "learners:bulk", "events:read", place=PLACE).page
    expect(page.get_by_role("heading", name="User Management")).to_be_visible()
    expect(page.get_by_role("link", name="Webhooks")).to_have_count(0)
