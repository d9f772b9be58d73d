"""The durable engine in real processes: who runs what, who takes over, and that nothing is done twice."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.postgres import PostgresServer
from tests.processes import Server, Workers, query, rollcall, server, until, workers
from tests.test_serve import CSV, roster

_names = count(1)
ROWS = 30_000


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.create_database(f"rollcall_engine_{next(_names)}")


@contextmanager
def deployment(url: str, folder: Path) -> Iterator[tuple[httpx.Client, Workers]]:
    """A server that runs no operations, an administrator's client, and workers, none of them started."""
    with (
        server(url, folder, with_worker=False) as running,
        running.client(running.secret) as client,
        workers(url, folder) as some,
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
        [(number,)] = query(url, f"SELECT number FROM operations WHERE id = '{operation['id']}'")
        counted = query(
            url,
            f"SELECT outcome, count(*) FROM operation_outcomes WHERE operation_number = {number} GROUP BY 1",
        )
        assert dict(counted) == {name: each for name, each in operation["counts"].items() if each}
        [(events, learners)] = query(
            url,
            "SELECT count(*), count(DISTINCT learner_id) FROM events "
            f"WHERE operation_id = '{operation['id']}'",
        )
        assert events == learners == number_changed(operation)
    assert query(
        url,
        "SELECT count(*) FROM learners WHERE version <> "
        "(SELECT max(version) FROM events WHERE learner_id = learners.id)",
    ) == [(0,)]


def test_operations_wait_for_a_worker_and_two_workers_do_them_once(url: str, tmp_path: Path) -> None:
    with deployment(url, tmp_path) as (client, some):
        first = submit(client, b"".join(roster(ROWS)))
        second = submit(client, b"".join(roster(ROWS)).replace(b"Yes", b"No"))
        time.sleep(1)  # two looks of an engine, if there were one
        assert look(client, first)["state"] == "pending"
        some.start()
        some.start()
        ended_first, ended_second = wait_for_end(client, first), wait_for_end(client, second)
        assert ended_first["counts"]["created"] == ended_second["counts"]["changed"] == ROWS
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


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_command_line_leaves_its_import_to_a_living_engine(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/rollcall.db" if kind == "sqlite" else request.getfixturevalue("url")
    file = tmp_path / "roster.csv"
    file.write_bytes(b"".join(roster(ROWS)))
    with server(url, tmp_path) as running:
        imported = rollcall("import", file, database_url=url)
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
            killed["worker"] += 1
            some.start()
        answer = client.post("/learners/bulk-actions", json=action, headers={"Prefer": "respond-async"})
        operations.append(answer.json())
        while not look(client, operations[-1])["finished_at"]:
            time.sleep(chance.random() * 0.5)
            some.kill(chance.choice(some.running))
            killed["worker"] += 1
            some.start()
        finished = [look(client, each) for each in operations]
        assert [number_changed(each) for each in finished] == [ROWS] * 3
        assert_changed_once(url, finished)
        counts = client.get("/learners/status-counts").json()
    assert counts["activated"] == ROWS
    assert killed["worker"] > 4


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
            until(lambda share=share: look(client, operation)["progress"]["done"] >= share * ROWS, "progress")
            [(dropped,)] = query(url, drop)
            assert dropped
        assert_changed_once(url, [wait_for_end(client, operation)])
