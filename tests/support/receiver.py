"""An endpoint of webhooks for tests: it keeps what it receives and answers what it is told to."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Message:
    """One message as it arrived."""

    headers: dict[str, str]
    content: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.content)
        return document


@dataclass
class Receiver:
    """`answers`: the statuses to come, then 204; `hangs`: never answer; `hangs_up`: neither, but close."""

    port: int = 0
    received: list[Message] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)
    hangs: bool = False
    hangs_up: bool = False
    headers: str = ""
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?tenant=a"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not self.hangs:
                if (begin := await reader.read(1)) == b"\x16":  # TLS, which is not spoken here
                    writer.write(b"HTTP/1.1 400 What\r\n\r\n")
                    return
                head = begin + await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)
                }
                if self.hangs_up:
                    return
                content = await reader.readexactly(int(headers["content-length"]))
                assert first == "POST /hook?tenant=a HTTP/1.1"
                self.received.append(Message(headers, content))
                status = self.answers.popleft() if self.answers else 204
                writer.write(f"HTTP/1.1 {status} Told\r\n{self.headers}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
            await asyncio.sleep(60)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()
    handling: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.handle(reader, writer))
        handling.add(task)
        task.add_done_callback(handling.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
