"""Sending one message to one address: signed, in little time, and never into a private network unasked."""

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
from app.webhooks.webhook import is_public, is_public_address

_CONNECTIONS = 64
_KEPT_SECONDS = 5.0
# Bytes of an answer, of which nobody needs anything but the status.
_MOST_READ = 65_536
_FAULTS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)


class NotSent(Exception):
    """It did not come to a request; the message is a sentence for the webhook's owner."""


class Sender:
    """Sends messages. One for a process: it keeps connections open."""

    def __init__(
        self,
        *,
        to_private_networks: bool,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = Limits().webhook_timeout_seconds,
    ) -> None:
        """`to_private_networks`: whether addresses of private networks, and http without TLS, are sent to.

        `tls`: whose certificates are trusted; None = those that the system trusts.
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
        """POST `message`, signed with each of `signing` at the aware instant `now`. Never raises for the endpoint."""
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
        status, error = None, None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await self._post(url, headers, content)
            if not 200 <= status <= 299:  # noqa: PLR2004 - RFC 9110 section 15.3
                error = f"The endpoint answered {status}; only 2xx says that it has the message."
        except NotSent as refusal:
            error = str(refusal)
        except TimeoutError:
            error = f"The endpoint did not answer within {self._timeout_seconds:.0f} seconds."
        except _FAULTS as failure:
            error = _sentence(failure)
        return Attempt(status, error, int((time.perf_counter() - began) * 1000))

    async def _post(self, url: str, headers: Mapping[bytes | str, bytes | str], content: bytes) -> int:
        if not self.to_private_networks and not is_public(url):
            raise NotSent("Webhooks are sent with https, and not into private networks.")
        # Of each wait for the network; all of them together have the same time.
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_seconds)
        request = self._connections.stream(
            "POST", url, headers=headers, content=content, extensions={"timeout": timeouts}
        )
        async with request as response:
            # To its end, for the connection to be used again; but it cannot make us read for ever.
            size = 0
            async for part in response.aiter_stream():
                size += len(part)
                if size > _MOST_READ:
                    break
            return response.status


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to the very addresses that it has looked at: the name, asked again, might lead elsewhere."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> AsyncNetworkStream:
        """See httpcore. Raises NotSent too."""
        address = await self._find_address(host, port)
        return await self._backend.connect_tcp(address, port, *arguments, **options)

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._backend.sleep(seconds)

    async def _find_address(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
        except (gaierror, UnicodeError):
            raise NotSent(f"The name {host} cannot be found.") from None
        addresses = [str(each[4][0]) for each in found]
        if not self._sender.to_private_networks and not all(map(is_public_address, addresses)):
            raise NotSent(f"{host} leads into a private network, to which webhooks are not sent.")
        return addresses[0]


def _sentence(failure: Exception) -> str:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The endpoint's certificate is not valid: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return "No secure connection could be made."
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, httpcore.ConnectError):
        return "No connection could be made."
    return "The connection was lost before there was an answer."
