"""A learner's history: page by page, newest first. The database refuses to change it."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.organizations.api_keys import Scope
from tests.support.answers import pointers, problem
from tests.support.learner_rows import all_events
from tests.support.service import NOON, Api

pytestmark = pytest.mark.anyio


async def make_changed_learner(api: Api, changes: Any) -> dict[str, Any]:
    """Make a learner with this many changes, one minute apart."""
    learner = await api.create()
    for number in range(changes):
        api.service.clock.advance(minutes=1)
        await api.client.patch(f"/learners/{learner['id']}", json={"first_name": f"Ada {number}"})
    return learner


async def test_pages_together_are_the_history_newest_first(api: Api) -> None:
    learner = await make_changed_learner(api, 9)
    whole = await api.events(learner)
    assert [event["version"] for event in whole] == list(range(10, 0, -1))
    assert [event["occurred_at"] for event in whole[::9]] == ["2026-11-02T12:09:00Z", "2026-11-02T12:00:00Z"]
    assert len({event["id"] for event in whole}) == 10
    for limit in (1, 3, 9, 10):
        found: list[Any] = []
        url: str | None = f"/learners/{learner['id']}/events"
        params: dict[str, Any] | None = {"limit": limit}
        while url:
            answer = await api.client.get(url, params=params)
            page = answer.json()
            assert len(page["items"]) <= limit
            assert (page["next_cursor"] is None) == ("next" not in answer.links)
            found += page["items"]
            url, params = answer.links.get("next", {}).get("url"), None
        assert found == whole


async def test_new_events_do_not_shift_a_history_that_is_read(api: Api) -> None:
    learner = await make_changed_learner(api, 5)
    url = f"/learners/{learner['id']}/events"
    first = (await api.client.get(url, params={"limit": 2})).json()
    await api.client.post(f"/learners/{learner['id']}/deactivate")
    rest = (await api.client.get(url, params={"limit": 5, "cursor": first["next_cursor"]})).json()
    assert [event["version"] for event in first["items"] + rest["items"]] == [6, 5, 4, 3, 2, 1]
    assert rest["next_cursor"] is None


async def test_every_change_is_one_event_with_its_own_version(api: Api) -> None:
    learner = await api.create()
    for path in ("access", "deactivate", "activate", "access"):
        await api.client.post(f"/learners/{learner['id']}/{path}")
    for expires_on in ("2026-11-01", "2026-11-02", "2026-11-03"):
        await api.client.patch(f"/learners/{learner['id']}", json={"expires_on": expires_on})
    await api.import_csv(f"Username,Last Name,Active\n{learner['username']},Okafor,No\n", reason="feed")
    events = await api.events(learner)
    assert [event["version"] for event in events] == list(range(8, 0, -1))
    assert [event["type"].removeprefix("learner.") for event in reversed(events)] == [
        "created",
        "accessed",
        "deactivated",
        "activated",
        "expired",
        "restored",
        "updated",
        "deactivated",
    ]
    assert events[0]["reason"] == "feed"
    assert events[0]["operation_id"] is not None
    assert (await api.get(learner))["version"] == 8


async def test_creation_by_an_import_stays_the_same_after_any_change(api: Api) -> None:
    """The database does not store its facts: they follow from the learner and the later events."""
    roster = (
        "Username,External ID,Email,Last Name,Expiration Date\nada,HR-1,ada@example.org,Okafor,2026-12-01\n"
    )
    operation = await api.import_csv(roster, reason="hired")
    learner = (await api.client.get("/learners", params={"username": "ada"})).json()["items"][0]
    (created,) = await api.events(learner)
    assert created["after"] == {
        "username": "ada",
        "external_id": "HR-1",
        "email": "ada@example.org",
        "last_name": "Okafor",
        "expires_on": "2026-12-01",
        "status": "activated",
    }
    assert created["before"] == {}
    assert (created["operation_id"], created["reason"]) == (operation["id"], "hired")
    for change in ({"last_name": None, "first_name": "Ada"}, {"username": "b"}, {"expires_on": "2026-11-01"}):
        api.service.clock.advance(minutes=1)
        await api.client.patch(f"/learners/{learner['id']}", json=change)
        assert (await api.events(learner))[-1] == created
    await api.import_csv("External ID,Username,Email,Active\nHR-1,c,c@example.org,No\n")
    history = await api.events(learner)
    assert len(history) == 5
    assert history[-1] == created
    assert len({event["id"] for event in history}) == 5


async def test_before_and_after_explain_every_fact(api: Api) -> None:
    """Replayed from the start, a history gives the current learner."""
    learner = await api.create(email="a@example.org", external_id="HR-1")
    await api.client.post(f"/learners/{learner['id']}/access")
    await api.client.patch(f"/learners/{learner['id']}", json={"email": None, "first_name": "Ada"})
    await api.client.post(f"/learners/{learner['id']}/deactivate")
    await api.client.patch(f"/learners/{learner['id']}", json={"expires_on": "2026-10-31"})
    facts: dict[str, Any] = {}
    for event in reversed(await api.events(learner)):
        assert {name: facts.get(name) for name in event["before"]} == event["before"]
        facts |= event["after"]
    now = await api.get(learner)
    instants = {name: facts.pop(name) for name in ("deactivated_at", "first_accessed_at")}
    assert facts == {name: now[name] for name in facts}
    assert {"username", "email", "first_name", "external_id", "expires_on", "status"} == facts.keys()
    assert set(instants.values()) == {NOON.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


async def test_unknown_parameter_of_a_history_is_422(api: Api) -> None:
    learner = await api.create()
    for params, pointer in (({"limit": 0}, "?limit"), ({"limit": 1001}, "?limit"), ({"type": "x"}, "?type")):
        answer = await api.client.get(f"/learners/{learner['id']}/events", params=params)
        assert pointers(problem(answer, 422, "invalid-request")) == [pointer]
    other = await make_changed_learner(api, 2)
    cursor = (await api.client.get(f"/learners/{other['id']}/events", params={"limit": 1})).json()[
        "next_cursor"
    ]
    for wrong in (cursor, "x", ""):
        answer = await api.client.get(f"/learners/{learner['id']}/events", params={"cursor": wrong})
        problem(answer, 400, "invalid-cursor")
    for unknown in ("019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11", "x"):
        problem(await api.client.get(f"/learners/{unknown}/events"), 404, "not-found")


async def test_events_scope_reads_histories_but_no_learners(api: Api) -> None:
    learner = await make_changed_learner(api, 2)
    async with await api.client_with(Scope.EVENTS_READ) as client:
        answer = await client.get(f"/learners/{learner['id']}/events")
        assert answer.json()["items"] == await api.events(learner)
        problem(await client.get(f"/learners/{learner['id']}"), 403, "not-permitted")


CHANGES = [
    "UPDATE events SET reason = 'nothing happened' WHERE organization_id = {organization}",
    "UPDATE events SET reason = reason",
    "DELETE FROM events WHERE organization_id = {organization}",
    """INSERT INTO events SELECT * FROM events WHERE organization_id = {organization}
    ON CONFLICT (position) DO UPDATE SET reason = 'nothing happened'""",
]
CHANGES_IN = {
    "sqlite": ["INSERT OR REPLACE INTO events SELECT * FROM events WHERE organization_id = {organization}"],
    "postgresql": ["TRUNCATE events", "TRUNCATE events RESTART IDENTITY CASCADE"],
}


async def test_database_refuses_to_change_or_remove_an_event(api: Api) -> None:
    database = api.service.database
    await make_changed_learner(api, 2)
    async with database.read() as connection:
        before = await all_events(connection, api.organization.id)
    for change in CHANGES + CHANGES_IN[database.engine.dialect.name]:
        statement = text(change.format(organization=api.organization.id))
        with pytest.raises(DBAPIError, match="never changed or removed"):
            await database.write(AsyncConnection.execute, statement)
    async with database.read() as connection:
        assert await all_events(connection, api.organization.id) == before
    assert len(before) == 3
