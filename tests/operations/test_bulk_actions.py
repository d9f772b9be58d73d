"""Activating and deactivating many learners over HTTP: who is selected, what is stored, what is recorded."""

import asyncio
import csv
import io
from collections import Counter
from typing import Any

import httpx
import pytest

from app.learners.filters import LearnerFilter
from app.operations.bulk_actions import select_chunks
from app.operations.outcomes import unpack
from app.operations.schemas import Selection
from app.operations.service import Asker
from app.organizations.api_keys import Scope
from app.organizations.principal import Actor
from app.platform.ids import new_id
from tests.support.answers import pointers, problem
from tests.support.service import NOON, Api, Service
from tests.support.stored import (
    StoredState,
    all_learners,
    all_outcomes,
    another,
    count_stages,
    ended,
    follow,
    stored_state,
)

pytestmark = pytest.mark.anyio

NOBODY = new_id(NOON)
NOTHING_DONE = {"changed": 0, "unchanged": 0, "refused": 0, "not_found": 0}


@pytest.fixture
def small_chunks(service: Service) -> None:
    """Three learners a chunk, so that a short list is a large operation."""
    service.limit(chunk_rows=3)


def counts(**given: int) -> dict[str, int]:
    return NOTHING_DONE | given


async def post(api: Api, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    return await api.client.post("/learners/bulk-actions", json=body, headers=headers)


async def act(api: Api, action: str, selection: Any, **members: Any) -> dict[str, Any]:
    """The operation that did this."""
    answer = await post(api, {"action": action, "selection": selection, **members})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def create_each_status(api: Api) -> dict[str, Any]:
    """One learner of each status, and an expired one that was deactivated; by name."""
    learners = {name: await api.create(username=name) for name in ("active", "activated", "deactivated")}
    await api.client.post(f"/learners/{learners['active']['id']}/access")
    await api.client.post(f"/learners/{learners['deactivated']['id']}/deactivate")
    for name in ("expired", "expired-deactivated"):
        learners[name] = await api.create(username=name, expires_on="2026-11-01")
    await api.client.post(f"/learners/{learners['expired-deactivated']['id']}/deactivate")
    return {name: await api.get(learner) for name, learner in learners.items()}


# What an action does


@pytest.mark.parametrize(
    ("action", "outcomes", "statuses"),
    [
        (
            "deactivate",
            {
                "active": "changed",
                "activated": "changed",
                "deactivated": "unchanged",
                "expired": "changed",
                "expired-deactivated": "unchanged",
            },
            {
                "active": ("deactivated", None),
                "activated": ("deactivated", None),
                "deactivated": ("deactivated", None),
                "expired": ("expired", "deactivated"),
                "expired-deactivated": ("expired", "deactivated"),
            },
        ),
        (
            "activate",
            {
                "active": "unchanged",
                "activated": "unchanged",
                "deactivated": "changed",
                "expired": "refused",
                "expired-deactivated": "refused",
            },
            {
                "active": ("active", None),
                "activated": ("activated", None),
                "deactivated": ("activated", None),
                "expired": ("expired", "activated"),
                "expired-deactivated": ("expired", "deactivated"),
            },
        ),
    ],
)
async def test_outcomes_follow_the_rules_and_each_change_has_an_event(
    api: Api, action: str, outcomes: dict[str, Any], statuses: dict[str, Any]
) -> None:
    before = await create_each_status(api)
    api.service.clock.advance(hours=1)
    selection = {"ids": [*(each["id"] for each in before.values()), NOBODY]}

    dry = await act(api, action, selection, dry_run=True)
    assert {name: await api.get(each) for name, each in before.items()} == before
    operation = await act(api, action, selection, reason="contract ended")

    assert (operation["kind"], operation["action"], operation["reason"]) == (
        "bulk-action",
        action,
        "contract ended",
    )
    expected = counts(**Counter(outcomes.values()), not_found=1)
    assert operation["counts"] == dry["counts"] == expected
    assert operation["progress"] == {"done": 6, "total": 6}
    told = await api.outcomes(operation)
    assert {each["username"]: each["outcome"] for each in told if each["username"]} == outcomes
    assert [each["outcome"] for each in told if each["learner_id"] == NOBODY] == ["not_found"]
    assert await api.outcomes(dry) == told
    assert all(each["line"] is None for each in told)
    for name, learner in before.items():
        now = await api.get(learner)
        assert (now["status"], now["restores_to"]) == statuses[name]
        if outcomes[name] != "changed":
            assert now == learner
            continue
        assert now["version"] == learner["version"] + 1
        assert now["updated_at"] == "2026-11-02T13:00:00Z"
        is_deactivation = action == "deactivate"
        assert now["deactivated_at"] == ("2026-11-02T13:00:00Z" if is_deactivation else None)
        valid_from = "2026-11-02T13:00:00Z" if is_deactivation else learner["sessions_valid_from"]
        assert now["sessions_valid_from"] == valid_from
        event = (await api.events(learner))[0]
        assert (event["type"], event["version"]) == (f"learner.{action}d", now["version"])
        assert event["occurred_at"] == "2026-11-02T13:00:00Z"
        assert (event["operation_id"], event["reason"]) == (operation["id"], "contract ended")
        assert event["actor"] == operation["created_by"]
        assert (event["before"]["status"], event["after"]["status"]) == (learner["status"], now["status"])
        assert (event["before"]["deactivated_at"] is None) == is_deactivation


async def test_a_refusal_says_until_when_the_account_was_valid_and_what_to_do(api: Api) -> None:
    learner = await api.create(username="gone", expires_on="2026-11-01")

    operation = await act(api, "activate", {"ids": [learner["id"]]})

    (outcome,) = await api.outcomes(operation, outcome="refused")
    assert (outcome["learner_id"], outcome["username"]) == (learner["id"], "gone")
    assert outcome["changes"] == {}
    (why,) = outcome["problems"]
    assert (why["code"], why["type"]) == ("learner-expired", "/problems/learner-expired")
    assert (why["expires_on"], why["restores_to"]) == ("2026-11-01", "activated")
    assert "expires_on" in why["detail"]


async def test_deactivated_learner_loses_access_with_the_answer(api: Api) -> None:
    learner = await api.create(username="a")
    await act(api, "deactivate", {"filter": {}})

    access = (await api.client.get(f"/learners/{learner['id']}/access")).json()
    assert (access["allowed"], access["reason"]) == (False, "deactivated")


# Who is selected


async def test_ids_are_handled_once_each_in_any_spelling(api: Api) -> None:
    learner, other = await api.create(), await api.create()

    operation = await act(
        api, "deactivate", {"ids": [learner["id"], NOBODY, learner["id"].upper(), learner["id"], NOBODY]}
    )

    assert operation["counts"] == counts(changed=1, not_found=1)
    assert len(await api.events(learner)) == 2
    assert (await api.get(other))["status"] == "activated"


async def test_usernames_are_handled_once_each_in_any_case(api: Api) -> None:
    learner = await api.create(username="A.Straße")

    operation = await act(
        api, "deactivate", {"usernames": ["a.STRASSE", "Nobody", " A.Straße", "a.straße ", "NOBODY"]}
    )

    assert operation["counts"] == counts(changed=1, not_found=1)
    assert [(each["username"], each["learner_id"]) for each in await api.outcomes(operation)] == [
        ("A.Straße", learner["id"]),
        ("Nobody", None),
    ]
    not_found = (await api.outcomes(operation, outcome="not_found"))[0]
    assert [each["code"] for each in not_found["problems"]] == ["not-found"]
    assert len(await api.events(learner)) == 2


async def test_external_ids_are_handled_once_each_and_compared_exactly(api: Api) -> None:
    learner = await api.create(username="a", external_id="HR-1")
    for external_id in ("hr-1", "HR-10", None):
        await api.create(external_id=external_id)

    operation = await act(
        api, "deactivate", {"external_ids": ["HR-1", "HR-2", "HR-1", "Hr-1", "HR-2"]}, expected_count=3
    )

    assert operation["counts"] == counts(changed=1, not_found=2)
    assert operation["request"] == {"selection": {"external_ids_count": 5}}
    told = await api.outcomes(operation)
    assert [
        (each["external_id"], each["username"], each["learner_id"], each["outcome"]) for each in told
    ] == [
        ("HR-1", "a", learner["id"], "changed"),
        ("HR-2", None, None, "not_found"),
        ("Hr-1", None, None, "not_found"),
    ]
    assert [[one["code"] for one in each["problems"]] for each in told] == [[], ["not-found"], ["not-found"]]
    assert {each["status"] for each in (await all_learners(api)).values()} == {"activated", "deactivated"}
    assert len(await api.events(learner)) == 2


async def test_request_says_what_was_selected(api: Api) -> None:
    learner = await api.create(username="a")
    wanted: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"ids": [learner["id"], NOBODY]}, {"ids_count": 2}),
        ({"usernames": ["a"]}, {"usernames_count": 1}),
        ({"external_ids": []}, {"external_ids_count": 0}),
        ({"filter": {}}, {"filter": {}}),
        (
            {"filter": {"status": ["active"], "q": "contractor", "expires_before": "2026-12-31"}},
            {"filter": {"status": ["active"], "q": "contractor", "expires_before": "2026-12-31"}},
        ),
        ({"filter": {}, "except_ids": [NOBODY]}, {"filter": {}, "except_ids_count": 1}),
    ]

    for selection, shown in wanted:
        operation = await act(api, "activate", selection, dry_run=True)

        assert operation["request"] == {"selection": shown}
        assert (await api.client.get(f"/operations/{operation['id']}")).json() == operation
    listed = await follow(api.client, "/operations")
    assert [each["request"]["selection"] for each in listed[::-1]] == [shown for _, shown in wanted]


