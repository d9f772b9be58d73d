"""Activates and deactivates one learner over HTTP: the transitions table of the rules, cell by cell."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.support.accounts import cells
from tests.support.answers import pointers, problem
from tests.support.service import NOON, Api, Service

pytestmark = pytest.mark.anyio

TODAY = NOON.date()
DATES = {
    "never": None,
    "yesterday": TODAY - timedelta(days=1),
    "today": TODAY,
    "tomorrow": TODAY + timedelta(days=1),
}
# A cell has the answer, and the status afterwards.
EXPECTED = {
    "deactivate": """
                      never                    yesterday       today                    tomorrow
new                   activated>deactivated    expired!expired activated>deactivated    activated>deactivated
accessed              active>deactivated       expired!expired active>deactivated       active>deactivated
new-deactivated       deactivated=deactivated  expired=expired deactivated=deactivated  deactivated=deactivated
accessed-deactivated  deactivated=deactivated  expired=expired deactivated=deactivated  deactivated=deactivated
""",
    "activate": """
                      never                    yesterday       today                    tomorrow
new                   activated=activated      expired/expired activated=activated      activated=activated
accessed              active=active            expired/expired active=active            active=active
new-deactivated       deactivated>activated    expired/expired deactivated>activated    deactivated>activated
accessed-deactivated  deactivated>active       expired/expired deactivated>active       deactivated>active
""",
}
RESTORES_TO = {
    "new": "activated",
    "accessed": "active",
    "new-deactivated": "deactivated",
    "accessed-deactivated": "deactivated",
}
EVENT_TYPES = {"activate": "learner.activated", "deactivate": "learner.deactivated"}


async def act(api: Api, learner: dict[str, Any], action: str, **body: Any) -> httpx.Response:
    return await api.client.post(f"/learners/{learner['id']}/{action}", json=body or None)


async def make_learner(api: Api, facts: str, expires_on: date | None) -> dict[str, Any]:
    """Make a learner with these facts, one minute after another, as they would come about."""
    learner = await api.create()
    if "accessed" in facts:
        api.service.clock.advance(minutes=1)
        await act(api, learner, "access")
    if "deactivated" in facts:
        api.service.clock.advance(minutes=1)
        await act(api, learner, "deactivate")
    if expires_on is not None:
        body = {"expires_on": expires_on.isoformat()}
        await api.client.patch(f"/learners/{learner['id']}", json=body)
    api.service.clock.advance(minutes=1)
    return await api.get(learner)


@pytest.mark.parametrize("action", EXPECTED)
@pytest.mark.parametrize("facts", RESTORES_TO)
async def test_action_answers_stores_and_records_as_in_the_table(api: Api, action: str, facts: str) -> None:
    me = (await api.client.get("/me")).json()
    for day, expires_on in DATES.items():
        expected = cells(EXPECTED[action])[f"{facts}/{day}"]
        learner = await make_learner(api, facts, expires_on)
        history = await api.events(learner)
        now = api.service.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

        answer = await act(api, learner, action, reason="contract ended")
        if "/" in expected:
            document = problem(answer, 409, "learner-expired")
            assert document["expires_on"] == learner["expires_on"]
            assert document["restores_to"] == learner["restores_to"] == RESTORES_TO[facts]
            assert "expires_on" in document["detail"]
        elif "=" in expected:
            assert (answer.status_code, answer.json()) == (200, learner)
        if "/" in expected or "=" in expected:
            assert (await api.get(learner), await api.events(learner)) == (learner, history)
            continue

        before, after = expected.replace("!", ">").split(">")
        deactivated_at = now if action == "deactivate" else None
        assert answer.status_code == 200
        assert (
            answer.json()
            == await api.get(learner)
            == learner
            | {
                "status": after,
                "can_log_in": after in ("active", "activated"),
                "restores_to": "deactivated" if after == "expired" else None,
                "deactivated_at": deactivated_at,
                "sessions_valid_from": deactivated_at or learner["sessions_valid_from"],
                "updated_at": now,
                "version": learner["version"] + 1,
            }
        )
        event, *earlier = await api.events(learner)
        assert earlier == history
        assert event == {
            "id": event["id"],
            "type": EVENT_TYPES[action],
            "learner_id": learner["id"],
            "version": learner["version"] + 1,
            "occurred_at": now,
            "actor": me["actor"],
            "operation_id": None,
            "reason": "contract ended",
            "before": {"deactivated_at": write_in_event(learner["deactivated_at"]), "status": before},
            "after": {"deactivated_at": write_in_event(deactivated_at), "status": after},
        }


def write_in_event(instant: str | None) -> Any:
    """Write an instant as event documents do: with six digits."""
    return instant and instant.replace("Z", ".000000Z")


async def test_repeated_action_changes_nothing(api: Api) -> None:
    learner = await api.create()
    for action, status in (("deactivate", "deactivated"), ("activate", "activated")):
        once = (await act(api, learner, action)).json()
        api.service.clock.advance(minutes=1)
        for _ in range(3):
            assert (await act(api, learner, action, reason="again")).json() == once
        assert once["status"] == status
    assert [event["type"] for event in await api.events(learner)] == [
        "learner.activated",
        "learner.deactivated",
        "learner.created",
    ]


async def test_expired_learner_who_is_deactivated_is_restored_as_deactivated(api: Api) -> None:
    learner = await make_learner(api, "accessed", DATES["yesterday"])
    assert learner["restores_to"] == "active"
    assert (await act(api, learner, "deactivate")).json()["restores_to"] == "deactivated"
    restored = await api.client.patch(f"/learners/{learner['id']}", json={"expires_on": TODAY.isoformat()})
    assert restored.json()["status"] == "deactivated"
    assert (await act(api, learner, "activate")).json()["status"] == "active"


async def test_deactivation_deletes_nothing(api: Api) -> None:
    learner = await api.create(
        username="a.okafor", email="a@example.org", first_name="Ada", last_name="Okafor", external_id="HR-1"
    )
    await act(api, learner, "access")
    learner = await api.get(learner)
    await act(api, learner, "deactivate")
    brought_back = (await act(api, learner, "activate")).json()
    moving = ("version", "sessions_valid_from", "updated_at")
    assert {name: value for name, value in brought_back.items() if name not in moving} == {
        name: value for name, value in learner.items() if name not in moving
    }
    answer = await api.client.delete(f"/learners/{learner['id']}")
    problem(answer, 405, "method-not-allowed")


@pytest.mark.parametrize("action", EXPECTED)
async def test_reason_is_optional_and_limited(api: Api, action: str) -> None:
    learner = await make_learner(api, "new-deactivated" if action == "activate" else "new", None)
    for body in ({"reason": "x" * 1001}, {"reason": 1}, {"reasons": "x"}, {"status": "active"}, ["x"]):
        answer = await api.client.post(f"/learners/{learner['id']}/{action}", json=body)
        document = problem(answer, 422, "invalid-request")
        assert pointers(document) == ["" if isinstance(body, list) else f"/{next(iter(body))}"]
    assert await api.get(learner) == learner
    answer = await api.client.post(f"/learners/{learner['id']}/{action}")
    assert answer.json()["version"] == learner["version"] + 1
    (event, *_) = await api.events(learner)
    assert event["reason"] is None
    other = {"activate": "deactivate", "deactivate": "activate"}[action]
    bodies: list[dict[str, Any]] = [{}, {"reason": None}]
    for body in bodies:
        assert (await act(api, learner, action, **body)).status_code == 200
    assert (await act(api, learner, other, reason="x" * 1000)).status_code == 200
    (event, *_) = await api.events(learner)
    assert event["reason"] == "x" * 1000


@pytest.mark.parametrize("action", EXPECTED)
@pytest.mark.parametrize("unknown", ["019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11", "a.okafor"])
async def test_unknown_learner_is_404(api: Api, action: str, unknown: str) -> None:
    problem(await act(api, {"id": unknown}, action), 404, "not-found")


async def test_today_is_the_day_in_the_organizations_time_zone(service: Service) -> None:
    """At noon UTC of 2 November it is the 3rd in Kiritimati (UTC+14) and still the 2nd at UTC-12."""
    said = {}
    for time_zone in ("Pacific/Kiritimati", "Etc/GMT+12", "UTC"):
        organization = await service.found_organization(time_zone)
        async with service.client(await service.issue_key(organization)) as client:
            body = {"username": "a.okafor", "expires_on": "2026-11-02"}
            learner = (await client.post("/learners", json=body)).json()
            activation = await client.post(f"/learners/{learner['id']}/activate")
            counts = (await client.get("/learners/status-counts")).json()
            access = (await client.get(f"/learners/{learner['id']}/access")).json()
            said[time_zone] = (
                learner["status"],
                activation.status_code,
                counts["expired"],
                access["allowed"],
            )
    assert said == {
        "Pacific/Kiritimati": ("expired", 409, 1, False),
        "Etc/GMT+12": ("activated", 200, 0, True),
        "UTC": ("activated", 200, 0, True),
    }
