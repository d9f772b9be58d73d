"""Ctrl-C and SIGTERM, for commands that stop in good order."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console


class Interruption:
    """The signal that asked a command to stop. The second signal ends the process at once."""

    def __init__(self) -> None:
        # What the second signal prints: what is left undone.
        self.farewell = ""
        self._received: signal.Signals | None = None
        self._asked = asyncio.Event()

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked.is_set()

    @property
    def exit_status(self) -> int | None:
        """The exit status of shells for this signal (130 for Ctrl-C, 143 for SIGTERM), or None without a signal."""
        return None if self._received is None else 128 + self._received

    async def wait(self) -> None:
        """Wait for the first signal."""
        await self._asked.wait()

    def receive(self, received: signal.Signals) -> None:
        """Remember the first signal. At the second, say the farewell and end the process."""
        if self._received is None:
            self._received = received
            self._asked.set()
            return
        Console(stderr=True).show_cursor()  # a bar hides it
        typer.echo(f"rollcall: {self.farewell}", err=True)
        sys.stdout.flush()
        sys.stderr.flush()
        # Not an exception: that would wait for the running transaction. The database rolls it back.
        os._exit(128 + received)


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Take SIGINT and SIGTERM, unless the process ignores them, as `nohup` and shells arrange it."""
    interruption = Interruption()
    loop = asyncio.get_running_loop()
    watched = [
        each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN
    ]
    for each in watched:
        loop.add_signal_handler(each, interruption.receive, each)
    try:
        yield interruption
    finally:
        for each in watched:
            loop.remove_signal_handler(each)
