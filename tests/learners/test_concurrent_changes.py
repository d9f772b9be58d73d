"""Many requests change or create one learner at the same moment: every change counts once, none is lost."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.answers import problem
from tests.support.rosters import walk
from tests.support.service import Api

pytestmark = pytest.mark.anyio


async def test_concurrent_changes_of_one_learner_have_unique_versions(api: Api) -> None:
    learner = await api.create()
    url = f"/learners/{learner['id']}"
    calls = []
    for number in range(20):
        calls += [
            api.client.post(f"{url}/deactivate", json={"reason": f"{number}"}),
            api.client.post(f"{url}/activate", json={"reason": f"{number}"}),
            api.client.patch(url, json={"first_name": f"Ada {number}"}),
            api.client.post(f"{url}/access"),
        ]
    answers = await asyncio.gather(*calls)
    by_status = Counter(answer.status_code for answer in answers)
    assert by_status.keys() <= {200, 403}  # access of a learner who has just been deactivated

    history = list(reversed(await api.events(learner)))
    after = await api.get(learner)
    assert [event["version"] for event in history] == list(range(1, after["version"] + 1))
    facts: dict[str, Any] = {}
    for event in history:
        # Each change saw the result of the one before it.
        assert {name: facts.get(name) for name in event["before"]} == event["before"]
        facts |= event["after"]
    assert (facts["status"], facts["first_name"]) == (after["status"], after["first_name"])
    types = Counter(event["type"] for event in history)
    assert types["learner.updated"] == 20
    assert types["learner.accessed"] == 1
    assert types["learner.deactivated"] - types["learner.activated"] == (after["deactivated_at"] is not None)


async def test_only_one_of_many_concurrent_requests_gets_a_name(api: Api) -> None:
    bodies = [{"username": "a.okafor" if number % 2 else "A.OKAFOR"} for number in range(10)]
    answers = await asyncio.gather(*(api.client.post("/learners", json=body) for body in bodies))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "username-taken")
    assert len(await walk(api)) == 1

    learners = [await api.create() for _ in range(6)]
    patches = ({"username": "wanted"}, {"external_id": "HR-1"})
    for patch, code in zip(patches, ("username-taken", "external-id-taken"), strict=True):
        answers = await asyncio.gather(
            *(api.client.patch(f"/learners/{learner['id']}", json=patch) for learner in learners)
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}
        for answer in answers:
            if answer.status_code == 409:
                problem(answer, 409, code)
        assert len(await walk(api, **patch)) == 1


async def test_two_learners_who_swap_names_never_end_up_with_the_same(api: Api) -> None:
    first, second = await api.create(username="first"), await api.create(username="second")
    for _ in range(5):
        answers = await asyncio.gather(
            api.client.patch(f"/learners/{first['id']}", json={"username": "second"}),
            api.client.patch(f"/learners/{second['id']}", json={"username": "first"}),
        )
        assert [answer.status_code for answer in answers] == [409, 409]
    assert {learner["version"] for learner in await walk(api)} == {1}
