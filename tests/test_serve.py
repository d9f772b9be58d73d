"""The service as a real process: how it starts, refuses to start, stops, dies, and goes on where it was."""

import json
import os
import random
import re
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from app.organizations.api_keys import is_well_formed
from tests.support.postgres import PostgresServer
from tests.support.processes import (
    ROOT,
    Server,
    find_free_port,
    query,
    rollcall,
    server,
    set_up,
    stored_outcomes,
    until,
)

_names = count(1)
CSV = {"Content-Type": "text/csv"}
ROWS = 40_000
CHUNK = 5_000


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rollcall.db"
    address: str = request.getfixturevalue("empty_postgresql")
    return address


@pytest.fixture
def empty_postgresql(postgres: PostgresServer) -> str:
    return postgres.create_database(f"rollcall_serve_{next(_names)}")


def roster(rows: int) -> Iterator[bytes]:
    """A file in pieces of a thousand rows."""
    yield b"Username,Email,Active\n"
    for first in range(0, rows, 1000):
        numbers = range(first, min(rows, first + 1000))
        yield "".join(f"learner{number:06},l{number}@example.org,Yes\n" for number in numbers).encode()


def latest_operation(client: httpx.Client) -> dict[str, Any]:
    items = client.get("/operations", params={"limit": 1}).json()["items"]
    operation: dict[str, Any] = items[0]
    return operation


def assert_imported_once(url: str, client: httpx.Client) -> None:
    """Exact counts, an outcome for each row, and one event for each learner."""
    operation = latest_operation(client)
    assert operation["state"] == "succeeded", operation
    assert operation["progress"] == {"done": ROWS, "total": ROWS}
    assert {name: number for name, number in operation["counts"].items() if number} == {"created": ROWS}
    assert client.get("/learners/status-counts").json()["total"] == ROWS
    assert query(
        url, "SELECT count(*), count(DISTINCT learner_id), min(version), max(version) FROM events"
    ) == [(ROWS, ROWS, 1, 1)]
    assert query(
        url,
        "SELECT count(*) FROM learners JOIN events ON learner_id = learners.id WHERE type = 'learner.created'",
    ) == [(ROWS,)]
    assert [each.item for each in stored_outcomes(url, operation["id"])] == list(range(ROWS))
    assert query(url, "SELECT count(*) FROM plan_rows") == [(0,)]


# Starting


def test_a_first_start_shows_a_key_and_the_addresses_and_later_ones_do_not(
    empty_database: str, tmp_path: Path
) -> None:
    running = Server(empty_database, tmp_path, is_fresh=True)
    try:
        running.start()
        address = f"http://localhost:{running.port}"
        assert f"console  {address}/console/\n" in running.stdout
        assert f"API      {address}\n" in running.stdout
        assert f"docs     {address}/docs\n" in running.stdout
        secret = running.secret
        assert is_well_formed(secret)
        assert running.stdout.count("rollcall_") == 1
        with running.client(secret) as client:
            me = client.get("/me").json()
            assert (me["organization"]["slug"], me["scopes"]) == ("default", ["admin"])
            assert client.get("/docs").status_code == 200
            assert client.get("/console/").status_code == 200
        # Only this machine's own address is listened on.
        with socket.socket() as other:
            assert other.connect_ex(("127.0.0.2", running.port)) != 0
        assert running.stop() == 0

        running.start()
        assert address in running.stdout
        assert "rollcall_" not in running.stdout + running.stderr
        with running.client(secret) as client:
            assert client.get("/me").status_code == 200
        assert running.stop() == 0
    finally:
        running.end()


