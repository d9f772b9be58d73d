"""The durable engine in real processes: who runs what, who takes over, and that nothing is done twice."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.limits import Limits
from app.platform.ids import derive_id
from app.platform.instants import parse_instant
from tests.support.disks import limit_files
from tests.support.endpoint import Endpoint, endpoint_of_webhooks
from tests.support.postgres import PostgresServer
from tests.support.processes import (
    PRODUCTION,
    Sender,
    Server,
    Workers,
    query,
    rollcall,
    server,
    stored_outcomes,
    until,
    workers,
)
from tests.test_serve import CSV, roster

_names = count(1)
ROWS = 30_000
# Where it does not matter how long an operation takes, its chunks are small.
SMALL = Limits(chunk_rows=50)
FEW_ROWS = 1_000
# A message that a killed process was sending is sent again after its time.
IMPATIENT = Limits(webhook_timeout_seconds=1.0)
# Less than a chunk writes, more than a log.
_FULL_BYTES = 1024 * 1024


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.create_database(f"rollcall_engine_{next(_names)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rollcall.db"
    address: str = request.getfixturevalue("url")
    return address


@contextmanager
def deployment(url: str, folder: Path, limits: Limits = PRODUCTION) -> Iterator[tuple[httpx.Client, Workers]]:
    """A server that runs no operations, an administrator's client, and workers, none of them started."""
    with (
        server(url, folder, limits=limits, with_worker=False) as running,
        running.client(running.secret) as client,
        workers(url, folder, limits) as some,
    ):
        yield client, some


def submit(client: httpx.Client, content: bytes) -> dict[str, Any]:
    answer = client.post("/imports/csv", headers={**CSV, "Prefer": "respond-async"}, content=content)
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


