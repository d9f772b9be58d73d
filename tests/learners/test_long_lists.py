"""Lists so long that a page is found by walking an index, compared with lists found by seeking a few matches."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest

from app.domain.status import Status
from tests.support.rosters import SORTS, Roster, in_order, walk
from tests.support.service import NOON, Api, Service

pytestmark = pytest.mark.anyio

TODAY = NOON.date()
# More than the 2,000 matches that a list fetches and sorts.
SIZE, MANY, ACTIVE = 2700, 2000, 40
HEADER = ("Username", "External ID", "Email", "First Name", "Last Name", "Active", "Expiration Date")


def make_person(number: int) -> dict[str, Any]:
    """Of nine, one is deactivated and never expires, one has expired, and seven have a future date."""
    kind = number % 9
    days = {0: None, 1: -1 - number % 4}.get(kind, 1 + number % 5)
    return {
        "username": f"crowd{number * 7919 % SIZE:04}",
        "external_id": f"HR-{number}",
        "email": f"crowd{number}@example.org",
        "first_name": ("Ada", "Björn", "Chloé")[number % 3],
        "last_name": ("Okafor", "Özil", "Lindqvist", "Dubois", None)[number % 5],
        "expires_on": None if days is None else (TODAY + timedelta(days=days)).isoformat(),
        "status": {0: "deactivated", 1: "expired"}.get(kind, "activated"),
    }


def write_csv(people: Any) -> str:
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(HEADER)
    for each in people:
        facts = [each[name] or "" for name in ("username", "external_id", "email", "first_name", "last_name")]
        lines.writerow([*facts, "No" if each["status"] == "deactivated" else "", each["expires_on"] or ""])
    return text.getvalue()


@pytest.fixture(scope="module")
async def crowd(shared_service: Service) -> AsyncIterator[Roster]:
    """Import them as one file, and let 40 access training."""
    shared_service.clock.instant = NOON
    organization = await shared_service.found_organization()
    async with shared_service.client(await shared_service.issue_key(organization)) as client:
        api = Api(shared_service, organization, client)
        people = {each["username"]: each for each in map(make_person, range(SIZE))}
        operation = await api.import_csv(write_csv(people.values()))
        assert operation["counts"]["created"] == SIZE
        activated = [name for name, each in people.items() if each["status"] == "activated"]
        for number, username in enumerate(activated[:: len(activated) // ACTIVE][:ACTIVE]):
            shared_service.clock.instant = NOON + timedelta(minutes=number // 2)
            found = (await client.get("/learners", params={"username": username})).json()["items"]
            assert (await client.post(f"/learners/{found[0]['id']}/access")).status_code == 200
            people[username]["status"] = "active"
        shared_service.clock.instant = NOON
        learners = await walk(api, limit=1000)
        assert [{name: each[name] for name in people["crowd0001"]} for each in learners] == [
            people[username] for username in sorted(people)
        ]
        yield Roster(api, learners)


ORDERS = [sign + key for key in SORTS for sign in ("", "-")]
MATCHED_BY_MANY: list[dict[str, Any]] = [
    {},
    {"q": "crowd"},
    {"q": "CR"},
    {"status": ["activated"]},
    {"status": ["activated", "active", "expired"], "q": "Example.org"},
    {"expires_after": TODAY.isoformat()},
    {"expires_before": (TODAY + timedelta(days=30)).isoformat(), "q": "o"},
]
MATCHED_BY_FEW: list[dict[str, Any]] = [
    {"q": "crowd12"},
    {"q": "chloé öz"},
    {"q": "crowd", "status": ["active"]},
    {"status": ["expired"]},
    {"status": ["deactivated"], "q": "O"},
    {"expires_before": TODAY.isoformat(), "q": "crowd"},
    {"status": ["activated", "active"], "email": "CROWD101@example.org"},
]


async def test_walk_past_many_matches_gives_the_whole_list(crowd: Roster) -> None:
    # Each order is combined with another filter.
    for sort, wanted in zip(ORDERS, cycle(MATCHED_BY_MANY), strict=False):
        expected = in_order(crowd.matching(**wanted), sort)
        assert len(expected) > MANY
        assert await walk(crowd.api, sort=sort, limit=1000, **wanted) == expected, (sort, wanted)


async def test_search_for_few_among_many_gives_the_whole_list(crowd: Roster) -> None:
    for sort, wanted in zip(cycle(ORDERS), MATCHED_BY_FEW, strict=False):
        expected = in_order(crowd.matching(**wanted), sort)
        assert 0 < len(expected) <= MANY
        assert await walk(crowd.api, sort=sort, limit=130, **wanted) == expected, (sort, wanted)


async def test_small_pages_continue_in_the_middle_of_ties(crowd: Roster) -> None:
    expected = in_order(crowd.learners, "last_name")
    params: dict[str, Any] = {"sort": "last_name", "limit": 7}
    for start in range(0, 70, 7):
        page = (await crowd.api.client.get("/learners", params=params)).json()
        assert page["items"] == expected[start : start + 7]
        params["cursor"] = page["next_cursor"]


async def test_counts_of_many_and_of_few_are_exact(crowd: Roster) -> None:
    for wanted in (*MATCHED_BY_MANY, *MATCHED_BY_FEW):
        matching = crowd.matching(**wanted)
        counts = (await crowd.api.client.get("/learners/status-counts", params=wanted)).json()
        assert counts == {each: sum(learner["status"] == each for learner in matching) for each in Status} | {
            "total": len(matching)
        }
        params = {"limit": 1, "include": "total", **wanted}
        assert (await crowd.api.client.get("/learners", params=params)).json()["total"] == len(matching)


async def test_export_of_many_has_every_match_in_order(crowd: Roster) -> None:
    for sort, wanted in (
        ("-last_name", {}),
        ("username", {"status": ["activated"]}),
        ("username", {"q": "crowd12"}),
    ):
        answer = await crowd.api.client.get(
            "/learners", params={"sort": sort, "limit": 10, **wanted}, headers={"Accept": "text/csv"}
        )
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        expected = in_order(crowd.matching(**wanted), sort)
        assert [row["Username"] for row in rows] == [learner["username"] for learner in expected]
