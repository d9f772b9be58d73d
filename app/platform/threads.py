"""Pure work on many rows outside the event loop, so that requests are answered meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Fewer rows than this take less time than starting a thread.
_FEW = 100


async def compute(rows: int, work: Callable[[], T]) -> T:
    """Run `work` and return its result. It must not use anything that other code changes. `rows`: how many it reads."""
    return work() if rows < _FEW else await asyncio.to_thread(work)