PEOPLE = {
    "a.okafor": {"first_name": "Adaeze", "last_name": "Okafor", "email": "ada@example.org"},
    "b.lindqvist": {"first_name": "Björn", "external_id": "HR-2", "expires_on": "2026-11-01"},
    "c.contractor": {"expires_on": "2026-12-31", "email": "c@contractors.example.org"},
    "d.deactivated": {"expires_on": "2027-12-31"},
    "e_percent%": {},
}
FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "abcde"),
    ({"status": ["active", "activated"]}, "ace"),
    ({"status": "deactivated"}, "d"),
    ({"status": ["expired"]}, "b"),
    ({"status": ["active"]}, ""),
    ({"q": "CONTRACTOR"}, "c"),
    ({"q": "björn"}, "b"),
    ({"q": "%"}, "e"),
    ({"q": "_"}, "e"),
    ({"q": "a okafor"}, ""),
    ({"q": "adaeze okafor"}, "a"),
    ({"username": "A.OKAFOR"}, "a"),
    ({"username": "a.oka"}, ""),
    ({"email": "ADA@example.org"}, "a"),
    ({"external_id": "HR-2"}, "b"),
    ({"external_id": "hr-2"}, ""),
    ({"expires_before": "2026-12-31"}, "b"),
    ({"expires_after": "2026-12-30"}, "cd"),
    ({"expires_after": "2026-11-01", "expires_before": "2027-12-31"}, "c"),
    ({"status": ["activated"], "q": "example.org"}, "ac"),
]


