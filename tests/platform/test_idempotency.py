"""`Idempotency-Key`: a request that is sent twice is carried out once and answered twice."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.organizations.api_keys import Scope
from app.platform.idempotency import Claim, ClaimLost
from tests.support.service import Api, run_service

pytestmark = pytest.mark.anyio

REPLAYED = "Idempotent-Replayed"


async def create(api: Api, key: str | None, username: str = "a.okafor", **members: Any) -> httpx.Response:
    """Send one request to create a learner."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.client.post("/learners", json={"username": username, **members}, headers=headers)


async def total(api: Api) -> int:
    """Count the learners."""
    return int((await api.client.get("/learners/status-counts")).json()["total"])


async def stored(api: Api) -> list[dict[str, Any]]:
    """Return the stored keys of the organization."""
    async with api.service.database.read() as connection:
        found = await connection.execute(
            text("SELECT * FROM idempotency_keys WHERE organization_id = :id ORDER BY key"),
            {"id": api.organization.id},
        )
        return [dict(row) for row in found.mappings()]


async def change(api: Api, assignments: str) -> None:
    """Change the stored key as another process would."""
    async with api.service.database.engine.begin() as connection:
        await connection.execute(
            text(f"UPDATE idempotency_keys SET {assignments} WHERE organization_id = :id"),
            {"id": api.organization.id},
        )


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


# The first answer again


async def test_repeated_request_is_carried_out_once(api: Api) -> None:
    first = await create(api, "key")
    again = await create(api, "key")
    assert first.status_code == again.status_code == 201
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert again.content == first.content
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert await total(api) == 1
    assert len(await api.events(first.json())) == 1


async def test_repeated_request_gets_the_first_answer_after_changes(api: Api) -> None:
    first = await create(api, "key")
    await api.client.post(f"/learners/{first.json()['id']}/deactivate")
    assert (await create(api, "key")).json() == first.json()


async def test_requests_without_key_are_independent(api: Api) -> None:
    assert (await create(api, None)).status_code == 201
    assert_problem(await create(api, None), 409, "username-taken")
    assert await stored(api) == []


async def test_request_with_another_key_is_carried_out(api: Api) -> None:
    assert (await create(api, "one")).status_code == 201
    assert_problem(await create(api, "two"), 409, "username-taken")


async def test_repeated_bulk_action_and_import_are_carried_out_once(api: Api) -> None:
    csv = "Username,Active\na,Yes\nb,Yes\n"
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "import"}
    first, again = [await api.client.post("/imports/csv", content=csv, headers=headers) for _ in range(2)]
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]

    body = {"action": "deactivate", "selection": {"filter": {}}}
    headers = {"Idempotency-Key": "bulk"}
    first, again = [
        await api.client.post("/learners/bulk-actions", json=body, headers=headers) for _ in range(2)
    ]
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()
    assert first.json()["counts"]["changed"] == 2
    assert len((await api.client.get("/operations")).json()["items"]) == 2


async def test_multipart_import_with_another_boundary_is_the_same(api: Api) -> None:
    async def send() -> httpx.Response:
        files = {"file": ("roster.csv", b"Username\na\n", "text/csv")}
        return await api.client.post("/imports/csv", files=files, headers={"Idempotency-Key": "form"})

    first, again = await send(), await send()
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()


async def test_route_without_idempotency_ignores_the_key(api: Api) -> None:
    learner = await api.create()
    for _ in range(2):
        answer = await api.client.post(
            f"/learners/{learner['id']}/deactivate", headers={"Idempotency-Key": "key"}
        )
        assert answer.status_code == 200
        assert REPLAYED not in answer.headers
    assert await stored(api) == []


# The same key for another request


async def test_key_with_another_body_path_or_query_is_422(api: Api) -> None:
    csv = {"Content-Type": "text/csv", "Idempotency-Key": "key"}
    await api.client.post("/imports/csv?dry_run=true&reason=x", content="Username\na\n", headers=csv)
    for answer in (
        await api.client.post("/imports/csv?dry_run=true&reason=x", content="Username\nb\n", headers=csv),
        await api.client.post("/imports/csv?dry_run=false&reason=x", content="Username\na\n", headers=csv),
        await api.client.post("/imports/csv?dry_run=true&reason=y", content="Username\na\n", headers=csv),
        await api.client.post("/imports/csv?reason=x%26dry_run%3Dtrue", content="Username\na\n", headers=csv),
        await api.client.post("/imports/csv", content="Username\na\n", headers=csv),
        await create(api, "key"),
    ):
        assert_problem(answer, 422, "idempotency-key-reused")
    assert await total(api) == 0
    again = await api.client.post("/imports/csv?reason=x&dry_run=true", content="Username\na\n", headers=csv)
    assert again.headers[REPLAYED] == "true"


