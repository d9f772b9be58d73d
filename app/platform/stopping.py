"""When the process is told to stop, noticed while requests are still being answered.

The server tells the application only once every answer has ended, and some would go on until they are told.
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
def notice_of_stop() -> Iterator[asyncio.Event]:
    """An event of the running loop, set as soon as SIGINT or SIGTERM comes; what handles them does so as before."""
    noticed = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noticed  # signals come to the main thread alone
        return
    loop = asyncio.get_running_loop()
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def notice(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(noticed.set)
        handlers[number](number, frame)

    for each in _SIGNALS:
        handler = signal.getsignal(each)
        if callable(handler):  # without one, the signal ends the process by itself
            handlers[each] = handler
            signal.signal(each, notice)
    try:
        yield noticed
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is notice:
                signal.signal(number, handler)
