"""`GET /learners` and the counts: every filter, order and page, compared with the whole list."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.status import Status
from app.organizations.api_keys import Scope
from tests.support.answers import pointers, problem
from tests.support.examples import limit_examples
from tests.support.rosters import SORTS, Roster, in_order, walk
from tests.support.service import NOON, Api, Service

pytestmark = pytest.mark.anyio

TODAY = NOON.date()
DAYS = {each: (TODAY + timedelta(days=each)).isoformat() for each in range(-3, 4)}
# username, first name, last name, email, external id, expires on, what happened to them
PEOPLE = [
    ("a.okafor", "Adaeze", "Okafor", "a.okafor@example.org", "HR-1001", None, ""),
    ("A-Okafor", "ADA", "OKAFOR", "A.OKAFOR@example.com", "hr-1001", DAYS[1], "accessed"),
    ("ozil", "Mesut", "Özil", "ÖZIL@example.org", None, DAYS[0], "accessed"),
    ("ÖZIL", None, "ozil", "özil+1@example.org", "17", DAYS[-1], "accessed"),
    ("strasse", "Straße", "Weiß", "weiss@example.org", "STRASSE", DAYS[-1], ""),
    ("Straße 2", "Zoë", "Zoe\N{COMBINING DIAERESIS}", None, None, DAYS[-2], "deactivated"),
    ("ΟΔΥΣΣΕΥΣ", "Οδυσσεύς", None, "odysseus@example.org", "Ω", DAYS[2], "deactivated"),
    ("山田太郎", "太郎", "山田", "yamada@example.jp", "社員-1", None, "accessed deactivated"),
    ("İstanbul", "I\u015fik", "Il\u0131ca", "isik@example.org", None, DAYS[0], "deactivated"),
    ("100%", "Per", "Cent", "100%@example.org", "%", None, ""),
    ("100_", "Under", "Score", "a_b@example.org", "_", None, "accessed"),
    ('say "hi"', 'Quote"', "d'Arc", "o'neil@example.org", "'", "9999-12-31", ""),
    ("back\\slash", "C:\\", "O\\Neil", "b\\s@example.org", "\\", "9999-12-31", "accessed"),
    ("star*", "*", "AND", "a*b@example.org", "*", DAYS[3], ""),
    ("x' OR '1'='1", "NOT", "NEAR(a b)", "or@example.org", "x' OR '1'='1", "0001-01-01", ""),
    ("^caret:colon", "{a}", "(b)", "semi;colon@example.org", "-- ", DAYS[-3], "accessed deactivated"),
    ("😀smile", "😀", "👩‍👩‍👧", "smile😀@example.org", "😀", None, ""),
    ("ab", "A", "B", "a@b", "a", None, "deactivated"),
    ("abc", "A", "B", "ab@b", "b", None, "accessed"),
    ("nameless", None, None, None, None, None, ""),
    ("firstonly", "Only", None, None, None, DAYS[1], ""),
]


async def act(api: Api, learner: dict[str, Any], action: str) -> None:
    answer = await api.client.post(f"/learners/{learner['id']}/{action}")
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
async def roster(shared_service: Service) -> AsyncIterator[Roster]:
    """Create PEOPLE, three at each instant. No test changes them."""
    shared_service.clock.instant = NOON
    organization = await shared_service.found_organization()
    async with shared_service.client(await shared_service.issue_key(organization)) as client:
        api = Api(shared_service, organization, client)
        for place, (username, first, last, email, external_id, expires_on, happened) in enumerate(PEOPLE):
            if place % 3 == 0:
                shared_service.clock.advance(seconds=1.5)
            learner = await api.create(
                username=username, first_name=first, last_name=last, email=email, external_id=external_id
            )
            if "accessed" in happened:
                await act(api, learner, "access")
            if "deactivated" in happened:
                await act(api, learner, "deactivate")
            await client.patch(f"/learners/{learner['id']}", json={"expires_on": expires_on})
        shared_service.clock.instant = NOON
        learners = (await client.get("/learners", params={"limit": 1000})).json()["items"]
        yield Roster(api, [await api.get(learner) for learner in learners])


def usernames(learners: Any) -> list[Any]:
    return [learner["username"] for learner in learners]


async def list_all(roster: Roster, **params: Any) -> Any:
    return await walk(roster.api, **{"limit": 1000, **params})


async def count_by_status(roster: Roster, **params: Any) -> dict[str, Any]:
    answer = await roster.api.client.get("/learners/status-counts", params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def expected_counts(learners: Any) -> Any:
    by_status = {each.value: sum(learner["status"] == each for learner in learners) for each in Status}
    return by_status | {"total": len(learners)}


async def test_list_without_a_filter_has_every_learner(roster: Roster) -> None:
    assert len(roster.learners) == len(PEOPLE)
    assert {learner["status"] for learner in roster.learners} == set(Status)
    assert {learner["restores_to"] for learner in roster.learners} == {
        None,
        "active",
        "activated",
        "deactivated",
    }


FILTERS: list[tuple[dict[str, Any], list[str] | None]] = [
    ({"status": ["active"]}, ["100_", "a-okafor", "abc", "back\\slash", "ozil"]),
    ({"status": ["activated"]}, None),
    ({"status": ["deactivated"]}, ["ab", "i̇stanbul", "οδυσσευσ", "山田太郎"]),
    ({"status": ["expired"]}, ["^caret:colon", "strasse", "strasse 2", "x' or '1'='1", "özil"]),
    ({"status": ["expired", "deactivated"]}, None),
    ({"status": ["active", "activated", "deactivated"]}, None),
    ({"status": ["active", "active"]}, None),
    ({"status": list(Status)}, None),
    # Part of the name, the username or the email.
    ({"q": "adaeze"}, ["a.okafor"]),
    ({"q": "OKAFOR"}, ["a-okafor", "a.okafor"]),
    ({"q": "adaeze oka"}, ["a.okafor"]),
    ({"q": "Okafor Adaeze"}, []),
    ({"q": "example.JP"}, ["山田太郎"]),
    ({"q": "HR-1001"}, []),
    ({"q": "özil"}, ["ozil", "özil"]),
    ({"q": "ÖZIL"}, ["ozil", "özil"]),
    ({"q": "O\N{COMBINING DIAERESIS}Zil"}, ["ozil", "özil"]),
    ({"q": "WEISS"}, ["strasse"]),
    ({"q": "straße"}, ["strasse", "strasse 2"]),
    ({"q": "ZOË"}, ["strasse 2"]),
    ({"q": "οδυσσευς"}, ["οδυσσευσ"]),
    ({"q": "ΟΔΥΣΣΕΎΣ"}, ["οδυσσευσ"]),
    ({"q": "田"}, ["山田太郎"]),
    ({"q": "太郎 山"}, ["山田太郎"]),
    ({"q": "😀"}, ["😀smile"]),
    ({"q": "👩‍👩‍👧"}, ["😀smile"]),
    # One or two characters, fewer than a trigram.
    ({"q": "b"}, None),
    ({"q": "ab"}, ["ab", "abc"]),
    ({"q": "@"}, None),
    ({"q": " "}, None),
    ({"q": "zz"}, []),
    # Characters that are special to LIKE, full-text search or SQL are ordinary here.
    ({"q": "%"}, ["100%"]),
    ({"q": "_"}, ["100_"]),
    ({"q": "0%@e"}, ["100%"]),
    ({"q": "0_"}, ["100_"]),
    ({"q": "a_b"}, ["100_"]),
    ({"q": '"'}, ['say "hi"']),
    ({"q": '"hi"'}, ['say "hi"']),
    ({"q": 'y "h'}, ['say "hi"']),
    ({"q": "*"}, ["star*"]),
    ({"q": "a*b"}, ["star*"]),
    ({"q": "tar*"}, ["star*"]),
    ({"q": "'"}, ['say "hi"', "x' or '1'='1"]),
    ({"q": "' or '1'='1"}, ["x' or '1'='1"]),
    ({"q": "\\"}, ["back\\slash"]),
    ({"q": "b\\s"}, ["back\\slash"]),
    ({"q": "k\\s"}, ["back\\slash"]),
    ({"q": "/"}, []),
    ({"q": "AND"}, ["star*"]),
    ({"q": "near(a b)"}, ["x' or '1'='1"]),
    ({"q": "not near"}, ["x' or '1'='1"]),
    ({"q": "^ca"}, ["^caret:colon"]),
    ({"q": "t:co"}, ["^caret:colon"]),
    ({"q": "{a} (b)"}, ["^caret:colon"]),
    ({"q": "i;co"}, ["^caret:colon"]),
    # No match spans two fields.
    ({"q": "\n"}, []),
    ({"q": "okafor\na.okafor"}, []),
    ({"q": "okafora.okafor"}, []),
    ({"username": "A.OKAFOR"}, ["a.okafor"]),
    ({"username": "özil"}, ["özil"]),
    ({"username": "STRASSE 2"}, ["strasse 2"]),
    ({"username": "okafor"}, []),
    ({"username": "100%"}, ["100%"]),
    ({"username": "100"}, []),
    ({"username": ""}, []),
    ({"email": "A.Okafor@EXAMPLE.org"}, ["a.okafor"]),
    ({"email": "Özil@example.org"}, ["ozil"]),
    ({"email": "okafor@example.org"}, []),
    ({"email": "a@b"}, ["ab"]),
    ({"email": "100_@example.org"}, []),
    ({"email": "a_b@example.org"}, ["100_"]),
    ({"email": "b"}, []),
    ({"email": "nameless"}, []),
    ({"email": "nameless\n"}, []),
    ({"email": "ab\na@b"}, []),
    ({"external_id": "HR-1001"}, ["a.okafor"]),
    ({"external_id": "hr-1001"}, ["a-okafor"]),
    ({"external_id": "Hr-1001"}, []),
    ({"external_id": "%"}, ["100%"]),
    ({"external_id": ""}, []),
    # The day itself and learners without a date do not match.
    ({"expires_before": DAYS[0]}, ["^caret:colon", "strasse", "strasse 2", "x' or '1'='1", "özil"]),
    ({"expires_before": DAYS[-1]}, ["^caret:colon", "strasse 2", "x' or '1'='1"]),
    ({"expires_before": "0001-01-01"}, []),
    ({"expires_before": "0001-01-02"}, ["x' or '1'='1"]),
    ({"expires_after": DAYS[1]}, ["back\\slash", 'say "hi"', "star*", "οδυσσευσ"]),
    ({"expires_after": "9999-12-30"}, ["back\\slash", 'say "hi"']),
    ({"expires_after": "9999-12-31"}, []),
    ({"expires_before": "9999-12-31", "expires_after": "0001-01-01"}, None),
    ({"expires_before": DAYS[1], "expires_after": DAYS[-1]}, ["i̇stanbul", "ozil"]),
    ({"expires_before": DAYS[0], "expires_after": DAYS[0]}, []),
    # Every member of a filter must match.
    ({"status": ["active"], "q": "okafor"}, ["a-okafor"]),
    ({"status": ["deactivated"], "q": "okafor"}, []),
    ({"status": ["expired"], "expires_after": DAYS[-2]}, ["strasse", "özil"]),
    ({"username": "a.okafor", "email": "a.okafor@example.com"}, []),
    (
        {"username": "a.okafor", "q": "adaeze", "external_id": "HR-1001", "status": ["activated"]},
        ["a.okafor"],
    ),
]


async def test_filter_finds_exactly_the_matching_learners(roster: Roster) -> None:
    for wanted, found in FILTERS:
        expected = in_order(roster.matching(**wanted), "username")
        if found is not None:
            assert sorted(map(SORTS["username"], expected)) == sorted(found), f"{wanted}: the test is wrong"
        assert usernames(await list_all(roster, **wanted)) == usernames(expected), wanted


async def test_status_counts_agree_with_the_list_for_every_filter(roster: Roster) -> None:
    assert await count_by_status(roster) == expected_counts(roster.learners)
    for wanted, _ in FILTERS:
        assert await count_by_status(roster, **wanted) == expected_counts(roster.matching(**wanted)), wanted


async def test_total_is_only_shown_on_request_and_counts_all_pages(roster: Roster) -> None:
    for wanted, _ in FILTERS[::6]:
        params = {"limit": 2, **wanted}
        page = (await roster.api.client.get("/learners", params=params)).json()
        assert page.keys() == {"items", "next_cursor"}
        with_total = (await roster.api.client.get("/learners", params=params | {"include": "total"})).json()
        assert with_total == page | {"total": len(roster.matching(**wanted))}


async def test_ids_select_learners(roster: Roster) -> None:
    ids = [learner["id"] for learner in roster.learners]
    strangers = ["019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11", ids[3].upper()]
    for chosen in (ids[:1], ids[2:9], [*ids[:5], *ids[:5]], [*ids[3:7], *strangers], strangers[:1]):
        expected = roster.matching(ids=[each.lower() for each in chosen])
        assert await list_all(roster, ids=chosen) == in_order(expected, "username")
        assert await count_by_status(roster, ids=chosen) == expected_counts(expected)
    expected = roster.matching(ids=ids[:9], status=["active"])
    assert await list_all(roster, ids=ids[:9], status="active") == in_order(expected, "username")
    assert len(await list_all(roster, ids=(ids * 50)[:1000])) == len(ids)


@pytest.mark.parametrize("sort", [sign + key for key in SORTS for sign in ("", "-")])
async def test_pages_together_are_the_list_in_every_order(roster: Roster, sort: str) -> None:
    expected = in_order(roster.learners, sort)
    for limit in (2, 5, 12, len(expected)):
        assert usernames(await walk(roster.api, sort=sort, limit=limit)) == usernames(expected)
    assert await walk(roster.api, sort=sort) == expected


def draw_parts(person: Any) -> Any:
    """Pieces of the texts that `q` searches."""
    username, first_name, last_name, email, *_ = (text or "" for text in person)
    texts = st.sampled_from([username, email, f"{first_name} {last_name}"])
    return st.builds(
        lambda text, start, size: text[start : start + size], texts, st.integers(0, 8), st.integers(1, 9)
    )


def vary_case(texts: Any) -> Any:
    recased = st.sampled_from([str, str.upper, str.lower, str.swapcase, str.title])
    return st.builds(lambda recase, text: recase(text), recased, texts).filter(bool)


people = st.sampled_from(PEOPLE)
days = st.sampled_from([*DAYS.values(), "0001-01-01", "9999-12-31"])
filters = st.fixed_dictionaries(
    {},
    optional={
        "status": st.lists(st.sampled_from([each.value for each in Status]), min_size=1, max_size=4),
        "q": vary_case(people.flatmap(draw_parts)),
        "username": vary_case(people.map(lambda person: person[0])),
        "email": vary_case(people.map(lambda person: person[3] or "")),
        "external_id": people.map(lambda person: person[4] or "none"),
        "expires_before": days,
        "expires_after": days,
        "ids": st.lists(st.integers(0, len(PEOPLE) - 1), min_size=1, max_size=9),
    },
)


@limit_examples(60)
@given(
    wanted=filters,
    sort=st.sampled_from([sign + key for key in SORTS for sign in ("", "-")]),
    limit=st.integers(2, 30),
    few=st.sampled_from([0, 4, 2000]),
)
async def test_any_filter_order_and_page_size_gives_the_whole_list(
    roster: Roster, wanted: Any, sort: str, limit: int, few: int
) -> None:
    if "ids" in wanted:
        wanted["ids"] = [roster.learners[place]["id"] for place in wanted["ids"]]
    expected = in_order(roster.matching(**wanted), sort)
    # If more than `few` match, an index is walked: the same list, found in another way.
    with roster.api.service.limited(few_matches=few):
        assert usernames(await walk(roster.api, sort=sort, limit=limit, **wanted)) == usernames(expected)
        assert await count_by_status(roster, **wanted) == expected_counts(expected)


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        ("username", {}),
        ("-username", {"q": "same"}),
        ("-created_at", {}),
        ("created_at", {"q": "same"}),
        ("last_name", {"q": "same"}),
        ("-expires_on", {}),
    ],
)
async def test_pages_neither_miss_nor_repeat_learners_while_rows_change(
    api: Api, sort: str, wanted: dict[str, Any]
) -> None:
    for place in range(10):
        api.service.clock.advance(seconds=1)
        await api.create(username=f"m{place:02}", last_name="Same", expires_on=DAYS[1] if place % 2 else None)
    at_first = in_order(await walk(api), sort)
    seen, page, cursor = [], 0, None
    while page == 0 or cursor:
        params = {"sort": sort, "limit": 4, **wanted} | ({"cursor": cursor} if cursor else {})
        answer = (await api.client.get("/learners", params=params)).json()
        seen += answer["items"]
        cursor = answer["next_cursor"]
        page += 1
        if page > 3:  # otherwise the list would grow as fast as it is read
            continue
        # New learners before, within and after the part already shown, and changes that do not affect the order.
        api.service.clock.advance(seconds=1)
        for username in (f"a{page}", f"m{page:02}x", f"z{page}"):
            await api.create(username=username, last_name="Same", expires_on=DAYS[1])
        for learner in at_first[page::4]:
            await act(api, learner, "deactivate")
            await api.client.patch(f"/learners/{learner['id']}", json={"email": f"{page}@example.org"})
    shown = usernames(seen)
    assert len(shown) == len(set(shown))
    assert [username for username in shown if len(username) == 3] == usernames(at_first)
    assert usernames(seen) == usernames(in_order(seen, sort))


async def test_learner_changed_during_a_walk_by_updated_at_appears_again(api: Api) -> None:
    """An HR system that reads by updated_at must not miss changes that happen while it reads."""
    for place in range(6):
        api.service.clock.advance(seconds=1)
        await api.create(username=f"m{place}")
    first = (await api.client.get("/learners", params={"sort": "updated_at", "limit": 4})).json()
    api.service.clock.advance(seconds=1)
    await act(api, first["items"][0], "deactivate")
    params = {"sort": "updated_at", "limit": 4, "cursor": first["next_cursor"]}
    assert usernames((await api.client.get("/learners", params=params)).json()["items"]) == ["m4", "m5", "m0"]


class TestCursors:
    async def get_refusal(self, roster: Roster, path: str = "/learners", **params: Any) -> Any:
        return problem(await roster.api.client.get(path, params=params), 400, "invalid-cursor")

    @pytest.fixture
    async def cursor(self, roster: Roster) -> str:
        params: dict[str, Any] = {"status": ["active", "activated"], "sort": "last_name", "limit": 2}
        following: str = (await roster.api.client.get("/learners", params=params)).json()["next_cursor"]
        return following

    async def test_cursor_continues_with_another_page_size(self, roster: Roster, cursor: str) -> None:
        rest = in_order(roster.matching(status=["active", "activated"]), "last_name")[2:]
        pages: list[dict[str, Any]] = [{}, {"limit": 1000}, {"limit": 3, "include": "total"}]
        for more in pages:
            query = {"status": ["active", "activated"], "sort": "last_name", "cursor": cursor, **more}
            answer = (await roster.api.client.get("/learners", params=query)).json()
            assert answer["items"] == rest[: more.get("limit", 50)]

    @pytest.mark.parametrize(
        "other",
        [
            {"status": ["active"], "sort": "last_name"},
            {"status": ["active", "activated"]},
            {"status": ["active", "activated"], "sort": "-last_name"},
            {"status": ["active", "activated"], "sort": "updated_at"},
            {"status": ["active", "activated"], "sort": "last_name", "q": "a"},
            {},
        ],
    )
    async def test_cursor_of_another_query_is_400(
        self, roster: Roster, cursor: str, other: dict[str, Any]
    ) -> None:
        await self.get_refusal(roster, cursor=cursor, **other)

    async def test_cursor_of_another_organization_or_list_is_400(self, roster: Roster, api: Api) -> None:
        for _ in range(3):
            await api.create()
        theirs = (await api.client.get("/learners", params={"limit": 1})).json()["next_cursor"]
        await self.get_refusal(roster, cursor=theirs)
        changed = next(learner for learner in roster.learners if learner["version"] > 1)
        history = f"/learners/{changed['id']}/events"
        await self.get_refusal(roster, history, cursor=theirs)
        mine = (await roster.api.client.get(history, params={"limit": 1})).json()["next_cursor"]
        assert mine is not None
        await self.get_refusal(roster, cursor=mine)

    async def test_damaged_cursor_is_400(self, roster: Roster, cursor: str) -> None:
        query: dict[str, Any] = {"status": ["active", "activated"], "sort": "last_name"}
        fingerprint, position = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        altered: list[Any] = [[], [fingerprint], [fingerprint, []], [fingerprint, [*position, "x"]]]
        altered += [[fingerprint, [*position[:-1], value]] for value in ("x", "", 1, None, ["x"], "0" * 36)]
        altered += [{}, None, 1, [1, position], [fingerprint, None]]
        texts = ["", "x", "%%", "ä", "=", cursor[:-2], cursor + "AA", cursor.swapcase(), "A" * 4000]
        texts += [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in altered]
        for text in texts:
            await self.get_refusal(roster, cursor=text, **query)


async def test_looked_up_text_is_tidied_like_stored_text(api: Api) -> None:
    stored = await api.create(username=" lead ", email="Zo\u00eb@example.org ", external_id="  HR-\u00eb")
    for params in (
        {"username": " lead"},
        {"username": "LEAD\t"},
        {"email": " Zoe\u0308@example.org"},
        {"external_id": "HR-e\u0308 "},
    ):
        assert (await api.client.get("/learners", params=params)).json()["items"] == [stored], params
    assert (await api.client.get("/access", params={"username": " lead"})).json()["allowed"]
    for name in ("username", "external_id"):
        assert (await api.client.get("/learners", params={name: "  "})).json()["items"] == [], name
    problem(await api.client.get("/access", params={"username": " "}), 422, "invalid-request")


async def test_missing_last_names_sort_first_and_missing_dates_last(api: Api) -> None:
    without = await api.create()
    named = await api.create(last_name="Okafor", expires_on="2027-01-01")
    for sort, expected in (
        ("last_name", [without, named]),
        ("-last_name", [named, without]),
        ("expires_on", [named, without]),
        ("-expires_on", [without, named]),
    ):
        answer = await api.client.get("/learners", params={"sort": sort})
        assert answer.json()["items"] == expected, sort


class TestWhatIsNotTaken:
    WRONG = (
        ({"limit": 0}, "?limit"),
        ({"limit": -1}, "?limit"),
        ({"limit": 1001}, "?limit"),
        ({"limit": "many"}, "?limit"),
        ({"limit": ""}, "?limit"),
        ({"sort": "email"}, "?sort"),
        ({"sort": "--username"}, "?sort"),
        ({"sort": "status"}, "?sort"),
        ({"include": "totals"}, "?include"),
        ({"cursor": "x" * 4097}, "?cursor"),
        ({"status": "inactive"}, "?status"),
        ({"status": ["active", "Active"]}, "?status"),
        ({"status": ""}, "?status"),
        ({"ids": "a.okafor"}, "?ids"),
        ({"ids": ""}, "?ids"),
        ({"ids": ["019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"] * 1001}, "?ids"),
        ({"q": ""}, "?q"),
        ({"q": "x" * 256}, "?q"),
        ({"q": "a\x00b"}, "?q"),
        ({"q": "a\x1fb"}, "?q"),
        ({"email": ""}, "?email"),
        ({"username": "\x07"}, "?username"),
        ({"username": "x" * 256}, "?username"),
        ({"expires_before": "tomorrow"}, "?expires_before"),
        ({"expires_before": "0"}, "?expires_before"),
        ({"expires_after": "2026-02-29"}, "?expires_after"),
        ({"expires_after": "2026-11-02T00:00:00"}, "?expires_after"),
        ({"statsu": "active"}, "?statsu"),
        ({"Status": "active"}, "?Status"),
        ({"status[]": "active"}, "?status[]"),
        ({"offset": 10}, "?offset"),
    )

    @pytest.mark.parametrize("path", ["/learners", "/learners/status-counts"])
    async def test_invalid_parameter_is_422_with_its_pointer(self, roster: Roster, path: str) -> None:
        for params, pointer in self.WRONG:
            document = problem(await roster.api.client.get(path, params=params), 422, "invalid-request")
            assert pointers(document) == [pointer], params

    async def test_status_counts_refuse_paging_parameters(self, roster: Roster) -> None:
        for params in ({"limit": 5}, {"sort": "username"}, {"include": "total"}, {"cursor": "x"}):
            answer = await roster.api.client.get("/learners/status-counts", params=params)
            assert pointers(problem(answer, 422, "invalid-request")) == [f"?{next(iter(params))}"]

    async def test_reading_without_its_scope_is_403(self, roster: Roster) -> None:
        async with await roster.api.client_with(Scope.ACCESS_CHECK, Scope.LEARNERS_BULK) as client:
            for path in ("/learners", "/learners/status-counts", f"/learners/{roster.learners[0]['id']}"):
                document = problem(await client.get(path), 403, "not-permitted")
                assert document["required_scope"] == "learners:read"
