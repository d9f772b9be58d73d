"""Usernames that look the same are one learner, and hidden characters are refused, at every way in."""

# ruff: noqa: RUF001  letters that look like others are what is tested here

from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.characters import describe_character
from app.learners.tables import learners
from tests.support.answers import problem
from tests.support.service import Api

pytestmark = pytest.mark.anyio

# One of each class: a format character, a joiner, fillers, a variation selector, a tag, blank Braille, private use, and
# one that Unicode does not define.
HIDDEN = "\u00ad\u200b\u200d\u202e\u034f\u115f\u3164\uffa0\u17b4\u180e\ufe0f\U000e0100\U000e0041\u2800\ue000\U000e0fff"
STORED = "Jo hn ada"
SAME = [
    "jo hn ada",
    "JO HN ADA",
    "jo\u00a0hn ada",
    "jo\u2003hn  ada",
    " jo\u3000hn ada ",
    "ｊｏ hn ａda",
    "𝐣𝐨 hn ada",
]
OTHER = ["john ada", "jo hn adá", "jo hn аda", "jo hn ada\u200b"]


def csv(username: str, first_name: str = "Ada") -> str:
    return f'Username,First Name\n"{username}","{first_name}"\n'


async def names(api: Api) -> list[str]:
    return [each["username"] for each in (await api.client.get("/learners")).json()["items"]]


@pytest.mark.parametrize("username", SAME)
async def test_same_username_finds_the_learner_at_every_way_in(api: Api, username: str) -> None:
    learner = await api.create(username=STORED)

    assert problem(await api.client.post("/learners", json={"username": username}), 409, "username-taken")
    other = await api.create(username="other")
    answer = await api.client.patch(f"/learners/{other['id']}", json={"username": username})
    assert problem(answer, 409, "username-taken")
    listed = await api.client.get("/learners", params={"username": username})
    assert [each["id"] for each in listed.json()["items"]] == [learner["id"]]
    access = await api.client.get("/access", params={"username": username})
    assert access.json()["learner_id"] == learner["id"]
    await api.import_csv(csv(username))
    assert (await api.get(learner))["first_name"] == "Ada"
    body: dict[str, Any] = {"action": "deactivate", "selection": {"usernames": [username, STORED]}}
    operation = (await api.client.post("/learners/bulk-actions", json=body)).json()
    assert [each["learner_id"] for each in await api.outcomes(operation)] == [learner["id"]]
    body = {"action": "activate", "selection": {"filter": {"username": username}}, "expected_count": 1}
    operation = (await api.client.post("/learners/bulk-actions", json=body)).json()
    assert [each["learner_id"] for each in await api.outcomes(operation)] == [learner["id"]]
    assert len(await names(api)) == 2


@pytest.mark.parametrize("username", OTHER)
async def test_other_username_finds_nobody_at_every_way_in(api: Api, username: str) -> None:
    learner = await api.create(username=STORED)

    assert (await api.client.get("/learners", params={"username": username})).json()["items"] == []
    assert problem(await api.client.get("/access", params={"username": username}), 404, "not-found")
    body = {"action": "deactivate", "selection": {"usernames": [username]}}
    operation = (await api.client.post("/learners/bulk-actions", json=body)).json()
    assert [each["outcome"] for each in await api.outcomes(operation)] == ["not_found"]
    await api.import_csv(csv(username))
    assert (await api.get(learner))["first_name"] is None


@pytest.mark.parametrize("username", SAME)
async def test_learner_may_take_another_spelling_of_their_own_username(api: Api, username: str) -> None:
    learner = await api.create(username=STORED)

    answer = await api.client.patch(f"/learners/{learner['id']}", json={"username": username})

    assert answer.status_code == 200
    assert answer.json()["username"] == " ".join(username.split())


async def test_new_usernames_that_are_the_same_in_one_file_are_one_learner(api: Api) -> None:
    operation = await api.import_csv("Username\n" + "".join(f"{username}\n" for username in SAME))

    assert [each["outcome"] for each in await api.outcomes(operation)] == ["created"] + ["invalid"] * 6
    assert await names(api) == ["jo hn ada"]


@pytest.mark.parametrize("character", HIDDEN, ids=lambda character: f"U+{ord(character):04X}")
@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("username", "a.ok{}afor", "A username"),
        ("external_id", "HR-{}1", "An external ID"),
        ("email", "a@exam{}ple.org", "An email address"),
    ],
)
async def test_hidden_character_is_refused_by_name_at_every_way_in(
    api: Api, character: str, field: str, value: str, name: str
) -> None:
    sentence = f"{name} must not contain {describe_character(character)}. Remove it."
    body = {"username": "a", field: value.format(character)}
    learner = await api.create(username="b")

    for answer in (
        await api.client.post("/learners", json=body),
        await api.client.patch(f"/learners/{learner['id']}", json={field: body[field]}),
    ):
        assert [each["detail"] for each in problem(answer, 422, "invalid-request")["errors"]] == [sentence]
    operation = await api.import_csv(f"{','.join(body)}\n{','.join(body.values())}\n")
    (outcome,) = await api.outcomes(operation)
    assert outcome["outcome"] == "invalid"
    assert sentence in str(outcome)
    assert await names(api) == ["b"]


