"""The sender: signatures, what counts as received, and addresses that nothing is sent to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import trustme
from standardwebhooks import Webhook as Verifier

from app.webhooks.delivery import Attempt
from app.webhooks.failures import (
    ConnectionLost,
    ConnectionRefused,
    HostIsPrivate,
    HostNotFound,
    InvalidCertificate,
    NotAccepted,
    TimedOut,
    TlsFailed,
    UrlNotAllowed,
)
from app.webhooks.sender import Sender
from app.webhooks.webhook import new_signing_secret
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.anyio

SECRETS = [new_signing_secret(), new_signing_secret()]
MESSAGE = {"type": "webhook.test", "data": {"name": "Ægir Þórsson"}}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    sender = Sender(to_private_networks=True)
    yield sender
    await sender.close()


async def send(sender: Sender, url: str) -> Attempt:
    return await sender.send(url, SECRETS, "message-1", MESSAGE, datetime.now(UTC))


async def test_message_is_signed_with_each_secret(sender: Sender, receiver: Receiver) -> None:
    attempt = await send(sender, receiver.url)
    assert (attempt.status, attempt.failure, attempt.was_received) == (204, None, True)
    (message,) = receiver.received
    assert message.headers["content-type"] == "application/json"
    assert message.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert message.id == "message-1"
    for secret in SECRETS:
        assert Verifier(secret).verify(message.content, message.headers) == MESSAGE
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(new_signing_secret()).verify(message.content, message.headers)


async def test_host_header_keeps_the_name_although_the_address_is_used(
    sender: Sender, receiver: Receiver
) -> None:
    attempt = await send(sender, f"http://localhost:{receiver.port}/hook?tenant=a")
    assert attempt.was_received, attempt
    assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"


@pytest.mark.parametrize("status", [301, 400, 410, 429, 500, 503])
async def test_status_other_than_2xx_is_a_failure(sender: Sender, receiver: Receiver, status: int) -> None:
    receiver.answers.append(status)
    attempt = await send(sender, receiver.url)
    assert (attempt.status, attempt.was_received) == (status, False)
    assert attempt.failure == NotAccepted(status)
    assert attempt.is_gone is (status == 410)


async def test_connection_is_reused(sender: Sender, receiver: Receiver) -> None:
    for _ in range(3):
        assert (await send(sender, receiver.url)).was_received
    assert (len(receiver.received), receiver.connections) == (3, 1)


async def test_endless_answer_counts_as_received(sender: Sender) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 Told\r\nContent-Type: text/plain\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        attempt = await send(sender, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert attempt.was_received, attempt


async def test_redirect_is_not_followed(sender: Sender, receiver: Receiver) -> None:
    receiver.answers.append(307)
    receiver.headers = "Location: http://127.0.0.1:9/elsewhere\r\n"
    attempt = await send(sender, receiver.url)
    assert (attempt.status, len(receiver.received)) == (307, 1)


async def test_hanging_endpoint_times_out(receiver: Receiver) -> None:
    sender = Sender(to_private_networks=True, timeout_seconds=0.2)
    receiver.hangs = True
    attempt = await send(sender, receiver.url)
    await sender.close()
    assert (attempt.status, attempt.failure) == (None, TimedOut(0.2))


async def test_closed_port_is_connection_refused(sender: Sender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    attempt = await send(sender, f"http://127.0.0.1:{port}/")
    assert (attempt.status, attempt.failure) == (None, ConnectionRefused())


async def test_endpoint_that_hangs_up_is_connection_lost(sender: Sender, receiver: Receiver) -> None:
    receiver.hangs_up = True
    attempt = await send(sender, receiver.url)
    assert (attempt.status, attempt.failure) == (None, ConnectionLost())


async def test_unknown_host_is_host_not_found(sender: Sender) -> None:
    attempt = await send(sender, "https://nobody.invalid/")
    assert (attempt.status, attempt.failure) == (None, HostNotFound("nobody.invalid"))


async def test_port_without_tls_is_tls_failed(sender: Sender, receiver: Receiver) -> None:
    attempt = await send(sender, receiver.url.replace("http:", "https:"))
    assert (attempt.status, attempt.failure) == (None, TlsFailed())
    assert not receiver.received


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/hook?tenant=a",
        "https://127.0.0.1:{port}/hook",
        "https://localhost:{port}/hook",
    ],
)
async def test_private_url_is_not_sent_to_unless_allowed(receiver: Receiver, url: str) -> None:
    strict = Sender(to_private_networks=False)
    attempt = await send(strict, url.format(port=receiver.port))
    await strict.close()
    assert (attempt.status, attempt.failure) == (None, UrlNotAllowed())
    assert not receiver.received


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "::1", "169.254.169.254"])
async def test_host_that_resolves_to_a_private_address_is_not_sent_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    asked = []

    async def resolve(host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        asked.append(host)
        # One public address among them changes nothing.
        return [(None, None, None, "", ("9.9.9.9", port)), (None, None, None, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    strict = Sender(to_private_networks=False)
    attempt = await send(strict, f"https://inside.example.org:{receiver.port}/hook?tenant=a")
    await strict.close()
    assert asked == ["inside.example.org"]
    assert attempt.failure == HostIsPrivate("inside.example.org")
    assert not receiver.received


async def test_certificate_is_checked_against_the_name(sender: Sender) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with receiving(context) as receiver:
        address = f"https://localhost:{receiver.port}/hook?tenant=a"
        unknown = await send(sender, address)
        assert isinstance(unknown.failure, InvalidCertificate)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        trusted = Sender(to_private_networks=True, tls=trusting)
        known = await send(trusted, address)
        assert known.was_received, known
        # Although a valid connection to the same address is open.
        elsewhere = await send(trusted, address.replace("localhost", "127.0.0.1"))
        assert isinstance(elsewhere.failure, InvalidCertificate)
        await trusted.close()
        assert len(receiver.received) == 1
