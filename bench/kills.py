"""Kill runs: real processes are killed at random moments of their work, and nothing may come of it.

The same steps, each an upload, a bulk action or a revert with the work that follows, are taken once undisturbed
and then, on other databases, while servers, workers, clients and databases are killed and started again. After
each step everything that is stored has to be what it is after that step of the undisturbed run.
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
from bench.deployments import Deployment, deployed
from tests.support.processes import Sender
from tests.support.stored import comparable, count_stages, stored_state, timeless

# The organization that every database begins with.
_ORGANIZATION = 1
# Happenings while a request is sent; with more it might never be sent to its end.
_MOST_WHILE_SENT = 3
# Seconds in which an upload is sent, so that there is a middle of it.
_UPLOAD_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 900.0
# Bytes of a disk that can become full: more than the steps need.
_DISK_BYTES = 256 * 1024 * 1024
_DISK_BYTES_A_ROW = 40_000
_SHOWN_DIFFERENCES = 3
_REPLAYED = "idempotent-replayed"
_IN_PROGRESS = "idempotency-key-in-progress"
# What a client may be answered in between: sent again, the request succeeds.
_RETRIED = ((503, "database-unavailable"), (503, "overloaded"), (409, _IN_PROGRESS))
# What no process may ever say of itself.
_FAULTS = ("operation failed", "request failed", "no line")


@dataclass(frozen=True)
class Step:
    """A request, and all the work that comes of it."""

    name: str
    path: str
    content_type: str
    content: Path
    # The step whose operation it takes back: stands for {operation} in `path`.
    reverts: int | None = None


def write_steps(folder: Path, rows: int) -> list[Step]:
    """The steps and their files: `rows` new learners, half of them changed, all that once more and back."""
    files = {name: folder / f"{name}.csv" for name in ("new", "changed", "feed")}
    for file, lines in zip(files.values(), (_new, _changed, _feed), strict=True):
        file.write_text("".join(lines(rows)), encoding="utf-8")
    activation = folder / "activation.json"
    activation.write_text(json.dumps({"action": "activate", "selection": {"filter": {}}, "reason": "autumn"}))
    nothing = folder / "nothing.json"
    nothing.write_text("{}")

    def upload(name: str, file: Path, query: str = "") -> Step:
        return Step(name, f"/imports/csv?reason=autumn{query}", "text/csv", file)

    def revert(name: str, of: int) -> Step:
        return Step(name, "/operations/{operation}/revert", "application/json", nothing, reverts=of)

    return [
        upload("import, all new", files["new"]),
        upload("import, half changed", files["changed"]),
        revert("revert of that import", 1),
        revert("revert of that revert", 2),
        upload("import, missing=deactivate", files["feed"], "&missing=deactivate&max_deactivations=100%25"),
        Step("bulk action", "/learners/bulk-actions", "application/json", activation),
        revert("revert of the last import", 4),
    ]


def _new(rows: int) -> Iterator[str]:
    yield "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\n"
    for row in range(rows):
        active = "Maybe" if row % 97 == 96 else "No" if row % 10 == 9 else ""
        # One in 89 is a learner whom an earlier row has had, mostly in another chunk.
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


@dataclass
class Report:
    """How one step went, in seconds and in happenings."""

    step: str
    sending: float = 0.0
    running: float = 0.0
    while_sent: Counter[str] = field(default_factory=Counter)
    while_running: Counter[str] = field(default_factory=Counter)
    compared: str = ""
    differences: list[str] = field(default_factory=list)


class Run:
    """The steps on one deployment: undisturbed, or with up to `hits` happenings in each."""

    def __init__(self, deployment: Deployment, hits: int = 0, undisturbed: Sequence[Report] = ()) -> None:
        """`undisturbed`: how long each step takes where nothing happens."""
        self.faults = deployment.faults
        self._deployment = deployment
        self._chance = deployment.chance
        self._happenings = list(deployment.happenings().items())
        self._hits = hits
        self._undisturbed = undisturbed
        self._keys = (f"kills-{number}" for number in count())
        self._operations: list[str] = []

    def do(self, step: Step) -> Report:
        """Take one step to its end."""
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
            self.faults.append(f"{step.name}: sent once more it was answered {again}, not by {operation}")
        return report

    def _send_until_answered(self, step: Step, report: Report, pace: float) -> tuple[str, str]:
        """Send it with an idempotency key until there is an operation; its id, and the key that brought it."""
        hits = self._chance.randint(0, _MOST_WHILE_SENT) if self._hits else 0
        key = next(self._keys)
        is_over = True
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self._deployment.check()
            place = self._chance.randrange(len(self._deployment.servers))
            ends = self._deployment.ends[place]
            sender = self._send(step, key, place, _UPLOAD_SECONDS if step.content_type == "text/csv" else 0.0)
            while hits and self._pause(self._chance.uniform(0, pace), sender):
                hits -= 1
                report.while_sent[self._happen(sender)] += 1
            answer = sender.wait()
            if answer is None:
                # The request itself ends with its server only, not with its client.
                is_over = self._deployment.ends[place] > ends
                continue
            if answer.status in (200, 202):
                return str(answer.document["id"]), key
            code = answer.document.get("code")
            if code != _IN_PROGRESS:
                is_over = True
            elif is_over and self._chance.random() < 0.5:
                # The key of a request that did not come to its end stays taken for two minutes. A client may wait,
                # or know that nothing goes on, and make a new one.
                key = next(self._keys)
            if (answer.status, code) not in _RETRIED:
                self.faults.append(f"{step.name} was answered {answer.status}: {answer.document}")
            time.sleep(1)
        raise TimeoutError(f"{step.name} was never answered")

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
        """Whether it is being sent still, after so many seconds."""
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
                raise TimeoutError(f"{report.step} never ended")
            self._deployment.check()
            if hits and time.monotonic() > hit_at:
                if hits < self._hits:
                    report.while_running[self._happen()] += 1
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
            self.faults.append(f"GET /operations/{operation} was answered {answer.status_code}: {document}")
        return False

    def _happen(self, sender: Sender | None = None) -> str:
        """Let something happen; where a client sends, that client is killed every other time."""
        if sender is not None and self._chance.random() < 0.5:
            sender.kill()
            return "client killed"
        name, happening = self._chance.choice(self._happenings)
        happening()
        return name


class _Tomorrow(SystemClock):
    """The clock of a housekeeping that takes every stage without an operation for abandoned."""

    def now(self) -> datetime:
        """A day and an hour from now."""
        return super().now() + timedelta(hours=25)


async def _read(url: str) -> dict[str, Any]:
    """All that is stored, but for when; and what housekeeping has left over, which is to be nothing."""
    database = Database(url)
    try:
        await tidy(Runner(database, _Tomorrow(), HANDLERS), timedelta(days=30))
        state = await stored_state(database, _ORGANIZATION)
        stages = await count_stages(database)
    finally:
        await database.close()
    left = {"keys": len(state.pop("keys")), "names": len(state.pop("names")), "stages": stages}
    return comparable(timeless(state)) | {"left over": left}


def _differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    told = []
    for part, *both in zip(expected, expected.values(), found.values(), strict=True):
        wanted, has = (dict(enumerate(each)) if isinstance(each, list) else each for each in both)
        if wanted == has:
            continue
        keys = [key for key in wanted | has if wanted.get(key) != has.get(key)]
        told.append(f"{part}: {len(keys):,} differ")
        told += [f"    {key}: {wanted.get(key)} is {has.get(key)}" for key in keys[:_SHOWN_DIFFERENCES]]
    return told


def _check_file(path: Path) -> list[str]:
    """What SQLite itself finds wrong with a database and its index for searching."""
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


def _said(deployment: Deployment) -> Counter[str]:
    """The warnings and errors of all processes, each by its event and what caused it."""
    said: Counter[str] = Counter()
    for line in deployment.logs():
        try:
            entry = json.loads(line)
        except ValueError:
            said[f"no line of a log: {line[:100]}"] += bool(line.strip()) and "Traceback" in line
            continue
        if entry.get("level") in ("warning", "error", "critical"):
            cause = entry.get("exception", "").rpartition("\n")[2]
            said[f"{entry['event']}{cause and ': '}{cause}"] += 1
    return +said


class KillRuns:
    """Rounds of the same steps on databases of one kind, each held against the undisturbed one."""

    def __init__(self, kind: str, folder: Path, rows: int, hits: int) -> None:
        """`folder`: for the files that are sent and the states that are expected."""
        self.kind = kind
        self.happened: Counter[str] = Counter()
        self.is_equal = True
        self._rows = rows
        self._hits = hits
        self._steps = write_steps(folder, rows)
        self._expected = [folder / f"{kind}-{place}" for place in range(len(self._steps))]
        self._undisturbed: list[Report] = []

    def run_undisturbed(self) -> None:
        """What the steps come to, and how long they take, where nothing happens."""
        with deployed(self.kind, random.Random(0), servers=1, disk_bytes=None) as deployment:
            run = Run(deployment)
            for step, expected in zip(self._steps, self._expected, strict=True):
                self._undisturbed.append(run.do(step))
                expected.write_bytes(pickle.dumps(asyncio.run(_read(deployment.url))))
            _tell(f"{self.kind}, {self._rows:,} rows, undisturbed", self._undisturbed, run.faults)
            self.is_equal &= not run.faults

    def run(self, place: int, seed: int) -> None:
        """One round. The first two are on the machine's own disk, the next two on one that can become full."""
        chance = random.Random(seed)
        servers = 1 + place % 2
        disk_bytes = _DISK_BYTES + self._rows * _DISK_BYTES_A_ROW if place // 2 % 2 else None
        with deployed(self.kind, chance, servers=servers, disk_bytes=disk_bytes) as deployment:
            run = Run(deployment, self._hits, self._undisturbed)
            reports = []
            for step, expected in zip(self._steps, self._expected, strict=True):
                reports.append(self._take(run, step, deployment, expected))
                if reports[-1].differences:
                    break  # what follows would only differ as well
            deployment.end()
            said = _said(deployment)
            faults = run.faults + [
                f"{times} x {what}" for what, times in said.items() if what.startswith(_FAULTS)
            ]
            if self.kind == "sqlite":
                faults += _check_file(Path(deployment.url.removeprefix("sqlite:///")))
            where = f"{self.kind}, {self._rows:,} rows, seed {seed}, {deployment.describe()}"
            if disk_bytes is not None and deployment.disk is None:
                where += "; no disk may be mounted here: the full one was left out"
            _tell(where, reports, faults, said)
        self.is_equal &= not faults and not any(report.differences for report in reports)
        for report in reports:
            self.happened += report.while_sent + report.while_running

    def _take(self, run: Run, step: Step, deployment: Deployment, expected: Path) -> Report:
        try:
            report = run.do(step)
        except TimeoutError as error:
            return Report(step.name, differences=[str(error)])
        found = asyncio.run(_read(deployment.url))
        wanted = pickle.loads(expected.read_bytes())  # noqa: S301 - written above
        report.differences = _differences(wanted, found)
        report.compared = ", ".join(
            f"{len(found[part]):,} {part}" for part in ("learners", "events", "outcomes")
        )
        return report


