"""Learners of another organization are not found on any route, and their names are free."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.support.answers import problem
from tests.support.rosters import walk
from tests.support.service import NOON, Api, Service

pytestmark = pytest.mark.anyio

PROFILE = {"username": "a.okafor", "external_id": "HR-1", "email": "a@example.org", "first_name": "Ada"}
# A valid body for each route that needs one.
BODIES = {("PATCH", "/learners/{learner_id}"): {"first_name": "Mine"}}


@pytest.fixture
async def theirs(service: Service) -> AsyncIterator[Api]:
    """Make another organization with one learner."""
    organization = await service.found_organization()
    async with service.client(await service.issue_key(organization)) as client:
        api = Api(service, organization, client)
        await api.create(**PROFILE)
        yield api


def routes_of_one_learner(app: FastAPI) -> list[Any]:
    return [
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        if "{learner_id}" in (getattr(route, "path", None) or "")
        for method in sorted(set(route.methods or ()) - {"HEAD"})
    ]


async def test_learner_of_another_organization_is_404_on_every_route(api: Api, theirs: Api) -> None:
    (learner,) = await walk(theirs)
    history = await theirs.events(learner)
    routes = routes_of_one_learner(api.service.app)
    assert len(routes) == 7, routes
    for method, path in routes:
        url = re.sub(r"\{learner_id\}", learner["id"], path)
        answer = await api.client.request(method, url, json=BODIES.get((method, path)))
        document = problem(answer, 404, "not-found")
        nobody = await api.client.request(
            method,
            re.sub(r"\{learner_id\}", new_to_all(learner["id"]), path),
            json=BODIES.get((method, path)),
        )
        unlike = {"instance": None}
        assert document | unlike == problem(nobody, 404, "not-found") | unlike, (
            "an id must not show that it exists"
        )
    assert (await theirs.get(learner), await theirs.events(learner)) == (learner, history)


def new_to_all(learner_id: str) -> Any:
    """Return an id that no learner has."""
    return learner_id[:-4] + f"{(int(learner_id[-4:], 16) + 1) % 0x10000:04x}"


async def test_lists_leave_out_learners_of_another_organization(api: Api, theirs: Api) -> None:
    (learner,) = await walk(theirs)
    for wanted in (
        {},
        {"q": "okafor"},
        {"q": "a"},
        {"username": "a.okafor"},
        {"email": "a@example.org"},
        {"external_id": "HR-1"},
        {"ids": learner["id"]},
        {"status": "activated"},
        {"sort": "-created_at"},
    ):
        assert await walk(api, **wanted) == [], wanted
        wanted.pop("sort", None)
        counts = (await api.client.get("/learners/status-counts", params=wanted)).json()
        assert counts["total"] == 0, wanted
    answer = await api.client.get("/learners", headers={"Accept": "text/csv"})
    assert len(answer.text.splitlines()) == 1
    problem(await api.client.get("/access", params={"username": "a.okafor"}), 404, "not-found")


async def test_keys_of_another_organization_are_free(api: Api, theirs: Api) -> None:
    mine = await api.create(**PROFILE)
    other = await api.create(username="b")
    await theirs.create(username="c", external_id="HR-3")
    patch = {"username": "C", "external_id": "HR-3"}
    assert (await api.client.patch(f"/learners/{other['id']}", json=patch)).status_code == 200
    operation = await api.import_csv("Username,External ID,Last Name\na.okafor,HR-1,Okafor\n")
    assert operation["counts"]["changed"] == 1
    assert (await api.get(mine))["last_name"] == "Okafor"
    unchanged = [learner for learner in await walk(theirs) if learner["username"] == "a.okafor"]
    assert unchanged[0]["last_name"] is None
    assert unchanged[0]["id"] != mine["id"]
    assert {learner["username"] for learner in await walk(theirs)} == {"a.okafor", "c"}


async def test_changes_do_not_touch_another_organization(api: Api, theirs: Api) -> None:
    await api.create(**PROFILE)
    before = await walk(theirs)
    api.service.clock.instant = NOON.replace(hour=13)
    body = {"action": "deactivate", "selection": {"filter": {}}}
    operation = (await api.client.post("/learners/bulk-actions", json=body)).json()
    assert operation["counts"]["changed"] == 1
    for path in ("deactivate", "activate", "access"):
        (learner,) = await walk(api)
        assert (await api.client.post(f"/learners/{learner['id']}/{path}")).status_code == 200
    assert await walk(theirs) == before
