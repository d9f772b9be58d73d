"""Kill runs: real processes are killed at random moments, and the stored result must stay the same.

Each step is an upload, a bulk action or a revert, with the work that follows. One run takes the steps without faults.
Further runs take them on other databases, while servers, workers, clients and databases are killed and started
again. After each step, everything stored must equal the run without faults.
"""

import asyncio
import json
import pickle
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from app.background import HANDLERS
from app.operations.housekeeping import tidy
from app.operations.runner import Runner
from app.platform.clock import SystemClock
from app.platform.database import Database
from bench.deployments import Deployment, deploy
from tests.support.processes import Sender
from tests.support.stored import comparable, count_stages, stored_state, timeless

# The id of the organization that every new database has.
_ORGANIZATION = 1
# The most faults while a request is sent. With more, it might never be sent completely.
_MOST_WHILE_SENT = 3
# Seconds that an upload takes, so that a fault can hit the middle of it.
_UPLOAD_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 900.0
# The size of a disk that can become full: more than the steps need.
_DISK_BYTES = 256 * 1024 * 1024
_DISK_BYTES_A_ROW = 40_000
_SHOWN_DIFFERENCES = 3
# The most external ids in one selection.
_MOST_LISTED = 10_000
_REPLAYED = "idempotent-replayed"
_IN_PROGRESS = "idempotency-key-in-progress"
# Answers that a client may get meanwhile. Sent again, the request succeeds.
_RETRIED = ((503, "database-unavailable"), (503, "overloaded"), (409, _IN_PROGRESS))
# Log events that must never appear.
_FORBIDDEN_EVENTS = ("operation failed", "request failed", "not a log line")


@dataclass(frozen=True)
class Step:
    """A request, with the work that follows from it."""

    name: str
    path: str
    content_type: str
    content: Path
    # The step whose operation this one reverts. Its id replaces {operation} in `path`.
    reverts: int | None = None


def write_steps(folder: Path, rows: int) -> list[Step]:
    """Write the files and return the steps, which begin with an import of `rows` new learners."""
    files = {name: folder / f"{name}.csv" for name in ("new", "changed", "feed", "moved")}
    for file, lines in zip(files.values(), (_new, _changed, _feed, _moved), strict=True):
        file.write_text("".join(lines(rows)), encoding="utf-8")
    bodies = {name: folder / f"{name}.json" for name in ("json", "activation", "expiration", "nothing")}
    bodies["json"].write_text("".join(_json(rows)))
    selected = {"external_ids": [f"HR-{row}" for row in range(min(rows, _MOST_LISTED))]}
    for name, body in (
        ("activation", {"action": "activate", "selection": {"filter": {}}, "reason": "autumn"}),
        ("expiration", {"action": "set-expiration", "expires_on": "2097-12-31", "selection": selected}),
        ("nothing", {}),
    ):
        bodies[name].write_text(json.dumps(body))

    def upload(name: str, file: Path, query: str = "") -> Step:
        return Step(name, f"/imports/csv?reason=autumn{query}", "text/csv", file)

    def act(name: str, body: Path) -> Step:
        return Step(name, "/learners/bulk-actions", "application/json", body)

    def revert(name: str, of: int) -> Step:
        return Step(name, "/operations/{operation}/revert", "application/json", bodies["nothing"], reverts=of)

    return [
        upload("import, all new", files["new"]),
        upload("import, half changed", files["changed"]),
        revert("revert of that import", 1),
        revert("revert of that revert", 2),
        upload("import, missing=deactivate", files["feed"], "&missing=deactivate&max_deactivations=100%25"),
        act("bulk action", bodies["activation"]),
        revert("revert of the last import", 4),
        upload("import, names handed on", files["moved"]),
        Step("import of JSON", "/imports/json?reason=autumn", "application/x-ndjson", bodies["json"]),
        act("bulk action on dates", bodies["expiration"]),
        revert("revert of the moved names", 7),
        revert("revert of the JSON", 8),
        revert("revert of the dates", 9),
    ]


def _new(rows: int) -> Iterator[str]:
    yield "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\n"
    for row in range(rows):
        active = "Maybe" if row % 97 == 96 else "No" if row % 10 == 9 else ""
        # One in 89 rows repeats the learner of an earlier row, mostly in another chunk.
        learner = row // 2 if row % 89 == 88 else row
        expires = "2020-06-30" if row % 7 == 6 else "2099-12-31" if row % 7 == 3 else ""
        yield f"learner{learner:07},HR-{learner},l{learner}@example.org,Ada,Lovelace {row},{active},{expires}\n"


