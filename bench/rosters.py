"""Roster files, and a running service that imports them."""

import csv
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.learners.learner import Learner
from bench.databases import Databases
from tests.support.processes import Server

_HEADER = ("Username", "External ID", "Email", "First Name", "Last Name", "Active", "Expiration Date")
_PATIENCE_SECONDS = 600


def write_roster(path: Path, learners: Iterable[Learner], deactivated: str = "") -> Path:
    """Write a CSV of these learners. Every second one has `deactivated` in the column Active."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        writer.writerows(
            make_roster_row(learner, deactivated if place % 2 else "")
            for place, learner in enumerate(learners)
        )
    return path


def make_roster_row(learner: Learner, active: str) -> tuple[str, ...]:
    """Return the cells of a learner, with `active` in the column Active."""
    expires_on = learner.account.expires_on
    return (
        learner.username,
        learner.external_id or "",
        learner.email or "",
        learner.first_name or "",
        learner.last_name or "",
        active,
        "" if expires_on is None else expires_on.isoformat(),
    )


@dataclass(frozen=True)
class Service:
    """A running `rollcall serve`, and a client with an admin key."""

    server: Server
    client: httpx.Client

    def submit(self, roster: Path) -> dict[str, Any]:
        """Send a file to import. Return the operation, which may still be running."""
        with roster.open("rb") as content:
            answer = self.client.post(
                "/imports/csv",
                content=content,
                headers={"Content-Type": "text/csv", "Prefer": "respond-async"},
                timeout=_PATIENCE_SECONDS,
            )
        return _read(answer)

    def list_imports(self) -> list[dict[str, Any]]:
        """Return all imports, newest first."""
        items: list[dict[str, Any]] = _read(self.client.get("/operations?kind=csv-import"))["items"]
        return items

    def revert(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Revert an operation. Return the finished revert."""
        revert = _read(
            self.client.post(
                f"/operations/{operation['id']}/revert",
                headers={"Prefer": "respond-async"},
                timeout=_PATIENCE_SECONDS,
            )
        )
        while revert["finished_at"] is None:
            time.sleep(0.5)
            revert = self.look(revert)
        return revert

    def look(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Return the current state of an operation."""
        return _read(self.client.get(f"/operations/{operation['id']}"))

    def run(self, roster: Path) -> tuple[dict[str, Any], float]:
        """Import a file. Return the finished operation and the seconds since the first byte was sent."""
        started, begun = time.perf_counter(), datetime.now(UTC)
        operation = self.submit(roster)
        if operation["finished_at"] is not None:
            return operation, time.perf_counter() - started
        while operation["finished_at"] is None:
            # Look rarely: each look costs the service time, and the operation says when it ended.
            time.sleep(0.5)
            operation = self.look(operation)
        return operation, (datetime.fromisoformat(operation["finished_at"]) - begun).total_seconds()

    def resident_mib(self, name: str = "VmRSS") -> float:
        """Return the resident memory in MiB. `VmHWM` gives the peak since forget_peak()."""
        status = Path(f"/proc/{self.server.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        """Reset the peak to the current memory."""
        Path(f"/proc/{self.server.pid}/clear_refs").write_text("5", encoding="ascii")


def _read(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def average_chunk_seconds(operation: dict[str, Any], rows_at_once: int) -> float:
    """Return the average seconds of one chunk."""
    total: int = operation["progress"]["total"]
    return count_seconds(operation) / -(-total // rows_at_once)


def count_seconds(operation: dict[str, Any]) -> float:
    """Return the seconds from the first chunk to the end."""
    started, finished = (datetime.fromisoformat(operation[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


@contextmanager
def serve(databases: Databases) -> Iterator[Service]:
    """Run `rollcall serve` on a new database, as an operator starts it."""
    server = Server(databases.new_url(), databases.new_folder(), is_fresh=True)
    try:
        server.start()
        with server.client(server.secret) as client:
            yield Service(server, client)
    finally:
        server.end()
