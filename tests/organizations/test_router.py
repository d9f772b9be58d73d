"""`/me`, `/organization` and `/api-keys` over HTTP, and what they store."""

import json
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.organizations.api_keys import Scope, hash_secret, is_well_formed
from tests.support.service import Api, run_service

pytestmark = pytest.mark.anyio

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
KEY_MEMBERS = {
    "id",
    "name",
    "prefix",
    "scopes",
    "created_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
}


async def rows(api: Api, sql: str, **values: Any) -> list[dict[str, Any]]:
    """Read rows from the database."""
    async with api.service.database.read() as connection:
        found = await connection.execute(text(sql), values)
        return [dict(row) for row in found.mappings()]


async def create_key(api: Api, **members: Any) -> dict[str, Any]:
    """Create a key over HTTP."""
    answer = await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"], **members})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def pointers(answer: httpx.Response) -> set[str]:
    """Check that this is an invalid-request, and return its pointers."""
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
    return {error["pointer"] for error in answer.json()["errors"]}


# /me


async def test_me_returns_organization_actor_and_scopes(api: Api) -> None:
    created = await create_key(api, name="hr-feed", scopes=["learners:read", "learners:bulk"])
    async with api.service.client(created["secret"]) as client:
        me = (await client.get("/me")).json()
    assert me == {
        "organization": {
            "id": api.organization.public_id,
            "slug": api.organization.slug,
            "name": api.organization.name,
            "time_zone": "UTC",
            "max_deactivations": "20%",
            "expiring_days": 14,
            "created_at": "2026-11-02T12:00:00Z",
        },
        "actor": {"kind": "api-key", "id": created["id"], "name": "hr-feed"},
        "scopes": ["learners:bulk", "learners:read"],
    }


async def test_internal_key_of_the_organization_is_not_shown(api: Api) -> None:
    organization = (await api.client.get("/organization")).json()
    assert UUID7.fullmatch(organization["id"])


# /organization


async def test_each_member_of_the_organization_can_be_patched_alone(api: Api) -> None:
    before = (await api.client.get("/organization")).json()
    changes = {
        "name": "Zweite Akademie für Ärztinnen 🎓",
        "time_zone": "Pacific/Kiritimati",
        "max_deactivations": "2.5%",
        "expiring_days": 30,
    }
    for member, value in changes.items():
        answer = await api.client.patch("/organization", json={member: value})
        assert answer.status_code == 200, answer.text
        before[member] = value
        assert answer.json() == before
        assert (await api.client.get("/organization")).json() == before
        assert (await api.client.get("/me")).json()["organization"] == before
    (stored,) = await rows(api, "SELECT * FROM organizations WHERE id = :id", id=api.organization.id)
    assert {member: stored[member] for member in changes} == changes


async def test_empty_patch_changes_nothing(api: Api) -> None:
    before = (await api.client.get("/organization")).json()
    answer = await api.client.patch("/organization", json={})
    assert (answer.status_code, answer.json()) == (200, before)


async def test_name_is_stored_without_outer_spaces(api: Api) -> None:
    answer = await api.client.patch("/organization", json={"name": "  Academy  "})
    assert answer.json()["name"] == "Academy"


WRONG_VALUES: dict[str, list[Any]] = {
    "name": ["", "   ", "x" * 256, None, 7, ["x"], {}, "a\x00b", "a\x07b"],
    "time_zone": ["", "Berlin", "europe/berlin", "+01:00", "../etc/passwd", "localtime", None, 1, "U\x00TC"],
    "max_deactivations": ["", "-1", "101%", "100.01%", "5.123%", "many", "1" * 10, None, 20, "5%\x00"],
    "expiring_days": [-1, 367, 1.5, "14", True, None, [], 10**30],
}


@pytest.mark.parametrize("member", WRONG_VALUES)
async def test_invalid_value_is_422_and_changes_nothing(api: Api, member: str) -> None:
    before = (await api.client.get("/organization")).json()
    for value in WRONG_VALUES[member]:
        body = {"name": "New name", "expiring_days": 7, member: value}
        answer = await api.client.patch("/organization", json=body)
        assert pointers(answer) == {f"/{member}"}, value
    assert (await api.client.get("/organization")).json() == before


async def test_lone_surrogate_in_a_name_is_422(api: Api) -> None:
    answer = await api.client.patch(
        "/organization", content=rb'{"name": "a\ud800b"}', headers={"Content-Type": "application/json"}
    )
    assert pointers(answer) == {"/name"}


async def test_unchangeable_member_is_422(api: Api) -> None:
    for member in ("id", "slug", "created_at", "nonsense"):
        answer = await api.client.patch("/organization", json={member: "x"})
        assert pointers(answer) == {f"/{member}"}