def test_logs_are_json_lines_with_request_ids_and_without_personal_data(tmp_path: Path) -> None:
    personal = {
        "username": "adaeze.okafor",
        "email": "adaeze@example.org",
        "first_name": "Adaeze",
        "last_name": "Okafor-Lindqvist",
        "external_id": "HR-7788",
    }
    with server(f"sqlite:///{tmp_path}/rollcall.db", tmp_path) as running:
        with running.client(running.secret) as client:
            created = client.post("/learners", json=personal, headers={"X-Request-ID": "walk-1"})
            learner = created.json()
            client.get("/learners", params={"q": "Adaeze"})
            client.get("/access", params={"username": "adaeze.okafor"})
            client.post(f"/learners/{learner['id']}/deactivate", json={"reason": "maternity leave"})
            client.post("/learners", json=personal)
            client.post("/imports/csv", headers=CSV, content="Username,Active\nadaeze.okafor,Maybe\n")
            unknown = client.get("/adaeze.okafor/at?email=adaeze@example.org")
            client.post("/learners", content=b'{"username": "adaeze')
            client.get("/me", headers={"Authorization": "Bearer adaeze"})
        assert running.stop() == 0
        lines = [json.loads(line) for line in running.stderr.splitlines()]

    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    assert all(line["request_id"] and line["duration_ms"] >= 0 for line in requests)
    [first] = [line for line in requests if line["request_id"] == "walk-1"]
    assert (first["method"], first["route"], first["status"]) == ("POST", "/learners", 201)
    assert first["organization"] == "default"
    assert "/learners/{learner_id}/deactivate" in {line["route"] for line in requests}
    [not_found] = [line for line in requests if line["request_id"] == unknown.headers["X-Request-ID"]]
    assert (not_found["route"], not_found["status"]) == ("unmatched", 404)
    for private in ("adaeze", "okafor", "hr-7788", "maternity", running.secret.lower()):
        assert private not in running.stderr.lower()


def test_a_port_that_is_taken_is_told_before_any_key_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rollcall.db"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = rollcall("serve", "--port", str(port), database_url=url)

    assert f"port {port}" in finished.complaint
    assert "--port" in finished.complaint
    assert finished.stdout == ""
    with server(url, tmp_path) as running:
        assert is_well_formed(running.secret)


