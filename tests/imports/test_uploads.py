"""Uploads that are slow, many, large or never finished: they are cut off, and leave nothing behind."""

import asyncio
import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.imports.dependencies import UPLOADS
from app.imports.uploads import Uploads, receive_file
from app.limits import Limits
from tests.support.answers import problem
from tests.support.service import Api
from tests.support.sockets import PATIENCE, Connection, Listener, listen
from tests.support.stored import all_learners, another, follow

pytestmark = pytest.mark.anyio

HEADER = b"Username\n"
LARGE = b"Username,Note\n" + b"a,%b\n" % (b"x" * 1000) * 400  # more than is kept in memory


@pytest.fixture
async def listener(api: Api) -> AsyncIterator[Listener]:
    async with listen(api.service.app) as listening:
        yield listening


def begin(api: Api) -> tuple[str, ...]:
    return (
        "POST /imports/csv HTTP/1.1",
        f"Authorization: {api.client.headers['Authorization']}",
        "Content-Type: text/csv",
        "Transfer-Encoding: chunked",
    )


def uploads_of(api: Api) -> Uploads:
    return UPLOADS.of(api.service.app)


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not fact():  # noqa: ASYNC110 - the service sets no event for tests
            await asyncio.sleep(0.01)


async def until_nothing_is_left(api: Api) -> None:
    await until(lambda: not uploads_of(api).unfinished and not uploads_of(api).held_bytes)


def count_temporary_files() -> int:
    """Count the open files of this process that have no name any more."""
    folder = tempfile.gettempdir()
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except FileNotFoundError:  # the folder itself
            continue
    return sum(link.startswith(folder) and link.endswith("(deleted)") for link in links)


# Time


@pytest.mark.parametrize("sent", [b"", HEADER, LARGE])
async def test_upload_that_stops_coming_is_cut_off(api: Api, listener: Listener, sent: bytes) -> None:
    before = count_temporary_files()
    with api.service.limited(upload_pause_seconds=0.2):
        async with listener.connect(*begin(api)) as connection:
            if sent:
                await connection.send_chunk(sent)

            refusal = problem(await connection.answer(), 408, "request-timeout")

            assert "Nothing was changed" in refusal["detail"]
            assert await connection.is_closed_by_server()
    await until_nothing_is_left(api)
    assert count_temporary_files() == before
    assert await follow(api.client, "/operations") == []


async def test_upload_that_trickles_is_cut_off(api: Api, listener: Listener) -> None:
    with api.service.limited(upload_grace_seconds=0.3, upload_bytes_per_second=1_000_000):
        async with listener.connect(*begin(api)) as connection:
            answering = asyncio.create_task(connection.answer())
            while not answering.done():
                await connection.send_chunk(b"U")
                await asyncio.sleep(0.02)

            problem(await answering, 408, "request-timeout")
    await until_nothing_is_left(api)


async def test_upload_that_is_fast_enough_may_take_longer_than_a_small_one(
    api: Api, listener: Listener
) -> None:
    with api.service.limited(upload_grace_seconds=0.2, upload_bytes_per_second=1):
        async with listener.connect(*begin(api)) as connection:
            await connection.send_chunk(HEADER * 100)
            await asyncio.sleep(0.5)
            await connection.send_chunk(b"a\n")
            await connection.send_chunk(b"")

            assert (await connection.answer()).status_code == 200


# Number


async def test_organization_may_send_so_many_files_at_once_and_others_too(
    api: Api, listener: Listener
) -> None:
    other = await another(api)
    async with AsyncExitStack() as stack, other.client:
        with api.service.limited(uploads_per_organization=2):
            first, _ = await begin_uploads(api, listener, stack, 2)
            refused = await api.client.post(
                "/imports/csv", content=HEADER, headers={"Content-Type": "text/csv"}
            )
            others = await other.client.post(
                "/imports/csv", content=HEADER, headers={"Content-Type": "text/csv"}
            )
            await first.send_chunk(b"a\n")
            await first.send_chunk(b"")
            finished = await first.answer()
            accepted = await api.client.post(
                "/imports/csv", content=HEADER, headers={"Content-Type": "text/csv"}
            )

    assert "already receiving 2 files" in problem(refused, 429, "rate-limited")["detail"]
    assert refused.headers["Retry-After"] == "5"
    assert [answer.status_code for answer in (others, finished, accepted)] == [200, 200, 200]
    await until_nothing_is_left(api)


