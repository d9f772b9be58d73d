"""Learn that the process has to stop while requests are still being answered.

The server tells the application only when every answer has ended. Streams would go on for ever, so they watch this.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def watch_for_stop() -> Iterator[asyncio.Event]:
    """Yield an event that is set when SIGINT or SIGTERM arrives. The handlers that were there still run."""
    noticed = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noticed  # only the main thread receives signals
        return
    loop = asyncio.get_running_loop()
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def notice(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(noticed.set)
        handlers[number](number, frame)

    for each in _SIGNALS:
        handler = signal.getsignal(each)
        if callable(handler):  # without a handler, the signal ends the process anyway
            handlers[each] = handler
            signal.signal(each, notice)
    try:
        yield noticed
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is notice:
                signal.signal(number, handler)