async def test_filter_selects_the_learners_that_the_list_shows(api: Api) -> None:
    ids = {}
    for username, members in PEOPLE.items():
        ids[username[0]] = (await api.create(username=username, **members))["id"]
    await api.client.post(f"/learners/{ids['d']}/deactivate")
    cases = [*FILTERS, ({"ids": [ids["a"], ids["b"], NOBODY]}, "ab"), ({"ids": [NOBODY]}, "")]

    for wanted, expected in cases:
        operation = await act(api, "deactivate", {"filter": wanted}, dry_run=True)

        told = [each["username"][0] for each in await api.outcomes(operation)]
        assert sorted(told) == list(expected), wanted
        assert operation["progress"]["total"] == len(expected), wanted
        assert [each["username"][0] for each in await follow(api.client, "/learners", **wanted)] == list(
            expected
        )


async def test_except_ids_leaves_learners_out_of_every_kind_of_selection(api: Api) -> None:
    learners = {name: await api.create(username=name, external_id=f"HR-{name}") for name in "abc"}
    left_out = [learners["a"]["id"].upper(), NOBODY]

    for selection, not_found in (
        ({"ids": [each["id"] for each in learners.values()] + [NOBODY]}, 0),
        ({"usernames": ["A", "B", "C", "nobody"]}, 1),
        ({"external_ids": ["HR-a", "HR-b", "HR-c", "HR-nobody"]}, 1),
        ({"filter": {}}, 0),
    ):
        operation = await act(
            api,
            "deactivate",
            {**selection, "except_ids": left_out},
            dry_run=True,
            expected_count=2 + not_found,
        )
        assert operation["counts"] == counts(changed=2, not_found=not_found)
        told = {each["username"] for each in await api.outcomes(operation, outcome="changed")}
        assert told == {"b", "c"}


