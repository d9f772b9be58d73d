"""Measures an access check and a single deactivation, on an idle service and during an import."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from statistics import median, quantiles
from threading import Event

import httpx

from app.limits import Limits
from app.platform.clock import SystemClock
from bench.databases import Databases
from bench.population import draw_learners
from bench.rosters import Service, average_chunk_seconds, serve, write_roster

# Learners before the import. Each is deactivated at most once.
_KNOWN = 10_000
_IDLE_SECONDS = 10.0
# Seconds between two calls, which leave the processor to the service, and between two looks at the import.
_PAUSE = 0.02
_LOOK = 0.5


def measure(databases: Databases, rows: int) -> None:
    """Print the median and the 99th percentile of both, and the duration of one chunk."""
    now = SystemClock().now()
    folder = databases.new_folder()
    drawn = list(draw_learners(_KNOWN + rows, now))
    before = write_roster(folder / "before.csv", drawn[:_KNOWN])
    more = write_roster(folder / "more.csv", drawn[_KNOWN:])
    with serve(databases) as service:
        service.run(before)
        ids = _ids(service)
        print(f"\n{'Latency':<38} {'median':>12} {'p99':>12} {'samples':>10}")
        looks = iter(range(int(_IDLE_SECONDS / _LOOK)))
        _report("idle", *_sample(service, ids, lambda: next(looks, None) is None))
        operation = service.submit(more)
        _report(
            f"importing {rows:,} rows",
            *_sample(service, ids, lambda: service.look(operation)["finished_at"] is not None),
        )
        ended = service.look(operation)
        print(
            f"{'one chunk, average':<38} {1000 * average_chunk_seconds(ended, Limits().chunk_rows):>9.0f} ms"
        )


def _ids(service: Service) -> Iterator[str]:
    url = "/learners?limit=1000&status=activated"
    while url:
        answer = service.client.get(url).raise_for_status()
        yield from (learner["id"] for learner in answer.json()["items"])
        url = answer.links.get("next", {}).get("url", "")


def _sample(
    service: Service, ids: Iterator[str], is_over: Callable[[], bool]
) -> tuple[list[float], list[float]]:
    """Call both repeatedly until `is_over()`. Return the milliseconds of the checks and of the deactivations."""
    (checked,) = islice(ids, 1)
    ended = Event()

    def sample(call: Callable[[], httpx.Response]) -> list[float]:
        taken = []
        while not ended.is_set():
            started = time.perf_counter()
            call().raise_for_status()
            taken.append(1000 * (time.perf_counter() - started))
            time.sleep(_PAUSE)
        return taken

    # Two threads, because a deactivation waits for a chunk and a check does not.
    with ThreadPoolExecutor(2) as threads:
        checks = threads.submit(sample, lambda: service.client.get(f"/learners/{checked}/access"))
        deactivations = threads.submit(
            sample, lambda: service.client.post(f"/learners/{next(ids)}/deactivate")
        )
        while not is_over():
            time.sleep(_LOOK)
        ended.set()
        return checks.result(), deactivations.result()


def _report(when: str, checks: list[float], deactivations: list[float]) -> None:
    for what, samples in (("GET access", checks), ("deactivate", deactivations)):
        p99 = quantiles(samples, n=100)[98]
        print(f"{what + ', ' + when:<38} {median(samples):>9.1f} ms {p99:>9.1f} ms {len(samples):>10}")