def look(client: httpx.Client, operation: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = client.get(f"/operations/{operation['id']}").json()
    return document


def has_done(client: httpx.Client, operation: dict[str, Any], share: float) -> bool:
    return bool(look(client, operation)["progress"]["done"] >= share * ROWS)


def has_received(endpoint: Endpoint, number: int) -> bool:
    return len(endpoint.received) > number


def wait_for_end(client: httpx.Client, operation: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = until(
        lambda: (found := look(client, operation))["finished_at"] and found, "the end of the operation"
    )
    return document


def number_changed(operation: dict[str, Any]) -> int:
    counts: dict[str, int] = operation["counts"]
    return counts.get("created", 0) + counts["changed"]


def assert_changed_once(url: str, operations: list[dict[str, Any]]) -> None:
    """Counts that add up, an outcome for each row, and exactly one event for each change that they count."""
    for operation in operations:
        assert operation["state"] == "succeeded", operation
        assert sum(operation["counts"].values()) == operation["progress"]["total"]
        counted = Counter(each.outcome.value for each in stored_outcomes(url, operation["id"]))
        assert counted == {name: each for name, each in operation["counts"].items() if each}
        [(events, learners)] = query(
            url,
            "SELECT count(*), count(DISTINCT learner_id) FROM events JOIN event_causes ON event_causes.id = cause_id "
            f"WHERE event_causes.operation_id = '{operation['id']}'",
        )
        assert events == learners == number_changed(operation)
    assert query(
        url,
        "SELECT count(*) FROM learners WHERE version <> "
        "(SELECT max(version) FROM events WHERE learner_id = learners.id)",
    ) == [(0,)]


def test_operations_wait_for_a_worker_and_two_workers_do_them_once(url: str, tmp_path: Path) -> None:
    with deployment(url, tmp_path, SMALL) as (client, some):
        first = submit(client, b"".join(roster(FEW_ROWS)))
        second = submit(client, b"".join(roster(FEW_ROWS)).replace(b"Yes", b"No"))
        time.sleep(1)  # two looks of an engine, if there were one
        assert look(client, first)["state"] == "pending"
        some.start()
        some.start()
        ended_first, ended_second = wait_for_end(client, first), wait_for_end(client, second)
        assert ended_first["counts"]["created"] == ended_second["counts"]["changed"] == FEW_ROWS
        assert ended_first["finished_at"] <= ended_second["started_at"]
        assert_changed_once(url, [ended_first, ended_second])


def test_a_living_worker_takes_over_from_one_that_is_killed(url: str, tmp_path: Path) -> None:
    with deployment(url, tmp_path) as (client, some):
        victim = some.start()
        operation = submit(client, b"".join(roster(ROWS)))
        later = submit(client, b"".join(roster(ROWS)))
        until(lambda: look(client, operation)["progress"]["done"], "progress")
        some.start()
        some.kill(victim)
        killed_at = time.monotonic()
        done = look(client, operation)["progress"]["done"]
        until(lambda: look(client, operation)["progress"]["done"] > done, "progress after the kill")
        assert time.monotonic() - killed_at < 30  # what is promised
        ended_operation, ended_later = wait_for_end(client, operation), wait_for_end(client, later)
        assert ended_later["counts"]["unchanged"] == ROWS
        assert ended_operation["finished_at"] <= ended_later["started_at"]
        assert_changed_once(url, [ended_operation, ended_later])
    assert done < ROWS
    assert "taking over from a process that died" in some.log()


def test_a_worker_that_is_stopped_hands_over_after_its_chunk(url: str, tmp_path: Path) -> None:
    with deployment(url, tmp_path) as (client, some):
        first = some.start()
        operation = submit(client, b"".join(roster(ROWS)))
        until(lambda: look(client, operation)["progress"]["done"], "progress")
        assert some.kill(first, signal.SIGTERM) == 0
        left = look(client, operation)
        assert left["state"] == "running"
        assert left["progress"]["done"] < ROWS
        some.start()
        assert_changed_once(url, [wait_for_end(client, operation)])
    assert "taking over" not in some.log()
    assert "Traceback" not in some.log()


def test_one_organizations_million_does_not_hold_up_anothers_hundred(url: str, tmp_path: Path) -> None:
    small = ("small", "--name", "Small", "--time-zone", "UTC")
    key = ("k", "--scope", "admin", "--organization", "small")
    with server(url, tmp_path) as running, running.client(running.secret) as client:
        assert rollcall("organizations", "create", *small, database_url=url).status == 0
        theirs = rollcall("keys", "create", *key, database_url=url).stdout.split()[-1]
        large = submit(client, b"".join(roster(4 * ROWS)))
        until(lambda: look(client, large)["progress"]["done"], "progress")
        with running.client(theirs) as other:
            assert wait_for_end(other, submit(other, b"".join(roster(6_000))))["counts"]["created"] == 6_000
        assert look(client, large)["state"] == "running"


def test_with_sqlite_a_second_server_runs_operations_when_the_first_is_gone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rollcall.db"
    (tmp_path / "second").mkdir()
    first = Server(url, tmp_path)
    try:
        first.start()
        with server(url, tmp_path / "second") as second, second.client(first.secret) as client:
            operation = submit(client, b"".join(roster(ROWS)))
            until(lambda: look(client, operation)["progress"]["done"], "progress")
            assert "engine ready" not in second.stderr
            first.kill()
            assert_changed_once(url, [wait_for_end(client, operation)])
            assert "engine ready" in second.stderr
    finally:
        first.end()


def test_the_command_line_leaves_its_import_to_a_living_engine(any_url: str, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes(b"".join(roster(ROWS)))
    with server(any_url, tmp_path) as running:
        imported = rollcall("import", file, database_url=any_url)
        assert imported.status == 0, imported
        assert "created        30,000" in imported.stdout
        assert '"event": "operation ended"' in running.stderr


def test_kills_at_random_moments_of_anything_change_nothing(url: str, tmp_path: Path) -> None:
    chance = random.Random(20261122)
    killed: Counter[str] = Counter()
    with deployment(url, tmp_path) as (client, some):
        operations = [
            submit(client, b"".join(roster(ROWS))),
            submit(client, b"".join(roster(ROWS)).replace(b"Yes", b"No")),
        ]
        action = {"action": "activate", "selection": {"filter": {}}}
        some.start()
        some.start()
        while not look(client, operations[-1])["finished_at"]:
            time.sleep(chance.random() * 0.8)
            some.kill(chance.choice(some.running))
            killed["csv-import"] += 1
            some.start()
        for path, body in (("/learners/bulk-actions", action), ("/operations/{}/revert", {})):
            address = path.format(operations[-1]["id"])
            answer = client.post(address, json=body, headers={"Prefer": "respond-async"})
            assert answer.status_code == 202, answer.text
            operations.append(answer.json())
            while not look(client, operations[-1])["finished_at"]:
                time.sleep(chance.random() * 0.5)
                some.kill(chance.choice(some.running))
                killed[operations[-1]["kind"]] += 1
                some.start()
        finished = [look(client, each) for each in operations]
        assert [number_changed(each) for each in finished] == [ROWS] * 4
        assert_changed_once(url, finished)
        counts = client.get("/learners/status-counts").json()
    assert counts["deactivated"] == ROWS
    assert killed["csv-import"] > 2
    assert killed["bulk-action"]
    assert killed["revert"]


def test_a_database_that_drops_every_connection_changes_nothing(url: str, tmp_path: Path) -> None:
    drop = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with deployment(url, tmp_path) as (client, some):
        some.start()
        some.start()
        operation = submit(client, b"".join(roster(ROWS)))
        for share in (0.1, 0.5, 0.8):
            until(partial(has_done, client, operation, share), "progress")
            [(dropped,)] = query(url, drop)
            assert dropped
        assert_changed_once(url, [wait_for_end(client, operation)])


def test_a_restart_of_the_database_changes_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    del postgres  # where there is none this is skipped
    with PostgresServer(durable=True) as own:
        url = own.create_database("restarted")
        with deployment(url, tmp_path) as (client, some):
            some.start()
            some.start()
            operation = submit(client, b"".join(roster(ROWS)))
            until(lambda: look(client, operation)["progress"]["done"], "progress")
            own.restart()
            done = until(lambda: progress_after_a_fault(client, operation), "progress after the restart")
            assert done < ROWS
            own.kill()
            time.sleep(1)  # in which everybody finds it gone
            own.start()
            until(lambda: progress_after_a_fault(client, operation), "an answer after the crash")
            assert_changed_once(url, [wait_for_end(client, operation)])


def progress_after_a_fault(client: httpx.Client, operation: dict[str, Any]) -> int:
    """How many rows are done; 0 while the service has no database."""
    answer = client.get(f"/operations/{operation['id']}")
    if answer.status_code == 503:
        return 0
    done: int = answer.raise_for_status().json()["progress"]["done"]
    return done


def test_a_full_disk_holds_an_import_up_and_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rollcall.db"
    with server(url, tmp_path) as running, running.client(running.secret) as client:
        operation = submit(client, b"".join(roster(ROWS)))
        until(lambda: look(client, operation)["progress"]["done"], "progress")
        limit_files([running.pid], _FULL_BYTES)
        until(lambda: "(SQLITE_IOERR_WRITE)" in running.stderr, "a word about the disk")
        done = look(client, operation)["progress"]["done"]
        time.sleep(1)  # several attempts
        assert look(client, operation)["progress"]["done"] == done < ROWS
        limit_files([running.pid], None)
        assert client.post("/learners", json={"username": "meanwhile"}).status_code == 201
        assert_changed_once(url, [wait_for_end(client, operation)])


def test_an_upload_that_is_cut_off_leaves_nothing_behind(any_url: str, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes(b"".join(roster(FEW_ROWS)))
    with server(any_url, tmp_path, limits=SMALL) as running, running.client(running.secret) as client:
        for number in range(3):
            folder = tmp_path / f"sender{number}"
            folder.mkdir()
            headers = {**CSV, "Authorization": f"Bearer {running.secret}", "Idempotency-Key": "roster"}
            sender = Sender(f"{running.url}/imports/csv", headers, file, folder, seconds=1)
            time.sleep(0.3 * (number + 1))
            sender.kill()
            assert sender.wait() is None
        left = "SELECT (SELECT count(*) FROM operations), (SELECT count(*) FROM operation_chunks)"
        until(lambda: query(any_url, left) == [(0, 0)], "an end of what was cut off")
        # The key is free for the whole file.
        answer = client.post(
            "/imports/csv",
            headers={**CSV, "Idempotency-Key": "roster", "Prefer": "wait=60"},
            content=file.read_bytes(),
            timeout=90,
        )
        assert answer.json()["counts"]["created"] == FEW_ROWS
        assert "Traceback" not in running.stderr


def test_a_process_that_is_killed_while_it_sends_loses_no_message(any_url: str, tmp_path: Path) -> None:
    chance = random.Random(20261122)
    with (
        endpoint_of_webhooks() as endpoint,
        server(any_url, tmp_path, limits=IMPATIENT, webhooks_to_private_networks=True) as running,
        running.client(running.secret) as client,
    ):
        endpoint.seconds = 0.05
        client.post("/webhooks", json={"url": endpoint.url}).raise_for_status()
        client.post("/imports/csv", headers=CSV, content=b"".join(roster(500))).raise_for_status()
        for kill in range(1, 3):
            until(partial(has_received, endpoint, 150 * kill), "messages")
            time.sleep(chance.random() * 0.2)
            running.kill()
            running.start()
        events = {
            derive_id(at if isinstance(at, datetime) else parse_instant(at), str(learner_id), version)
            for at, learner_id, version in query(
                any_url,
                "SELECT event_causes.occurred_at, learner_id, version FROM events "
                "JOIN event_causes ON event_causes.id = cause_id",
            )
        }
        until(lambda: {headers["Webhook-Id"] for headers, _ in endpoint.received} == events, "all messages")
        pending = "SELECT count(*) FROM webhook_deliveries WHERE state <> 'delivered'"
        until(lambda: query(any_url, pending) == [(0,)], "the end of all deliveries")
        # Twice came at the most what was on its way at a kill.
        assert len(events) == 500
        assert len(endpoint.received) - len(events) <= 2 * 8
