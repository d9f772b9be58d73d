"""Pure work on many rows, beside the event loop: requests are answered and the database works meanwhile."""

import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Fewer rows than this are done before a thread would have begun.
_FEW = 100
# An answer changes threads several times, and may wait so long at each, where Python's own is 0.005.
_SWITCH_SECONDS = 0.0005


async def compute(rows: int, work: Callable[[], T]) -> T:
    """What `work` returns; it must touch nothing that others change. `rows`: how many it goes through."""
    return work() if rows < _FEW else await asyncio.to_thread(work)


def prefer_answers() -> None:
    """Have threads that compute give way sooner, in all of this process.

    Measured: while an import runs, the slowest access checks take half as long, and the import no longer.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
