"""Pure work on many rows, beside the event loop: requests are answered and the database works meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Fewer rows than this are done before a thread would have begun.
_FEW = 100


async def compute(rows: int, work: Callable[[], T]) -> T:
    """What `work` returns; it must touch nothing that others change. `rows`: how many it goes through."""
    return work() if rows < _FEW else await asyncio.to_thread(work)
