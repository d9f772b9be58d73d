"""Reverting operations over HTTP: what goes back, what is kept and why, what is stored and recorded."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from app.background import HANDLERS
from app.operations import repository
from app.operations.operation import Kind, Operation, Phase, State, Tidied
from app.operations.runner import Runner
from app.organizations.api_keys import Scope
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.answers import pointers, problem
from tests.support.examples import limit_examples
from tests.support.rosters import Roster
from tests.support.runners import (
    Crash,
    crash_everywhere,
    finish,
    lose_connection_everywhere,
    own_turn,
    stored,
)
from tests.support.service import NOON, Api, Service
from tests.support.stored import (
    StoredState,
    all_learners,
    all_outcomes,
    another,
    comparable,
    count_stages,
    ended,
    follow,
    stored_state,
)

pytestmark = pytest.mark.anyio

FACTS = (
    "username",
    "email",
    "first_name",
    "last_name",
    "external_id",
    "expires_on",
    "deactivated_at",
    "first_accessed_at",
)
EFFECTS = ("deactivated", "activated", "renamed", "rekeyed", "expiration_changed")
# What a dry run foretells of an operation.
FORETOLD = ("counts", "progress", "warnings", *EFFECTS)
RESPOND_ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def small_chunks(service: Service) -> None:
    """Two learners or rows a chunk, so that a short list is a large operation."""
    service.limit(chunk_rows=2)


def counts(changed: int = 0, unchanged: int = 0, kept: int = 0) -> dict[str, Any]:
    return {"changed": changed, "unchanged": unchanged, "kept": kept}


async def bulk(api: Api, action: str, selection: Any = None, **members: Any) -> dict[str, Any]:
    body = {"action": action, "selection": selection or {"filter": {}}, **members}
    answer = await api.client.post("/learners/bulk-actions", json=body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def post_revert(
    api: Api, operation: dict[str, Any], body: Any = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    return await api.client.post(f"/operations/{operation['id']}/revert", json=body, headers=headers)


async def revert(api: Api, operation: dict[str, Any], **body: Any) -> dict[str, Any]:
    """The revert of this operation; a dry run of it has foretold just the same, and changed nothing."""
    before = await stored_state(api.service.database, api.organization.id)
    dry = (await post_revert(api, operation, {**body, "dry_run": True})).json()
    assert (dry["state"], dry["dry_run"], dry["reverts"]) == ("succeeded", True, operation["id"]), dry
    after = await stored_state(api.service.database, api.organization.id)
    assert {name: after[name] for name in ("learners", "events")} == {
        name: before[name] for name in ("learners", "events")
    }
    assert after["operations"][: len(before["operations"])] == before["operations"]

    answer = await post_revert(api, operation, body or None)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert (document["kind"], document["state"], document["dry_run"]) == ("revert", "succeeded", False)
    assert (document["reverts"], document["reverted_by"]) == (operation["id"], None)
    assert (await show(api, operation))["reverted_by"] == document["id"]
    assert {name: document[name] for name in FORETOLD} == {name: dry[name] for name in FORETOLD}
    assert document["revertible"] >= document["counts"]["changed"]
    assert dry["revertible"] == 0
    assert sum(document["counts"].values()) == document["progress"]["total"]
    assert await all_outcomes(api, document) == await all_outcomes(api, dry)
    return document


def facts(learner: dict[str, Any]) -> dict[str, Any]:
    return {name: learner[name] for name in FACTS}


async def told(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    """The outcome of each learner, and the codes of the problems."""
    return {
        each["username"]: (each["outcome"], *(one["code"] for one in each["problems"]))
        for each in await all_outcomes(api, operation)
    }


async def show(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation as it is now."""
    answer = await api.client.get(f"/operations/{operation['id']}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def create_each_status(api: Api) -> Any:
    """One learner of each status, and an expired one that was deactivated; by name."""
    learners = {name: await api.create(username=name) for name in ("active", "activated", "deactivated")}
    await api.client.post(f"/learners/{learners['active']['id']}/access")
    await api.client.post(f"/learners/{learners['deactivated']['id']}/deactivate")
    for name in ("expired", "expired-deactivated"):
        learners[name] = await api.create(username=name, expires_on="2026-11-01")
    await api.client.post(f"/learners/{learners['expired-deactivated']['id']}/deactivate")
    return await all_learners(api)


# What goes back


async def test_reverted_bulk_deactivation_makes_new_changes(api: Api) -> None:
    before = await create_each_status(api)
    api.service.clock.advance(hours=1)
    operation = await bulk(api, "deactivate")
    deactivated = await all_learners(api)
    api.service.clock.advance(hours=1)

    document = await revert(api, operation, reason="wrong list")

    assert document["reason"] == "wrong list"
    assert document["counts"] == counts(changed=3)
    assert await told(api, document) == dict.fromkeys(("active", "activated", "expired"), ("changed",))
    after = await all_learners(api)
    for name, learner in after.items():
        assert facts(learner) == facts(before[name])
        if name not in ("active", "activated", "expired"):
            assert learner == before[name]
            continue
        assert learner["status"] == before[name]["status"]
        assert learner["version"] == before[name]["version"] + 2
        assert learner["updated_at"] == "2026-11-02T14:00:00Z"
        # Sessions from before the deactivation stay refused.
        assert learner["sessions_valid_from"] == deactivated[name]["sessions_valid_from"]
        newest, older, *_ = await api.events(learner)
        assert (newest["type"], newest["reason"]) == ("learner.activated", "wrong list")
        assert (newest["operation_id"], older["operation_id"]) == (document["id"], operation["id"])
        assert newest["actor"] == document["created_by"]
        assert newest["before"] == older["after"]
        assert newest["after"] == older["before"]


async def test_reverted_bulk_activation_ends_access_at_once(api: Api) -> None:
    before = await create_each_status(api)
    api.service.clock.advance(hours=1)
    operation = await bulk(api, "activate")
    learner = before["deactivated"]
    assert (await api.client.get(f"/learners/{learner['id']}/access")).json()["allowed"] is True
    api.service.clock.advance(hours=1)

    document = await revert(api, operation)

    assert document["counts"] == counts(changed=1)
    after = await api.get(learner)
    assert facts(after) == facts(learner)  # deactivated when it was, …
    assert after["sessions_valid_from"] == "2026-11-02T14:00:00Z"  # … and out of its sessions now
    (event_of_it, *_) = await api.events(learner)
    assert event_of_it["type"] == "learner.deactivated"
    assert event_of_it["after"] == {"deactivated_at": "2026-11-02T12:00:00.000000Z", "status": "deactivated"}
    assert (await api.client.get(f"/learners/{learner['id']}/access")).json()["allowed"] is False


async def test_reverted_import_restores_names_and_dates_and_deactivates_created_learners(api: Api) -> None:
    known = {
        "a": await api.create(username="a", external_id="HR-1", email="a@example.org", first_name="Ada"),
        "b": await api.create(username="b", expires_on="2027-01-31"),
        "c": await api.create(username="c", expires_on="2026-10-31"),
        "d": await api.create(username="d"),
        "e": await api.create(username="e"),
    }
    await api.client.post(f"/learners/{known['d']['id']}/deactivate")
    known = {name: await api.get(learner) for name, learner in known.items()}
    api.service.clock.advance(hours=1)
    operation = await api.import_csv(
        "Username,External ID,Email,First Name,Active,Expiration Date\n"
        "alpha,HR-1,new@example.org,Augusta,No,\n"
        "b,HR-2,,,,never\n"
        "c,,,,,2030-01-01\n"
        "d,,,,Yes,\n"
        "e,,,,Yes,\n"
        "new,HR-9,n@example.org,,,2031-01-01\n"
        "away,,,,No,\n"
    )
    assert operation["counts"] == {
        "created": 2,
        "changed": 4,
        "unchanged": 1,
        "refused": 0,
        "invalid": 0,
        "not_found": 0,
    }
    created = {name: (await all_learners(api))[name] for name in ("new", "away")}
    api.service.clock.advance(hours=1)

    document = await revert(api, operation)

    assert document["counts"] == counts(changed=5, unchanged=1)
    # The last one first.
    outcomes = await api.outcomes(document)
    assert [(each["username"], each["outcome"]) for each in outcomes] == [
        ("away", "unchanged"),
        ("new", "changed"),
        ("d", "changed"),
        ("c", "changed"),
        ("b", "changed"),
        ("a", "changed"),
    ]
    after = await all_learners(api)
    assert {name: facts(after[name]) for name in known} == {
        name: facts(learner) for name, learner in known.items()
    }
    assert after["away"] == created["away"]
    assert facts(after["new"]) == facts(created["new"]) | {"deactivated_at": "2026-11-02T14:00:00Z"}
    assert after["new"]["sessions_valid_from"] == "2026-11-02T14:00:00Z"
    assert after["e"] == known["e"]
    # They are found by what they are called again.
    for q, name in (("ada", "a"), ("augusta", None)):
        found = await follow(api.client, "/learners", q=q)
        assert [each["username"] for each in found] == ([] if name is None else [name])


@pytest.mark.usefixtures("small_chunks")
async def test_chains_and_circles_of_names_are_reverted_across_chunks(api: Api) -> None:
    known = {name: await api.create(username=name, external_id=f"HR-{name}") for name in "abcd"}
    before = await all_learners(api)
    operation = await api.import_csv(
        "Username,External ID\n"
        "z,HR-a\n"  # a gives its name up, …
        "a,HR-b\n"  # … the next one takes it, and so on over every end of a chunk …
        "b,HR-c\n"
        "c,HR-d\n"
        "d,HR-new\n"  # … down to a new learner.
    )
    assert (operation["counts"]["changed"], operation["counts"]["created"]) == (4, 1)
    created = (await all_learners(api))["d"]

    document = await revert(api, operation)

    # The learner whom it created keeps the name d, which therefore is not free for its former holder, …
    assert await told(api, document) == {
        "d": ("changed",),
        "c": ("kept", "username-taken"),
        "b": ("kept", "username-taken"),
        "a": ("kept", "username-taken"),
        "z": ("kept", "username-taken"),
    }
    assert (await show(api, operation))["revertible"] == 4
    answer = await api.client.patch(f"/learners/{created['id']}", json={"username": "e"})
    assert answer.status_code == 200

    # … and once it is, one more try does the rest.
    again = await revert(api, operation)
    assert again["counts"] == counts(changed=4)
    assert again["renamed"] == 4
    assert (await show(api, operation))["revertible"] == 0
    after = await all_learners(api)
    assert {name: facts(after[name]) for name in "abcd"} == {name: facts(before[name]) for name in "abcd"}

    # In a circle every name moves at once.
    operation = await api.import_csv("Username,External ID\nb,HR-a\nc,HR-b\nd,HR-c\na,HR-d\n")
    assert operation["counts"]["changed"] == 4
    assert (await all_learners(api))["a"]["id"] == known["d"]["id"]
    renamed = await revert(api, operation)
    assert renamed["counts"] == counts(changed=4)
    after = await all_learners(api)
    assert {name: facts(after[name]) for name in "abcd"} == {name: facts(before[name]) for name in "abcd"}
    assert (await revert(api, renamed))["counts"] == counts(changed=4)
    assert (await all_learners(api))["a"]["id"] == known["d"]["id"]


async def test_revert_can_be_reverted_repeatedly(api: Api) -> None:
    await create_each_status(api)
    first = await bulk(api, "deactivate")
    deactivated = await all_learners(api)
    api.service.clock.advance(hours=1)
    second = await revert(api, first)
    activated = await all_learners(api)
    api.service.clock.advance(hours=1)

    third = await revert(api, second)

    after = await all_learners(api)
    assert {name: facts(each) for name, each in after.items()} == {
        name: facts(each) for name, each in deactivated.items()
    }
    # Deactivated since then, and out of their sessions now.
    assert after["active"]["deactivated_at"] == "2026-11-02T12:00:00Z"
    assert after["active"]["sessions_valid_from"] == "2026-11-02T14:00:00Z"
    api.service.clock.advance(hours=1)
    fourth = await revert(api, third)
    assert {each["counts"]["changed"] for each in (second, third, fourth)} == {3}
    after = await all_learners(api)
    assert {name: facts(each) for name, each in after.items()} == {
        name: facts(each) for name, each in activated.items()
    }
    listed = await follow(api.client, "/operations", kind="revert")
    assert [each["reverts"] for each in listed if not each["dry_run"]] == [
        third["id"],
        second["id"],
        first["id"],
    ]


# What changed since


async def patch(api: Api, learner: dict[str, Any]) -> httpx.Response:
    return await api.client.patch(f"/learners/{learner['id']}", json={"email": "since@example.org"})


async def activate(api: Api, learner: dict[str, Any]) -> httpx.Response:
    return await api.client.post(f"/learners/{learner['id']}/activate")


async def deactivate(api: Api, learner: dict[str, Any]) -> httpx.Response:
    return await api.client.post(f"/learners/{learner['id']}/deactivate")


async def access(api: Api, learner: dict[str, Any]) -> httpx.Response:
    return await api.client.post(f"/learners/{learner['id']}/access")


async def there_and_back(api: Api, learner: dict[str, Any]) -> httpx.Response:
    await activate(api, learner)
    return await deactivate(api, learner)


async def bulk_activate(api: Api, learner: dict[str, Any]) -> Any:
    return await bulk(api, "activate", {"ids": [learner["id"]]})


async def import_row(api: Api, learner: dict[str, Any]) -> Any:
    return await api.import_csv(f"Username,Active\n{learner['username']},Yes\n")


async def bulk_and_back(api: Api, learner: dict[str, Any]) -> Any:
    return await post_revert(api, await bulk_activate(api, learner))


async def bulk_and_back_and_again(api: Api, learner: dict[str, Any]) -> Any:
    return await post_revert(api, (await bulk_and_back(api, learner)).json())


async def import_email(api: Api, learner: dict[str, Any]) -> Any:
    return await api.import_csv(f"Username,Email\n{learner['username']},since@example.org\n")


async def set_date(api: Api, learner: dict[str, Any]) -> Any:
    return await bulk(api, "set-expiration", {"ids": [learner["id"]]}, expires_on="2030-12-31")


async def rename(api: Api, learner: dict[str, Any]) -> httpx.Response:
    return await api.client.patch(f"/learners/{learner['id']}", json={"username": "renamed"})


@pytest.mark.parametrize(
    "change",
    [activate, there_and_back, bulk_activate, import_row, bulk_and_back_and_again],
    ids=lambda f: f.__name__,
)
async def test_field_that_was_changed_since_is_kept(api: Api, change: Callable[..., Any]) -> None:
    learners = [await api.create() for _ in range(3)]
    operation = await bulk(api, "deactivate")
    await change(api, learners[1])
    changed = await api.get(learners[1])

    document = await revert(api, operation)

    assert document["counts"] == counts(changed=2, kept=1)
    (kept,) = await api.outcomes(document, outcome="kept")
    assert (kept["learner_id"], kept["username"]) == (changed["id"], changed["username"])
    assert kept["changes"] == {}
    (why,) = kept["problems"]
    assert (why["code"], why["type"]) == ("changed-since", "/problems/changed-since")
    assert why["fields"] == ["deactivated_at"]
    assert "deactivated_at" in why["detail"]
    assert await api.get(learners[1]) == changed
    assert (await show(api, operation))["revertible"] == 1
    page = await api.client.get(why["type"], headers={"Accept": "application/json"})
    assert page.json()["code"] == "changed-since"


@pytest.mark.parametrize(
    "change",
    [patch, rename, import_email, set_date, access, bulk_and_back],
    ids=lambda f: f.__name__,
)
async def test_change_of_another_field_does_not_prevent_a_revert(
    api: Api, change: Callable[..., Any]
) -> None:
    learner = await api.create()
    operation = await bulk(api, "deactivate")
    await change(api, learner)
    changed = await api.get(learner)

    document = await revert(api, operation)

    assert document["counts"] == counts(changed=1)
    assert facts(await api.get(learner)) == {**facts(changed), "deactivated_at": None}
    assert (await show(api, operation))["revertible"] == 0


# One value of each field before an import changed it, the import's, and a later one.
FIELDS: dict[str, tuple[Any, Any, Any]] = {
    "username": ("a", "alpha", "aleph"),
    "email": ("a@example.org", "b@example.org", "c@example.org"),
    "first_name": ("Ada", "Augusta", "Adah"),
    "last_name": ("King", "Byron", "Lovelace"),
    "expires_on": ("2027-01-31", "2026-12-01", None),
}


@pytest.mark.parametrize("name", FIELDS)
async def test_fields_are_reverted_one_by_one(api: Api, name: str) -> None:
    learner = await api.create(external_id="HR-1", **{each: FIELDS[each][0] for each in FIELDS})
    operation = await api.import_csv(
        "External ID,Username,Email,First Name,Last Name,Expiration Date,Active\n"
        "HR-1,alpha,b@example.org,Augusta,Byron,2026-12-01,No\n"
    )
    assert operation["counts"]["changed"] == 1
    answer = await api.client.patch(f"/learners/{learner['id']}", json={name: FIELDS[name][2]})
    assert answer.status_code == 200, answer.text

    document = await revert(api, operation)

    assert document["counts"] == counts(kept=1)
    (outcome,) = await api.outcomes(document)
    assert [each["fields"] for each in outcome["problems"]] == [[name]]
    assert outcome["changes"].keys() == {*FIELDS.keys(), "deactivated_at", "status"} - {name}
    after = await api.get(learner)
    assert after[name] == FIELDS[name][2]
    assert {each: after[each] for each in FIELDS if each != name} == {
        each: values[0] for each, values in FIELDS.items() if each != name
    }
    assert after["status"] == "activated"
    assert document["activated"] == 1
    assert document["expiration_changed"] == (name != "expires_on")
    assert document["renamed"] == (name != "username")
    # What was restored counts as a change that can be reverted, and what was kept can be tried again.
    assert (document["revertible"], (await show(api, operation))["revertible"]) == (1, 1)
    again = await revert(api, operation)
    assert again["counts"] == counts(kept=1)
    assert await api.get(learner) == after
    assert (await revert(api, document))["counts"] == counts(changed=1)
    assert facts(await api.get(learner)) | {"deactivated_at": None} == {
        **facts(learner),
        **{each: values[1] for each, values in FIELDS.items()},
        name: FIELDS[name][2],
    }


async def test_wrong_date_is_undone_after_an_access_and_after_a_change_of_a_name(api: Api) -> None:
    names = ("a.okafor", "b.novak", "c.lind")
    learners = {name: await api.create(username=name) for name in names}
    operation = await api.import_csv(
        "Username,Expiration Date\n" + "".join(f"{name},2026-12-01\n" for name in names)
    )
    api.service.clock.advance(hours=1)
    await access(api, learners["a.okafor"])
    await api.client.patch(f"/learners/{learners['b.novak']['id']}", json={"last_name": "Nováková"})
    await api.client.patch(f"/learners/{learners['c.lind']['id']}", json={"expires_on": "2027-01-31"})

    document = await revert(api, operation)

    assert await told(api, document) == {
        "a.okafor": ("changed",),
        "b.novak": ("changed",),
        "c.lind": ("kept", "changed-since"),
    }
    after = await all_learners(api)
    assert [after[name]["expires_on"] for name in names] == [None, None, "2027-01-31"]
    assert after["a.okafor"]["status"] == "active"
    assert after["b.novak"]["last_name"] == "Nováková"


async def test_undo_in_the_wrong_order_can_be_made_up_for(api: Api) -> None:
    learner = await api.create(username="a.okafor", first_name="Ada")
    first = await api.import_csv("Username,Active\na.okafor,No\n")
    second = await api.import_csv("Username,Active,First Name\na.okafor,Yes,Augusta\n")

    too_early = await revert(api, first)
    assert too_early["counts"] == counts(kept=1)
    assert (await revert(api, second))["counts"] == counts(changed=1)
    assert (await api.get(learner))["status"] == "deactivated"
    assert (await revert(api, first))["counts"] == counts(changed=1)

    assert facts(await api.get(learner)) == facts(learner)
    refused = problem(await post_revert(api, first), 409, "operation-not-revertible")
    # The sentence leads to an operation that can be reverted.
    assert (await revert(api, {"id": refused["reverted_by"]}))["counts"] == counts(changed=1)
    assert (await api.get(learner))["status"] == "deactivated"


async def test_revert_of_a_partial_revert_undoes_what_that_one_restored(api: Api) -> None:
    learner = await api.create(username="a", first_name="Ada", email="a@example.org")
    operation = await api.import_csv("Username,First Name,Email\na,Augusta,b@example.org\n")
    await patch(api, learner)
    partial = await revert(api, operation)
    assert ((await api.get(learner))["first_name"], partial["counts"]) == ("Ada", counts(kept=1))

    document = await revert(api, partial)

    assert document["counts"] == counts(changed=1)
    after = await api.get(learner)
    assert (after["first_name"], after["email"]) == ("Augusta", "since@example.org")
    assert (await show(api, partial))["revertible"] == 0


async def test_created_learner_is_deactivated_whatever_was_changed_since(api: Api) -> None:
    operation = await api.import_csv("Username\na\nb\nc\nd\n")
    learners = await all_learners(api)
    await patch(api, learners["a"])
    await access(api, learners["b"])
    await there_and_back(api, learners["c"])
    await deactivate(api, learners["d"])
    before = await all_learners(api)
    api.service.clock.advance(hours=1)

    document = await revert(api, operation)

    assert await told(api, document) == {
        "a": ("changed",),
        "b": ("changed",),
        "c": ("kept", "changed-since"),
        "d": ("kept", "changed-since"),
    }
    assert document["deactivated"] == 2
    after = await all_learners(api)
    assert {name: after[name] for name in "cd"} == {name: before[name] for name in "cd"}
    for name in "ab":
        assert facts(after[name]) == facts(before[name]) | {"deactivated_at": "2026-11-02T13:00:00Z"}
    # The revert of the revert gives them their access back.
    assert (await revert(api, document))["counts"] == counts(changed=2)
    assert facts((await all_learners(api))["a"]) == facts(before["a"])


@pytest.mark.parametrize(
    ("file", "member", "code"),
    [
        ("External ID,Username,Email\nHR-1,other,e@example.org\n", "username", "username-taken"),
        ("Username,External ID,Email\na,HR-2,e@example.org\n", "external_id", "external-id-taken"),
    ],
    ids=["username", "external-id"],
)
async def test_name_that_another_learner_now_has_is_kept_and_the_rest_is_restored(
    api: Api, file: str, member: str, code: str
) -> None:
    names = {"username": "a", "external_id": "HR-1"}
    learner = await api.create(**names, email="a@example.org")
    operation = await api.import_csv(file, rekey=True)
    changed = await api.get(learner)
    # Usernames are the same in any case.
    taken = names[member].upper() if member == "username" else names[member]
    somebody = await api.create(**{"username": "somebody", member: taken})

    document = await revert(api, operation)

    assert document["counts"] == counts(kept=1)
    (kept,) = await api.outcomes(document)
    assert [each["code"] for each in kept["problems"]] == [code]
    assert names[member] in kept["problems"][0]["detail"]
    assert kept["changes"] == {"email": ["e@example.org", "a@example.org"]}
    assert facts(await api.get(learner)) == facts(changed) | {"email": "a@example.org"}
    assert await api.get(somebody) == somebody
    # Once the name is free, the rest follows.
    free = "somebody else" if member == "username" else None
    await api.client.patch(f"/learners/{somebody['id']}", json={member: free})
    last = await revert(api, operation)
    assert last["counts"] == counts(changed=1)
    assert (last["renamed"], last["rekeyed"]) == ((1, 0) if member == "username" else (0, 1))
    assert facts(await api.get(learner)) == facts(learner)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("days", [0, 1])
async def test_name_that_is_taken_while_a_revert_waits_is_kept(api: Api, days: int) -> None:
    for number in range(5):
        await api.create(username=f"u{number}", external_id=f"HR-{number}", first_name="Ada")
    operation = await api.import_csv(
        "External ID,Username,First Name\n"
        + "".join(f"HR-{number},x{number},Augusta\n" for number in range(5))
    )
    async with own_turn(api):
        begun = (await post_revert(api, operation, headers=RESPOND_ASYNC)).json()
        running, here = await stored(api, begun["id"]), make_runner(api)
        while running.phase is not Phase.APPLY:
            running = await here.run_next_step(running)
        await api.create(username="U1")
        # On another day, every row is decided again.
        api.service.clock.advance(days=days)
        await finish(here, running)

    assert await told(api, begun) == {
        "x1": ("kept", "username-taken"),
        **{f"u{number}": ("changed",) for number in (0, 2, 3, 4)},
    }
    after = await all_learners(api)
    assert after["x1"]["first_name"] == "Ada"
    assert (await show(api, operation))["revertible"] == 1


# What cannot be reverted


async def test_operation_that_cannot_be_reverted_is_409_with_the_reason(api: Api) -> None:
    await api.create()
    dry = await bulk(api, "deactivate", dry_run=True)
    real = await bulk(api, "deactivate")
    nothing = await bulk(api, "deactivate")
    done = await revert(api, real)
    before = await stored_state(api.service.database, api.organization.id)

    assert [(await show(api, each))["revertible"] for each in (dry, real, nothing, done)] == [0, 0, 0, 1]
    for operation, why in ((dry, "dry run"), (nothing, "changed no learner"), (real, done["id"])):
        for body in (None, {"dry_run": True}):
            refused = problem(await post_revert(api, operation, body), 409, "operation-not-revertible")
            assert why in refused["detail"]
            assert refused.get("reverted_by") == (done["id"] if operation is real else None)
    dry_revert = await post_revert(api, done, {"dry_run": True})
    problem(await post_revert(api, dry_revert.json()), 409, "operation-not-revertible")
    after = await stored_state(api.service.database, api.organization.id)
    assert after["learners"] == before["learners"]
    assert len(after["operations"]) == len(before["operations"]) + 1


@pytest.mark.usefixtures("small_chunks")
async def test_running_operation_can_be_reverted_only_after_cancelling(api: Api) -> None:
    for number in range(6):
        await api.create(username=f"u{number}")
    async with own_turn(api):
        answer = await api.client.post(
            "/learners/bulk-actions",
            json={"action": "deactivate", "selection": {"filter": {}}},
            headers=RESPOND_ASYNC,
        )
        operation = await stored(api, answer.json()["id"])
        here = make_runner(api)
        while operation.done < 4:
            refused = problem(await post_revert(api, answer.json()), 409, "operation-not-revertible")
            assert "not ended" in refused["detail"]
            operation = await here.run_next_step(operation)
        await api.client.post(f"/operations/{operation.id}/cancel")
    assert (await show(api, answer.json()))["revertible"] == 4

    document = await revert(api, answer.json())

    assert document["counts"] == counts(changed=4)
    assert document["progress"] == {"done": 4, "total": 4}
    after = await all_learners(api)
    assert {each["status"] for each in after.values()} == {"activated"}
    assert sorted(each["version"] for each in after.values()) == [1, 1, 3, 3, 3, 3]


async def test_revert_without_outcomes_is_refused(api: Api) -> None:
    await api.create()
    operation = await bulk(api, "deactivate")
    await api.service.database.write(repository.delete_stage, operation["id"])

    refused = problem(await post_revert(api, operation), 409, "operation-not-revertible")

    assert "have been deleted" in refused["detail"]
    assert await count_stages(api.service.database) == 0
    assert (await show(api, operation))["reverted_by"] is None


async def test_nothing_is_revertible_once_the_outcomes_have_expired(api: Api) -> None:
    await api.create()
    operation = await bulk(api, "deactivate")
    assert operation["revertible"] == 1
    number = (await stored(api, operation["id"])).number
    await api.service.database.write(repository.mark_tidied, number, Tidied.OUTCOMES_EXPIRED)

    for body in (None, {"dry_run": True}):
        refused = problem(await post_revert(api, operation, body), 409, "operation-not-revertible")
        assert "have been deleted" in refused["detail"]
    shown = await show(api, operation)
    assert (shown["revertible"], shown["reverted_by"]) == (0, None)
    assert (await api.client.get(f"/operations/{operation['id']}/outcomes")).status_code == 410


@pytest.mark.parametrize("chunk", [2, 5000])
async def test_concurrent_reverts_do_one(api: Api, chunk: int) -> None:
    await create_each_status(api)
    operation = await bulk(api, "deactivate")
    api.service.limit(chunk_rows=chunk)
    answers = await asyncio.gather(*(post_revert(api, operation) for _ in range(4)))
    (done,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert done["counts"] == counts(changed=3)
    for answer in answers:
        if answer.status_code != 200:
            assert done["id"] in problem(answer, 409, "operation-not-revertible")["detail"]
    assert len(await follow(api.client, "/operations", kind="revert")) == 1


@pytest.mark.usefixtures("small_chunks")
async def test_revert_after_a_cancelled_revert_does_the_rest(api: Api) -> None:
    for number in range(6):
        await api.create(username=f"u{number}")
    operation = await bulk(api, "deactivate")
    async with own_turn(api):
        begun = (await post_revert(api, operation, headers=RESPOND_ASYNC)).json()
        problem(await post_revert(api, operation), 409, "operation-not-revertible")
        running, here = await stored(api, begun["id"]), make_runner(api)
        while not running.done:
            running = await here.run_next_step(running)
        await api.client.post(f"/operations/{begun['id']}/cancel")
    assert [(await show(api, each))["revertible"] for each in (operation, begun)] == [4, 2]

    document = await revert(api, operation)

    # Those whom the first one has reverted are done.
    assert document["counts"] == counts(changed=4)
    assert (await show(api, operation))["revertible"] == 0
    assert {each["status"] for each in (await all_learners(api)).values()} == {"activated"}


@pytest.mark.usefixtures("small_chunks")
async def test_concurrent_reverts_of_what_was_kept_do_one(api: Api) -> None:
    learners = [await api.create(username=f"u{number}") for number in range(6)]
    operation = await bulk(api, "deactivate")
    later = await bulk(api, "activate")
    assert (await revert(api, operation))["counts"] == counts(kept=6)
    await revert(api, later)

    answers = await asyncio.gather(*(post_revert(api, operation) for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert (await show(api, operation))["revertible"] == 0
    assert {each["status"] for each in (await all_learners(api)).values()} == {"activated"}
    assert [len(await api.events(each)) for each in learners] == [5] * 6


@pytest.mark.usefixtures("small_chunks")
async def test_names_that_a_cancelled_import_has_moved_ahead_are_reverted(api: Api) -> None:
    for name in "abcd":
        await api.create(username=name, external_id=f"HR-{name}")
    before = await all_learners(api)
    async with own_turn(api):
        answer = await api.client.post(
            "/imports/csv",
            content="External ID,Username\n,x\n,y\nHR-a,b\nHR-b,c\nHR-c,d\nHR-d,a\n",
            headers={"Content-Type": "text/csv", **RESPOND_ASYNC},
        )
        running, here = await stored(api, answer.json()["id"]), make_runner(api)
        while running.phase is not Phase.APPLY:
            running = await here.run_next_step(running)
        await api.client.post(f"/operations/{running.id}/cancel")
    operation = await show(api, answer.json())
    assert operation["state"] == "cancelled"
    assert (operation["renamed"], operation["revertible"]) == (4, 4)
    assert (await all_learners(api))["b"]["id"] == before["a"]["id"]

    document = await revert(api, operation)

    assert document["counts"] == counts(changed=4)
    after = await all_learners(api)
    assert {name: facts(each) for name, each in after.items()} == {
        name: facts(each) for name, each in before.items()
    }
    assert (await show(api, operation))["revertible"] == 0


# The request


async def test_a_revert_is_an_operation_like_any_other(api: Api) -> None:
    await api.create(username="a")
    operation = await bulk(api, "deactivate")
    api.service.clock.advance(minutes=1)

    answer = await post_revert(api, operation)

    document = answer.json()
    assert document == {
        "id": document["id"],
        "kind": "revert",
        "state": "succeeded",
        "dry_run": False,
        "action": None,
        "reason": None,
        "request": {},
        "progress": {"done": 1, "total": 1},
        "counts": counts(changed=1),
        "deactivated": 0,
        "activated": 1,
        "renamed": 0,
        "rekeyed": 0,
        "expiration_changed": 0,
        "warnings": [],
        "problem": None,
        "reverts": operation["id"],
        "reverted_by": None,
        "revertible": 1,
        "created_by": (await api.client.get("/me")).json()["actor"],
        "created_at": "2026-11-02T12:01:00Z",
        "started_at": "2026-11-02T12:01:00Z",
        "finished_at": "2026-11-02T12:01:00Z",
    }
    assert answer.headers["Location"] == f"/operations/{document['id']}"
    assert (await api.client.get(answer.headers["Location"])).json() == document


@pytest.mark.usefixtures("small_chunks")
async def test_large_revert_runs_in_the_background_and_both_operations_show_it(api: Api) -> None:
    for number in range(5):
        await api.create(username=f"u{number}")
    operation = await bulk(api, "deactivate")
    async with own_turn(api):
        answer = await post_revert(api, operation, {"reason": "wrong list"}, RESPOND_ASYNC)
        assert answer.status_code == 202
        assert answer.headers["Retry-After"] == "1"
        begun = answer.json()
        assert (begun["state"], begun["progress"]) == ("pending", {"done": 0, "total": 5})
        shown = (await api.client.get(f"/operations/{operation['id']}")).json()
        assert shown["reverted_by"] == begun["id"]
        # Those who are changed until their turn comes are kept.
        await activate(api, (await all_learners(api))["u0"])
    document = await ended(api, begun)
    assert document["counts"] == counts(changed=4, kept=1)


async def count_revertible(api: Api, operation: dict[str, Any]) -> int:
    """How many changes of the operation could still be undone."""
    return int((await api.client.get(f"/operations/{operation['id']}")).json()["revertible"])


async def test_operation_whose_revert_was_reverted_can_be_reverted_again(api: Api) -> None:
    learner = await api.create(username="a")
    operation = await bulk(api, "deactivate")
    first = await revert(api, operation)
    await revert(api, first)
    assert [await count_revertible(api, each) for each in (operation, first)] == [1, 0]
    again = await revert(api, operation)
    assert (again["counts"]["changed"], again["revertible"]) == (1, 1)
    assert await count_revertible(api, operation) == 0
    assert (await api.get(learner))["status"] == "activated"


async def test_the_outcomes_are_a_report_too(api: Api) -> None:
    await api.import_csv("Username\n=1+1\nb\nc\n")
    operation = await bulk(api, "deactivate")
    learners = await all_learners(api)
    await activate(api, learners["b"])
    document = await revert(api, operation)

    answer = await api.client.get(f"/operations/{document['id']}/outcomes", headers={"Accept": "text/csv"})

    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == ["Username", "External ID", "Learner ID", "Line", "Outcome", "Problem"]
    by_name = {row[0]: row[2:] for row in rows}
    assert by_name["c"] == [learners["c"]["id"], "", "changed", ""]
    assert by_name["'=1+1"][2] == "changed"
    assert by_name["b"][:3] == [learners["b"]["id"], "", "kept"]
    assert "Changed again after the operation" in by_name["b"][3]


@pytest.mark.parametrize("chunk", [2, 5000])
async def test_the_same_request_twice_is_carried_out_once(api: Api, chunk: int) -> None:
    api.service.limit(chunk_rows=chunk)
    for _ in range(5):
        await api.create()
    operation = await bulk(api, "deactivate")
    headers = {"Idempotency-Key": "undo"}

    first = await post_revert(api, operation, {"reason": "wrong list"}, headers)
    again = await post_revert(api, operation, {"reason": "wrong list"}, headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await post_revert(api, operation, {"reason": "another"}, headers)
    problem(other, 422, "idempotency-key-reused")
    assert len(await follow(api.client, "/operations", kind="revert")) == 1
    # A refusal is an answer too.
    headers = {"Idempotency-Key": "once-more"}
    refused = problem(await post_revert(api, operation, None, headers), 409, "operation-not-revertible")
    replayed = await post_revert(api, operation, None, headers)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert replayed.json()["detail"] == refused["detail"]


async def test_wrong_requests_are_refused(api: Api) -> None:
    await api.create()
    operation = await bulk(api, "deactivate")
    for body, pointer in (
        ({"dry_run": "yes"}, "/dry_run"),
        ({"reason": "x" * 1001}, "/reason"),
        ({"dry-run": True}, "/dry-run"),
    ):
        assert pointers(problem(await post_revert(api, operation, body), 422, "invalid-request")) == [pointer]
    answer = await api.client.post(f"/operations/{operation['id']}/revert", params={"dry_run": "true"})
    assert pointers(problem(answer, 422, "invalid-request")) == ["?dry_run"]
    assert (await api.client.get(f"/operations/{operation['id']}")).json()["reverted_by"] is None


async def test_unknown_operation_or_that_of_others_is_404(api: Api) -> None:
    other = await another(api)
    await other.create()
    theirs = await bulk(other, "deactivate")
    for an_id in (theirs["id"], new_id(NOON), "42", "%00"):
        problem(await post_revert(api, {"id": an_id}), 404, "not-found")
    assert (await other.client.get(f"/operations/{theirs['id']}")).json()["reverted_by"] is None
    await other.client.aclose()


async def test_needs_the_bulk_scope(api: Api) -> None:
    await api.create()
    operation = await bulk(api, "deactivate")
    path = f"/operations/{operation['id']}/revert"
    async with AsyncExitStack() as stack:
        nobody = await stack.enter_async_context(api.service.client())
        problem(await nobody.post(path), 401, "not-authenticated")
        for scope in Scope:
            client = await stack.enter_async_context(await api.client_with(scope))
            answer = await client.post(path, json={"dry_run": True})
            if scope in (Scope.LEARNERS_BULK, Scope.ADMIN):
                assert answer.status_code == 200
            else:
                assert problem(answer, 403, "not-permitted")["required_scope"] == "learners:bulk"


# A dry run foretells, whatever was done, and whatever was done since

NAMES = ["a", "b", "c", "d", "e"]
rows = st.lists(
    st.tuples(
        st.sampled_from(["", *NAMES]),
        st.sampled_from(["", "1", "2", "3", "4"]),
        st.sampled_from(["", "Yes", "No"]),
        st.sampled_from(["", "never", "2026-11-01", "2030-01-01"]),
    ).filter(lambda row: row[0] or row[1]),
    min_size=2,
    max_size=7,
    unique_by=(lambda row: row[0] or f"-{row[1]}", lambda row: row[1] or f"-{row[0]}"),
)
# Who has External ID 1 is called a, and so on; one gives a name up, and the next one takes it.
ROSTER = [
    ("a", "1", "", ""),
    ("b", "2", "No", ""),
    ("c", "3", "", "2026-11-01"),
    ("d", "4", "", "2030-01-01"),
]
chains = st.permutations(ROSTER).map(
    lambda order: [
        (name, order[place][1], "", "never")
        for place, name in enumerate(["x", *(name for name, *_ in order[:3])])
    ]
)
actions = st.sampled_from(["deactivate", "activate"])
# What a client does to one learner, by place, between two chunks or after the operation.
singles = st.tuples(
    st.integers(0, 4),
    st.one_of(
        actions,
        st.builds(lambda name: {"username": name}, st.sampled_from(NAMES)),
        st.builds(lambda key: {"external_id": key}, st.sampled_from(["1", "2", "3", None])),
        st.builds(lambda day: {"expires_on": day}, st.sampled_from(["2026-11-01", None])),
    ),
)


async def change_one(api: Api, single: Any) -> None:
    place, change = single
    learners = list((await all_learners(api)).values())
    path = f"/learners/{learners[place % len(learners)]['id']}"
    if isinstance(change, dict):
        answer = await api.client.patch(path, json=change)
    else:
        answer = await api.client.post(f"{path}/{change}")
    assert answer.status_code in (200, 409), answer.text


async def run_with_changes_between(api: Api, what: Any, between: Any) -> dict[str, Any]:
    """A large operation, with a change of one learner between its chunks."""
    async with own_turn(api):
        if isinstance(what, str):
            answer = await api.client.post(
                "/learners/bulk-actions",
                json={"action": what, "selection": {"filter": {}}},
                headers=RESPOND_ASYNC,
            )
        else:
            lines = "".join(f"{','.join(row)}\n" for row in what)
            answer = await api.client.post(
                "/imports/csv",
                content="Username,External ID,Active,Expiration Date\n" + lines,
                headers={"Content-Type": "text/csv", **RESPOND_ASYNC},
            )
        assert answer.status_code in (200, 202), answer.text
        operation = await stored(api, answer.json()["id"])
        here = make_runner(api)
        changes = iter(between)
        while not operation.is_finished:
            operation = await here.run_next_step(operation)
            if (single := next(changes, None)) is not None:
                api.service.clock.advance(seconds=1)
                await change_one(api, single)
    document: dict[str, Any] = (await api.client.get(f"/operations/{operation.id}")).json()
    return document


TAKEN = {"username-taken": "username", "external-id-taken": "external_id"}


async def check_against_history(api: Api, original: Any, document: dict[str, Any], before: Any) -> None:
    """Check each learner and outcome by what the history says of the original's changes and of later ones."""
    after = {each["id"]: each for each in (await all_learners(api)).values()}
    outcomes = {each["learner_id"]: each for each in await all_outcomes(api, document)}
    assert set(after) == set(before)
    for learner_id, learner in after.items():
        events = await api.events(learner)
        own = [each for each in events if each["operation_id"] == document["id"]]
        undone = [each for each in events if each["operation_id"] == original["id"]]
        if not undone:
            assert (learner, own, outcomes.get(learner_id)) == (before[learner_id], [], None)
            continue
        later = [each for each in events if each["version"] > undone[0]["version"] and each not in own]
        check_outcome(outcomes[learner_id], undone[0], later, before[learner_id], learner)
        changes = outcomes[learner_id]["changes"]
        assert [find_differences(each) for each in own] == ([changes] if changes else [])
        for member in (
            TAKEN[each["code"]] for each in outcomes[learner_id]["problems"] if each["code"] in TAKEN
        ):
            name = undone[0]["before"][member]
            others = [each for each in after.values() if each["id"] != learner_id]
            assert name in [each[member] for each in others], "no other learner has the name"


def find_differences(change: dict[str, Any]) -> dict[str, list[Any]]:
    """What an event changed, in the form of outcomes. Its status can be the same before and after."""
    return {
        name: [value, change["after"][name]]
        for name, value in change["before"].items()
        if change["after"][name] != value
    }


def check_outcome(outcome: Any, undone: Any, later: Any, was: Any, becomes: Any) -> None:
    """Check the outcome for a learner whom the original changed, and what the learner was and became."""
    changed = {name: value for name, value in undone["before"].items() if name != "status"}
    if not undone["before"]:
        is_deactivated = was["deactivated_at"] is not None
        changed = {"deactivated_at": was["deactivated_at"] if is_deactivated else becomes["deactivated_at"]}
        assert becomes["deactivated_at"] is not None or later
    kept = {name for name in changed if any(name in each["before"] for each in later)}
    told_kept = {name for each in outcome["problems"] for name in each.get("fields", ())}
    taken = {TAKEN[each["code"]] for each in outcome["problems"] if each["code"] in TAKEN}
    assert told_kept == kept
    assert taken <= changed.keys() - kept
    restored = {name: value for name, value in changed.items() if name not in kept | taken}
    expected = facts(was) | restored
    assert {name: _plain(value) for name, value in expected.items()} == facts(becomes)
    expected_outcome = "changed" if facts(was) != facts(becomes) else "unchanged"
    assert outcome["outcome"] == ("kept" if kept | taken else expected_outcome)


def _plain(value: Any) -> Any:
    """A fact as the API shows it, from an event."""
    return value.replace(".000000Z", "Z") if isinstance(value, str) else value


@limit_examples(15)
@given(
    roster=st.just(ROSTER) | rows,
    what=st.one_of(chains, rows, actions),
    between=st.lists(singles, max_size=3),
    since=st.lists(singles, max_size=3),
    size=st.sampled_from([2, 3, 5000]),
)
async def test_dry_run_of_a_revert_predicts_the_revert(
    api: Api, roster: Roster, what: Any, between: Any, since: Any, size: int
) -> None:
    own = await another(api)
    own.service.clock.instant = NOON
    with own.service.limited(chunk_rows=size):
        await run_with_changes_between(own, roster, [])
        await own.create(username="somebody")
        own.service.clock.advance(minutes=1)
        original = await run_with_changes_between(own, what, between)
        for single in since:
            own.service.clock.advance(seconds=1)
            await change_one(own, single)
        own.service.clock.advance(minutes=1)
        for _ in range(3):
            if not original["revertible"]:
                problem(await post_revert(own, original), 409, "operation-not-revertible")
                break
            before = {each["id"]: each for each in (await all_learners(own)).values()}
            document = await revert(own, original)
            await check_against_history(own, original, document, before)
            original = document
            own.service.clock.advance(minutes=1)
    await own.client.aclose()


# Whatever breaks, whenever

CHUNK = 25  # enough that rows go to the database in bulk


async def submit_revert(api: Api, *, dry_run: bool = False) -> Operation:
    """A large revert, stored and not begun, of an import that renamed, created and changed."""
    names = [f"u{number}" for number in range(2 * CHUNK)]
    await api.import_csv(
        "Username,External ID,Active\n"
        + "".join(
            f"{name},HR-{number},{'No' if number % 5 == 0 else ''}\n" for number, name in enumerate(names)
        )
    )
    learners = await all_learners(api)
    operation = await api.import_csv(
        "Username,External ID,Active,Expiration Date,First Name\n"
        # Every name moves on by one, except a few that get another; every learner is renamed.
        + "".join(
            f"{'x' if number % 10 == 9 else 'u'}{number - 1 if number % 10 else number + 100},HR-{number},Yes,"
            f"{'2030-01-01' if number % 3 else ''},Ada\n"
            for number in range(2 * CHUNK)
        )
        + "".join(f"new{number},,,,\n" for number in range(CHUNK))
    )
    assert (operation["counts"]["changed"], operation["counts"]["created"]) == (2 * CHUNK, CHUNK)
    for number in (12, 23, 34):
        await patch(api, learners[f"u{number}"])
    with api.service.limited(chunk_rows=CHUNK):
        answer = await post_revert(api, operation, {"dry_run": dry_run, "reason": "oops"}, RESPOND_ASYNC)
    assert answer.status_code == 202, answer.text
    return await stored(api, answer.json()["id"])


def make_runner(api: Api, database: Database | None = None) -> Runner:
    return Runner(database or api.service.database, api.service.clock, HANDLERS, api.service.limits)


async def state_of(api: Api) -> StoredState:
    return await stored_state(api.service.database, api.organization.id)


async def undisturbed(api: Api, **options: Any) -> dict[str, Any]:
    other = await another(api)
    async with own_turn(other):
        await finish(make_runner(other), await submit_revert(other, **options))
    await other.client.aclose()
    return comparable(await state_of(other))


async def disturb_each_phase(
    api: Api, database: Database, operation: Operation, disturb: Callable[..., Any]
) -> Operation:
    """Run the operation to its end, and disturb the second step of each phase everywhere, or the only one."""
    process = make_runner(api, database)
    counted: Counter[Phase] = Counter()
    while not operation.is_finished:
        counted[operation.phase] += 1
        is_repeated = operation.phase in (Phase.PLAN, Phase.APPLY)
        if counted[operation.phase] == 1 + is_repeated:
            operation, faults = await disturb(api, database, process, operation)
            assert faults > 2
        else:
            operation = await process.run_next_step(operation)
    assert counted[Phase.MOVE] > 0 or operation.dry_run
    return operation


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_crash_at_any_statement_leaves_everything_as_before_the_step(
    api: Api, second_database: Database, dry_run: bool
) -> None:
    expected = await undisturbed(api, dry_run=dry_run)
    async with own_turn(api):
        operation = await submit_revert(api, dry_run=dry_run)
        done = await disturb_each_phase(api, second_database, operation, crash_everywhere)
        assert done.state is State.SUCCEEDED
    assert comparable(await state_of(api)) == expected


async def test_a_connection_lost_after_any_statement_leaves_everything_as_before_the_step(
    api: Api,
    second_database: Database,
) -> None:
    if second_database.is_sqlite:
        pytest.skip("SQLite has no connection to lose")
    expected = await undisturbed(api)
    async with own_turn(api):
        operation = await submit_revert(api)
        await disturb_each_phase(api, second_database, operation, lose_connection_everywhere)
    assert comparable(await state_of(api)) == expected


async def test_two_runners_on_one_revert_do_each_chunk_once(api: Api, second_database: Database) -> None:
    expected = await undisturbed(api)
    async with own_turn(api):
        operation = await submit_revert(api)
        runners = make_runner(api), make_runner(api, second_database)
        await asyncio.gather(*(each.run(operation) for each in runners))
    assert comparable(await state_of(api)) == expected


@pytest.mark.usefixtures("logged")
async def test_crash_while_submitting_leaves_nothing(api: Api) -> None:
    await api.create()
    operation = await bulk(api, "deactivate")
    before = await state_of(api)
    engine = api.service.database.engine.sync_engine
    for at in count(1):
        reached: list[str] = []

        def crash(
            _connection: AsyncConnection,
            _cursor: object,
            statement: str,
            *_: object,
            at: int = at,
            reached: list[str] = reached,
        ) -> None:
            if not statement.lstrip().startswith(("SELECT api_keys", "SELECT operations")):
                reached.append(statement)
            if len(reached) == at:
                raise Crash

        event.listen(engine, "before_cursor_execute", crash)
        try:
            answer = await post_revert(api, operation)
        finally:
            event.remove(engine, "before_cursor_execute", crash)
        if answer.status_code == 200:
            break
        assert answer.status_code == 500
        assert await state_of(api) == before
    assert at > 8
    assert answer.json()["counts"] == counts(changed=1)


# How much there is does not matter


async def test_each_chunk_takes_the_same_few_statements(api: Api) -> None:
    await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(400)))
    api.service.clock.advance(seconds=timedelta(hours=1).seconds)
    operation = await bulk(api, "deactivate")
    api.service.limit(chunk_rows=200)
    async with own_turn(api):
        begun = await post_revert(api, operation, headers=RESPOND_ASYNC)
        running = await stored(api, begun.json()["id"])
        here = make_runner(api)
        statements: list[str] = []
        engine = api.service.database.engine.sync_engine

        def note(_connection: AsyncConnection, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            while not running.is_finished:
                statements.clear()
                running = await here.run_next_step(running)
                assert len(statements) < 25, running.position
        finally:
            event.remove(engine, "before_cursor_execute", note)
    assert running.counts == {"changed": 400}


def test_every_kind_has_a_handler() -> None:
    assert set(HANDLERS) == set(Kind)