async def test_null_expected_count_expects_no_number(api: Api) -> None:
    await api.create()
    operation = await act(api, "deactivate", {"filter": {}}, expected_count=None)
    assert operation["counts"] == counts(changed=1)


async def test_empty_selection_succeeds_without_outcomes(api: Api) -> None:
    learner = await api.create()

    selections: tuple[dict[str, Any], ...] = (
        {"ids": []},
        {"usernames": []},
        {"external_ids": []},
        {"filter": {"q": "no one at all"}},
        {"filter": {}, "except_ids": [learner["id"]]},
    )
    for selection in selections:
        operation = await act(api, "deactivate", selection, expected_count=0)
        assert (operation["state"], operation["counts"]) == ("succeeded", NOTHING_DONE)
        assert operation["progress"] == {"done": 0, "total": 0}
        assert await api.outcomes(operation) == []
        report = await api.client.get(
            f"/operations/{operation['id']}/outcomes", headers={"Accept": "text/csv"}
        )
        assert report.text == "Username,External ID,Learner ID,Line,Outcome,Problem\r\n"
    assert await api.get(learner) == learner


async def test_another_organizations_learners_are_not_found(api: Api) -> None:
    other = await another(api)
    theirs = await other.create(username="same", external_id="HR-theirs")
    mine = await api.create(username="same")

    by_id = await act(api, "deactivate", {"ids": [theirs["id"]]})
    by_filter = await act(api, "deactivate", {"filter": {"ids": [theirs["id"]]}})
    by_name = await act(api, "deactivate", {"usernames": ["same"]})
    by_external_id = await act(api, "deactivate", {"external_ids": ["HR-theirs"]})

    assert by_id["counts"] == counts(not_found=1)
    assert (await api.outcomes(by_id))[0]["username"] is None
    assert by_filter["counts"] == NOTHING_DONE
    assert by_external_id["counts"] == counts(not_found=1)
    assert by_name["counts"] == counts(changed=1)
    assert await other.get(theirs) == theirs
    assert (await api.get(mine))["status"] == "deactivated"
    await other.client.aclose()