async def test_new_time_zone_changes_the_status_of_an_expiring_learner_at_once(api: Api) -> None:
    learner = await api.create(expires_on="2026-11-02")  # it is noon of that day, in UTC
    assert (await api.get(learner))["status"] == "activated"
    await api.client.patch(
        "/organization", json={"time_zone": "Pacific/Kiritimati"}
    )  # there it is 2:00 of the 3rd
    found = await api.get(learner)
    assert (found["status"], found["can_log_in"], found["restores_to"]) == ("expired", False, "activated")
    counts = (await api.client.get("/learners/status-counts")).json()
    assert (counts["expired"], counts["activated"]) == (1, 0)
    access = (await api.client.get(f"/learners/{learner['id']}/access")).json()
    assert (access["allowed"], access["reason"]) == (False, "expired")

    await api.client.patch("/organization", json={"time_zone": "Etc/GMT+12"})
    assert (await api.get(learner))["status"] == "activated"
    assert [event["type"] for event in await api.events(learner)] == ["learner.created"]


async def test_new_time_zone_takes_effect_everywhere_within_five_seconds(api: Api) -> None:
    learner = await api.create(expires_on="2026-11-02")
    secret = await api.service.issue_key(api.organization)
    async with run_service(api.service.url) as other, other.client(secret) as client:
        assert (await client.get(f"/learners/{learner['id']}")).json()["status"] == "activated"
        await api.client.patch("/organization", json={"time_zone": "Pacific/Kiritimati"})
        other.clock.advance(seconds=5)
        assert (await client.get(f"/learners/{learner['id']}")).json()["status"] == "expired"


async def test_patch_changes_only_the_own_organization(api: Api) -> None:
    other = await api.service.found_organization()
    await api.client.patch("/organization", json={"name": "Mine", "time_zone": "Asia/Tokyo"})
    (stored,) = await rows(api, "SELECT name, time_zone FROM organizations WHERE id = :id", id=other.id)
    assert stored == {"name": other.name, "time_zone": "UTC"}


# /api-keys


async def test_new_key_shows_its_secret_only_once(api: Api) -> None:
    answer = await api.client.post(
        "/api-keys",
        json={
            "name": " hr-feed ",
            "scopes": ["learners:read", "learners:bulk", "learners:read"],
            "expires_at": "2027-01-01T01:30:00+01:30",
        },
    )
    created = answer.json()
    secret = created.pop("secret")
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert is_well_formed(secret)
    assert UUID7.fullmatch(created.pop("id"))
    assert created == {
        "name": "hr-feed",
        "prefix": secret[:15],
        "scopes": ["learners:bulk", "learners:read"],
        "created_at": "2026-11-02T12:00:00Z",
        "expires_at": "2027-01-01T00:00:00Z",
        "last_used_at": None,
        "revoked_at": None,
    }
    listed = await api.client.get("/api-keys")
    assert set(listed.json()["items"][0]) == KEY_MEMBERS
    assert secret not in listed.text


