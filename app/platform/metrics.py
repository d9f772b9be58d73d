"""`GET /metrics`: the numbers of all processes of this server, in the Prometheus text format."""

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Counter("rollcall_http_requests", "Requests answered.", ["method", "route", "status"])
DURATION = Histogram(
    "rollcall_http_request_duration_seconds",
    "Seconds from the first byte of the request to the end of the answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_FLIGHT = Gauge("rollcall_http_requests_in_flight", "Requests being handled.", multiprocess_mode="livesum")

router = APIRouter(tags=["service"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'rollcall_http_requests_total{method="GET"} 42.0\n',
                }
            }
        }
    },
)
async def read_metrics() -> Response:
    """Return the counters and histograms of this service, without personal data. Needs no credential."""
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # a single process, which shares no directory with others
        registry = PROCESS_REGISTRY
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
