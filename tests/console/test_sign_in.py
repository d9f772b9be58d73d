"""Signing in with an API key, what its scopes allow, and the end of a session."""

from playwright.sync_api import expect

from tests.support.console import Console, Portal, SignIn

REFUSED = "This API key is unknown, expired or revoked. Use a valid key."


def sign_in(console: Console, secret: str) -> None:
    """Sign in as a user does."""
    console.page.get_by_label("API key").fill(secret)
    console.page.get_by_role("button", name="Sign in").click()


def test_key_signs_in_this_tab_only(console: Console, portal: Portal) -> None:
    console.open()
    expect(console.page.get_by_label("API key")).to_be_focused()
    console.photograph("sign-in")
    console.check_manners()

    sign_in(console, f" {portal.issue_key(name='Grace')['secret']} ")
    expect(console.page.get_by_role("heading", name="User Management")).to_be_visible()
    expect(console.page.get_by_role("banner")).to_contain_text("Example Academy")
    expect(console.page.get_by_role("banner")).to_contain_text("Grace")

    console.page.reload()
    expect(console.page.get_by_role("heading", name="User Management")).to_be_visible()
    other = Console(console.page.context.new_page(), console.url)
    other.open()
    expect(other.page.get_by_label("API key")).to_be_visible()


def test_sign_in_leads_to_the_opened_address(console: Console, portal: Portal) -> None:
    portal.create_of_each_status()
    console.open("#/learners?status=expired")
    sign_in(console, portal.issue_key()["secret"])
    expect(console.page.get_by_role("rowheader")).to_have_text(["Đạt Nguyễn"])


def test_wrong_key_is_refused_and_not_stored(console: Console, portal: Portal) -> None:
    console.open()
    sign_in(console, "rollcall_nonsense")
    expect(console.page.get_by_role("alert")).to_contain_text(REFUSED)
    console.check_manners()

    console.page.reload()
    expect(console.page.get_by_label("API key")).to_be_visible()
    expect(console.page.get_by_role("alert")).to_have_count(0)
    sign_in(console, portal.issue_key()["secret"])
    expect(console.page.get_by_role("table")).to_be_visible()


def test_empty_key_is_refused_without_a_request(console: Console) -> None:
    console.open()
    console.page.route("**/me", lambda route: route.abort())
    sign_in(console, "  ")
    expect(console.page.get_by_text("Enter the API key")).to_be_visible()
    expect(console.page.get_by_label("API key")).to_be_focused()
    console.check_manners()


def test_sign_out_removes_the_key(signed_in: SignIn) -> None:
    console = signed_in()
    console.page.get_by_role("button", name="Sign out").click()
    expect(console.page.get_by_label("API key")).to_be_focused()
    assert console.page.evaluate("sessionStorage.length") == 0


def test_revoked_key_leads_back_to_sign_in(console: Console, portal: Portal) -> None:
    learners = portal.create_of_each_status()
    key = portal.issue_key()
    console.open()
    sign_in(console, key["secret"])
    console.page.get_by_role("button", name="Expired: set a new").click()
    portal.revoke(key)

    console.page.get_by_label("Never expires").check()
    console.page.get_by_role("button", name="Set date").click()
    expect(console.page.get_by_role("alert")).to_contain_text(REFUSED)
    expect(console.page.get_by_role("dialog")).to_have_count(0)
    expect(console.page.get_by_label("API key")).to_be_focused()
    assert portal.learner(learners["expired"]) == learners["expired"]

    sign_in(console, portal.issue_key()["secret"])
    expect(console.page.get_by_role("rowheader")).to_have_count(4)


def test_portal_key_sees_no_view(signed_in: SignIn) -> None:
    console = signed_in("access:check")
    expect(console.page.get_by_role("heading", name="This key can’t use the console")).to_be_visible()
    expect(console.page.get_by_role("navigation").get_by_role("link")).to_have_count(0)
    console.check_manners()


def test_unreachable_service_is_shown_and_keeps_the_key(signed_in: SignIn) -> None:
    console = signed_in("learners:read")
    expect(console.page.get_by_role("table")).to_be_visible()
    console.page.route("**/me", lambda route: route.abort())
    console.page.reload()
    expect(console.page.get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    console.page.unroute("**/me")
    console.page.reload()
    expect(console.page.get_by_role("table")).to_be_visible()


def test_answer_of_a_proxy_is_shown_with_its_status(console: Console) -> None:
    console.open()
    console.page.route("**/me", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    sign_in(console, "rollcall_anything")
    expect(console.page.get_by_role("alert")).to_contain_text("status 502")


def test_chosen_german_is_used(signed_in: SignIn) -> None:
    console = signed_in()
    console.page.get_by_label("Language").select_option("de")
    expect(console.page.get_by_role("heading", name="Benutzerverwaltung")).to_be_visible()
    assert console.page.evaluate("document.documentElement.lang") == "de"
    assert console.page.title() == "Benutzerverwaltung – Rollcall"
    console.photograph("german")
    console.check_manners()
