"""Signing in with an API key, what its scopes let be seen, and how a session ends."""

from playwright.sync_api import expect

from tests.support.console import Console, Portal, SignIn

REFUSED = "This API key is unknown, expired or revoked."


def sign_in(console: Console, secret: str) -> None:
    """As a person does."""
    console.page.get_by_label("API key").fill(secret)
    console.page.get_by_role("button", name="Sign in").click()


def test_a_key_signs_in_for_this_tab_only(console: Console, portal: Portal) -> None:
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


def test_signing_in_leads_to_the_address_that_was_opened(console: Console, portal: Portal) -> None:
    portal.create_of_each_status()
    console.open("#/learners?status=expired")
    sign_in(console, portal.issue_key()["secret"])
    expect(console.page.get_by_role("rowheader")).to_have_text(["Đạt Nguyễn"])


def test_a_wrong_key_is_refused_in_the_words_of_the_api_and_not_kept(
    console: Console, portal: Portal
) -> None:
    console.open()
    sign_in(console, "rollcall_nonsense")
    expect(console.page.get_by_role("alert")).to_contain_text(REFUSED)
    console.check_manners()

    console.page.reload()
    expect(console.page.get_by_label("API key")).to_be_visible()
    expect(console.page.get_by_role("alert")).to_have_count(0)
    sign_in(console, portal.issue_key()["secret"])
    expect(console.page.get_by_role("table")).to_be_visible()


def test_no_key_is_asked_for_without_asking_the_service(console: Console) -> None:
    console.open()
    console.page.route("**/me", lambda route: route.abort())
    sign_in(console, "  ")
    expect(console.page.get_by_text("Enter the API key")).to_be_visible()
    expect(console.page.get_by_label("API key")).to_be_focused()
    console.check_manners()


def test_signing_out_forgets_the_key(signed_in: SignIn) -> None:
    console = signed_in()
    console.page.get_by_role("button", name="Sign out").click()
    expect(console.page.get_by_label("API key")).to_be_focused()
    assert console.page.evaluate("sessionStorage.length") == 0


def test_a_key_that_is_revoked_leads_back_to_signing_in(console: Console, portal: Portal) -> None:
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


def test_a_key_for_the_portal_has_nothing_to_see(signed_in: SignIn) -> None:
    console = signed_in("access:check")
    expect(console.page.get_by_role("heading", name="This key can’t use the console")).to_be_visible()
    expect(console.page.get_by_role("navigation").get_by_role("link")).to_have_count(0)
    console.check_manners()


def test_a_service_that_does_not_answer_is_told_of_and_the_key_kept(signed_in: SignIn) -> None:
    console = signed_in("learners:read")
    expect(console.page.get_by_role("table")).to_be_visible()
    console.page.route("**/me", lambda route: route.abort())
    console.page.reload()
    expect(console.page.get_by_role("alert")).to_contain_text("Rollcall cannot be reached.")
    console.page.unroute("**/me")
    console.page.reload()
    expect(console.page.get_by_role("table")).to_be_visible()


def test_an_answer_of_something_in_between_is_told_of_with_its_status(console: Console) -> None:
    console.open()
    console.page.route("**/me", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    sign_in(console, "rollcall_anything")
    expect(console.page.get_by_role("alert")).to_contain_text("status 502")


def test_the_page_speaks_german_where_the_reader_chooses_it(signed_in: SignIn) -> None:
    console = signed_in()
    console.page.get_by_label("Language").select_option("de")
    expect(console.page.get_by_role("heading", name="Benutzerverwaltung")).to_be_visible()
    assert console.page.evaluate("document.documentElement.lang") == "de"
    assert console.page.title() == "Benutzerverwaltung – Rollcall"
    console.photograph("german")
    console.check_manners()