@pytest.mark.parametrize("kind", ["filter", "ids", "usernames", "external_ids"])
async def test_learner_created_after_the_action_began_is_not_selected(api: Api, kind: str) -> None:
    known = [await api.create(username=f"u{number}", external_id=f"HR-{number}") for number in range(4)]
    selection = {
        "filter": {"filter": {}},
        "external_ids": {"external_ids": [f"HR-{number}" for number in range(6)]},
        "ids": {"ids": [each["id"] for each in known]},
        "usernames": {"usernames": [f"u{number}" for number in range(6)]},
    }[kind]

    async with api.service.runner.turn(api.organization.id):  # selected, and not yet begun
        with api.service.limited(chunk_rows=2):
            answer = await post(
                api, {"action": "deactivate", "selection": selection}, {"Prefer": "respond-async"}
            )
        assert answer.status_code == 202
        late = await api.create(username="u4", external_id="HR-4")
        # Renamed, learners are who they are: each is handled, and once.
        renamed = {"username": "u5", "external_id": "HR-5"}
        await api.client.patch(f"/learners/{known[3]['id']}", json=renamed)
        later = await api.create(username="u3", external_id="HR-3")
    done = await ended(api, answer.json())

    assert done["state"] == "succeeded"
    assert done["counts"] == counts(changed=4, not_found=2 if kind in ("usernames", "external_ids") else 0)
    for learner in known:
        assert (await api.get(learner))["status"] == "deactivated"
    for learner in (late, later):
        assert await api.get(learner) == learner


async def test_selection_is_fixed_when_staging_begins(api: Api) -> None:
    for number in range(5):
        await api.create(username=f"u{number}")
    with api.service.limited(chunk_rows=2):
        chunks = select_chunks(
            api.service.runner,
            Asker(api.organization, Actor("api-key", None, "test"), api.service.clock.now()),
            Selection(filter=LearnerFilter()),
        )
        sizes = [(await anext(chunks)).items]
        await api.create(username="late")
        sizes += [chunk.items async for chunk in chunks]

    assert sizes == [2, 2, 1]


# expected_count


async def test_unexpected_count_changes_nothing_and_names_both_numbers(api: Api) -> None:
    learners = [await api.create() for _ in range(3)]

    for selection, matched in (
        ({"filter": {}}, 3),
        ({"filter": {}, "except_ids": [learners[0]["id"]]}, 2),
        ({"ids": [each["id"] for each in learners] * 2}, 3),
        ({"filter": {"q": "nobody"}}, 0),
    ):
        answer = await post(api, {"action": "deactivate", "selection": selection, "expected_count": 4})
        refusal = problem(answer, 409, "selection-changed")
        assert (refusal["expected_count"], refusal["matched_count"]) == (4, matched)
        assert "4" in refusal["detail"]
        assert str(matched) in refusal["detail"]
    assert [await api.get(each) for each in learners] == learners
    assert await follow(api.client, "/operations") == []
    assert await count_stages(api.service.database) == 0


@pytest.mark.usefixtures("small_chunks")
async def test_a_large_selection_that_has_changed_leaves_nothing_staged(api: Api) -> None:
    await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(8)))

    answer = await post(api, {"action": "deactivate", "selection": {"filter": {}}, "expected_count": 7})

    assert problem(answer, 409, "selection-changed")["matched_count"] == 8
    assert await count_stages(api.service.database) == 0
    assert [each["kind"] for each in await follow(api.client, "/operations")] == ["csv-import"]
    assert {each["status"] for each in (await all_learners(api)).values()} == {"activated"}
    operation = await act(api, "deactivate", {"filter": {}}, expected_count=8)
    assert operation["counts"] == counts(changed=8)


# Large ones