async def test_secret_is_not_stored(api: Api) -> None:
    created = await create_key(api)
    body = created["secret"].removeprefix(created["prefix"])
    async with api.service.database.read() as connection:
        tables = (
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            if api.service.database.is_sqlite
            else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        for table in (await connection.execute(text(tables))).scalars().all():
            found = (await connection.execute(text(f'SELECT * FROM "{table}"'))).mappings()
            assert not any(body in str(dict(row)) for row in found), table
    (stored,) = await rows(api, "SELECT * FROM api_keys WHERE id = :id", id=created["id"])
    assert stored["secret_hash"] == hash_secret(created["secret"])


async def test_keys_are_listed_newest_first_by_page(api: Api) -> None:
    created = []
    for number in range(5):
        api.service.clock.advance(seconds=1)
        created.append((await create_key(api, name=f"key {number}"))["id"])
    everything = (await api.client.get("/api-keys")).json()
    assert everything["next_cursor"] is None
    assert [key["id"] for key in everything["items"]][:5] == created[::-1]

    found: list[str] = []
    url: str | None = "/api-keys?limit=2"
    while url:
        answer = await api.client.get(url)
        page = answer.json()
        assert len(page["items"]) <= 2
        found += [key["id"] for key in page["items"]]
        link = answer.links.get("next", {}).get("url")
        assert (link is None) == (page["next_cursor"] is None)
        url = link
    assert found == [key["id"] for key in everything["items"]]


async def test_pages_of_keys_stay_stable_while_keys_are_created_and_revoked(api: Api) -> None:
    keys = []
    for _ in range(4):
        api.service.clock.advance(seconds=1)
        keys.append((await create_key(api))["id"])
    first = (await api.client.get("/api-keys", params={"limit": 2})).json()
    api.service.clock.advance(seconds=1)
    await create_key(api)
    await api.client.delete(f"/api-keys/{keys[1]}")
    second = (await api.client.get("/api-keys", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [key["id"] for key in first["items"] + second["items"]] == keys[::-1]


async def test_cursor_of_another_organization_or_list_is_400(api: Api) -> None:
    await create_key(api)
    cursor = (await api.client.get("/api-keys", params={"limit": 1})).json()["next_cursor"]
    other = await api.service.found_organization()
    async with api.service.client(await api.service.issue_key(other)) as client:
        answer = await client.get("/api-keys", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")
    answer = await api.client.get("/learners", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1.5", "9" * 30])
async def test_limit_out_of_range_is_422(api: Api, limit: str) -> None:
    assert pointers(await api.client.get("/api-keys", params={"limit": limit})) == {"?limit"}


WRONG_KEYS = [
    ({}, {"/name", "/scopes"}),
    ({"name": "x"}, {"/scopes"}),
    ({"name": "", "scopes": ["admin"]}, {"/name"}),
    ({"name": "  ", "scopes": ["admin"]}, {"/name"}),
    ({"name": "x" * 256, "scopes": ["admin"]}, {"/name"}),
    ({"name": "a\x00b", "scopes": ["admin"]}, {"/name"}),
    ({"name": None, "scopes": ["admin"]}, {"/name"}),
    ({"name": "x", "scopes": []}, {"/scopes"}),
    ({"name": "x", "scopes": None}, {"/scopes"}),
    ({"name": "x", "scopes": "admin"}, {"/scopes"}),
    ({"name": "x", "scopes": ["root"]}, {"/scopes/0"}),
    ({"name": "x", "scopes": ["admin", "learners:delete"]}, {"/scopes/1"}),
    ({"name": "x", "scopes": ["admin"] * 21}, {"/scopes"}),
    ({"name": "x", "scopes": ["admin"], "secret": "mine"}, {"/secret"}),
    ({"name": "x", "scopes": ["admin"], "expires_at": "2026-11-02T12:00:00Z"}, {"/expires_at"}),
    ({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}, {"/expires_at"}),
    ({"name": "x", "scopes": ["admin"], "expires_at": "2027-01-01T00:00:00"}, {"/expires_at"}),
    ({"name": "x", "scopes": ["admin"], "expires_at": "2027-01-01"}, {"/expires_at"}),
    ({"name": "x", "scopes": ["admin"], "expires_at": 1800000000}, {"/expires_at"}),
    ({"name": "x", "scopes": ["admin"], "expires_at": "soon"}, {"/expires_at"}),
    ({"name": "x", "scopes": ["admin"], "expires_at": "9999-12-31T23:59:59-12:00"}, {"/expires_at"}),
]


async def test_invalid_key_is_422_with_pointers_and_is_not_created(api: Api) -> None:
    before = await rows(api, "SELECT id FROM api_keys WHERE organization_id = :id", id=api.organization.id)
    for body, expected in WRONG_KEYS:
        answer = await api.client.post("/api-keys", json=body)
        assert pointers(answer) == expected, body
    assert before == await rows(
        api, "SELECT id FROM api_keys WHERE organization_id = :id", id=api.organization.id
    )


async def test_new_key_has_exactly_its_scopes(api: Api) -> None:
    created = await create_key(api, scopes=["access:check"])
    async with api.service.client(created["secret"]) as client:
        assert (await client.get("/me")).json()["scopes"] == ["access:check"]
        assert (await client.get("/learners")).status_code == 403
        assert (await client.get("/access", params={"username": "nobody"})).status_code == 404


async def test_revoked_key_stays_in_the_list_with_its_first_revocation(api: Api) -> None:
    created = await create_key(api)
    for _ in range(2):
        api.service.clock.advance(minutes=1)
        answer = await api.client.delete(f"/api-keys/{created['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    listed = {key["id"]: key for key in (await api.client.get("/api-keys")).json()["items"]}
    assert listed[created["id"]]["revoked_at"] == "2026-11-02T12:01:00Z"


async def test_id_is_accepted_in_any_case(api: Api) -> None:
    created = await create_key(api)
    assert (await api.client.delete(f"/api-keys/{created['id'].upper()}")).status_code == 204


@pytest.mark.parametrize(
    "key_id", ["019a8c5e-0000-7000-8000-000000000001", "nonsense", "%00", "%F0%9F%8E%93", "x" * 5000]
)
async def test_unknown_key_is_404(api: Api, key_id: str) -> None:
    answer = await api.client.delete(f"/api-keys/{key_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_keys_of_another_organization_are_neither_listed_nor_revoked(api: Api) -> None:
    created = await create_key(api, name="mine")
    other = await api.service.found_organization()
    async with api.service.client(await api.service.issue_key(other)) as client:
        listed = (await client.get("/api-keys", params={"limit": 1000})).json()["items"]
        assert created["id"] not in {key["id"] for key in listed}
        assert len(listed) == 1
        answer = await client.delete(f"/api-keys/{created['id']}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    async with api.service.client(created["secret"]) as client:
        assert (await client.get("/me")).json()["organization"]["slug"] == api.organization.slug


async def test_key_can_revoke_itself(api: Api) -> None:
    created = await create_key(api, scopes=["admin"])
    async with api.service.client(created["secret"]) as client:
        assert (await client.delete(f"/api-keys/{created['id']}")).status_code == 204
        assert (await client.get("/me")).status_code == 401


async def test_scopes_are_stored_by_name(api: Api) -> None:
    created = await create_key(api, scopes=[scope.value for scope in Scope])
    (stored,) = await rows(api, "SELECT scopes FROM api_keys WHERE id = :id", id=created["id"])
    scopes = json.loads(stored["scopes"]) if isinstance(stored["scopes"], str) else stored["scopes"]
    assert scopes == sorted(scope.value for scope in Scope)
