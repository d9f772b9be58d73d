"""Sends one message to one address: signed, within a timeout, and only to public addresses unless allowed."""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from socket import SOCK_STREAM, gaierror
from typing import Any
from urllib.parse import urlsplit

import httpcore
import orjson
from httpcore import AsyncNetworkStream
from standardwebhooks import Webhook as Signer

from app import __version__
from app.limits import Limits
from app.webhooks.delivery import Attempt
from app.webhooks.failures import (
    ConnectionLost,
    ConnectionRefused,
    Failure,
    HostIsPrivate,
    HostNotFound,
    InvalidCertificate,
    NotAccepted,
    TimedOut,
    TlsFailed,
    UrlNotAllowed,
)
from app.webhooks.webhook import is_public, is_public_address

_CONNECTIONS = 64
_KEPT_SECONDS = 5.0
# Bytes read of an answer. Only its status is used.
_MOST_READ = 65_536
_FAULTS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)


class NotSent(Exception):
    """No request was made, for the reason in `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Sender:
    """Sends messages. A process needs only one: it keeps connections open."""

    def __init__(
        self,
        *,
        to_private_networks: bool,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = Limits().webhook_timeout_seconds,
    ) -> None:
        """Send to public addresses with https, or to any address if `to_private_networks`.

        `tls`: the context that says which certificates are trusted; None = those that the system trusts.
        """
        self.to_private_networks = to_private_networks
        self._timeout_seconds = timeout_seconds
        self._connections = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context() if tls is None else tls,
            max_connections=_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=_Network(self),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def send(
        self, url: str, signing: Sequence[str], message_id: str, message: Mapping[str, Any], now: datetime
    ) -> Attempt:
        """POST `message`, signed with each secret in `signing` at the aware instant `now`.

        Failures are returned, not raised.
        """
        content = orjson.dumps(message)
        headers: dict[bytes | str, bytes | str] = {
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/json",
            "User-Agent": f"Rollcall/{__version__}",
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(int(now.timestamp())),
            "Webhook-Signature": " ".join(
                Signer(secret).sign(message_id, now, content.decode()) for secret in signing
            ),
        }
        began = time.perf_counter()
        status: int | None = None
        failure: Failure | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await self._post(url, headers, content)
            if not 200 <= status <= 299:  # noqa: PLR2004 - RFC 9110 section 15.3
                failure = NotAccepted(status)
        except NotSent as error:
            failure = error.failure
        except TimeoutError:
            failure = TimedOut(self._timeout_seconds)
        except _FAULTS as error:
            failure = _classify(error)
        return Attempt(status, failure, int((time.perf_counter() - began) * 1000))

    async def _post(self, url: str, headers: Mapping[bytes | str, bytes | str], content: bytes) -> int:
        if not self.to_private_networks and not is_public(url):
            raise NotSent(UrlNotAllowed())
        # For each wait for the network. send() limits all of them together to the same time.
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_seconds)
        request = self._connections.stream(
            "POST", url, headers=headers, content=content, extensions={"timeout": timeouts}
        )
        async with request as response:
            # Read to the end, so that the connection can be reused, but stop at a limit.
            size = 0
            async for part in response.aiter_stream():
                size += len(part)
                if size > _MOST_READ:
                    break
            return response.status


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to the address that it has checked. A second lookup of the name could return another one."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> AsyncNetworkStream:
        """Connect, as httpcore asks. Raises NotSent too."""
        address = await self._find_address(host, port)
        return await self._backend.connect_tcp(address, port, *arguments, **options)

    async def sleep(self, seconds: float) -> None:
        """Sleep, as httpcore asks."""
        await self._backend.sleep(seconds)

    async def _find_address(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
        except (gaierror, UnicodeError):
            raise NotSent(HostNotFound(host)) from None
        addresses = [str(each[4][0]) for each in found]
        if not self._sender.to_private_networks and not all(map(is_public_address, addresses)):
            raise NotSent(HostIsPrivate(host))
        return addresses[0]


def _classify(error: Exception) -> Failure:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return InvalidCertificate(cause.verify_message)
        if isinstance(cause, ssl.SSLError):
            return TlsFailed()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.ConnectError):
        return ConnectionRefused()
    return ConnectionLost()