async def test_more_learners_than_one_chunk_holds(api: Api) -> None:
    rows = "".join(f"u{number},{'2026-11-01' if number < 20 else ''}\n" for number in range(5100))
    await api.import_csv("Username,Expiration Date\n" + rows)
    some = [each["id"] for each in await follow(api.client, "/learners", q="u123")]
    everyone = {"filter": {}, "except_ids": some}
    total = 5100 - len(some)

    wrong = await post(api, {"action": "deactivate", "selection": {"filter": {}}, "expected_count": 5099})
    dry = await act(api, "deactivate", everyone, dry_run=True)
    first = await act(api, "deactivate", everyone, expected_count=total)
    second = await act(api, "activate", everyone)

    assert problem(wrong, 409, "selection-changed")["matched_count"] == 5100
    assert await count_stages(api.service.database) == 0
    assert dry["counts"] == first["counts"] == counts(changed=total)
    assert second["counts"] == counts(changed=total - 20, refused=20)
    state = await stored_state(api.service.database, api.organization.id)
    assert Counter(event["type"] for event in state["events"]) == {
        "learner.created": 5100,
        "learner.deactivated": total,
        "learner.activated": total - 20,
    }
    assert len({event["id"] for event in state["events"]}) == len(state["events"])
    assert {row["version"] for row in state["learners"] if row["id"] in some} == {1}
    refused = await all_outcomes(api, second, outcome="refused")
    assert len(refused) == 20
    assert [each["learner_id"] for each in refused] == sorted(each["learner_id"] for each in refused)
    assert stored_items(state, second) == list(range(total))


def stored_items(state: StoredState, operation: dict[str, Any]) -> list[int]:
    """The items of the operation's stored outcomes, chunk by chunk."""
    return [
        each.item
        for row in state["chunks"]
        if row["operation_id"] == operation["id"]
        for each in unpack(row["outcomes"])
    ]


@pytest.mark.usefixtures("small_chunks")
async def test_known_and_unknown_usernames_share_the_chunks(api: Api) -> None:
    for number in range(4):
        await api.create(username=f"u{number}")
    usernames = [f"nobody{number}" for number in range(4)] + [f"U{number}" for number in range(4)]

    operation = await act(api, "deactivate", {"usernames": usernames})

    assert operation["counts"] == counts(changed=4, not_found=4)
    assert operation["progress"] == {"done": 8, "total": 8}
    told = [each["username"] for each in await all_outcomes(api, operation, limit=3)]
    assert sorted(told) == sorted(usernames[:4] + [f"u{number}" for number in range(4)])
    state = await stored_state(api.service.database, api.organization.id)
    assert [row["items"] for row in state["chunks"]] == [3, 3, 2]
    assert stored_items(state, operation) == list(range(8))


async def test_ten_thousand_can_be_named_and_no_more(api: Api) -> None:
    many = [f"u{number}" for number in range(10_001)]
    ids = [new_id(NOON) for _ in range(10_001)]

    for member, values in (("usernames", many), ("external_ids", many), ("ids", ids)):
        operation = await act(api, "deactivate", {member: values[:10_000]}, dry_run=True)
        assert operation["counts"] == counts(not_found=10_000)
        answer = await post(api, {"action": "deactivate", "selection": {member: values}})
        assert pointers(problem(answer, 422, "invalid-request")) == [f"/selection/{member}"]
    answer = await post(api, {"action": "deactivate", "selection": {"filter": {}, "except_ids": ids}})
    assert pointers(problem(answer, 422, "invalid-request")) == ["/selection/except_ids"]


async def test_the_outcomes_as_csv_name_the_learners(api: Api) -> None:
    await api.import_csv("Username,Expiration Date\n=a,\nb,2026-11-01\n")

    ids = {name: each["id"] for name, each in (await all_learners(api)).items()}

    by_name = await act(api, "activate", {"usernames": ["=a", "b", "nobody"]})
    by_id = await act(api, "activate", {"ids": [*ids.values(), NOBODY]})

    for operation, unknown in ((by_name, ["nobody", ""]), (by_id, ["", NOBODY])):
        path = f"/operations/{operation['id']}/outcomes"
        answer = await api.client.get(path, headers={"Accept": "text/csv"})
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert rows[0] == ["Username", "External ID", "Learner ID", "Line", "Outcome", "Problem"]
        assert sorted([row[0], *row[2:5]] for row in rows[1:]) == sorted(
            [
                ["'=a", ids["=a"], "", "unchanged"],
                ["b", ids["b"], "", "refused"],
                [*unknown, "", "not_found"],
            ]
        )