def _changed(rows: int) -> Iterator[str]:
    yield "Username,External ID,Email,Active,Expiration Date\n"
    for row in range(rows):
        renamed = "renamed" if row % 13 == 12 else "learner"
        active = "No" if row % 2 else "Yes" if row % 50 == 48 else ""
        expires = "2098-12-31" if row % 11 == 10 else ""
        email = f"new{row}@example.org" if row % 17 == 16 else ""
        yield f"{renamed}{row:07},HR-{row},{email},{active},{expires}\n"


def _feed(rows: int) -> Iterator[str]:
    yield "External ID,Active\n"
    for row in range(rows):
        if row % 5:
            yield f"HR-{row},{'Yes' if row % 3 == 0 else ''}\n"


def _moved(rows: int) -> Iterator[str]:
    """Hand names on: in rings of three neighbors, and in swaps across the whole file."""
    yield "External ID,Username,First Name\n"
    for row in range(rows):
        group, place = divmod(row, 8)
        holder = row
        if place < 3 and row - place + 2 < rows:
            holder = row - place + (place + 1) % 3
        elif place == 7:
            holder = (rows // 8 - 1 - group) * 8 + 7
        yield f"HR-{row},learner{holder:07},Moved\n"


def _json(rows: int) -> Iterator[str]:
    for row in range(rows):
        wanted: dict[str, Any] = {"external_id": f"HR-{row}", "last_name": f"Byron {row}"}
        if row % 3 == 0:
            wanted |= {"active": row % 2 == 0}
        if row % 5 == 0:
            wanted |= {"external_id": f"NEW-{row}", "username": f"new{row}"}
        yield json.dumps(wanted) + "\n"


@dataclass
class Report:
    """The result of one step: seconds, faults and differences."""

    step: str
    sending: float = 0.0
    running: float = 0.0
    while_sent: Counter[str] = field(default_factory=Counter)
    while_running: Counter[str] = field(default_factory=Counter)
    compared: str = ""
    differences: list[str] = field(default_factory=list)


class Run:
    """The steps on one deployment, with up to `hits` faults in each."""

    def __init__(self, deployment: Deployment, hits: int = 0, undisturbed: Sequence[Report] = ()) -> None:
        """Prepare a run. `undisturbed`: the reports of the run without faults, which give the pace."""
        self.faults = deployment.faults
        self._deployment = deployment
        self._chance = deployment.chance
        self._possible_faults = list(deployment.list_faults().items())
        self._hits = hits
        self._undisturbed = undisturbed
        self._keys = (f"kills-{number}" for number in count())
        self._operations: list[str] = []

    def take(self, step: Step) -> Report:
        """Take one step and wait until its operation has finished."""
        report = Report(step.name)
        pace = self._undisturbed[len(self._operations)] if self._hits else report
        started = time.monotonic()
        operation, key = self._send_until_answered(step, report, pace.sending)
        report.sending = time.monotonic() - started
        self._operations.append(operation)
        self._wait(operation, report, pace.running)
        report.running = time.monotonic() - started - report.sending
        again = self._send(step, key, place=0).wait()
        if again is None or again.document.get("id") != operation or _REPLAYED not in again.headers:
            self.faults.append(f"{step.name}: the repeated request returned {again} instead of {operation}")
        return report

    def _send_until_answered(self, step: Step, report: Report, pace: float) -> tuple[str, str]:
        """Send a request until there is an operation. Return its id and the idempotency key that led to it."""
        hits = self._chance.randint(0, _MOST_WHILE_SENT) if self._hits else 0
        key = next(self._keys)
        is_over = True
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self._deployment.check()
            place = self._chance.randrange(len(self._deployment.servers))
            ends = self._deployment.ends[place]
            sender = self._send(
                step, key, place, _UPLOAD_SECONDS if step.path.startswith("/imports/") else 0.0
            )
            while hits and self._pause(self._chance.uniform(0, pace), sender):
                hits -= 1
                report.while_sent[self._inject_fault(sender)] += 1
            answer = sender.wait()
            if answer is None:
                # A request ends with its server, not with its client.
                is_over = self._deployment.ends[place] > ends
                continue
            if answer.status in (200, 202):
                return str(answer.document["id"]), key
            code = answer.document.get("code")
            if code != _IN_PROGRESS:
                is_over = True
            elif is_over and self._chance.random() < 0.5:
                # The key of an interrupted request stays in use for two minutes. A client may wait, or create a new
                # key if it knows that the request has ended.
                key = next(self._keys)
            if (answer.status, code) not in _RETRIED:
                self.faults.append(f"{step.name} returned {answer.status}: {answer.document}")
            time.sleep(1)
        raise TimeoutError(f"{step.name} got no answer")

    def _send(self, step: Step, key: str, place: int, seconds: float = 0.0) -> Sender:
        operation = "" if step.reverts is None else self._operations[step.reverts]
        headers = {
            "Authorization": f"Bearer {self._deployment.secret}",
            "Content-Type": step.content_type,
            "Idempotency-Key": key,
        }
        if not self._hits or self._chance.random() < 0.5:
            headers["Prefer"] = "respond-async"
        url = self._deployment.servers[place].url + step.path.format(operation=operation)
        return Sender(url, headers, step.content, self._deployment.new_folder(), seconds=seconds)

    def _pause(self, seconds: float, sender: Sender) -> bool:
        """Wait this many seconds. Return whether the request is still being sent."""
        ends_at = time.monotonic() + seconds
        while sender.is_alive and time.monotonic() < ends_at:
            time.sleep(0.01)
        return sender.is_alive

    def _wait(self, operation: str, report: Report, pace: float) -> None:
        hits = self._hits
        hit_at = time.monotonic()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_finished(operation):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{report.step} did not finish")
            self._deployment.check()
            if hits and time.monotonic() > hit_at:
                if hits < self._hits:
                    report.while_running[self._inject_fault()] += 1
                hits -= 1
                hit_at = time.monotonic() + self._chance.uniform(0, 2 * pace / self._hits)
            time.sleep(_LOOK_SECONDS)

    def _is_finished(self, operation: str) -> bool:
        place = self._chance.randrange(len(self._deployment.servers))
        try:
            with self._deployment.client(place) as client:
                answer = client.get(f"/operations/{operation}")
        except httpx.TransportError:
            return False
        document = answer.json()
        if answer.status_code == 200:
            return document["finished_at"] is not None
        if (answer.status_code, document["code"]) not in _RETRIED:
            self.faults.append(f"GET /operations/{operation} returned {answer.status_code}: {document}")
        return False

    def _inject_fault(self, sender: Sender | None = None) -> str:
        """Cause a random fault and return its name. A sending client is killed every other time."""
        if sender is not None and self._chance.random() < 0.5:
            sender.kill()
            return "client killed"
        name, cause = self._chance.choice(self._possible_faults)
        cause()
        return name


class _Tomorrow(SystemClock):
    """A clock for housekeeping, by which every stage without an operation is old enough to delete."""

    def now(self) -> datetime:
        """Return the instant 25 hours from now."""
        return super().now() + timedelta(hours=25)


async def _read(url: str) -> dict[str, Any]:
    """Return everything stored, without times, and the number of rows that housekeeping has left over."""
    database = Database(url)
    try:
        await tidy(Runner(database, _Tomorrow(), HANDLERS), timedelta(days=30))
        state = await stored_state(database, _ORGANIZATION)
        stages = await count_stages(database)
    finally:
        await database.close()
    return comparable(timeless(state)) | {"left over": {"stages": stages}}


def _compare(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    lines = []
    for part, *both in zip(expected, expected.values(), found.values(), strict=True):
        wanted, has = (dict(enumerate(each)) if isinstance(each, list) else each for each in both)
        if wanted == has:
            continue
        keys = [key for key in wanted | has if wanted.get(key) != has.get(key)]
        lines.append(f"{part}: {len(keys):,} differ")
        lines += [
            f"    {key}: expected {wanted.get(key)}, found {has.get(key)}"
            for key in keys[:_SHOWN_DIFFERENCES]
        ]
    return lines


def _check_file(path: Path) -> list[str]:
    """Return what SQLite finds wrong with a database file and its search index."""
    connection = sqlite3.connect(path)
    try:
        [(answer,), *_] = connection.execute("PRAGMA integrity_check").fetchall()
        connection.execute(
            "INSERT INTO learner_search_trigrams (learner_search_trigrams, rank) VALUES ('integrity-check', 1)"
        )
    except sqlite3.DatabaseError as error:
        return [f"the database file: {error}"]
    finally:
        connection.close()
    return [] if answer == "ok" else [f"the database file: {answer}"]


def _count_log_events(deployment: Deployment) -> Counter[str]:
    """Count the warnings and errors of all processes, by event and exception."""
    said: Counter[str] = Counter()
    for line in deployment.read_logs():
        try:
            entry = json.loads(line)
        except ValueError:
            said[f"not a log line: {line[:100]}"] += bool(line.strip()) and "Traceback" in line
            continue
        if entry.get("level") in ("warning", "error", "critical"):
            cause = entry.get("exception", "").rpartition("\n")[2]
            said[f"{entry['event']}{cause and ': '}{cause}"] += 1
    return +said


class KillRuns:
    """Rounds of the same steps on databases of one kind, each compared with the run without faults."""

    def __init__(self, kind: str, folder: Path, rows: int, hits: int) -> None:
        """Prepare the steps. `folder`: for the files to send and the expected states."""
        self.kind = kind
        self.fault_counts: Counter[str] = Counter()
        self.is_equal = True
        self._rows = rows
        self._hits = hits
        self._steps = write_steps(folder, rows)
        self._expected = [folder / f"{kind}-{place}" for place in range(len(self._steps))]
        self._undisturbed: list[Report] = []

    def run_undisturbed(self) -> None:
        """Take the steps without faults. Store the states and the durations."""
        with deploy(self.kind, random.Random(0), servers=1, disk_bytes=None) as deployment:
            run = Run(deployment)
            for step, expected in zip(self._steps, self._expected, strict=True):
                self._undisturbed.append(run.take(step))
                expected.write_bytes(pickle.dumps(asyncio.run(_read(deployment.url))))
            _print_reports(f"{self.kind}, {self._rows:,} rows, without faults", self._undisturbed, run.faults)
            self.is_equal &= not run.faults

    def run(self, place: int, seed: int) -> None:
        """Run one round. Two rounds use the normal disk, the next two a disk that can become full, and so on."""
        chance = random.Random(seed)
        servers = 1 + place % 2
        disk_bytes = _DISK_BYTES + self._rows * _DISK_BYTES_A_ROW if place // 2 % 2 else None
        with deploy(self.kind, chance, servers=servers, disk_bytes=disk_bytes) as deployment:
            run = Run(deployment, self._hits, self._undisturbed)
            reports = []
            for step, expected in zip(self._steps, self._expected, strict=True):
                reports.append(self._take(run, step, deployment, expected))
                if reports[-1].differences:
                    break  # the following steps would differ too
            deployment.end()
            said = _count_log_events(deployment)
            faults = run.faults + [
                f"{times} x {what}" for what, times in said.items() if what.startswith(_FORBIDDEN_EVENTS)
            ]
            if self.kind == "sqlite":
                faults += _check_file(Path(deployment.url.removeprefix("sqlite:///")))
            where = f"{self.kind}, {self._rows:,} rows, seed {seed}, {deployment.describe()}"
            if disk_bytes is not None and deployment.disk is None:
                where += "; without full disks, because no disk can be mounted here"
            _print_reports(where, reports, faults, said)
        self.is_equal &= not faults and not any(report.differences for report in reports)
        for report in reports:
            self.fault_counts += report.while_sent + report.while_running

    def _take(self, run: Run, step: Step, deployment: Deployment, expected: Path) -> Report:
        try:
            report = run.take(step)
        except TimeoutError as error:
            return Report(step.name, differences=[str(error)])
        found = asyncio.run(_read(deployment.url))
        wanted = pickle.loads(expected.read_bytes())  # noqa: S301 - written above
        report.differences = _compare(wanted, found)
        report.compared = ", ".join(
            f"{len(found[part]):,} {part}" for part in ("learners", "events", "outcomes")
        )
        return report


def _print_reports(
    where: str, reports: Sequence[Report], faults: Sequence[str], said: Counter[str] | None = None
) -> None:
    print(f"\n{where}")
    print(f"  {'step':<28}{'sent':>8}{'ran':>8}  {'compared':<52}{'equal':<7}faults")
    for report in reports:
        equal = "-" if not report.compared else "NO" if report.differences else "yes"
        print(
            f"  {report.step:<28}{report.sending:>6.1f} s{report.running:>6.1f} s  {report.compared:<52}{equal:<7}"
            f"{_describe_faults(report)}"
        )
        for difference in report.differences:
            print(f"      {difference}")
    for what, times in sorted((said or Counter()).items()):
        print(f"  log: {times} x {what}")
    for fault in faults:
        print(f"  FAULT: {fault}")


def _describe_faults(report: Report) -> str:
    parts = []
    for when, happened in (("sent", report.while_sent), ("ran", report.while_running)):
        if happened:
            told = ", ".join(f"{times} {name}" for name, times in happened.most_common())
            parts.append(f"while it {'was sent' if when == 'sent' else 'ran'}: {told}")
    return "; ".join(parts)


def run(kinds: Sequence[str], *, rows: int, rounds: int, seed: int, hits: int) -> bool:
    """Run rounds on each kind of database. Return whether every state was equal."""
    all_equal = True
    total: Counter[str] = Counter()
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="rollcall-kills-") as folder:
            runs = KillRuns(kind, Path(folder), rows, hits)
            runs.run_undisturbed()
            for place in range(rounds):
                runs.run(place, seed + place)
        all_equal &= runs.is_equal
        total += runs.fault_counts
    print(f"\n{total.total():,} faults in {rounds * len(kinds)} rounds")
    for name, times in total.most_common():
        print(f"  {times:>6} {name}")
    print("all states are equal" if all_equal else "SOME STATES DIFFER")
    return all_equal
