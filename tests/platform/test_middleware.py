"""Middleware: request ids, HEAD, and the limits on the size and number of requests."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app.platform.ids import instant_of
from app.platform.middleware import HeadAsGet
from tests.support.logs import Lines
from tests.support.service import NOON, Api, Service, run_service

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
NEW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ANSWERED = ["/me", "/learners?nonsense=1", "/nowhere", "/healthz", "/docs", "/docs/assets/swagger-ui.css"]


# Request ids


@pytest.mark.parametrize(
    "sent", ["a", "req-1", "A.b_c~d:e+f/g=h", "0" * 128, "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"]
)
async def test_sent_request_id_is_returned(api: Api, sent: str) -> None:
    for path in ANSWERED:
        answer = await api.client.get(path, headers={"X-Request-ID": sent})
        assert answer.headers["X-Request-ID"] == sent
    problem = (await api.client.get("/nowhere", headers={"X-Request-ID": sent})).json()
    assert problem["instance"] == sent


@pytest.mark.parametrize(
    "sent", [b"", b"a b", b"0" * 129, b"<script>", b"a\x00b", b"\xff", "ключ".encode(), b"a\tb", b'"', b"x;y"]
)
async def test_unsafe_request_id_is_replaced(api: Api, sent: bytes) -> None:
    answer = await api.client.get("/nowhere", headers={b"X-Request-ID": sent})
    given = answer.headers["X-Request-ID"]
    assert NEW_ID.fullmatch(given)
    assert answer.json()["instance"] == given


async def test_missing_request_id_is_made_from_the_clock(api: Api) -> None:
    given = {(await api.client.get(path)).headers["X-Request-ID"] for path in ANSWERED}
    assert len(given) == len(ANSWERED)
    assert {instant_of(each) for each in given} == {NOON}


async def test_answers_forbid_content_sniffing(api: Api) -> None:
    for path in ANSWERED:
        assert (await api.client.get(path)).headers["X-Content-Type-Options"] == "nosniff"


# HEAD

VARYING = ("x-request-id", "date")


async def test_head_returns_headers_of_get_without_body(api: Api) -> None:
    learner = await api.create()
    await api.create()
    for path in (
        *ANSWERED,
        "/learners?limit=1",
        f"/learners/{learner['id']}",
        f"/learners/{learner['id']}/access",
        "/problems/not-found",
        "/",
    ):
        got, head = await api.client.get(path), await api.client.head(path)
        assert head.status_code == got.status_code, path
        assert head.content == b"", path
        expected = {name: value for name, value in got.headers.items() if name not in VARYING}
        assert {name: value for name, value in head.headers.items() if name not in VARYING} == expected, path
        assert "X-Request-ID" in head.headers


async def test_head_of_a_post_route_is_405(api: Api) -> None:
    learner = await api.create()
    assert (await api.client.head(f"/learners/{learner['id']}/deactivate")).status_code == 405
    assert await api.get(learner) == learner


async def test_head_is_logged_with_its_route(api: Api, logged: Lines) -> None:
    await api.client.head("/organization")
    (line,) = (each for each in logged() if each["event"] == "request")
    assert (line["method"], line["route"], line["status"]) == ("HEAD", "/organization", 200)


async def test_head_of_a_stream_ends_at_once() -> None:
    given = 0

    async def forever() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"x" * 1000

    async def stream(_request: Request) -> StreamingResponse:
        return StreamingResponse(forever(), media_type="text/csv")

    transport = httpx.ASGITransport(HeadAsGet(Starlette(routes=[Route("/", stream, methods=["GET"])])))
    async with httpx.AsyncClient(transport=transport, base_url="http://rollcall.test") as client:
        answer = await client.head("/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert given < 100


# Sizes


@pytest.fixture
async def small(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Api]:
    """Run a service with low limits."""
    del anyio_backend
    url = f"sqlite:///{tmp_path}/rollcall.db"
    async with run_service(url, max_body_bytes=2000, max_import_bytes=5000) as service:
        organization = await service.found_organization()
        async with service.client(await service.issue_key(organization)) as client:
            yield Api(service, organization, client)


def body_of(size: int) -> bytes:
    """Return the JSON of a learner with exactly this many bytes."""
    return b'{"username": "x"' + b" " * (size - 17) + b"}"


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 500):
        yield content[start : start + 500]


def assert_too_large(answer: httpx.Response, limit: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (413, "payload-too-large"), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert f"{limit} bytes" in answer.json()["detail"]
    assert answer.json()["instance"] == answer.headers["X-Request-ID"]


async def test_body_over_the_limit_is_413(small: Api) -> None:
    answer = await small.client.post("/learners", content=body_of(2001), headers=JSON)
    assert_too_large(answer, "2,000")
    answer = await small.client.post("/learners", content=body_of(2000), headers=JSON)
    assert answer.status_code == 201


async def test_streamed_body_over_the_limit_is_413(small: Api) -> None:
    answer = await small.client.post("/learners", content=pieces(body_of(2001)), headers=JSON)
    assert_too_large(answer, "2,000")
    answer = await small.client.post("/learners", content=pieces(body_of(2000)), headers=JSON)
    assert answer.status_code == 201


async def test_body_longer_than_announced_is_413(small: Api) -> None:
    for announced in ("10", "²", "-1", "x", ""):
        answer = await small.client.post(
            "/learners",
            content=pieces(body_of(3000)),
            headers={b"Content-Type": b"application/json", b"Content-Length": announced.encode("latin-1")},
        )
        assert_too_large(answer, "2,000")


async def test_endless_body_is_cut_off(small: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b" " * 1000

    assert_too_large(await small.client.post("/learners", content=endless(), headers=JSON), "2,000")
    assert sent <= 4000


async def test_import_has_its_own_body_limit(small: Api) -> None:
    csv = b"Username\n" + b"\n".join(b"learner%04d" % number for number in range(300))
    headers = {"Content-Type": "text/csv"}
    assert 2000 < len(csv) < 5000
    answer = await small.client.post("/imports/csv", content=csv, headers=headers)
    assert answer.json()["counts"]["created"] == 300
    for content in (csv * 2, pieces(csv * 2)):
        assert_too_large(await small.client.post("/imports/csv", content=content, headers=headers), "5,000")
    too_large = {"file": ("roster.csv", csv * 2, "text/csv")}
    assert_too_large(await small.client.post("/imports/csv", files=too_large), "5,000")
    assert (await small.client.get("/operations")).json()["items"][0]["counts"]["created"] == 300
    assert len((await small.client.get("/operations")).json()["items"]) == 1


# Numbers


async def test_too_many_requests_at_once_are_503(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rollcall.db"
    async with run_service(url, max_requests_in_flight=1) as service:
        organization = await service.found_organization()
        async with service.client(await service.issue_key(organization)) as client:
            is_being_read, may_end = asyncio.Event(), asyncio.Event()

            async def slow_body() -> AsyncIterator[bytes]:
                yield b'{"username": '
                is_being_read.set()
                await may_end.wait()
                yield b'"slow"}'

            slow = asyncio.create_task(client.post("/learners", content=slow_body(), headers=JSON))
            await is_being_read.wait()
            for path in ("/learners", "/me", "/nowhere", "/docs"):
                answer = await client.get(path)
                assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
                assert answer.headers["Retry-After"] == "1"
                assert answer.headers["X-Request-ID"] == answer.json()["instance"]
            for probe in ("/healthz", "/readyz", "/metrics"):
                assert (await client.get(probe)).status_code == 200
            may_end.set()
            assert (await slow).status_code == 201
            assert [each["username"] for each in (await client.get("/learners")).json()["items"]] == ["slow"]


async def test_failed_requests_free_their_places(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rollcall.db"
    async with run_service(url, max_requests_in_flight=1) as service:
        await _break_off_a_request(service)
        async with service.client() as client:
            for _ in range(3):
                assert (await client.get("/learners")).status_code == 401


async def _break_off_a_request(service: Service) -> None:
    is_being_read = asyncio.Event()

    async def never_ending() -> AsyncIterator[bytes]:
        is_being_read.set()
        yield b"{"
        await asyncio.Event().wait()

    organization = await service.found_organization()
    async with service.client(await service.issue_key(organization)) as client:
        request = asyncio.create_task(client.post("/learners", content=never_ending(), headers=JSON))
        await is_being_read.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request


@pytest.mark.parametrize(
    ("content_type", "begun"),
    [
        ("text/csv", b"Username\na\n"),
        (
            "multipart/form-data; boundary=here",
            b'--here\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nUsername\na\n',
        ),
    ],
)
async def test_client_that_disconnects_is_logged_as_499(
    api: Api, logged: Lines, content_type: str, begun: bytes
) -> None:
    messages: Iterator[dict[str, Any]] = iter(
        [
            {"type": "http.request", "body": begun, "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    answers = []

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    headers = {"authorization": api.client.headers["Authorization"], "content-type": content_type}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/imports/csv",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await api.service.app(scope, receive, send)

    assert answers == []
    [line] = logged()
    assert (line["event"], line["level"], line["route"], line["status"]) == (
        "request",
        "info",
        "/imports/csv",
        499,
    )
    assert (await api.client.get("/operations")).json()["items"] == []
