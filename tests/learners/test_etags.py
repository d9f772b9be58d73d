"""Conditional requests (RFC 9110 section 13): no change overwrites an unseen one."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.support.answers import pointers, problem
from tests.support.service import NOON, Api

pytestmark = pytest.mark.anyio

CHANGES = [
    ("PATCH", "", {"first_name": "Ada"}),
    ("POST", "/deactivate", {}),
    ("POST", "/activate", {}),
]
every_change = pytest.mark.parametrize(
    ("method", "path", "body"), CHANGES, ids=["patch", "deactivate", "activate"]
)


async def get_tag(api: Api, learner: dict[str, Any]) -> Any:
    return (await api.client.get(f"/learners/{learner['id']}")).headers["ETag"]


async def change(
    api: Api, learner: dict[str, Any], method: str, path: str, body: Any, if_match: str | bytes | None
) -> httpx.Response:
    headers: Any = {"If-Match": if_match}
    return await api.client.request(method, f"/learners/{learner['id']}{path}", json=body, headers=headers)


async def get(api: Api, learner: dict[str, Any], if_none_match: str) -> httpx.Response:
    return await api.client.get(f"/learners/{learner['id']}", headers={"If-None-Match": if_none_match})


async def make_deactivated(api: Api) -> tuple[dict[str, Any], Any, Any]:
    """Make a learner that each of CHANGES would change, with the tags of the first and the current version."""
    learner = await api.create()
    first = await get_tag(api, learner)
    await api.client.post(f"/learners/{learner['id']}/deactivate")
    return learner, first, await get_tag(api, learner)


@every_change
async def test_change_with_the_current_tag_answers_the_next_tag(
    api: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    learner = await api.create()
    answer = await change(api, learner, method, path, body, await get_tag(api, learner))
    assert answer.status_code == 200
    assert answer.headers["ETag"] == await get_tag(api, learner)
    assert answer.json() == await api.get(learner)


@every_change
async def test_change_with_a_stale_tag_is_412_and_leaves_no_trace(
    api: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    learner, stale, _ = await make_deactivated(api)
    before, history = await api.get(learner), await api.events(learner)
    document = problem(await change(api, learner, method, path, body, stale), 412, "version-mismatch")
    assert document["current_version"] == 2
    assert (await api.get(learner), await api.events(learner)) == (before, history)


@every_change
async def test_one_matching_tag_of_a_list_is_enough(
    api: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    learner, stale, current = await make_deactivated(api)
    answer = await change(api, learner, method, path, body, f'"xyzzy", {stale} ,{current}')
    assert answer.status_code == 200
    problem(
        await change(api, learner, "PATCH", "", {"first_name": "B"}, f'{stale}, "xyzzy"'),
        412,
        "version-mismatch",
    )


async def test_star_matches_every_existing_learner(api: Api) -> None:
    learner, _, _ = await make_deactivated(api)
    assert (await change(api, learner, "PATCH", "", {"first_name": "Ada"}, "*")).status_code == 200
    nobody = {"id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"}
    problem(await change(api, nobody, "PATCH", "", {"first_name": "Ada"}, "*"), 404, "not-found")


async def test_weakened_tag_still_matches_its_version(api: Api) -> None:
    learner, stale, current = await make_deactivated(api)
    problem(
        await change(api, learner, "PATCH", "", {"first_name": "A"}, f"W/{stale}"), 412, "version-mismatch"
    )
    assert (await change(api, learner, "PATCH", "", {"first_name": "A"}, f"W/{current}")).status_code == 200


@pytest.mark.parametrize("tag", ['""', '"0"', '"2x.activated.0"', '"²"', '"-1"', '"99999999999999999999"'])
async def test_foreign_tag_is_412(api: Api, tag: str) -> None:
    learner = await api.create()
    answer = await change(api, learner, "PATCH", "", {"first_name": "Ada"}, tag.encode())
    problem(answer, 412, "version-mismatch")


@pytest.mark.parametrize("header", ["1", "1.activated.0", "W/", '"unclosed', "**", "-"])
async def test_invalid_if_match_is_422_with_an_example(api: Api, header: str) -> None:
    learner = await api.create()
    document = problem(
        await change(api, learner, "PATCH", "", {"first_name": "Ada"}, header), 422, "invalid-request"
    )
    assert pointers(document) == ["header:If-Match"]
    assert (await api.get(learner))["first_name"] is None


async def test_version_is_checked_before_the_rules(api: Api) -> None:
    learner = await api.create(expires_on="2026-11-01")
    stale = await get_tag(api, learner)
    await api.client.patch(f"/learners/{learner['id']}", json={"first_name": "Ada"})
    problem(await change(api, learner, "POST", "/activate", {}, stale), 412, "version-mismatch")
    current = await get_tag(api, learner)
    problem(await change(api, learner, "POST", "/activate", {}, current), 409, "learner-expired")


async def test_only_one_of_many_changes_with_the_same_tag_succeeds(api: Api) -> None:
    learner = await api.create()
    tag = await get_tag(api, learner)
    answers = await asyncio.gather(
        *(change(api, learner, "PATCH", "", {"first_name": f"Ada {each}"}, tag) for each in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert await api.get(learner) == winner
    assert [event["version"] for event in await api.events(learner)] == [2, 1]


async def test_if_none_match_with_the_current_tag_is_304(api: Api) -> None:
    learner = await api.create()
    tag = await get_tag(api, learner)
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await get(api, learner, header)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag), header
    for header in ('"other"', "garbage", tag.strip('"')):
        answer = await get(api, learner, header)
        assert (answer.status_code, answer.json()) == (200, learner), header


async def test_tag_changes_with_every_change_and_access(api: Api) -> None:
    learner = await api.create()
    tags = [await get_tag(api, learner)]
    for path in ("access", "access", "deactivate", "activate"):
        api.service.clock.advance(minutes=1)
        assert (await api.client.post(f"/learners/{learner['id']}/{path}")).status_code == 200
        assert (await get(api, learner, tags[-1])).status_code == 200
        tags.append(await get_tag(api, learner))
    await api.client.patch(f"/learners/{learner['id']}", json={"email": "a@example.org"})
    tags.append(await get_tag(api, learner))
    assert len(set(tags)) == len(tags) == 6


async def test_tag_changes_when_the_learner_expires(api: Api) -> None:
    learner = await api.create(expires_on=NOON.date().isoformat())
    tag = await get_tag(api, learner)
    api.service.clock.advance(hours=11)
    assert (await get(api, learner, tag)).status_code == 304
    api.service.clock.instant = NOON + timedelta(hours=12)
    answer = await get(api, learner, tag)
    assert (answer.status_code, answer.json()["status"]) == (200, "expired")
    assert answer.headers["ETag"] != tag


async def test_expiry_and_access_do_not_outdate_an_if_match(api: Api) -> None:
    learner = await api.create(expires_on=NOON.date().isoformat())
    tag = await get_tag(api, learner)
    await api.client.post(f"/learners/{learner['id']}/access")
    seen = await get_tag(api, learner)
    api.service.clock.advance(minutes=5)
    await api.client.post(f"/learners/{learner['id']}/access")
    api.service.clock.advance(days=1)
    assert (await change(api, learner, "PATCH", "", {"expires_on": None}, seen)).status_code == 200
    problem(await change(api, learner, "PATCH", "", {"first_name": "Ada"}, tag), 412, "version-mismatch")