def test_sqlite_takes_one_process_only(tmp_path: Path) -> None:
    finished = rollcall("serve", "--workers", "2", database_url=f"sqlite:///{tmp_path}/rollcall.db")

    assert "PostgreSQL" in finished.complaint
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The code of a version to come, which brings one more migration."""
    root = tmp_path / "next"
    for name in ("app", "migrations"):
        shutil.copytree(ROOT / name, root / name)
    revisions = {
        match[1]
        for path in (root / "migrations/versions").glob("*.py")
        if (match := re.search(r'^revision = "(\w+)"', path.read_text(), re.MULTILINE))
    }
    (root / "migrations/versions/next.py").write_text(
        '"""One more table."""\n'
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        'revision = "next"\n'
        f'down_revision = "{max(revisions)}"\n'
        'def upgrade():\n    op.create_table("more", sa.Column("id", sa.Integer(), primary_key=True))\n'
        'def downgrade():\n    op.drop_table("more")\n'
    )
    return root


def test_an_older_postgresql_schema_is_migrated_by_command_only(
    empty_postgresql: str, next_version: Path, tmp_path: Path
) -> None:
    assert rollcall("migrate", database_url=empty_postgresql).status == 0
    later = Server(empty_postgresql, tmp_path, root=next_version, is_fresh=True)

    refused = later.run("serve", "--port", str(later.port))
    assert refused.complaint.endswith("Run: rollcall migrate")
    assert "needs next" in refused.complaint
    assert refused.stdout == ""
    assert "revision next (before: 0" in later.run("migrate").stdout

    # And the version of today refuses what it does not know.
    for command in (["serve", "--port", str(find_free_port())], ["migrate"], ["keys", "list"]):
        assert "does not know" in rollcall(*command, database_url=empty_postgresql).complaint


def test_an_older_sqlite_file_is_migrated_by_the_start(next_version: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rollcall.db"
    secret = set_up(url)
    later = Server(url, tmp_path, root=next_version, is_fresh=True)
    try:
        later.start()
        with later.client(secret) as client:
            assert client.get("/me").status_code == 200
        assert later.stop() == 0
    finally:
        later.end()

    assert query(url, "SELECT version_num FROM alembic_version") == [("next",)]
    assert "does not know" in rollcall("serve", "--port", str(find_free_port()), database_url=url).complaint


# Stopping, dying, going on


def test_a_stop_lets_an_accepted_request_finish(empty_database: str, tmp_path: Path) -> None:
    with (
        server(empty_database, tmp_path) as running,
        running.client(running.secret) as client,
        running.client() as onlooker,
    ):
        stopped = threading.Event()
        answers: list[httpx.Response] = []

        def slowly() -> Iterator[bytes]:
            pieces = roster(2_000)
            yield next(pieces)
            assert stopped.wait(60)
            yield from pieces

        def upload() -> None:
            answers.append(client.post("/imports/csv", headers=CSV, content=slowly()))

        uploading = threading.Thread(target=upload)
        uploading.start()
        until(lambda: "requests_in_flight 2.0" in onlooker.get("/metrics").text, "the upload")
        running.terminate()
        until(lambda: is_refused(running.port), "a server that takes no more requests")
        stopped.set()
        uploading.join()
        status = running.wait()

        assert status == 0
        [answer] = answers
        assert answer.status_code == 200
        assert answer.json()["counts"]["created"] == 2_000
        assert query(empty_database, "SELECT count(*) FROM learners") == [(2_000,)]
        assert json.loads(running.stderr.splitlines()[-1])["event"].startswith("Finished server process")


def test_a_stop_ends_the_streams_of_what_goes_on(empty_database: str, tmp_path: Path) -> None:
    with (
        server(empty_database, tmp_path) as running,
        running.client(running.secret) as client,
    ):
        headers = {**CSV, "Prefer": "respond-async"}
        operation = client.post("/imports/csv", headers=headers, content=roster(ROWS)).json()
        with client.stream("GET", f"/operations/{operation['id']}/progress") as following:
            lines = following.iter_lines()
            assert next(lines) == "event: progress"
            running.terminate()
            rest = list(lines)
        status = running.wait()

        assert status == 0
        assert "event: end" not in rest
        assert "Cancel" not in running.stderr  # as the server writes of what it had to break off
    [(state,)] = query(empty_database, "SELECT state FROM operations")
    assert state in ("pending", "running")


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return True
    return False


def test_an_import_outlives_stops_and_kills_at_any_moment(empty_database: str, tmp_path: Path) -> None:
    chance = random.Random(20260316)
    running = Server(empty_database, tmp_path)
    try:
        running.start()
        secret = running.secret

        # Killed while it stages a file: there was no import.
        def upload() -> None:
            with running.client(secret) as client, suppress(httpx.TransportError):
                client.post("/imports/csv", headers=CSV, content=b"".join(roster(5 * ROWS)))

        uploading = threading.Thread(target=upload)
        uploading.start()
        until(lambda: query(empty_database, "SELECT number FROM operation_chunks LIMIT 1"), "a staged chunk")
        running.kill()
        uploading.join()
        running.start()
        with running.client(secret) as client:
            assert client.get("/operations").json()["items"] == []
            assert client.get("/learners/status-counts").json()["total"] == 0
            accepted = client.post(
                "/imports/csv",
                headers={**CSV, "Prefer": "respond-async", "Idempotency-Key": "night"},
                content=b"".join(roster(ROWS)),
            )
            assert accepted.status_code == 202
            operation = accepted.json()

        # Stopped, then killed four times, each time somewhere else.
        assert running.stop() == 0
        done = [0]

        def goes_on() -> bool:
            now = latest_operation(client)
            return bool(now["progress"]["done"] > done[-1] or now["state"] == "succeeded")

        for _ in range(4):
            running.start()
            with running.client(secret) as client:
                done.append(latest_operation(client)["progress"]["done"])
                until(goes_on, "progress")
            time.sleep(chance.random() * 0.2)
            running.kill()
        running.start()
        with running.client(secret) as client:
            again = client.post(
                "/imports/csv", headers={**CSV, "Idempotency-Key": "night"}, content=b"".join(roster(ROWS))
            )
            assert again.headers["Idempotent-Replayed"] == "true"
            assert again.json()["id"] == operation["id"]
            until(lambda: latest_operation(client)["state"] == "succeeded", "the end of the import")
            assert latest_operation(client)["id"] == operation["id"]
            assert_imported_once(empty_database, client)
        assert running.stop() == 0
    finally:
        running.end()

    assert done == sorted(done)
    assert all(each % CHUNK == 0 for each in done)


def test_detached_import_is_completed_by_the_next_start(empty_database: str, tmp_path: Path) -> None:
    secret = set_up(empty_database)
    file = tmp_path / "roster.csv"
    file.write_bytes(b"".join(roster(ROWS)))

    detached = rollcall("import", file, "--detach", database_url=empty_database)

    assert detached.status == 0, detached
    assert ": pending\n" in detached.stdout
    assert query(empty_database, "SELECT done FROM operations WHERE finished_at IS NULL") == [(0,)]
    with server(empty_database, tmp_path) as running, running.client(secret) as client:
        until(lambda: latest_operation(client)["state"] == "succeeded", "the end of the import")
        assert_imported_once(empty_database, client)
        assert f"rollcall operations show {latest_operation(client)['id']}" in detached.stderr


# Several processes on PostgreSQL


def requests_by_process(folder: Path) -> Counter[int]:
    """How many requests each process has answered, by its own file of metrics."""
    counted: Counter[int] = Counter()
    read: Callable[[str], Iterable[tuple[Any, ...]]] = MmapedDict.read_all_values_from_file
    for path in folder.glob("rollcall-metrics-*/counter_*.db"):
        pid = int(path.stem.removeprefix("counter_"))
        for key, value, *_ in read(str(path)):
            if json.loads(key)[0] == "rollcall_http_requests":
                counted[pid] += int(value)
    return counted


def requests_in_metrics(client: httpx.Client) -> int:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return int(
        sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "rollcall_http_requests_total"
        )
    )


def test_processes_of_one_deployment_answer_as_one(empty_postgresql: str, tmp_path: Path) -> None:
    running = Server(empty_postgresql, tmp_path, ["--workers", "2"], is_fresh=True)
    # Each request comes over a connection of its own, which any of the processes may take.
    afresh = {"Connection": "close"}

    def ask_everyone(client: httpx.Client, path: str) -> list[httpx.Response]:
        before = requests_by_process(tmp_path)
        answers: list[httpx.Response] = []

        def each_has_answered() -> bool:
            answers.extend(client.get(path) for _ in range(10))
            heard = requests_by_process(tmp_path) - before
            return len(heard) == 2 and min(heard.values()) >= 5

        until(each_has_answered, "answers of both processes")
        return answers

    try:
        running.start()
        with running.client(running.secret, **afresh) as admin:
            learner = admin.post("/learners", json={"username": "a.okafor"}).json()
            key = admin.post("/api-keys", json={"name": "portal", "scopes": ["access:check"]}).json()
            access = f"/learners/{learner['id']}/access"
            with running.client(key["secret"], **afresh) as portal:
                assert all(answer.json()["allowed"] for answer in ask_everyone(portal, access))

                assert admin.post(f"/learners/{learner['id']}/deactivate").status_code == 200
                refused = ask_everyone(portal, access)
                assert {answer.json()["reason"] for answer in refused} == {"deactivated"}

                assert admin.delete(f"/api-keys/{key['id']}").status_code == 204
                revoked_at = time.monotonic()
                while time.monotonic() < revoked_at + 5:  # asking must not keep it alive
                    ask_everyone(portal, access)
                    time.sleep(0.25)
                assert {answer.status_code for answer in ask_everyone(portal, access)} == {401}

            # Whichever is asked tells of both. The answer with the number is not in it yet.
            before = requests_in_metrics(admin)
            for _ in range(20):
                admin.get("/me")
            assert requests_in_metrics(admin) == before + 21
        processes = list(requests_by_process(tmp_path))
        assert running.stop() == 0
    finally:
        running.end()

    for pid in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert list(tmp_path.glob("rollcall-metrics-*")) == []
    assert all(json.loads(line)["timestamp"] for line in running.stderr.splitlines())