async def test_body_is_compared_byte_by_byte(api: Api) -> None:
    headers = {"Idempotency-Key": "key", "Content-Type": "application/json"}
    await api.client.post("/learners", content=b'{"username":"a"}', headers=headers)
    answer = await api.client.post("/learners", content=b'{"username": "a"}', headers=headers)
    assert_problem(answer, 422, "idempotency-key-reused")


async def test_key_is_separate_in_each_organization(api: Api) -> None:
    first = await create(api, "key")
    other = await api.service.found_organization()
    async with api.service.client(await api.service.issue_key(other)) as client:
        answer = await client.post("/learners", json={"username": "b"}, headers={"Idempotency-Key": "key"})
        assert answer.status_code == 201
        assert REPLAYED not in answer.headers
        assert answer.json()["id"] != first.json()["id"]


async def test_key_is_shared_by_credentials_of_an_organization(api: Api) -> None:
    first = await create(api, "key")
    async with await api.client_with(Scope.LEARNERS_WRITE) as client:
        again = await client.post(
            "/learners", json={"username": "a.okafor"}, headers={"Idempotency-Key": "key"}
        )
    assert again.json() == first.json()


async def test_repeated_request_needs_its_scope(api: Api) -> None:
    await create(api, "key")
    async with await api.client_with(Scope.LEARNERS_READ) as client:
        answer = await client.post(
            "/learners", json={"username": "a.okafor"}, headers={"Idempotency-Key": "key"}
        )
    assert_problem(answer, 403, "not-permitted")


# Which keys


@pytest.mark.parametrize("key", ["a", "0" * 255, "!~#%&'()*+,-./:;<=>?@[]^_`{|}", "Key"])
async def test_key_of_printable_ascii_is_accepted(api: Api, key: str) -> None:
    assert (await create(api, key)).status_code == 201
    assert (await create(api, key)).headers[REPLAYED] == "true"


