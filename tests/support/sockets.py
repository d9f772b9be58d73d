"""The service of a test on a port of this machine, and clients that send what a library would not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI

PATIENCE = 60.0


class Connection:
    """One connection, on which a test writes a request byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()

    async def send_chunk(self, content: bytes) -> None:
        """Send one part of a body with `Transfer-Encoding: chunked`; the empty one ends it."""
        await self.send(b"%x\r\n%b\r\n" % (len(content), content))

    async def answer(self) -> httpx.Response:
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
            answer = httpx.Response(int(first.split()[1]), headers=headers)
            content = await self._reader.readexactly(int(answer.headers["Content-Length"]))
            return httpx.Response(answer.status_code, headers=headers, content=content)

    async def is_closed_by_server(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read() == b""

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class Listener:
    """Where the service listens."""

    def __init__(self, port: int) -> None:
        self._port = port

    @asynccontextmanager
    async def connect(self, *head: str) -> AsyncIterator[Connection]:
        """Connect, and send the first line of a request and its header fields."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        connection = Connection(reader, writer)
        try:
            if head:
                await connection.send("\r\n".join([*head, "Host: rollcall.test", "", ""]).encode("latin-1"))
            yield connection
        finally:
            writer.close()


@asynccontextmanager
async def listen(app: FastAPI) -> AsyncIterator[Listener]:
    """Serve an application that has started, as `rollcall serve` does."""
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none", server_header=False)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0.01)
            yield Listener(listening.getsockname()[1])
        finally:
            server.should_exit = server.force_exit = True
            await serving
