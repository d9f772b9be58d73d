"""What PostgreSQL has committed though its answer never came: it counts, once, and the client is told so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import pytest

from tests.support.postgres import PostgresServer
from tests.support.relay import Relay
from tests.support.service import Api, Service, run_service
from tests.support.stored import another, comparable, ended, follow, stored_state, timeless

pytestmark = pytest.mark.anyio

CHUNK = 30
_names = count(1)


@pytest.fixture
def relay(postgres: PostgresServer) -> Iterator[Relay]:
    with closing(Relay(postgres.create_database(f"rollcall_lost_answers_{next(_names)}"))) as relay:
        yield relay


@pytest.fixture
async def service(relay: Relay) -> AsyncIterator[Service]:
    """A service whose connections to its database can be cut."""
    async with run_service(relay.url) as running:
        running.limit(chunk_rows=CHUNK)
        yield running


def roster(rows: Any, active: str = "") -> str:
    return "Username,Active\n" + "".join(f"u{number:03},{active}\n" for number in range(rows))


async def import_csv(api: Api, key: str, text: str) -> httpx.Response:
    headers = {"Content-Type": "text/csv", "Idempotency-Key": key, "Prefer": "respond-async"}
    return await api.client.post("/imports/csv", content=text, headers=headers)


async def deactivate(api: Api, key: str) -> httpx.Response:
    return await api.client.post(
        "/learners/bulk-actions",
        json={"action": "deactivate", "selection": {"filter": {}}},
        headers={"Idempotency-Key": key, "Prefer": "respond-async"},
    )


async def revert(api: Api, key: str, operation: dict[str, Any]) -> httpx.Response:
    path = f"/operations/{operation['id']}/revert"
    return await api.client.post(path, headers={"Idempotency-Key": key, "Prefer": "respond-async"})


# One of each kind, on learners who are there; small ones are done with the request, others after it.
REQUESTS: dict[str, Callable[[Api, Any], Awaitable[httpx.Response]]] = {
    "import": lambda api, _: import_csv(api, "key", roster(3 * CHUNK, "No")),
    "small import": lambda api, _: import_csv(api, "key", roster(5, "No")),
    "bulk action": lambda api, _: deactivate(api, "key"),
    "revert": lambda api, done: revert(api, "key", done),
}


async def prepare(api: Api) -> Any:
    """Learners, and the operation that has created them."""
    done = await ended(api, (await import_csv(api, "first", roster(2 * CHUNK))).json())
    api.service.clock.advance(minutes=1)
    return done


async def until_answered(api: Api, send: Any) -> tuple[Any, Any]:
    """The first answer, and the one that comes in the end to a client who asks again with its key."""
    first = answer = await send()
    while answer.status_code in (409, 503):
        assert answer.json()["code"] in ("database-unavailable", "idempotency-key-in-progress"), answer.text
        if answer.status_code == 409:
            api.service.clock.advance(minutes=2)  # for so long the key is kept for a request that may go on
        answer = await send()
    return first, answer


async def state_of(api: Api) -> dict[str, Any]:
    return comparable(timeless(await stored_state(api.service.database, api.organization.id)))


@pytest.mark.parametrize("name", REQUESTS)
async def test_request_is_done_once_even_if_the_answer_to_a_commit_is_lost(
    api: Api, relay: Relay, name: str
) -> None:
    async def run(passing: int) -> tuple[Any, Any, Any]:
        """How it is answered at first, whether an answer to it was lost, and what is stored in the end."""
        other = await another(api)
        done = await prepare(other)
        async with api.service.runner.turn(other.organization.id):  # nothing else commits
            relay.lose_answer(passing)
            first, answer = await until_answered(other, lambda: REQUESTS[name](other, done))
            has_lost = relay.has_lost
            relay.forget()
            assert answer.status_code in (200, 202), answer.text
            latest, *_ = await follow(other.client, "/operations")
            assert latest["id"] == answer.json()["id"]
        api.service.runner.submitted.set()  # as the next look of a durable engine would
        await ended(other, latest)
        state = await state_of(other)
        await other.client.aclose()
        return first.status_code, has_lost, state

    status, has_lost, expected = await run(1_000_000)
    assert (status, has_lost) == (200 if "small" in name else 202, False)
    for passing in count():
        status, has_lost, state = await run(passing)
        assert state == expected, f"the answer to commit {passing + 1} was lost"
        if not has_lost:
            break
    assert passing > 1


async def test_waiting_request_is_answered_when_the_database_goes_away(api: Api, relay: Relay) -> None:
    async def send() -> httpx.Response:
        headers = {"Content-Type": "text/csv", "Idempotency-Key": "key", "Prefer": "wait=30"}
        return await api.client.post("/imports/csv", content=roster(3 * CHUNK), headers=headers)

    async with api.service.runner.turn(api.organization.id):
        sending = asyncio.create_task(send())
        while not (stored := await follow(api.client, "/operations")):
            assert not sending.done()
        with relay.down():
            answer = await sending
    [operation] = stored

    assert answer.status_code == 202
    assert answer.json()["id"] == operation["id"]
    assert answer.headers["Location"] == f"/operations/{operation['id']}"
    assert (await ended(api, operation))["counts"]["created"] == 3 * CHUNK
    again = await send()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == operation["id"]