# Wrong requests

VALID = {"action": "deactivate", "selection": {"filter": {}}}
WRONG = [
    ({}, {"/action", "/selection"}),
    ({**VALID, "action": "delete"}, {"/action"}),
    ({**VALID, "selection": {}}, {"/selection"}),
    ({**VALID, "selection": {"except_ids": [NOBODY]}}, {"/selection"}),
    ({**VALID, "selection": {"ids": [], "filter": {}}}, {"/selection"}),
    ({**VALID, "selection": {"ids": [NOBODY], "usernames": ["a"]}}, {"/selection"}),
    ({**VALID, "selection": {"ids": [], "external_ids": []}}, {"/selection"}),
    ({**VALID, "selection": {"usernames": [], "external_ids": []}}, {"/selection"}),
    ({**VALID, "selection": {"all": True}}, {"/selection/all"}),
    ({**VALID, "selection": {"external_ids": [""]}}, {"/selection/external_ids/0"}),
    ({**VALID, "selection": {"external_ids": ["HR-1", None]}}, {"/selection/external_ids/1"}),
    ({**VALID, "selection": {"external_ids": "HR-1"}}, {"/selection/external_ids"}),
    ({**VALID, "selection": {"filter": {"statuses": ["active"]}}}, {"/selection/filter/statuses"}),
    ({**VALID, "selection": {"filter": {"status": ["asleep"]}}}, {"/selection/filter/status/0"}),
    ({**VALID, "selection": {"filter": {"status": []}}}, {"/selection/filter/status"}),
    ({**VALID, "selection": {"filter": {"q": ""}}}, {"/selection/filter/q"}),
    ({**VALID, "selection": {"filter": {"expires_before": "soon"}}}, {"/selection/filter/expires_before"}),
    ({**VALID, "selection": {"ids": ["42"]}}, {"/selection/ids/0"}),
    ({**VALID, "selection": {"ids": [NOBODY, None]}}, {"/selection/ids/1"}),
    ({**VALID, "selection": {"usernames": [""]}}, {"/selection/usernames/0"}),
    ({**VALID, "selection": {"usernames": ["x" * 256]}}, {"/selection/usernames/0"}),
    ({**VALID, "selection": {"usernames": ["\x00"]}}, {"/selection/usernames/0"}),
    ({**VALID, "selection": {"filter": {}, "except_ids": ["x"]}}, {"/selection/except_ids/0"}),
    ({**VALID, "expected_count": -1}, {"/expected_count"}),
    ({**VALID, "expected_count": "3"}, {"/expected_count"}),
    ({**VALID, "dry_run": "true"}, {"/dry_run"}),
    ({**VALID, "dryrun": True}, {"/dryrun"}),
    ({**VALID, "reason": "x" * 1001}, {"/reason"}),
]


async def test_invalid_request_selects_no_learner_and_points_to_the_fault(api: Api) -> None:
    learner = await api.create(external_id="HR-1")

    for body, expected in WRONG:
        refusal = problem(await post(api, body), 422, "invalid-request")
        assert set(pointers(refusal)) == expected, body
    for answer in (
        await api.client.post(
            "/learners/bulk-actions", content="{", headers={"Content-Type": "application/json"}
        ),
        await api.client.post("/learners/bulk-actions"),
        await api.client.post("/learners/bulk-actions", json=VALID, params={"dry_run": "true"}),
    ):
        problem(answer, 422, "invalid-request")
    answer = await api.client.post("/learners/bulk-actions", data={"action": "deactivate"})
    problem(answer, 415, "unsupported-media-type")
    assert await api.get(learner) == learner
    assert await follow(api.client, "/operations") == []


