"""Access checks over HTTP: who may enter, why not, and what an access stores."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.organizations.api_keys import Scope
from tests.support.answers import pointers, problem
from tests.support.service import NOON, Api, Service

pytestmark = pytest.mark.anyio

AT_NOON, LATER = "2026-11-02T12:00:00Z", "2026-11-02T12:01:00Z"


async def act(api: Api, learner: dict[str, Any], action: str) -> dict[str, Any]:
    answer = await api.client.post(f"/learners/{learner['id']}/{action}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def check(api: Api, learner: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = await api.client.get(f"/learners/{learner['id']}/access", params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def record_access(api: Api, learner: dict[str, Any], **params: Any) -> httpx.Response:
    return await api.client.post(f"/learners/{learner['id']}/access", params=params)


async def make_learner(api: Api, status: str) -> dict[str, Any]:
    """Make a learner with this status, who has accessed training only if the status is active."""
    learner = await api.create(expires_on="2026-11-01" if "expired" in status else None)
    if status == "active":
        await act(api, learner, "access")
    if "deactivated" in status:
        await act(api, learner, "deactivate")
    return await api.get(learner)


WHO = {
    "activated": (True, "activated", None),
    "active": (True, "active", None),
    "deactivated": (False, "deactivated", "deactivated"),
    "expired": (False, "expired", "expired"),
    "expired and deactivated": (False, "expired", "expired"),
}


class TestChecking:
    @pytest.mark.parametrize("status", WHO)
    async def test_check_answers_with_the_reason_and_records_nothing(self, api: Api, status: str) -> None:
        learner = await make_learner(api, status)
        history = await api.events(learner)
        api.service.clock.advance(minutes=1)
        allowed, resolved, reason = WHO[status]
        expected = {
            "learner_id": learner["id"],
            "allowed": allowed,
            "status": resolved,
            "reason": reason,
            "sessions_valid_from": learner["sessions_valid_from"],
            "checked_at": LATER,
        }
        assert await check(api, learner) == expected
        for username in (learner["username"], learner["username"].upper()):
            answer = await api.client.get("/access", params={"username": username})
            assert (answer.status_code, answer.json()) == (200, expected)
        assert (await api.get(learner), await api.events(learner)) == (learner, history)

    async def test_username_is_found_in_any_case_but_only_whole(self, api: Api) -> None:
        learner = await api.create(username="Zoë Straße")
        for username in ("ZOË STRASSE", "zoe\N{COMBINING DIAERESIS} straße"):
            answer = await api.client.get("/access", params={"username": username})
            assert answer.json()["learner_id"] == learner["id"]
        for username in ("Zoë", "Zoë Straße2", "%", "zoe strasse"):
            problem(await api.client.get("/access", params={"username": username}), 404, "not-found")

    @pytest.mark.parametrize("params", [{}, {"username": ""}, {"username": "x" * 256}, {"username": "a\x00"}])
    async def test_check_without_a_valid_username_is_422(self, api: Api, params: dict[str, Any]) -> None:
        document = problem(await api.client.get("/access", params=params), 422, "invalid-request")
        assert pointers(document) == ["?username"]

    async def test_deactivation_counts_at_once(self, api: Api) -> None:
        learner = await api.create()
        for action, allowed in (("deactivate", False), ("activate", True)) * 3:
            await act(api, learner, action)
            assert (await check(api, learner))["allowed"] is allowed

    async def test_access_lasts_through_the_last_day_in_the_organizations_time_zone(
        self, service: Service
    ) -> None:
        organization = await service.found_organization("America/New_York")
        async with service.client(await service.issue_key(organization)) as client:
            body = {"username": "a.okafor", "expires_on": "2026-11-02"}
            learner = (await client.post("/learners", json=body)).json()
            said = []
            # Midnight in New York is 05:00 UTC on the day after.
            for instant in (NOON, NOON + timedelta(hours=17, microseconds=-1), NOON + timedelta(hours=17)):
                service.clock.instant = instant
                access = (await client.get(f"/learners/{learner['id']}/access")).json()
                said.append((access["allowed"], access["reason"]))
        assert said == [(True, None), (True, None), (False, "expired")]


class TestSessions:
    async def test_session_from_before_a_deactivation_is_refused_after_activation(self, api: Api) -> None:
        learner = await api.create()
        assert (await check(api, learner, session_started_at="2026-11-02T09:00:00Z"))["reason"] is None
        await act(api, learner, "deactivate")
        assert (await check(api, learner, session_started_at=LATER))["reason"] == "deactivated"
        api.service.clock.advance(minutes=1)
        await act(api, learner, "activate")
        refused = await check(api, learner, session_started_at="2026-11-02T11:59:59.999999Z")
        assert refused == {
            "learner_id": learner["id"],
            "allowed": False,
            "status": "activated",
            "reason": "session-revoked",
            "sessions_valid_from": AT_NOON,
            "checked_at": LATER,
        }
        for started_at in (AT_NOON, "2026-11-02T12:00:30Z", "2026-11-02T13:00:00+01:00"):
            assert (await check(api, learner, session_started_at=started_at))["allowed"], started_at
        for started_at in ("2026-11-02T12:59:59+01:00", "2026-11-02T06:59:59-05:00"):
            params = {"session_started_at": started_at, "username": learner["username"]}
            answer = await api.client.get("/access", params=params)
            assert answer.json()["reason"] == "session-revoked", started_at
        assert (await check(api, learner))["allowed"]

    async def test_status_is_checked_before_the_session(self, api: Api) -> None:
        learner = await make_learner(api, "expired and deactivated")
        access = await check(api, learner, session_started_at="2020-01-01T00:00:00Z")
        assert access["reason"] == "expired"

    @pytest.mark.parametrize(
        "started_at",
        ["2026-11-02T12:00:00", "2026-11-02", "noon", "", "2026-11-02T12:00:00 01:00", "1793620800", "0"],
    )
    async def test_session_start_without_an_offset_is_422(self, api: Api, started_at: str) -> None:
        learner = await api.create()
        params = {"session_started_at": started_at}
        for answer in (
            await api.client.get(f"/learners/{learner['id']}/access", params=params),
            await api.client.get("/access", params=params | {"username": learner["username"]}),
            await record_access(api, learner, **params),
        ):
            assert pointers(problem(answer, 422, "invalid-request")) == ["?session_started_at"]
        assert await api.get(learner) == learner


class TestEntering:
    async def test_first_access_makes_an_activated_learner_active(self, api: Api) -> None:
        learner = await api.create()
        api.service.clock.advance(minutes=1)
        answer = await record_access(api, learner)
        assert answer.status_code == 200
        assert answer.json() == {
            "learner_id": learner["id"],
            "allowed": True,
            "status": "active",
            "reason": None,
            "sessions_valid_from": None,
            "checked_at": LATER,
        }
        assert await api.get(learner) == learner | {
            "status": "active",
            "first_accessed_at": LATER,
            "last_accessed_at": LATER,
            "updated_at": LATER,
            "version": 2,
        }
        event, _ = await api.events(learner)
        assert (event["type"], event["version"], event["reason"]) == ("learner.accessed", 2, None)
        assert event["before"] == {"first_accessed_at": None, "status": "activated"}
        assert event["after"] == {"first_accessed_at": "2026-11-02T12:01:00.000000Z", "status": "active"}

    async def test_later_access_stores_the_time_and_changes_nothing_else(self, api: Api) -> None:
        learner = await make_learner(api, "active")
        history = await api.events(learner)
        for _ in range(2):
            api.service.clock.advance(minutes=1)
            answer = await record_access(api, learner)
            assert (answer.status_code, answer.json()["status"]) == (200, "active")
        assert await api.get(learner) == learner | {"last_accessed_at": "2026-11-02T12:02:00Z"}
        assert await api.events(learner) == history

    @pytest.mark.parametrize("status", ["deactivated", "expired", "expired and deactivated"])
    async def test_denied_access_is_403_with_the_reason_and_records_nothing(
        self, api: Api, status: str
    ) -> None:
        learner = await make_learner(api, status)
        history = await api.events(learner)
        api.service.clock.advance(minutes=1)
        document = problem(await record_access(api, learner), 403, "access-denied")
        _, resolved, reason = WHO[status]
        members = ("learner_id", "allowed", "learner_status", "reason", "sessions_valid_from", "checked_at")
        assert {name: document[name] for name in members} == {
            "learner_id": learner["id"],
            "allowed": False,
            "learner_status": resolved,
            "reason": reason,
            "sessions_valid_from": learner["sessions_valid_from"],
            "checked_at": LATER,
        }
        assert reason in document["detail"]
        assert (await api.get(learner), await api.events(learner)) == (learner, history)

    async def test_revoked_session_is_403_and_a_new_one_is_allowed(self, api: Api) -> None:
        learner = await api.create()
        await act(api, learner, "deactivate")
        learner = await act(api, learner, "activate")
        old = await record_access(api, learner, session_started_at="2026-11-02T11:00:00Z")
        assert problem(old, 403, "access-denied")["reason"] == "session-revoked"
        assert await api.get(learner) == learner
        assert (await record_access(api, learner, session_started_at=AT_NOON)).status_code == 200
        assert (await api.get(learner))["status"] == "active"

    async def test_first_access_survives_a_deactivation(self, api: Api) -> None:
        learner = await make_learner(api, "active")
        await act(api, learner, "deactivate")
        assert (await act(api, learner, "activate"))["status"] == "active"


async def test_unknown_learner_is_404(api: Api) -> None:
    for unknown in ("019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11", "a.okafor"):
        problem(await api.client.get(f"/learners/{unknown}/access"), 404, "not-found")
        problem(await api.client.post(f"/learners/{unknown}/access"), 404, "not-found")
    problem(await api.client.get("/access", params={"username": "nobody"}), 404, "not-found")


async def test_access_check_needs_only_its_scope(api: Api) -> None:
    learner = await api.create()
    asked = [
        ("GET", f"/learners/{learner['id']}/access"),
        ("GET", "/access?username=x"),
        ("POST", f"/learners/{learner['id']}/access"),
    ]
    others = [scope for scope in Scope if scope not in (Scope.ACCESS_CHECK, Scope.ADMIN)]
    async with await api.client_with(*others) as client:
        for method, url in asked:
            document = problem(await client.request(method, url), 403, "not-permitted")
            assert document["required_scope"] == "access:check"
    async with await api.client_with(Scope.ACCESS_CHECK, name="portal") as client:
        answers = [await client.request(method, url) for method, url in asked]
        assert [answer.status_code for answer in answers] == [200, 404, 200]
        problem(await client.get(f"/learners/{learner['id']}"), 403, "not-permitted")
    event, _ = await api.events(learner)
    assert (event["actor"]["kind"], event["actor"]["name"]) == ("api-key", "portal")
