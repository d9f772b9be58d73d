"""Roster files for imports, and the service as a process that is given them."""

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
    """A CSV of these learners; every second one has `deactivated` as what Active says."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        writer.writerows(
            roster_row(learner, deactivated if place % 2 else "") for place, learner in enumerate(learners)
        )
    return path


def roster_row(learner: Learner, active: str) -> tuple[str, ...]:
    """The cells of a learner, with this in the column Active."""
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
    """A running `rollcall serve` and a client with an admin's key."""

    server: Server
    client: httpx.Client

    def submit(self, roster: Path) -> dict[str, Any]:
        """Send a file to import, and get the operation as it stands then."""
        with roster.open("rb") as content:
            answer = self.client.post(
                "/imports/csv",
                content=content,
                headers={"Content-Type": "text/csv", "Prefer": "respond-async"},
                timeout=_PATIENCE_SECONDS,
            )
        return _checked(answer)

    def imports(self) -> list[dict[str, Any]]:
        """All imports, newest first."""
        items: list[dict[str, Any]] = _checked(self.client.get("/operations?kind=csv-import"))["items"]
        return items

    def revert(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Take it back; the revert, which has ended."""
        revert = _checked(
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
        """The operation as it stands now."""
        return _checked(self.client.get(f"/operations/{operation['id']}"))

    def run(self, roster: Path) -> tuple[dict[str, Any], float]:
        """Import a file to its end; the operation, and the seconds since it began to be sent."""
        started, begun = time.perf_counter(), datetime.now(UTC)
        operation = self.submit(roster)
        if operation["finished_at"] is not None:
            return operation, time.perf_counter() - started
        while operation["finished_at"] is None:
            # Rarely, since each look takes time from the service; the end is in the operation itself.
            time.sleep(0.5)
            operation = self.look(operation)
        return operation, (datetime.fromisoformat(operation["finished_at"]) - begun).total_seconds()

    def resident_mib(self, name: str = "VmRSS") -> float:
        """The memory of the process now, or with `VmHWM` at its peak since `forget_peak`, in MiB."""
        status = Path(f"/proc/{self.server.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        """Let the peak be what is resident now."""
        Path(f"/proc/{self.server.pid}/clear_refs").write_text("5", encoding="ascii")


def _checked(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def chunk_seconds(operation: dict[str, Any], rows_at_once: int) -> float:
    """How long one of its chunks took on average."""
    total: int = operation["progress"]["total"]
    return seconds_of(operation) / -(-total // rows_at_once)


def seconds_of(operation: dict[str, Any]) -> float:
    """How long it ran, from its first chunk to its end."""
    started, finished = (datetime.fromisoformat(operation[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


@contextmanager
def served(databases: Databases) -> Iterator[Service]:
    """`rollcall serve`, as a person starts it, on a new database."""
    server = Server(databases.new_url(), databases.new_folder(), is_fresh=True)
    try:
        server.start()
        with server.client(server.secret) as client:
            yield Service(server, client)
    finally:
        server.end()
