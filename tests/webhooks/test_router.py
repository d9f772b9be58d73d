"""`/webhooks` over HTTP: create, change, remove, test, retry, and separation of organizations."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from app.organizations.api_keys import Scope
from app.webhooks.dependencies import SENDER
from app.webhooks.webhook import MAX_WEBHOOKS
from tests.support.service import Api
from tests.support.webhooks import Webhooks

pytestmark = pytest.mark.anyio

MEMBERS = {
    "id",
    "url",
    "description",
    "event_types",
    "enabled",
    "disabled_reason",
    "last_delivered_at",
    "created_at",
    "updated_at",
}
UNKNOWN = "019a8c61-2222-7333-8444-555566667777"


def pointers(answer: httpx.Response) -> set[str]:
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
    return {error["pointer"] for error in answer.json()["errors"]}


async def test_new_webhook_shows_its_secret_only_once(api: Api, webhooks: Webhooks) -> None:
    body = {"url": "https://hr.example.org/rollcall", "description": "HR", "event_types": ["learner.expired"]}
    answer = await api.client.post("/webhooks", json=body)
    assert answer.status_code == 201
    created = answer.json()
    assert set(created) == MEMBERS | {"secret"}
    assert {name: created[name] for name in body} == body
    assert (created["enabled"], created["disabled_reason"], created["last_delivered_at"]) == (
        True,
        None,
        None,
    )
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", created["secret"])
    assert answer.headers["Cache-Control"] == "no-store"
    shown = await api.client.get(answer.headers["Location"])
    del created["secret"]
    assert shown.json() == created == (await webhooks.get(created))
    assert (await api.client.get("/webhooks")).json() == {"items": [created], "next_cursor": None}


async def test_webhooks_are_listed_newest_first_by_page(api: Api, webhooks: Webhooks) -> None:
    ids = [(await webhooks.create())["id"] for _ in range(5)]
    seen: list[str] = []
    address: str | None = "/webhooks?limit=2"
    while address:
        page = await api.client.get(address)
        seen += [each["id"] for each in page.json()["items"]]
        link = page.headers.get("Link")
        address = link and link.partition("<")[2].partition(">")[0]
    assert seen == sorted(ids, reverse=True)


async def test_one_webhook_too_many_is_409(api: Api, webhooks: Webhooks) -> None:
    for _ in range(MAX_WEBHOOKS):
        await webhooks.create()
    answer = await api.client.post("/webhooks", json={"url": webhooks.receiver.url})
    assert (answer.status_code, answer.json()["code"]) == (409, "too-many-webhooks")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": None}, "/url"),
        ({"url": "hr.example.org"}, "/url"),
        ({"url": "https://user:word@hr.example.org/"}, "/url"),
        ({"url": "https://hr.example.org/\u0000"}, "/url"),
        ({"url": "https://hr.example.org/", "event_types": ["learner.vanished"]}, "/event_types/0"),
        ({"url": "https://hr.example.org/", "event_types": "learner.created"}, "/event_types"),
        ({"url": "https://hr.example.org/", "enabled": "yes"}, "/enabled"),
        ({"url": "https://hr.example.org/", "description": "x" * 1001}, "/description"),
        ({"url": "https://hr.example.org/", "secret": "whsec_bXk="}, "/secret"),
    ],
)
async def test_invalid_member_is_422_with_its_pointer(api: Api, body: dict[str, Any], pointer: str) -> None:
    assert pointers(await api.client.post("/webhooks", json=body)) == {pointer}


@pytest.mark.parametrize(
    "url", ["http://hr.example.org/", "https://10.0.0.1/", "https://localhost/", "https://[::1]/"]
)
async def test_private_address_or_http_is_422_unless_allowed(api: Api, webhooks: Webhooks, url: str) -> None:
    created = await webhooks.create(url=url)
    SENDER.of(api.service.app).to_private_networks = False
    assert pointers(await api.client.post("/webhooks", json={"url": url})) == {"/url"}
    refused = await api.client.patch(f"/webhooks/{created['id']}", json={"url": url})
    assert pointers(refused) == {"/url"}
    assert "ROLLCALL_WEBHOOKS_TO_PRIVATE_NETWORKS" in refused.json()["detail"]


async def test_each_member_can_be_patched_alone(api: Api, webhooks: Webhooks) -> None:
    before = await webhooks.create(description="old", event_types=["learner.created"])
    del before["secret"]
    changes: dict[str, Any] = {
        "url": "https://other.example.org/",
        "description": None,
        "event_types": [],
        "enabled": False,
    }
    for name, value in changes.items():
        api.service.clock.advance(seconds=1)
        after = await webhooks.change(before, **{name: value})
        assert after["updated_at"] > before["updated_at"]
        before = before | {name: value, "updated_at": after["updated_at"]}
        assert after == before == await webhooks.get(before)


async def test_patch_without_effect_keeps_updated_at(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    del created["secret"]
    api.service.clock.advance(seconds=1)
    assert await webhooks.change(created) == created
    assert await webhooks.change(created, url=created["url"], event_types=[]) == created


async def test_repeated_event_type_counts_once(webhooks: Webhooks) -> None:
    created = await webhooks.create(event_types=["learner.created", "learner.expired", "learner.created"])
    assert created["event_types"] == ["learner.created", "learner.expired"]


async def test_test_answered_with_410_does_not_disable_the_webhook(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    webhooks.receiver.answers.append(410)
    assert (await api.client.post(f"/webhooks/{created['id']}/test")).json()["state"] == "failed"
    assert (await webhooks.get(created))["enabled"] is True


async def test_null_for_a_required_member_is_422(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    for name in ("url", "event_types", "enabled"):
        answer = await api.client.patch(f"/webhooks/{created['id']}", json={name: None})
        assert pointers(answer) == {f"/{name}"}


async def test_removed_webhook_is_404(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    assert (await api.client.delete(f"/webhooks/{created['id']}")).status_code == 204
    for call in (api.client.get, api.client.delete):
        answer = await call(f"/webhooks/{created['id']}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert (await api.client.get("/webhooks")).json()["items"] == []
    await api.create()
    await webhooks.send()
    assert webhooks.receiver.received == []


async def test_test_is_sent_at_once_and_its_delivery_returned(api: Api, webhooks: Webhooks) -> None:
    api.service.clock.instant = datetime.now(UTC)  # which the verifier compares
    created = await webhooks.create(enabled=False)
    webhooks.receiver.answers.extend([200, 500])
    good = (await api.client.post(f"/webhooks/{created['id']}/test")).json()
    api.service.clock.advance(seconds=1)
    bad = (await api.client.post(f"/webhooks/{created['id']}/test")).json()
    assert (good["state"], good["response_status"], good["error"]) == ("delivered", 200, None)
    assert (bad["state"], bad["response_status"], bad["next_attempt_at"]) == ("failed", 500, None)
    assert "500" in bad["error"]
    assert await webhooks.deliveries(created) == [bad, good]
    assert (good["event_type"], good["event_id"], good["attempts"]) == ("webhook.test", None, 1)
    message = webhooks.receiver.received[0]
    assert message.id == good["id"]
    document = Verifier(created["secret"]).verify(message.content, message.headers)
    assert (document["type"], document["data"]) == ("webhook.test", {"webhook_id": created["id"]})
    shown = await webhooks.get(created)
    assert (shown["disabled_reason"], shown["last_delivered_at"]) == (None, good["created_at"])


async def test_old_and_new_secret_both_sign_for_a_day(api: Api, webhooks: Webhooks) -> None:
    api.service.clock.instant = datetime.now(UTC)
    created = await webhooks.create()
    answer = await api.client.post(f"/webhooks/{created['id']}/rotate-secret")
    rotated = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(rotated) == MEMBERS | {"secret"}
    assert rotated["secret"] != created["secret"]
    await api.client.post(f"/webhooks/{created['id']}/test")
    api.service.clock.advance(hours=24)
    await api.client.post(f"/webhooks/{created['id']}/test")
    during, later = webhooks.receiver.received
    for secret in (created["secret"], rotated["secret"]):
        Verifier(secret).verify(during.content, during.headers)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(later.headers["webhook-signature"].split()) == 1


async def test_retried_delivery_is_sent_again(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    await api.create()
    await webhooks.send()
    (sent,) = await webhooks.deliveries(created)
    assert sent["state"] == "delivered"
    answer = await api.client.post(f"/webhooks/{created['id']}/deliveries/{sent['id']}/retry")
    assert (answer.status_code, answer.json()["state"], answer.json()["attempts"]) == (200, "pending", 0)
    await webhooks.send()
    first, second = webhooks.receiver.received
    assert first.id == second.id == sent["event_id"]
    assert (await webhooks.deliveries(created))[0]["state"] == "delivered"


async def test_retry_of_a_test_is_404(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    sent = (await api.client.post(f"/webhooks/{created['id']}/test")).json()
    answer = await api.client.post(f"/webhooks/{created['id']}/deliveries/{sent['id']}/retry")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_cursor_of_another_webhook_or_state_is_400(api: Api, webhooks: Webhooks) -> None:
    first, second = await webhooks.create(), await webhooks.create()
    for _ in range(3):
        await api.client.post(f"/webhooks/{first['id']}/test")
    page = (await api.client.get(f"/webhooks/{first['id']}/deliveries", params={"limit": 2})).json()
    cursor = page["next_cursor"]
    rest = (await api.client.get(f"/webhooks/{first['id']}/deliveries", params={"cursor": cursor})).json()
    assert len(page["items"]) + len(rest["items"]) == 3
    for path, params in (
        (f"/webhooks/{second['id']}/deliveries", {}),
        (f"/webhooks/{first['id']}/deliveries", {"state": "failed"}),
    ):
        answer = await api.client.get(path, params={**params, "cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")


ADDRESSES = [
    ("GET", "/webhooks"),
    ("POST", "/webhooks"),
    ("GET", "/webhooks/{id}"),
    ("PATCH", "/webhooks/{id}"),
    ("DELETE", "/webhooks/{id}"),
    ("POST", "/webhooks/{id}/test"),
    ("POST", "/webhooks/{id}/rotate-secret"),
    ("GET", "/webhooks/{id}/deliveries"),
    ("POST", "/webhooks/{id}/deliveries/{delivery}/retry"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
async def test_key_without_admin_is_403(api: Api, webhooks: Webhooks, method: str, path: str) -> None:
    created = await webhooks.create()
    scopes = [scope for scope in Scope if scope is not Scope.ADMIN]
    body = {"url": webhooks.receiver.url} if method in ("PATCH", "POST") and "retry" not in path else None
    async with await api.client_with(*scopes) as client:
        answer = await client.request(
            method, path.format(id=created["id"], delivery=UNKNOWN), json=body if path[-1] in "s}" else None
        )
    assert (answer.status_code, answer.json()["required_scope"]) == (403, "admin")


@pytest.mark.parametrize(("method", "path"), ADDRESSES[2:])
async def test_webhook_of_another_organization_is_404(
    api: Api, webhooks: Webhooks, method: str, path: str
) -> None:
    created = await webhooks.create()
    await api.create()
    await webhooks.send()
    (sent,) = await webhooks.deliveries(created)
    other = await api.service.found_organization()
    body = {"enabled": False} if method == "PATCH" else None
    async with api.service.client(await api.service.issue_key(other)) as client:
        for webhook in (created["id"], UNKNOWN, "1", "x" * 36):
            answer = await client.request(method, path.format(id=webhook, delivery=sent["id"]), json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), answer.text
        assert (await client.get("/webhooks")).json()["items"] == []
    assert (await webhooks.deliveries(created)) == [sent]
    assert len(webhooks.receiver.received) == 1
