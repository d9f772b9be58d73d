"""Setting the expiration date of many learners: what becomes of each status, what is stored, what is recorded."""

from collections import Counter
from typing import Any

import httpx
import pytest

from tests.support.answers import pointers, problem
from tests.support.service import Api
from tests.support.stored import all_learners, all_outcomes, ended, follow

pytestmark = pytest.mark.anyio

PAST, TODAY, FUTURE = "2026-11-01", "2026-11-02", "2030-12-31"
NO_COUNTS = {"changed": 0, "unchanged": 0, "refused": 0, "not_found": 0}


async def post(api: Api, **body: Any) -> httpx.Response:
    return await api.client.post("/learners/bulk-actions", json={"action": "set-expiration", **body})


async def set_expiration(api: Api, expires_on: str | None, **members: Any) -> dict[str, Any]:
    """The operation that set this date, or null, for everyone."""
    answer = await post(api, **{"selection": {"filter": {}}, "expires_on": expires_on, **members})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def create_each_status(api: Api) -> dict[str, dict[str, Any]]:
    """Learners of each status, with a date in the past, today, later, and none; by name."""
    for status in ("activated", "active", "deactivated"):
        for name, day in (("never", None), ("past", PAST), ("today", TODAY), ("future", FUTURE)):
            learner = await api.create(username=f"{status}-{name}")
            path = f"/learners/{learner['id']}"
            if status == "active":
                await api.client.post(f"{path}/access")
            if status == "deactivated":
                await api.client.post(f"{path}/deactivate")
            await api.client.patch(path, json={"expires_on": day})
    return await all_learners(api)


@pytest.mark.parametrize("wanted", [PAST, TODAY, FUTURE, None])
async def test_date_changes_every_status_as_the_rules_say(api: Api, wanted: str | None) -> None:
    before = await create_each_status(api)
    api.service.clock.advance(hours=1)

    dry = await set_expiration(api, wanted, dry_run=True)
    assert await all_learners(api) == before
    operation = await set_expiration(api, wanted, reason="new contract")

    assert (operation["kind"], operation["action"]) == ("bulk-action", "set-expiration")
    assert operation["request"] == {"selection": {"filter": {}}, "expires_on": wanted}
    expected = NO_COUNTS | {"changed": 9, "unchanged": 3}
    assert operation["counts"] == dry["counts"] == expected
    for each in (dry, operation):
        effects = ("expiration_changed", "deactivated", "activated", "renamed", "rekeyed")
        assert [each[name] for name in effects] == [9, 0, 0, 0, 0]
    assert (dry["revertible"], operation["revertible"]) == (0, 9)
    told = {each["username"]: each for each in await all_outcomes(api, operation)}
    assert list(told.values()) == await all_outcomes(api, dry)
    after = await all_learners(api)
    for name, learner in after.items():
        was = before[name]
        if was["expires_on"] == wanted:
            assert (learner, told[name]["changes"]) == (was, {})
            continue
        status = name.partition("-")[0]
        is_past = wanted == PAST
        assert (learner["expires_on"], learner["version"]) == (wanted, was["version"] + 1)
        assert (learner["status"], learner["restores_to"]) == (
            ("expired", status) if is_past else (status, None)
        )
        assert learner["can_log_in"] == (status != "deactivated" and not is_past)
        assert learner["deactivated_at"] == was["deactivated_at"]
        assert told[name]["changes"]["expires_on"] == [was["expires_on"], wanted]
        assert told[name]["changes"].get("status") == (
            None if was["status"] == learner["status"] else [was["status"], learner["status"]]
        )
        event = (await api.events(learner))[0]
        ends, comes_back = is_past, was["status"] == "expired" and not is_past
        assert event["type"] == (
            "learner.expired" if ends else "learner.restored" if comes_back else "learner.updated"
        )
        assert (event["operation_id"], event["reason"]) == (operation["id"], "new contract")
        assert (event["before"]["expires_on"], event["after"]["expires_on"]) == (was["expires_on"], wanted)


