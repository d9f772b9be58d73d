"""Following an operation by server-sent events: what is sent, when, and what ends the stream."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from app.operations import progress, repository
from app.operations.operation import Kind, Operation, Phase, State
from app.operations.progress import stream_progress
from app.organizations.api_keys import Scope
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.answers import problem
from tests.support.runners import (
    CHUNK,
    finish,
    make_runner,
    own_turn,
    stored,
    submit,
)
from tests.support.service import NOON, Api, Service
from tests.support.stored import another, ended

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("chunk_sizes")]

KEEP_ALIVE = ": keep-alive"


@pytest.fixture(autouse=True)
def looks_often(service: Service) -> None:
    service.limit(progress_look_seconds=0.001)


@pytest.fixture
def has_begun(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the service has streamed something."""
    begun = asyncio.Event()

    async def observed(*arguments: Any) -> AsyncIterator[Any]:
        async for block in stream_progress(*arguments):
            begun.set()
            yield block

    monkeypatch.setattr(progress, "stream_progress", observed)
    return begun


def read(text: str) -> list[Any]:
    """The events of a stream, each as its name and its document; comments as they are."""
    assert text.endswith("\n\n")
    events: list[Any] = []
    for block in text[:-2].split("\n\n"):
        if block.startswith(":"):
            events.append(block)
            continue
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def count_connections(api: Api) -> int:
    """Count the connections that are in use."""
    pool = api.service.database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def find_held_connections(api: Api) -> int:
    """Count the connections that stay in use; what others of the service's tasks have lent is soon given back."""
    for _ in range(5000):
        if count_connections(api) == 0:
            return 0
        await asyncio.sleep(0.001)
    return count_connections(api)


async def always() -> bool:
    return True


@asynccontextmanager
async def following(
    api: Api, operation: Operation, stopping: Any = None, is_admitted: Any = always
) -> AsyncIterator[tuple[Any, Any]]:
    """The stream of an operation, and a function that gives its next event."""
    stream = cast(
        "AsyncGenerator[str]",
        stream_progress(
            api.service.database, operation, api.service.limits, stopping or asyncio.Event(), is_admitted
        ),
    )

    async def next_event() -> Any:
        (event,) = read(await anext(stream))
        return event

    try:
        yield stream, next_event
    finally:
        await stream.aclose()


async def document_of(api: Api, operation: Operation) -> dict[str, Any]:
    document: dict[str, Any] = (await api.client.get(f"/operations/{operation.id}")).json()
    return document


# What is sent


async def test_ended_operation_is_shown_and_the_stream_closes(api: Api) -> None:
    operation = await api.import_csv("Username\na\n")

    answer = await api.client.get(f"/operations/{operation['id']}/progress")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert read(answer.text) == [("progress", operation), ("end", operation)]


async def test_stream_shows_changes_of_every_process(api: Api, second_database: Database) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        other_process = make_runner(api, second_database)
        async with following(api, operation) as (stream, next_event):
            assert await next_event() == ("progress", await document_of(api, operation))
            while operation.position != (Phase.APPLY, 2, 3):
                before, operation = operation, await other_process.run_next_step(operation)
                if operation == before:
                    continue  # a step that only rejects or moves rows leaves the operation as it was
                name, document = await next_event()
                assert name == "progress"
                assert document == await document_of(api, operation)
                done = operation.cursor * CHUNK if operation.phase is Phase.APPLY else 0
                assert document["progress"] == {"done": done, "total": 3 * CHUNK}
            await other_process.run_next_step(operation)
            name, document = await next_event()
            assert (name, document["state"]) == ("end", "succeeded")
            assert document == await document_of(api, operation)
            assert await anext(stream, None) is None


async def test_stream_shows_progress_over_http(api: Api, has_begun: asyncio.Event) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.BULK_ACTION)
        answering = asyncio.create_task(api.client.get(f"/operations/{operation.id}/progress"))
        await has_begun.wait()
        await finish(make_runner(api), operation)
        events = read((await answering).text)
    assert events[0][0] == "progress"
    assert [name for name, _ in events].count("end") == 1
    assert events[-1] == ("end", await document_of(api, operation))
    done = [document["progress"]["done"] for _, document in events]
    assert done == sorted(done)