def _tell(
    where: str, reports: Sequence[Report], faults: Sequence[str], said: Counter[str] | None = None
) -> None:
    print(f"\n{where}")
    print(f"  {'step':<28}{'sent':>8}{'ran':>8}  {'compared':<52}{'equal':<7}happened")
    for report in reports:
        equal = "-" if not report.compared else "NO" if report.differences else "yes"
        print(
            f"  {report.step:<28}{report.sending:>6.1f} s{report.running:>6.1f} s  {report.compared:<52}{equal:<7}"
            f"{_happened(report)}"
        )
        for difference in report.differences:
            print(f"      {difference}")
    for what, times in sorted((said or Counter()).items()):
        print(f"  the log, {times} x {what}")
    for fault in faults:
        print(f"  FAULT: {fault}")


def _happened(report: Report) -> str:
    parts = []
    for when, happened in (("sent", report.while_sent), ("ran", report.while_running)):
        if happened:
            told = ", ".join(f"{times} {name}" for name, times in happened.most_common())
            parts.append(f"while it {'was sent' if when == 'sent' else 'ran'}: {told}")
    return "; ".join(parts)


def run(kinds: Sequence[str], *, rows: int, rounds: int, seed: int, hits: int) -> bool:
    """So many rounds on each kind of database; whether everything was equal everywhere."""
    all_equal = True
    total: Counter[str] = Counter()
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="rollcall-kills-") as folder:
            runs = KillRuns(kind, Path(folder), rows, hits)
            runs.run_undisturbed()
            for place in range(rounds):
                runs.run(place, seed + place)
        all_equal &= runs.is_equal
        total += runs.happened
    print(f"\n{total.total():,} happenings in {rounds * len(kinds)} rounds")
    for name, times in total.most_common():
        print(f"  {times:>6} {name}")
    print("everything was equal" if all_equal else "NOT EVERYTHING WAS EQUAL")
    return all_equal
