"""A wire between the service and its PostgreSQL that can be cut, also right after a commit, before its answer.

What the server does and what the service learns of it are two things; only between the two they can be parted.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.engine import make_url

_BLOCK = 65_536
# How both drivers end a transaction that is to last.
COMMIT = b"COMMIT"


class Relay:
    """Listens on a port of its own, and passes on what comes in to the PostgreSQL of `url` and back."""

    def __init__(self, url: str) -> None:
        """`url`: of a database; `self.url` is the way to the same one over this wire."""
        self._target = make_url(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._wires: set[asyncio.Task[None]] = set()
        self._is_down = False
        self._passing = 0
        self._lost_to = COMMIT
        self._lost = threading.Event()
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._connect, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._target.set(port=port).render_as_string(hide_password=False)

    def cut(self) -> int:
        """Cut every connection, whatever is on its way; how many there were."""
        number: int = self._do(self._cut())
        return number

    @contextmanager
    def down(self) -> Iterator[None]:
        """Cut every connection, and take no other meanwhile."""
        self._is_down = True
        self.cut()
        try:
            yield
        finally:
            self._is_down = False

    def lose_answer(self, passing: int = 0, to: bytes = COMMIT) -> None:
        """Let `passing` messages that hold `to` pass; the next reaches the server, and its answer is lost.

        With it goes the connection. Without `to` any message counts.
        """
        self._lost.clear()
        self._lost_to = to
        self._passing = passing + 1

    def forget(self) -> None:
        """Lose no answer after all."""
        self._passing = 0

    @property
    def has_lost(self) -> bool:
        """Whether it has come to that since `lose_answer`."""
        return self._lost.is_set()

    def close(self) -> None:
        """Cut every connection, and take no more."""
        self._server.close()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _cut(self) -> int:
        wires = list(self._wires)
        for wire in wires:
            wire.cancel()
        await asyncio.gather(*wires, return_exceptions=True)
        return len(wires)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = asyncio.current_task()
        assert wire is not None
        self._wires.add(wire)
        writers = [writer]
        try:
            if self._is_down:
                return
            server_reader, server_writer = await asyncio.open_connection(self._target.host, self._target.port)
            writers.append(server_writer)
            is_mute = asyncio.Event()
            there = asyncio.create_task(self._pass_requests(reader, server_writer, is_mute))
            back = asyncio.create_task(self._pass_answers(server_reader, writer, is_mute))
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # there is no server, or the wire is cut
        finally:
            self._wires.discard(wire)
            for each in writers:
                each.transport.abort()

    async def _pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_mute: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while block := await reader.read(_BLOCK):
                if self._passing and self._lost_to in block:
                    self._passing -= 1
                    if not self._passing:
                        is_mute.set()
                writer.write(block)
                await writer.drain()

    async def _pass_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_mute: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while block := await reader.read(_BLOCK):
                if is_mute.is_set():
                    self._lost.set()
                    return
                writer.write(block)
                await writer.drain()
