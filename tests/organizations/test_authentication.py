"""Authentication over HTTP: credentials, scopes, expiration, revocation, and the last use of a key."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.organizations.api_keys import Scope, new_secret
from app.organizations.dependencies import AUTHENTICATOR
from app.organizations.organization import Organization
from app.organizations.principal import Actor, Principal
from tests.support.service import NOON, Api, Service, run_service

pytestmark = pytest.mark.anyio

ID = "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"
ADMINISTRATION = frozenset({Scope.ADMIN})
READ = frozenset({Scope.LEARNERS_READ})
WRITE = frozenset({Scope.LEARNERS_WRITE})
HISTORY = READ | {Scope.EVENTS_READ}
BULK = frozenset({Scope.LEARNERS_BULK})
CHECK = frozenset({Scope.ACCESS_CHECK})
# Every operation that needs a credential, and the scopes that it accepts (none = any credential).
NEEDS: dict[tuple[str, str], frozenset[Scope]] = {
    ("GET", "/me"): frozenset(),
    ("GET", "/organization"): frozenset(),
    ("PATCH", "/organization"): ADMINISTRATION,
    ("GET", "/api-keys"): ADMINISTRATION,
    ("POST", "/api-keys"): ADMINISTRATION,
    ("DELETE", "/api-keys/{key_id}"): ADMINISTRATION,
    ("GET", "/webhooks"): ADMINISTRATION,
    ("POST", "/webhooks"): ADMINISTRATION,
    ("GET", "/webhooks/{webhook_id}"): ADMINISTRATION,
    ("PATCH", "/webhooks/{webhook_id}"): ADMINISTRATION,
    ("DELETE", "/webhooks/{webhook_id}"): ADMINISTRATION,
    ("POST", "/webhooks/{webhook_id}/rotate-secret"): ADMINISTRATION,
    ("POST", "/webhooks/{webhook_id}/test"): ADMINISTRATION,
    ("GET", "/webhooks/{webhook_id}/deliveries"): ADMINISTRATION,
    ("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/retry"): ADMINISTRATION,
    ("GET", "/learners"): READ,
    ("POST", "/learners"): WRITE,
    ("GET", "/learners/status-counts"): READ,
    ("GET", "/learners/{learner_id}"): READ,
    ("PATCH", "/learners/{learner_id}"): WRITE,
    ("POST", "/learners/{learner_id}/activate"): WRITE,
    ("POST", "/learners/{learner_id}/deactivate"): WRITE,
    ("GET", "/learners/{learner_id}/events"): HISTORY,
    ("GET", "/learners/{learner_id}/access"): CHECK,
    ("POST", "/learners/{learner_id}/access"): CHECK,
    ("GET", "/access"): CHECK,
    ("POST", "/learners/bulk-actions"): BULK,
    ("POST", "/imports/csv"): BULK,
    ("POST", "/imports/json"): BULK,
    ("GET", "/operations"): READ | BULK,
    ("GET", "/operations/{operation_id}"): READ | BULK,
    ("GET", "/operations/{operation_id}/outcomes"): READ | BULK,
    ("GET", "/operations/{operation_id}/progress"): READ | BULK,
    ("POST", "/operations/{operation_id}/cancel"): BULK,
    ("POST", "/operations/{operation_id}/revert"): BULK,
}


def address(path: str) -> str:
    """Fill the path with ids that do not exist."""
    return re.sub(r"\{\w+\}", ID, path)


async def ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    return await client.request(method, address(path))


def test_table_lists_every_operation_that_needs_a_credential(service_app: FastAPI) -> None:
    described = {
        (method.upper(), path)
        for path, operations in service_app.openapi()["paths"].items()
        for method, operation in operations.items()
        if "security" in operation
    }
    assert described == set(NEEDS)


def test_every_operation_documents_its_scopes(service_app: FastAPI) -> None:
    for path, operations in service_app.openapi()["paths"].items():
        for method, operation in operations.items():
            needed = NEEDS.get((method.upper(), path))
            if needed is None:
                assert "x-required-scopes" not in operation, (method, path)
                assert "credential" in operation["description"], (method, path)
                continue
            assert sorted(operation["x-required-scopes"]) == sorted(needed), (method, path)
            named = " or ".join(f"`{scope}`" for scope in operation["x-required-scopes"])
            sentence = f"Needs the scope {named}." if needed else "Works with any valid API key"
            assert operation["description"].count(sentence) == 1, (method, path)


def test_every_scope_is_used() -> None:
    assert frozenset().union(*NEEDS.values()) == set(Scope)


@pytest.fixture
def service_app(shared_service: Service) -> FastAPI:
    return shared_service.app


async def test_missing_scope_is_403_and_names_the_scope(api: Api) -> None:
    for (method, path), needed in NEEDS.items():
        if not needed:
            continue
        others = [scope for scope in Scope if scope not in needed and scope is not Scope.ADMIN]
        async with await api.client_with(*others) as client:
            answer = await ask(client, method, path)
        assert answer.status_code == 403, (method, path, answer.text)
        problem = answer.json()
        assert problem["code"] == "not-permitted"
        assert problem["required_scope"] in needed
        assert all(scope.value in problem["detail"] for scope in needed), problem


async def test_each_accepted_scope_is_let_in(api: Api) -> None:
    clients = {scope: await api.client_with(scope) for scope in Scope}
    for (method, path), needed in NEEDS.items():
        for scope in needed or Scope:
            answer = await ask(clients[scope], method, path)
            assert answer.status_code not in (401, 403), (method, path, scope, answer.text)
    for client in clients.values():
        await client.aclose()


async def test_admin_is_let_in_everywhere(api: Api) -> None:
    for method, path in NEEDS:
        answer = await ask(api.client, method, path)
        assert answer.status_code not in (401, 403), (method, path, answer.text)


def test_admin_includes_every_scope(any_organization: Organization) -> None:
    principal = Principal(any_organization, Actor("api-key", None, "x"), ADMINISTRATION, "x")
    assert all(principal.holds(scope) for scope in Scope)
    assert not replace(principal, scopes=frozenset()).holds(Scope.LEARNERS_READ)


@pytest.fixture
async def any_organization(service: Service) -> Organization:
    return await service.found_organization()


UNUSABLE = {
    "no credential": {},
    "an empty one": {"Authorization": ""},
    "a scheme alone": {"Authorization": "Bearer"},
    "a scheme and spaces": {"Authorization": "Bearer    "},
    "another scheme": {"Authorization": "Basic cm9sbGNhbGw6c2VjcmV0"},
    "no scheme": {"Authorization": new_secret()},
}
REFUSED = {
    "garbage": "Bearer letmein",
    "two words": f"Bearer {new_secret()} {new_secret()}",
    "not ASCII": "Bearer rollcall_é".encode("latin-1"),
    "very long": "Bearer " + "x" * 60_000,
    "wrong checksum": "Bearer rollcall_" + "0" * 49,
    "unknown, well-formed": f"Bearer {new_secret()}",
}


@pytest.mark.parametrize("headers", UNUSABLE.values(), ids=UNUSABLE)
async def test_missing_bearer_credential_is_401(service: Service, headers: dict[str, str] | None) -> None:
    async with service.client() as client:
        answer = await client.get("/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "not-authenticated")
    # RFC 6750 section 3.1: no error code where the request lacks any authentication information.
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="rollcall"'


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED)
async def test_unknown_credential_is_401_invalid_token(service: Service, header: Any) -> None:
    async with service.client() as client:
        answer = await client.get("/me", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="rollcall", error="invalid_token"'


async def test_every_operation_without_a_credential_is_401(service: Service) -> None:
    async with service.client() as client:
        for method, path in NEEDS:
            answer = await ask(client, method, path)
            assert answer.status_code == 401, (method, path, answer.text)
            assert "WWW-Authenticate" in answer.headers


async def test_credential_is_checked_before_the_rest_of_the_request(service: Service) -> None:
    async with service.client(new_secret()) as client:
        broken = await client.post(
            "/learners?nonsense=1", content=b"{", headers={"Content-Type": "text/plain"}
        )
        assert broken.status_code == 401
    organization = await service.found_organization()
    async with service.client(await service.issue_key(organization, Scope.EVENTS_READ)) as client:
        unknown_parameter = await client.get("/learners?nonsense=1")
        assert unknown_parameter.status_code in (403, 422)


async def test_scheme_is_accepted_in_any_case(api: Api) -> None:
    secret = await api.service.issue_key(api.organization, Scope.LEARNERS_READ)
    async with api.service.client() as client:
        for scheme in ("bearer", "BEARER", "Bearer  "):
            answer = await client.get("/me", headers={"Authorization": f"{scheme} {secret}"})
            assert answer.status_code == 200


async def test_key_is_401_from_its_expiration_on(api: Api) -> None:
    clock = api.service.clock
    secret = await api.service.issue_key(api.organization, expires_at=NOON + timedelta(minutes=5))
    async with api.service.client(secret) as client:
        assert (await client.get("/me")).status_code == 200
        clock.instant = NOON + timedelta(minutes=5) - timedelta(microseconds=1)
        assert (await client.get("/me")).status_code == 200
        clock.instant = NOON + timedelta(minutes=5)
        ended = await client.get("/me")
        assert (ended.status_code, ended.json()["code"]) == (401, "not-authenticated")


async def test_cached_key_is_401_from_its_expiration_on(api: Api) -> None:
    secret = await api.service.issue_key(api.organization, expires_at=NOON + timedelta(seconds=1))
    async with api.service.client(secret) as client:
        assert (await client.get("/me")).status_code == 200
        api.service.clock.advance(seconds=1)
        assert (await client.get("/me")).status_code == 401


async def test_revoked_key_is_401_at_once_in_the_same_process(api: Api) -> None:
    created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"]})).json()
    async with api.service.client(created["secret"]) as client:
        assert (await client.get("/learners")).status_code == 200
        assert (await api.client.delete(f"/api-keys/{created['id']}")).status_code == 204
        assert (await client.get("/learners")).status_code == 401


async def test_revoked_key_is_401_in_every_process_within_five_seconds(api: Api) -> None:
    created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"]})).json()
    async with run_service(api.service.url) as other, other.client(created["secret"]) as client:
        assert (await client.get("/learners")).status_code == 200
        assert (await api.client.delete(f"/api-keys/{created['id']}")).status_code == 204
        other.clock.advance(seconds=5)
        assert (await client.get("/learners")).status_code == 401


async def test_new_key_works_in_every_process_at_once(api: Api) -> None:
    async with run_service(api.service.url) as other:
        created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["admin"]})).json()
        async with other.client(created["secret"]) as client:
            assert (await client.get("/me")).json()["actor"]["id"] == created["id"]


async def test_revoked_key_is_401_after_the_clock_was_set_back(api: Api) -> None:
    created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"]})).json()
    async with run_service(api.service.url) as other, other.client(created["secret"]) as client:
        assert (await client.get("/learners")).status_code == 200
        assert (await api.client.delete(f"/api-keys/{created['id']}")).status_code == 204
        other.clock.advance(hours=-1)
        assert (await client.get("/learners")).status_code == 401


async def test_cached_key_is_read_again_after_two_seconds(api: Api) -> None:
    created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"]})).json()
    async with run_service(api.service.url) as other, other.client(created["secret"]) as client:
        assert (await client.get("/me")).status_code == 200
        async with other.database.engine.begin() as connection:
            await connection.execute(
                text("UPDATE api_keys SET name = 'renamed' WHERE id = :id"), {"id": created["id"]}
            )
        assert (await client.get("/me")).json()["actor"]["name"] == "feed"
        other.clock.advance(seconds=2)
        assert (await client.get("/me")).json()["actor"]["name"] == "renamed"


async def test_last_use_of_a_key_is_stored(api: Api) -> None:
    authenticator = AUTHENTICATOR.of(api.service.app)
    created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"]})).json()
    assert created["last_used_at"] is None
    unused = (await api.client.post("/api-keys", json={"name": "unused", "scopes": ["admin"]})).json()

    async def last_uses() -> dict[str, str | None]:
        await authenticator.flush_use()
        listed = (await api.client.get("/api-keys")).json()["items"]
        return {key["id"]: key["last_used_at"] for key in listed}

    async with api.service.client(created["secret"]) as client:
        api.service.clock.advance(minutes=1)
        await client.get("/learners")
        api.service.clock.advance(minutes=1)
        await client.get("/learners")
        await client.post("/learners", json={"username": "x"})  # not permitted, but the key was used
    found = await last_uses()
    assert found[created["id"]] == "2026-11-02T12:02:00Z"
    assert found[unused["id"]] is None


async def test_refused_key_does_not_count_as_used(api: Api) -> None:
    created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"]})).json()
    await api.client.delete(f"/api-keys/{created['id']}")
    async with api.service.client(created["secret"]) as client:
        await client.get("/learners")
    await AUTHENTICATOR.of(api.service.app).flush_use()
    listed = (await api.client.get("/api-keys")).json()["items"]
    assert next(key for key in listed if key["id"] == created["id"])["last_used_at"] is None


async def test_last_use_is_stored_when_the_service_stops(api: Api) -> None:
    created = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["learners:read"]})).json()
    async with run_service(api.service.url) as other, other.client(created["secret"]) as client:
        await client.get("/learners")
    listed = (await api.client.get("/api-keys")).json()["items"]
    assert next(key for key in listed if key["id"] == created["id"])["last_used_at"] == "2026-11-02T12:00:00Z"
