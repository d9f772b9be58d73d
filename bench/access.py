"""How long an access check and a single deactivate take, while nothing else happens and during an import."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median, quantiles

from app.imports.service import CHUNK_ROWS
from app.platform.clock import SystemClock
from bench.databases import Databases
from bench.population import draw_learners
from bench.rosters import Service, chunk_seconds, served, write_roster

# Learners that are there before: each deactivated at most once.
_KNOWN = 10_000
_IDLE_SAMPLES = 300
# Seconds between two pairs of calls, so that the client leaves the processor to the service.
_PAUSE = 0.01


def measure(databases: Databases, rows: int) -> None:
    """Print median and 99th percentile of both, and what one chunk took."""
    now = SystemClock().now()
    folder = databases.new_folder()
    drawn = list(draw_learners(_KNOWN + rows, now))
    before = write_roster(folder / "before.csv", drawn[:_KNOWN])
    more = write_roster(folder / "more.csv", drawn[_KNOWN:])
    with served(databases) as service:
        service.run(before)
        ids = _ids(service)
        print(f"\n{'Latency':<38} {'median':>12} {'p99':>12} {'samples':>10}")
        left = iter(range(_IDLE_SAMPLES))
        _report("idle", *_sample(service, ids, lambda: next(left, None) is None))
        operation = service.submit(more)
        progress = {"at": time.perf_counter(), "operation": operation}

        def is_over() -> bool:
            if time.perf_counter() - progress["at"] > 0.5:
                progress.update(at=time.perf_counter(), operation=service.look(operation))
            return progress["operation"]["finished_at"] is not None

        _report(f"importing {rows:,} rows", *_sample(service, ids, is_over))
        ended = service.look(operation)
        print(f"{'one chunk, on average':<38} {1000 * chunk_seconds(ended, CHUNK_ROWS):>9.0f} ms")


def _ids(service: Service) -> Iterator[str]:
    url = "/learners?limit=1000&status=activated"
    while url:
        answer = service.client.get(url).raise_for_status()
        yield from (learner["id"] for learner in answer.json()["items"])
        url = answer.links.get("next", {}).get("url", "")


def _sample(
    service: Service, ids: Iterator[str], is_over: Callable[[], bool]
) -> tuple[list[float], list[float]]:
    checks: list[float] = []
    deactivations: list[float] = []
    while not is_over():
        (learner_id,) = islice(ids, 1)
        for samples, call in (
            (checks, lambda path: service.client.get(f"{path}/access")),
            (deactivations, lambda path: service.client.post(f"{path}/deactivate")),
        ):
            started = time.perf_counter()
            call(f"/learners/{learner_id}").raise_for_status()
            samples.append(1000 * (time.perf_counter() - started))
        time.sleep(_PAUSE)
    return checks, deactivations


def _report(when: str, checks: list[float], deactivations: list[float]) -> None:
    for what, samples in (("GET access", checks), ("deactivate", deactivations)):
        p99 = quantiles(samples, n=100)[98]
        print(f"{what + ', ' + when:<38} {median(samples):>9.1f} ms {p99:>9.1f} ms {len(samples):>10}")
