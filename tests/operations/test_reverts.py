"""Reverting operations over HTTP: what goes back, what is kept and why, what is stored and recorded."""

import asyncio
import csv
import io
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.background import HANDLERS
from app.operations import repository
from app.operations.operation import Kind, Operation, State
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
    shown = (await api.client.get(f"/operations/{operation['id']}")).json()
    assert shown["reverted_by"] == document["id"]
    assert document["counts"] == dry["counts"]
    assert document["progress"] == dry["progress"]
    assert sum(document["counts"].values()) == document["progress"]["total"]
    assert await all_outcomes(api, document) == await all_outcomes(api, dry)
    return document


def facts(learner: dict[str, Any]) -> dict[str, Any]:
    return {name: learner[name] for name in FACTS}


async def told(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    """The outcome of each learner, and the code of the problem where there is one."""
    return {
        each["username"]: (each["outcome"], each["problem"] and each["problem"]["code"])
        for each in await all_outcomes(api, operation)
    }


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
    assert await told(api, document) == dict.fromkeys(("active", "activated", "expired"), ("changed", None))
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

    # Whom it created keeps the name d, which therefore is not free for its former holder, …
    assert await told(api, document) == {
        "d": ("changed", None),
        "c": ("kept", "username-taken"),
        "b": ("kept", "username-taken"),
        "a": ("kept", "username-taken"),
        "z": ("kept", "username-taken"),
    }
    answer = await api.client.patch(f"/learners/{created['id']}", json={"username": "e"})
    assert answer.status_code == 200

    # … and once it is, the revert of the revert and one more try do the rest.
    again = await post_revert(api, document)
    assert again.json()["counts"] == counts(kept=1)
    assert (await all_learners(api))["a"]["id"] == known["b"]["id"]

    operation = await api.import_csv("Username,External ID\nd,HR-d\nc,HR-c\nb,HR-b\na,HR-a\n")
    assert operation["counts"]["changed"] == 4
    after = await all_learners(api)
    assert {name: facts(after[name]) for name in "abcd"} == {name: facts(before[name]) for name in "abcd"}
    renamed = await revert(api, operation)
    assert renamed["counts"] == counts(changed=4)
    assert (await all_learners(api))["z"]["id"] == known["a"]["id"]
    assert (await revert(api, renamed))["counts"] == counts(changed=4)
    after = await all_learners(api)
    assert {name: facts(after[name]) for name in "abcd"} == {name: facts(before[name]) for name in "abcd"}


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


async def there_and_back(api: Api, learner: dict[str, Any]) -> httpx.Response:
    await activate(api, learner)
    return await api.client.post(f"/learners/{learner['id']}/deactivate")


async def bulk_activate(api: Api, learner: dict[str, Any]) -> Any:
    return await bulk(api, "activate", {"ids": [learner["id"]]})


async def import_row(api: Api, learner: dict[str, Any]) -> Any:
    return await api.import_csv(f"Username,Active\n{learner['username']},Yes\n")


async def revert_to(api: Api, learner: dict[str, Any]) -> Any:
    later = await bulk(api, "activate", {"ids": [learner["id"]]})
    return await post_revert(api, later)


@pytest.mark.parametrize(
    "change",
    [patch, activate, there_and_back, bulk_activate, import_row, revert_to],
    ids=lambda f: f.__name__,
)
async def test_learner_changed_since_is_kept(api: Api, change: Callable[..., Any]) -> None:
    learners = [await api.create() for _ in range(3)]
    operation = await bulk(api, "deactivate")
    await change(api, learners[1])
    changed = await api.get(learners[1])

    document = await revert(api, operation)

    assert document["counts"] == counts(changed=2, kept=1)
    (kept,) = await api.outcomes(document, outcome="kept")
    assert (kept["learner_id"], kept["username"]) == (changed["id"], changed["username"])
    assert kept["problem"]["code"] == "changed-since"
    assert kept["problem"]["type"] == "/problems/changed-since"
    assert await api.get(learners[1]) == changed
    page = await api.client.get(kept["problem"]["type"], headers={"Accept": "application/json"})
    assert page.json()["code"] == "changed-since"


async def test_a_first_access_is_a_change_and_later_ones_are_not(api: Api) -> None:
    first, later = await api.create(expires_on="2026-11-01"), await api.create(expires_on="2026-11-01")
    await api.client.patch(f"/learners/{later['id']}", json={"expires_on": None})
    await api.client.post(f"/learners/{later['id']}/access")
    operation = await api.import_csv(
        f"Username,Expiration Date\n{first['username']},never\n{later['username']},2030-01-01\n"
    )
    for learner in (first, later):
        api.service.clock.advance(hours=1)
        assert (await api.client.post(f"/learners/{learner['id']}/access")).status_code == 200

    document = await revert(api, operation)

    assert await told(api, document) == {
        first["username"]: ("kept", "changed-since"),
        later["username"]: ("changed", None),
    }
    assert (await api.get(later))["last_accessed_at"] == "2026-11-02T14:00:00Z"
    assert (await api.get(later))["expires_on"] is None


async def test_created_learner_who_changed_since_is_kept(api: Api) -> None:
    operation = await api.import_csv("Username\na\nb\n")
    await patch(api, (await all_learners(api))["a"])
    assert await told(api, await revert(api, operation)) == {
        "b": ("changed", None),
        "a": ("kept", "changed-since"),
    }


@pytest.mark.parametrize(
    ("column", "member", "code"),
    [("Username", "username", "username-taken"), ("External ID", "external_id", "external-id-taken")],
)
async def test_name_that_another_learner_now_has_is_kept(
    api: Api, column: str, member: str, code: str
) -> None:
    members = {"username": "a", "external_id": "HR-1"}
    learner = await api.create(**members)
    row = "other,HR-1" if column == "Username" else "a,HR-2"
    operation = await api.import_csv(f"Username,External ID,Email\n{row},e@example.org\n")
    changed = await api.get(learner)
    somebody = await api.create(**{"username": "somebody", member: members[member].upper()})

    document = await revert(api, operation)

    assert document["counts"] == counts(kept=1)
    (kept,) = await api.outcomes(document)
    assert kept["problem"]["code"] == code
    assert members[member] in kept["problem"]["detail"]
    assert await api.get(learner) == changed
    assert await api.get(somebody) == somebody


# What cannot be reverted


async def test_operation_that_cannot_be_reverted_is_409_with_the_reason(api: Api) -> None:
    await api.create()
    dry = await bulk(api, "deactivate", dry_run=True)
    real = await bulk(api, "deactivate")
    nothing = await bulk(api, "deactivate")
    done = await revert(api, real)
    before = await stored_state(api.service.database, api.organization.id)

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
        here = Runner(api.service.database, api.service.clock, HANDLERS, api.service.limits)
        for _ in range(2):
            refused = problem(await post_revert(api, answer.json()), 409, "operation-not-revertible")
            assert "not ended" in refused["detail"]
            operation = await here.run_next_chunk(operation)
        await api.client.post(f"/operations/{operation.id}/cancel")

    document = await revert(api, answer.json())

    assert document["counts"] == counts(changed=4)
    assert document["progress"] == {"done": 4, "total": 4}
    after = await all_learners(api)
    assert {each["status"] for each in after.values()} == {"activated"}
    assert sorted(each["version"] for each in after.values()) == [1, 1, 3, 3, 3, 3]


async def test_revert_without_outcomes_is_refused(api: Api) -> None:
    await api.create()
    operation = await bulk(api, "deactivate")
    async with api.service.database.read() as connection:
        found = await repository.find_operation(connection, api.organization.id, operation["id"])
    assert found is not None
    statement = text("DELETE FROM operation_outcomes WHERE operation_number = :number")
    await api.service.database.write(
        lambda connection: connection.execute(statement, {"number": found.number})
    )

    refused = problem(await post_revert(api, operation), 409, "operation-not-revertible")

    assert "have been deleted" in refused["detail"]
    assert await count_stages(api.service.database) == 0
    assert (await api.client.get(f"/operations/{operation['id']}")).json()["reverted_by"] is None


async def test_concurrent_reverts_do_one(api: Api) -> None:
    await create_each_status(api)
    operation = await bulk(api, "deactivate")
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
        running = await stored(api, begun["id"])
        await Runner(api.service.database, api.service.clock, HANDLERS, api.service.limits).run_next_chunk(
            running
        )
        await api.client.post(f"/operations/{begun['id']}/cancel")

    document = await revert(api, operation)

    assert document["counts"] == counts(changed=4, kept=2)
    assert {each["status"] for each in (await all_learners(api)).values()} == {"activated"}


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
        "progress": {"done": 1, "total": 1},
        "counts": counts(changed=1),
        "deactivated": 0,
        "warnings": [],
        "problem": None,
        "reverts": operation["id"],
        "reverted_by": None,
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
        # Those who change until their turn comes are kept.
        await patch(api, (await all_learners(api))["u0"])
    document = await ended(api, begun)
    assert document["counts"] == counts(changed=4, kept=1)


async def test_the_outcomes_are_a_report_too(api: Api) -> None:
    await api.import_csv("Username\n=1+1\nb\nc\n")
    operation = await bulk(api, "deactivate")
    learners = await all_learners(api)
    await patch(api, learners["b"])
    document = await revert(api, operation)

    answer = await api.client.get(f"/operations/{document['id']}/outcomes", headers={"Accept": "text/csv"})

    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == ["Username", "Learner ID", "Line", "Outcome", "Problem"]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["c"] == [learners["c"]["id"], "", "changed", ""]
    assert by_name["'=1+1"][2] == "changed"
    assert by_name["b"][:3] == [learners["b"]["id"], "", "kept"]
    assert "changed again after the operation" in by_name["b"][3]


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
        here = Runner(api.service.database, api.service.clock, HANDLERS, api.service.limits)
        changes = iter(between)
        while not operation.is_finished:
            operation = await here.run_next_chunk(operation)
            if (single := next(changes, None)) is not None:
                api.service.clock.advance(seconds=1)
                await change_one(api, single)
    document: dict[str, Any] = (await api.client.get(f"/operations/{operation.id}")).json()
    return document


def facts_after(events: Any, version: int) -> Any:
    """What the history says that a learner was at this version."""
    state = dict.fromkeys(FACTS)
    for each in sorted(events, key=lambda each: each["version"]):
        if each["version"] <= version:
            state |= {name: value for name, value in each["after"].items() if name in FACTS}
    return state


async def check_against_history(api: Api, original: Any, document: dict[str, Any], before: Any) -> None:
    after = {each["id"]: each for each in (await all_learners(api)).values()}
    outcomes = {each["learner_id"]: each for each in await all_outcomes(api, document)}
    assert set(after) == set(before)
    for learner_id, learner in after.items():
        events = await api.events(learner)
        outcome = outcomes.get(learner_id)
        own = [each for each in events if each["operation_id"] == document["id"]]
        if outcome is None or outcome["outcome"] != "changed":
            assert learner == before[learner_id]
            assert own == []
            if outcome is not None and outcome["outcome"] == "kept":
                is_last = events[0]["operation_id"] == original["id"]
                assert (outcome["problem"]["code"] == "changed-since") is not is_last
            continue
        assert [each["version"] for each in own] == [learner["version"]]
        undone = events[1]
        assert undone["operation_id"] == original["id"]
        expected = facts_after(events, undone["version"] - 1)
        if not undone["before"]:
            expected = facts_after(events, undone["version"])
            expected["deactivated_at"] = own[0]["occurred_at"].replace("Z", ".000000Z")
        assert facts_after(events, learner["version"]) == expected
        assert learner["username"] == expected["username"]


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
            if not original["counts"].get("created", 0) + original["counts"]["changed"]:
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


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_crash_at_any_statement_leaves_everything_as_before_the_chunk(
    api: Api, second_database: Database, dry_run: bool
) -> None:
    expected = await undisturbed(api, dry_run=dry_run)
    async with own_turn(api):
        operation = await submit_revert(api, dry_run=dry_run)
        other_process = make_runner(api, second_database)
        operation = await other_process.run_next_chunk(operation)
        after, crashes = await crash_everywhere(api, second_database, other_process, operation)
        assert crashes > 8
        assert (await finish(other_process, after)).state is State.SUCCEEDED
    assert comparable(await state_of(api)) == expected


async def test_a_connection_lost_after_any_statement_leaves_everything_as_before_the_chunk(
    api: Api,
    second_database: Database,
) -> None:
    if second_database.is_sqlite:
        pytest.skip("SQLite has no connection to lose")
    expected = await undisturbed(api)
    async with own_turn(api):
        operation = await submit_revert(api)
        other_process = make_runner(api, second_database)
        operation = await other_process.run_next_chunk(operation)
        after, losses = await lose_connection_everywhere(api, second_database, other_process, operation)
        assert losses > 8
        await finish(other_process, after)
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
        statements = []
        engine = api.service.database.engine.sync_engine

        def note(_connection: AsyncConnection, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            running = await make_runner(api).run_next_chunk(running)
        finally:
            event.remove(engine, "before_cursor_execute", note)
    assert running.counts == {"changed": 200}
    assert len(statements) < 20
    assert (await ended(api, begun.json()))["counts"] == counts(changed=400)


def test_every_kind_has_a_handler() -> None:
    assert set(HANDLERS) == set(Kind)
