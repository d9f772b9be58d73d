"""How many requests one credential may send per minute, and the headers that say so.

`RateLimit` and `RateLimit-Policy` follow the IETF draft draft-ietf-httpapi-ratelimit-headers. Each process counts in
memory: this stops runaway scripts and is not a quota.
"""

import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from app.platform.problems import RATE_LIMITED, Problem, illustrate


class RateLimiter:
    """A sliding window of one minute for each credential."""

    def __init__(self, per_minute: int) -> None:
        """`per_minute`: requests; 0 = no limit and no headers."""
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, request: Request, credential: str) -> None:
        """Count one request. Raises the problem `rate-limited` if it exceeds the limit."""
        if self._item is None:
            return
        accepted = await self._limiter.hit(self._item, credential)
        window = await self._limiter.get_window_stats(self._item, credential)
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        request.state.answer_headers["RateLimit-Policy"] = f'"minute";q={self._item.amount};w=60'
        request.state.answer_headers["RateLimit"] = f'"minute";r={window.remaining};t={seconds}'
        if not accepted:
            raise _used_up(self._item.amount, seconds)


def _used_up(per_minute: int, seconds: int) -> Problem:
    return Problem(
        RATE_LIMITED,
        f"This credential may send {per_minute:,} requests per minute. Try again in {seconds} seconds.",
        headers={"Retry-After": str(seconds)},
    )


illustrate(_used_up(6000, 12))