async def test_restored_learner_may_log_in_again_with_the_answer(api: Api) -> None:
    learner = await api.create(username="a", external_id="HR-1", expires_on=PAST)

    async def is_allowed() -> bool:
        answer = await api.client.get(f"/learners/{learner['id']}/access")
        return bool(answer.json()["allowed"])

    assert not await is_allowed()
    await set_expiration(api, FUTURE, selection={"external_ids": ["HR-1"]})
    assert await is_allowed()
    await set_expiration(api, PAST, selection={"usernames": ["A"]})
    assert not await is_allowed()


async def test_past_date_is_judged_by_the_organizations_time_zone(api: Api) -> None:
    await api.client.patch("/organization", json={"time_zone": "Pacific/Kiritimati"})  # it is the 3rd there
    await api.create(username="a")

    operation = await set_expiration(api, TODAY)

    (outcome,) = await api.outcomes(operation)
    assert outcome["changes"]["status"] == ["activated", "expired"]
    assert (await all_learners(api))["a"]["status"] == "expired"


async def test_dates_can_be_reverted(api: Api) -> None:
    before = await create_each_status(api)
    operation = await set_expiration(api, None)

    answer = await api.client.post(f"/operations/{operation['id']}/revert")

    assert answer.json()["counts"] == {"changed": 9, "unchanged": 0, "kept": 0}
    assert answer.json()["expiration_changed"] == 9
    after = await all_learners(api)
    names = ("expires_on", "status", "restores_to", "deactivated_at")
    assert {name: [each[key] for key in names] for name, each in after.items()} == {
        name: [each[key] for key in names] for name, each in before.items()
    }


async def test_more_learners_than_one_chunk_holds_and_a_guard(api: Api) -> None:
    api.service.limit(chunk_rows=3)
    for number in range(8):
        await api.create(username=f"u{number}", expires_on=PAST if number % 2 else FUTURE)
    refused = await post(api, selection={"filter": {}}, expires_on=FUTURE, expected_count=7)
    assert problem(refused, 409, "selection-changed")["matched_count"] == 8

    answer = await post(api, selection={"filter": {}}, expires_on=FUTURE, expected_count=8)

    operation = await ended(api, answer.json())
    assert operation["counts"] == NO_COUNTS | {"changed": 4, "unchanged": 4}
    assert operation["expiration_changed"] == 4
    found = await all_outcomes(api, operation, changes="expiration", limit=1)
    assert [each["username"] for each in found] == ["u1", "u3", "u5", "u7"]
    assert Counter(each["status"] for each in (await all_learners(api)).values()) == {"activated": 8}


async def test_unknown_learner_is_not_found(api: Api) -> None:
    operation = await set_expiration(api, FUTURE, selection={"usernames": ["nobody"]})
    assert operation["counts"] == NO_COUNTS | {"not_found": 1}


SELECTION: dict[str, Any] = {"selection": {"filter": {}}}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (SELECTION, "/expires_on"),
        ({**SELECTION, "expires_on": ""}, "/expires_on"),
        ({**SELECTION, "expires_on": "never"}, "/expires_on"),
        ({**SELECTION, "expires_on": "2026-02-30"}, "/expires_on"),
        ({**SELECTION, "expires_on": "31.12.2026"}, "/expires_on"),
        ({**SELECTION, "expires_on": "2026-12-31T00:00:00Z"}, "/expires_on"),
        ({**SELECTION, "expires_on": 20261231}, "/expires_on"),
        ({**SELECTION, "action": "activate", "expires_on": FUTURE}, "/expires_on"),
        ({**SELECTION, "action": "deactivate", "expires_on": None}, "/expires_on"),
    ],
)
async def test_missing_unwanted_or_invalid_date_is_422(api: Api, body: Any, pointer: str) -> None:
    learner = await api.create()

    refusal = problem(await post(api, **body), 422, "invalid-request")

    assert pointers(refusal) == [pointer]
    assert refusal["errors"][0]["detail"]
    assert await api.get(learner) == learner
    assert await follow(api.client, "/operations") == []