async def keep_old_key(api: Api, learner: dict[str, Any]) -> None:
    """Give the learner a username that another learner is found by, as migration 0004 leaves one of two."""

    async def store(connection: AsyncConnection) -> None:
        old = {"username": "ａda", "username_key": "ａda"}
        await connection.execute(update(learners).where(learners.c.id == learner["id"]).values(old))

    await api.service.database.write(store)


async def read_keys(api: Api) -> list[str]:
    statement = select(learners.c.username_key).where(learners.c.organization_id == api.organization.id)
    async with api.service.database.read() as connection:
        return list((await connection.execute(statement.order_by(learners.c.id))).scalars())


async def test_learner_who_kept_an_old_key_can_be_changed_and_renamed(api: Api) -> None:
    """The migration leaves one of two learners with the same username the key that they had."""
    holder = await api.create(username="ada")
    learner = await api.create(username="old", external_id="HR-1")
    await keep_old_key(api, learner)
    path = f"/learners/{learner['id']}"

    assert (await api.client.patch(path, json={"first_name": "Ada"})).status_code == 200
    assert (await api.client.post(f"{path}/access")).status_code == 200
    assert (await api.client.post(f"{path}/deactivate")).status_code == 200
    operation = await api.import_csv("External ID,Last Name,Active\nHR-1,Okafor,Yes\n")
    assert [each["outcome"] for each in await api.outcomes(operation)] == ["changed"]
    assert (await api.client.post(f"/operations/{operation['id']}/revert")).status_code in {200, 202}
    body = {"action": "deactivate", "selection": {"ids": [learner["id"]]}}
    assert (await api.client.post("/learners/bulk-actions", json=body)).status_code == 200
    access = await api.client.get("/access", params={"username": "ａda"})
    assert access.json()["learner_id"] == holder["id"]
    assert (await api.client.patch(path, json={"username": "ada.2"})).status_code == 200
    access = await api.client.get("/access", params={"username": "ＡＤＡ.2"})
    assert access.json()["learner_id"] == learner["id"]


@pytest.mark.parametrize("value", ["Okafor", "Smith"], ids=["unchanged", "changed"])
async def test_row_with_both_keys_leaves_an_old_key_as_it_is(api: Api, value: str) -> None:
    """An export imports back, and its row is about the learner with the External ID."""
    await api.create(username="ada", external_id="HR-2")
    learner = await api.create(username="old", external_id="HR-1", last_name="Okafor")
    await keep_old_key(api, learner)
    rows = f"ada,HR-2,\nａda,HR-1,{value}\n"
    for options in ({"dry_run": "true"}, {}):
        operation = await api.import_csv(f"Username,External ID,Last Name\n{rows}", **options)
        outcomes = [each["outcome"] for each in await api.outcomes(operation)]
        assert outcomes == ["unchanged", "unchanged" if value == "Okafor" else "changed"]
    assert (await api.get(learner))["last_name"] == value
    assert (await api.get(learner))["username"] == "ａda"
    assert await read_keys(api) == ["ada", "ａda"]


async def test_bulk_action_and_its_revert_leave_an_old_key_as_it_is(api: Api) -> None:
    await api.create(username="ada")
    learner = await api.create(username="old")
    await keep_old_key(api, learner)
    body = {"action": "deactivate", "selection": {"filter": {}}}
    operation = (await api.client.post("/learners/bulk-actions", json=body)).json()
    assert operation["counts"]["changed"] == 2
    revert = (await api.client.post(f"/operations/{operation['id']}/revert")).json()
    assert revert["counts"]["changed"] == 2
    assert (await api.get(learner))["status"] == "activated"
    assert await read_keys(api) == ["ada", "ａda"]


async def test_name_of_another_learner_cannot_be_restored_from_an_old_key(api: Api) -> None:
    """A renamed learner does not get back a username by which another learner is found now."""
    await api.create(username="ada")
    learner = await api.create(username="old", external_id="HR-1")
    await keep_old_key(api, learner)
    operation = await api.import_csv("External ID,Username,Last Name\nHR-1,ada.2,Okafor\n")
    assert operation["counts"]["changed"] == 1
    revert = (await api.client.post(f"/operations/{operation['id']}/revert")).json()
    (outcome,) = await api.outcomes(revert)
    assert (outcome["outcome"], outcome["problems"][0]["code"]) == ("kept", "username-taken")
    stored = await api.get(learner)
    assert (stored["username"], stored["last_name"]) == ("ada.2", None)


NAMES: list[Any] = [
    ("Mary\nAnn", "Mary Ann"),
    ("Mary\r\n Ann", "Mary Ann"),
    ("Mary\x0bAnn\x0c", "Mary Ann"),
    ("Mary\u00a0 \u2028Ann", "Mary Ann"),
    ("می‌خواهم", "می‌خواهم"),
    ("葛\U000e0100城", "葛\U000e0100城"),
]


@pytest.mark.parametrize(("sent", "stored"), NAMES)
async def test_name_is_stored_alike_from_json_and_from_csv(api: Api, sent: str, stored: str) -> None:
    created = await api.create(username="json", first_name=sent)
    await api.import_csv(csv("csv", sent))

    assert created["first_name"] == stored
    listed = (await api.client.get("/learners")).json()["items"]
    assert [each["first_name"] for each in listed] == [stored, stored]
