"""`/metrics` counts requests, operations and access checks, and names no one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import Api, Service

pytestmark = pytest.mark.anyio


async def value(service: Service, name: str, **labels: str) -> float:
    """Return one number, as Prometheus reads it."""
    async with service.client() as client:
        answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return 0.0


async def test_requests_are_counted_by_method_route_and_status(api: Api) -> None:
    labels = {"method": "GET", "route": "/learners/{learner_id}", "status": "404"}
    before = await value(api.service, "rollcall_http_requests_total", **labels)
    durations = {"method": "GET", "route": "/learners/{learner_id}"}
    timed = await value(api.service, "rollcall_http_request_duration_seconds_count", **durations)
    for _ in range(3):
        await api.client.get("/learners/019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11")
    assert await value(api.service, "rollcall_http_requests_total", **labels) == before + 3
    assert await value(api.service, "rollcall_http_request_duration_seconds_count", **durations) == timed + 3


async def test_metrics_request_counts_itself_in_flight(service: Service) -> None:
    assert await value(service, "rollcall_http_requests_in_flight") == 1.0


async def test_operations_and_their_rows_are_counted(api: Api) -> None:
    rows = {"kind": "csv-import", "outcome": "created"}
    ended = {"kind": "csv-import", "state": "succeeded"}
    before = await value(api.service, "rollcall_operation_rows_total", **rows)
    ended_before = await value(api.service, "rollcall_operations_finished_total", **ended)
    await api.import_csv("Username\na\nb\nc\n")
    assert await value(api.service, "rollcall_operation_rows_total", **rows) == before + 3
    assert await value(api.service, "rollcall_operations_finished_total", **ended) == ended_before + 1


async def test_access_checks_are_counted_by_their_answer(api: Api) -> None:
    learner = await api.create()
    allowed, denied = {"allowed": "true", "reason": ""}, {"allowed": "false", "reason": "deactivated"}
    name = "rollcall_access_checks_total"
    before = [await value(api.service, name, **labels) for labels in (allowed, denied)]
    await api.client.get(f"/learners/{learner['id']}/access")
    await api.client.post(f"/learners/{learner['id']}/deactivate")
    await api.client.get(f"/learners/{learner['id']}/access")
    await api.client.post(f"/learners/{learner['id']}/access")
    after = [await value(api.service, name, **labels) for labels in (allowed, denied)]
    assert after == [before[0] + 1, before[1] + 2]


async def test_metrics_contain_no_names(api: Api) -> None:
    learner = await api.create(username="metrics.okafor", first_name="Metrika")
    await api.client.get(f"/learners/{learner['id']}")
    await api.client.get("/people/metrics.okafor")
    await api.client.request("OKAFOR", "/learners")
    async with api.service.client() as client:
        shown = (await client.get("/metrics")).text
    assert 'route="unmatched"' in shown
    assert 'method="other"' in shown
    for secret in (
        "okafor",
        "OKAFOR",
        "Metrika",
        learner["id"],
        api.organization.slug,
        api.organization.public_id,
    ):
        assert secret not in shown
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", shown)


def test_metrics_add_up_all_processes(tmp_path: Path) -> None:
    count = "from app.operations.metrics import ROWS; ROWS.labels('csv-import', 'created').inc(5)"
    show = (
        "import asyncio; from app.platform.metrics import read_metrics; "
        "print(asyncio.run(read_metrics()).body.decode())"
    )
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for program in (count, f"{count}; {show}"):
        shown = subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
        ).stdout
    assert 'rollcall_operation_rows_total{kind="csv-import",outcome="created"} 10.0' in shown