async def test_cancelling_ends_the_stream(api: Api) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        async with following(api, operation) as (stream, next_event):
            await next_event()
            await api.client.post(f"/operations/{operation.id}/cancel")
            assert await next_event() == ("end", await document_of(api, operation))
            assert await anext(stream, None) is None
    assert (await stored(api, operation.id)).state is State.CANCELLED


async def test_idle_stream_sends_comments_and_holds_no_connection(api: Api) -> None:
    api.service.limit(keep_alive_seconds=0.0)
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        async with following(api, operation) as (_, next_event):
            await next_event()
            for _ in range(3):
                assert await next_event() == KEEP_ALIVE
                assert await find_held_connections(api) == 0
            operation = await make_runner(api).run_next_step(operation)
            assert (await next_event())[0] == "progress"
            assert await next_event() == KEEP_ALIVE
    await ended(api, {"id": operation.id})


async def test_stream_continues_after_a_short_database_outage(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = iter([OperationalError(None, None, Exception("gone")), ConnectionResetError("gone"), None])
    find = repository.find_operation

    async def find_at_last(*arguments: Any) -> Any:
        if (fault := next(faults, None)) is not None:
            raise fault
        return await find(*arguments)

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        async with following(api, operation) as (_, next_event):
            await next_event()
            await finish(make_runner(api), operation)
            monkeypatch.setattr(repository, "find_operation", find_at_last)
            assert (await next_event())[0] == "end"
    assert next(faults, "all") == "all"


async def test_bug_breaks_the_stream_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        async with following(api, operation) as (_, next_event):
            await next_event()
            with monkeypatch.context() as patched:
                patched.setattr(repository, "find_operation", fail)
                with pytest.raises(ZeroDivisionError):
                    await next_event()


# What else ends it


async def test_stream_ends_when_the_service_stops(api: Api) -> None:
    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        stopping = asyncio.Event()
        async with following(api, operation, stopping) as (stream, next_event):
            await next_event()
            stopping.set()
            assert await anext(stream, None) is None


async def test_stream_ends_when_the_key_is_revoked(api: Api, has_begun: asyncio.Event) -> None:
    issued = (await api.client.post("/api-keys", json={"name": "screen", "scopes": ["learners:read"]})).json()
    async with own_turn(api), api.service.client(issued["secret"]) as client:
        operation = await submit(api, Kind.CSV_IMPORT)
        answering = asyncio.create_task(client.get(f"/operations/{operation.id}/progress"))
        await has_begun.wait()
        await api.client.delete(f"/api-keys/{issued['id']}")
        answer = await answering
        problem(await client.get(f"/operations/{operation.id}/progress"), 401, "not-authenticated")
        assert [name for name, _ in read(answer.text)] == ["progress"]


async def test_stream_ends_when_the_client_disconnects(api: Api) -> None:
    gone, begun = asyncio.Event(), asyncio.Event()
    blocks = []

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            blocks.append(message["body"])
            begun.set()

    async with own_turn(api):
        operation = await submit(api, Kind.CSV_IMPORT)
        path = f"/operations/{operation.id}/progress"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"authorization", api.client.headers["Authorization"].encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        answering = asyncio.create_task(api.service.app(scope, receive, send))
        await begun.wait()
        gone.set()
        await answering
    (event,) = read(blocks[0].decode())
    assert event[0] == "progress"
    assert b"" not in blocks  # it was broken off, not ended
    assert await find_held_connections(api) == 0


# Who may


async def test_following_needs_the_scope_to_read_operations(api: Api) -> None:
    operation = await api.import_csv("Username\na\n")
    path = f"/operations/{operation['id']}/progress"
    async with AsyncExitStack() as stack:
        nobody: httpx.AsyncClient = await stack.enter_async_context(api.service.client())
        problem(await nobody.get(path), 401, "not-authenticated")
        for scope in Scope:
            client = await stack.enter_async_context(await api.client_with(scope))
            answer = await client.get(path)
            if scope in (Scope.LEARNERS_READ, Scope.LEARNERS_BULK, Scope.ADMIN):
                assert answer.status_code == 200
            else:
                assert problem(answer, 403, "not-permitted")["required_scope"] == "learners:read"


async def test_unknown_operation_or_that_of_others_is_404(api: Api) -> None:
    other = await another(api)
    theirs = await other.import_csv("Username\na\n")
    for an_id in (theirs["id"], new_id(NOON), "42", "%00"):
        problem(await api.client.get(f"/operations/{an_id}/progress"), 404, "not-found")
    await other.client.aclose()
