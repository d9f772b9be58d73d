"""Middleware: request ids, log lines, metrics, HEAD, and the limits on the size and number of requests.

Pure ASGI, because BaseHTTPMiddleware costs a task and two queues per request.
"""

import asyncio
import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.platform.clock import Clock
from app.platform.ids import new_id
from app.platform.logging import get_logger
from app.platform.metrics import DURATION, IN_FLIGHT, REQUESTS
from app.platform.problems import INTERNAL_ERROR, OVERLOADED, PAYLOAD_TOO_LARGE, Problem, illustrate

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:+/=-]{1,128}")
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
# The status in log and metrics if the client leaves before it has sent its request. nginx uses the same number.
_CLIENT_GONE = 499

logger = get_logger("rollcall.http")


class RequestContext:
    """Gives each request an id, limits how many run at once, and reports the result of each."""

    def __init__(self, app: ASGIApp, *, clock: Clock, max_in_flight: int) -> None:
        """`max_in_flight`: requests at once in this process. More get status 503, except health probes."""
        self.app = app
        self.clock = clock
        self.max_in_flight = max_in_flight
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get("x-request-id", "")
        request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else new_id(self.clock.now())
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["answer_headers"] = {}
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                for name, value in state["answer_headers"].items():
                    headers[name] = value
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        self.in_flight += 1
        IN_FLIGHT.inc()
        try:
            if self.in_flight > self.max_in_flight and scope["path"] not in _PROBES:
                await _overloaded().response(request_id)(scope, receive, send_with_headers)
            else:
                await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except Exception:
            logger.exception("request failed", route=_route(scope))
            if status:
                raise  # the answer has begun, so it can only be cut off
            await _internal_error().response(request_id)(scope, receive, send_with_headers)
        finally:
            self.in_flight -= 1
            IN_FLIGHT.dec()
            self._report(scope, status, time.perf_counter() - started)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        REQUESTS.labels(method, route, str(status)).inc()
        DURATION.labels(method, route).observe(seconds)
        say = logger.debug if scope["path"] in _PROBES else logger.info
        say(
            "request",
            method=method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
        )


def _overloaded() -> Problem:
    return Problem(
        OVERLOADED, "Too many requests are running. Try again shortly.", headers={"Retry-After": "1"}
    )


def _internal_error() -> Problem:
    return Problem(
        INTERNAL_ERROR,
        "The service failed to handle this request. Nothing was changed. If it fails again, tell the operator "
        "the request id.",
    )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _route(scope: Scope) -> str:
    """Return the path as its template, without personal data. All unknown paths share one name."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


class HeadAsGet:
    """Answers HEAD like GET but without the body (RFC 9110 section 9.3.2), at every address."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        is_complete = False

        async def send_without_body(message: Message) -> None:
            nonlocal is_complete
            if message["type"] == "http.response.start":
                await send(message)
            elif not is_complete:
                is_complete = True
                # After this, `receive` reports a disconnect, and an answer that streams ends.
                await send({"type": "http.response.body"})
            else:
                await asyncio.sleep(0)

        as_get = {**scope, "method": "GET"}
        try:
            await self.app(as_get, receive, send_without_body)
        finally:
            scope["route"] = as_get.get(
                "route"
            )  # the log line needs the route, with the method that was sent


class BodyLimit:
    """Rejects a body that is too large while it streams in, whatever Content-Length says."""

    def __init__(self, app: ASGIApp, *, limits: dict[str, int], default: int) -> None:
        """`limits`: bytes by path; `default`: bytes for every other path."""
        self.app = app
        self.limits = limits
        self.default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limits.get(scope["path"], self.default)
        too_large = _too_large(limit)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            request = Request(scope)
            await too_large.response(request.state.request_id)(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise too_large
            return message

        await self.app(scope, receive_within_limit, send)


def _too_large(limit: int) -> Problem:
    return Problem(
        PAYLOAD_TOO_LARGE,
        f"The body is too large. This address accepts at most {limit:,} bytes.",
        headers={"Connection": "close"},
    )


illustrate(_overloaded())
illustrate(_internal_error())
illustrate(_too_large(4 * 1024 * 1024))