@pytest.mark.parametrize(
    "key", [b"", b"a b", b"a\tb", b"0" * 256, b"\xe4", "ключ".encode(), b"a\x00b", b"\x7f"]
)
async def test_key_with_other_characters_is_422(api: Api, key: bytes) -> None:
    answer = await api.client.post("/learners", json={"username": "x"}, headers={b"Idempotency-Key": key})
    assert_problem(answer, 422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "header:Idempotency-Key"
    assert await total(api) == 0
    assert await stored(api) == []


async def test_keys_are_case_sensitive(api: Api) -> None:
    await create(api, "key")
    assert (await create(api, "KEY", "b")).status_code == 201


# What is kept


async def test_refusal_by_the_rules_is_kept(api: Api) -> None:
    await api.create(username="taken")
    first = await create(api, "key", "taken")
    assert_problem(first, 409, "username-taken")
    await api.client.patch(
        f"/learners/{(await api.client.get('/learners')).json()['items'][0]['id']}", json={"username": "free"}
    )
    again = await create(api, "key", "taken")
    assert_problem(again, 409, "username-taken")
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()
    assert again.headers["Content-Type"] == "application/problem+json"


async def test_selection_changed_is_kept(api: Api) -> None:
    body = {"action": "deactivate", "selection": {"filter": {}}, "expected_count": 1}
    headers = {"Idempotency-Key": "key"}
    assert_problem(
        await api.client.post("/learners/bulk-actions", json=body, headers=headers), 409, "selection-changed"
    )
    await api.create()
    again = await api.client.post("/learners/bulk-actions", json=body, headers=headers)
    assert_problem(again, 409, "selection-changed")
    assert again.headers[REPLAYED] == "true"


async def test_invalid_request_does_not_use_the_key(api: Api) -> None:
    assert_problem(await create(api, "key", ""), 422, "invalid-request")
    assert_problem(await create(api, "key", nonsense=1), 422, "invalid-request")
    assert (await create(api, "key")).status_code == 201


async def test_failed_request_can_be_sent_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object, **_options: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr("app.learners.service.create_learner", fail)
        assert_problem(await create(api, "key"), 503, "database-unavailable")
    assert await stored(api) == []
    answer = await create(api, "key")
    assert answer.status_code == 201
    assert REPLAYED not in answer.headers
    assert await total(api) == 1


async def test_answer_is_kept_for_24_hours(api: Api) -> None:
    first = await create(api, "key")
    api.service.clock.advance(hours=24)
    assert (await create(api, "key")).json() == first.json()
    api.service.clock.advance(seconds=1)
    assert_problem(await create(api, "key"), 409, "username-taken")


async def test_key_can_be_used_again_after_24_hours(api: Api) -> None:
    await create(api, "key")
    api.service.clock.advance(hours=24, seconds=1)
    answer = await create(api, "key", "another")
    assert answer.status_code == 201
    assert (await create(api, "key", "another")).headers[REPLAYED] == "true"
    assert await total(api) == 2


async def test_later_requests_delete_old_keys(api: Api) -> None:
    for number in range(3):
        await create(api, f"key {number}".replace(" ", "-"), f"learner{number}")
    api.service.clock.advance(hours=24, seconds=1)
    await create(api, "later", "later")
    assert [row["key"] for row in await stored(api)] == ["later"]


async def test_only_the_answer_is_stored(api: Api) -> None:
    await create(api, "key")
    (row,) = await stored(api)
    assert row["status"] == 201
    assert set(row) == {
        "organization_id",
        "key",
        "request_hash",
        "claim",
        "claimed_until",
        "created_at",
        "status",
        "headers",
        "body",
    }
    assert "authorization" not in str(row["headers"]).lower()


# While the first request runs


async def test_repeated_request_while_the_first_runs_is_409(api: Api) -> None:
    await create(api, "key")
    await change(api, "status = NULL, headers = NULL, body = NULL")
    answer = await create(api, "key")
    assert_problem(answer, 409, "idempotency-key-in-progress")
    assert int(answer.headers["Retry-After"]) > 0
    api.service.clock.advance(seconds=119)
    assert_problem(await create(api, "key"), 409, "idempotency-key-in-progress")
    assert_problem(await create(api, "key", "another"), 422, "idempotency-key-reused")


async def test_claim_of_a_dead_process_is_taken_over_after_two_minutes(api: Api) -> None:
    # The state that a process leaves if it dies between its claim and its change.
    await api.create(username="taken")
    await create(api, "key", "taken")
    await change(api, "status = NULL, headers = NULL, body = NULL")
    (learner,) = (await api.client.get("/learners")).json()["items"]
    await api.client.patch(f"/learners/{learner['id']}", json={"username": "free"})
    api.service.clock.advance(minutes=2)
    answer = await create(api, "key", "taken")
    assert answer.status_code == 201
    assert REPLAYED not in answer.headers
    assert (await create(api, "key", "taken")).headers[REPLAYED] == "true"


async def test_request_that_lost_its_claim_commits_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = Claim.complete

    async def be_overtaken(claim: Claim, connection: Any, response: Any) -> None:
        statement = text("UPDATE idempotency_keys SET claim = :other WHERE organization_id = :id")
        other = {"id": api.organization.id, "other": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"}
        await connection.execute(statement, other)
        await complete(claim, connection, response)

    monkeypatch.setattr(Claim, "complete", be_overtaken)
    assert_problem(await create(api, "key"), 409, "idempotency-key-in-progress")
    assert await total(api) == 0


async def test_refused_request_that_lost_its_claim_gets_the_refusal(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create(username="taken")

    async def be_overtaken(_claim: Claim, _connection: Any, _response: Any) -> None:
        raise ClaimLost

    monkeypatch.setattr(Claim, "complete", be_overtaken)
    assert_problem(await create(api, "key", "taken"), 409, "username-taken")


async def test_one_of_twenty_requests_at_once_is_carried_out(api: Api) -> None:
    secret = await api.service.issue_key(api.organization)
    async with run_service(api.service.url) as process, process.client(secret) as other:
        # SQLite allows only one process.
        clients = [api.client] * 20 if process.database.is_sqlite else [api.client, other] * 10
        request: dict[str, Any] = {"json": {"username": "a.okafor"}, "headers": {"Idempotency-Key": "key"}}
        answers = await asyncio.gather(*(client.post("/learners", **request) for client in clients))
    carried_out = [each for each in answers if each.status_code == 201 and REPLAYED not in each.headers]
    assert len(carried_out) == 1
    for answer in answers:
        if answer.status_code == 201:
            assert answer.content == carried_out[0].content
        else:
            assert_problem(answer, 409, "idempotency-key-in-progress")
    assert await total(api) == 1
    assert len(await api.events(carried_out[0].json())) == 1
    assert (await create(api, "key")).content == carried_out[0].content


async def test_one_of_twenty_imports_at_once_is_carried_out(api: Api) -> None:
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "key"}
    answers = await asyncio.gather(
        *(api.client.post("/imports/csv", content="Username\na\nb\n", headers=headers) for _ in range(20))
    )
    assert len([each for each in answers if each.status_code == 200 and REPLAYED not in each.headers]) == 1
    assert {each.status_code for each in answers} <= {200, 409}
    assert len((await api.client.get("/operations")).json()["items"]) == 1