@pytest.mark.parametrize("scopes", [[Scope.LEARNERS_READ, Scope.LEARNERS_WRITE], [Scope.EVENTS_READ]])
async def test_bulk_actions_need_their_scope(api: Api, scopes: list[Scope]) -> None:
    learner = await api.create()
    async with await api.client_with(*scopes) as client:
        answer = await client.post("/learners/bulk-actions", json=VALID)

    assert problem(answer, 403, "not-permitted")["required_scope"] == "learners:bulk"
    assert await api.get(learner) == learner


async def test_the_scope_for_bulk_work_is_enough(api: Api) -> None:
    await api.create()
    async with await api.client_with(Scope.LEARNERS_BULK) as client:
        answer = await client.post("/learners/bulk-actions", json=VALID)

    assert answer.json()["counts"] == counts(changed=1)


async def test_unknown_caller_is_refused(api: Api) -> None:
    async with api.service.client() as client:
        answer = await client.post("/learners/bulk-actions", json={"nonsense": 1})

    problem(answer, 401, "not-authenticated")


# Idempotency, waiting, several at once


async def test_the_same_request_with_the_same_key_is_done_once(api: Api) -> None:
    learner = await api.create()
    key = {"Idempotency-Key": "end-of-term"}
    first = await post(api, VALID, key)
    await api.client.post(f"/learners/{learner['id']}/activate")

    again = await post(api, VALID, key)

    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await api.get(learner))["status"] == "activated"
    problem(await post(api, {**VALID, "dry_run": True}, key), 422, "idempotency-key-reused")
    assert len(await follow(api.client, "/operations")) == 1


async def test_a_refused_selection_is_refused_again_with_the_same_key(api: Api) -> None:
    key = {"Idempotency-Key": "guarded"}
    first = await post(api, {**VALID, "expected_count": 1}, key)
    await api.create()

    again = await post(api, {**VALID, "expected_count": 1}, key)

    problem(first, 409, "selection-changed")
    assert (again.status_code, again.json()["code"]) == (409, "selection-changed")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await follow(api.client, "/operations") == []


@pytest.mark.usefixtures("small_chunks")
async def test_repeated_respond_async_gets_the_same_202(api: Api) -> None:
    await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(8)))
    headers = {"Idempotency-Key": "large", "Prefer": "respond-async"}
    async with api.service.runner.turn(api.organization.id):
        first = await post(api, VALID, headers)
        again = await post(api, VALID, headers)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Location"] == first.headers["Location"] == f"/operations/{first.json()['id']}"
    assert again.headers["Retry-After"] == first.headers["Retry-After"]
    assert (await ended(api, first.json()))["counts"] == counts(changed=8)
    assert len(await follow(api.client, "/operations", kind="bulk-action")) == 1


async def test_concurrent_actions_change_each_learner_once(api: Api) -> None:
    await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(60)))

    answers = await asyncio.gather(*(post(api, VALID) for _ in range(4)))

    counted = [answer.json()["counts"] for answer in answers]
    assert sorted(each["changed"] for each in counted) == [0, 0, 0, 60]
    state = await stored_state(api.service.database, api.organization.id)
    assert Counter(event["type"] for event in state["events"]) == {
        "learner.created": 60,
        "learner.deactivated": 60,
    }


async def test_single_changes_and_actions_on_the_same_learners_all_count(api: Api) -> None:
    await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(40)))
    learners = list((await all_learners(api)).values())

    answers = await asyncio.gather(
        post(api, VALID),
        *(api.client.patch(f"/learners/{each['id']}", json={"first_name": "Ada"}) for each in learners[::2]),
        post(api, {**VALID, "action": "activate"}),
    )

    assert {answer.status_code for answer in answers} == {200}
    for learner in (await all_learners(api)).values():
        events = await api.events(learner)
        assert [event["version"] for event in events] == list(range(learner["version"], 0, -1))
    renamed = [each for each in (await all_learners(api)).values() if each["first_name"] == "Ada"]
    assert len(renamed) == 20