async def test_process_receives_so_many_files_at_once(api: Api, listener: Listener) -> None:
    other = await another(api)
    async with AsyncExitStack() as stack, other.client:
        with api.service.limited(uploads_at_once=2):
            await begin_uploads(api, listener, stack, 2)
            refused = await other.client.post(
                "/imports/csv", content=HEADER, headers={"Content-Type": "text/csv"}
            )

    problem(refused, 503, "overloaded")
    assert refused.headers["Retry-After"] == "5"
    await until_nothing_is_left(api)


async def test_client_that_leaves_frees_its_place_and_its_file(api: Api, listener: Listener) -> None:
    before = count_temporary_files()
    with api.service.limited(uploads_per_organization=1):
        async with listener.connect(*begin(api)) as connection:
            await connection.send_chunk(LARGE)
            await until(lambda: count_temporary_files() > before)
        await until_nothing_is_left(api)

        answer = await api.client.post("/imports/csv", content=HEADER, headers={"Content-Type": "text/csv"})

    assert answer.status_code == 200
    assert count_temporary_files() == before


async def begin_uploads(
    api: Api, listener: Listener, stack: AsyncExitStack, count: int, content: bytes = HEADER
) -> list[Connection]:
    """Begin uploads that wait for their end, and wait until the service has received what was sent."""
    begun = []
    for _ in range(count):
        connection = await stack.enter_async_context(listener.connect(*begin(api)))
        await connection.send_chunk(content)
        begun.append(connection)
    await until(
        lambda: (
            uploads_of(api).held_bytes[api.organization.id] == count * len(content)
            and uploads_of(api).unfinished[api.organization.id] == count
        )
    )
    return begun


# Bytes


@pytest.mark.parametrize(
    ("limit", "status", "code"),
    [
        ("upload_bytes_per_organization", 429, "rate-limited"),
        ("upload_bytes_at_once", 503, "overloaded"),
    ],
)
async def test_unfinished_uploads_are_bounded_together(
    api: Api, listener: Listener, limit: str, status: int, code: str
) -> None:
    content = HEADER + b"a\n" * 500
    async with AsyncExitStack() as stack:
        with api.service.limited(**{limit: 1500}):
            (first,) = await begin_uploads(api, listener, stack, 1, content)
            refused = await api.client.post(
                "/imports/csv", content=content, headers={"Content-Type": "text/csv"}
            )
            await first.send_chunk(b"")
            finished = await first.answer()

    assert refused.headers["Retry-After"] == "5"
    problem(refused, status, code)
    assert finished.status_code == 200
    await until_nothing_is_left(api)


@pytest.mark.parametrize("limit", ["upload_bytes_per_organization", "upload_bytes_at_once"])
async def test_upload_that_is_alone_always_has_room(api: Api, limit: str) -> None:
    with api.service.limited(**{limit: 10}):
        answer = await api.client.post("/imports/csv", content=LARGE, headers={"Content-Type": "text/csv"})

    assert answer.status_code == 200


async def test_upload_leaves_some_of_the_disk_free(api: Api) -> None:
    before = count_temporary_files()
    with api.service.limited(upload_free_bytes=10**18):
        large = await api.client.post("/imports/csv", content=LARGE, headers={"Content-Type": "text/csv"})
        form = await api.client.post("/imports/csv", files={"file": ("roster.csv", LARGE)})
        small = await api.client.post("/imports/csv", content=HEADER, headers={"Content-Type": "text/csv"})

    for answer in (large, form):
        assert "disk space" in problem(answer, 503, "overloaded")["detail"]
        assert answer.headers["Retry-After"] == "60"
    assert small.status_code == 200
    assert await all_learners(api) == {}
    assert count_temporary_files() == before
    await until_nothing_is_left(api)


# Content


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])
@pytest.mark.parametrize("block_bytes", [1000, 65_536, 2_000_000])
async def test_file_and_its_hash_are_those_of_the_bytes(size: int, block_bytes: int) -> None:
    content = random.Random(size).randbytes(size)

    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, size, block_bytes):
            yield content[start : start + block_bytes]

    uploads = Uploads()
    async with receive_file(blocks(), 1, uploads, Limits()) as received:
        assert received.file.read() == content
        assert received.content_hash == hashlib.sha256(content).hexdigest()
        assert (uploads.unfinished, uploads.held_bytes.total()) == (Counter(), size)
    assert received.file.closed
    assert not uploads.held_bytes
