"""Ctrl-C and SIGTERM while an import or a revert runs, in real processes."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import asyncpg
import pytest

from tests.support.command_line import large_roster
from tests.support.postgres import PostgresServer
from tests.support.processes import Finished, ended, environment, fork, query, rollcall, server, set_up, until

ROWS = 100_000
STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@dataclass
class Running:
    """A command that has begun its work."""

    process: BaseProcess
    output: Path
    errors: Path

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid or 0, number)

    def end(self) -> Finished:
        status = ended(self.process)
        return Finished(status, self.output.read_text(), self.errors.read_text())


def start(url: str, folder: Path, *arguments: str | Path, until_said: str = "") -> Running:
    output, errors = folder / "output", folder / "errors"
    for each in (output, errors):
        each.unlink(missing_ok=True)
    running = Running(fork(arguments, environment(url), output, errors), output, errors)
    until(lambda: errors.exists() and until_said in errors.read_text(), until_said)
    return running


def make_roster(folder: Path) -> Path:
    file = folder / "roster.csv"
    file.write_text(large_roster(ROWS))
    return file


def read_operations(url: str) -> list[tuple[str, str, int]]:
    return query(url, "SELECT id, state, done FROM operations ORDER BY id")


def count_learners(url: str, condition: str) -> int:
    [(number,)] = query(url, f"SELECT count(*) FROM learners WHERE {condition}")
    assert isinstance(number, int)
    return number


@contextmanager
def locked(url: str, on_postgresql: str) -> Iterator[None]:
    """Hold a lock, so that others wait: of the whole file on SQLite, and by this statement on PostgreSQL."""
    if url.startswith("sqlite"):
        with closing(
            sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
        ) as file:
            until(lambda: _begins(file), "a moment in which nobody writes")
            yield
        return
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        runner.run(connection.execute(f"BEGIN; {on_postgresql}"))
        yield
        runner.run(connection.close())


def _begins(file: sqlite3.Connection) -> bool:
    # At once and again and again: the wait of SQLite sleeps through the short moments between two transactions.
    for _ in range(1000):
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            continue
        return True
    return False


def catches_sigterm(process: BaseProcess) -> bool:
    """Whether the process has begun to watch signals. Python itself does not catch this one."""
    caught = next(
        line
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        if line.startswith("SigCgt")
    )
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize(("number", "status"), STOPS)
def test_first_signal_cancels_an_import_and_says_how_to_revert(
    empty_database: str, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    secret = set_up(empty_database)
    running = start(empty_database, tmp_path, "import", make_roster(tmp_path), until_said=" of 100,000 rows")
    running.send(number)
    stopped = running.end()

    [(operation_id, state, done)] = read_operations(empty_database)
    assert (stopped.status, state) == (status, "cancelled"), stopped
    assert 0 < done < ROWS
    assert count_learners(empty_database, "true") == done
    assert stopped.stdout.startswith(f"Operation {operation_id}: cancelled\n")
    assert f"Cancelled after {done:,} of 100,000 rows.\n" in stopped.stderr
    revert = f"rollcall operations revert {operation_id}"
    assert stopped.stderr.endswith(f"To revert the {done:,} changed learners, run: {revert}\n")
    assert "Traceback" not in stopped.stderr

    # The service does not continue it, and the command that was named reverts it.
    with server(empty_database, tmp_path) as service, service.client(secret) as client:
        reverted = rollcall(*revert.split()[1:], database_url=empty_database)
        assert reverted.status == 0, reverted
        counts = client.get("/learners/status-counts").json()
        assert (counts["deactivated"], counts["total"]) == (done, done)


def test_second_signal_ends_at_once_and_the_service_completes_the_import(
    empty_database: str, tmp_path: Path
) -> None:
    secret = set_up(empty_database)
    running = start(empty_database, tmp_path, "import", make_roster(tmp_path), until_said=" of 100,000 rows")
    with locked(empty_database, "SELECT id FROM operations FOR UPDATE"):
        running.send(signal.SIGINT)
        until(lambda: "press Ctrl-C again" in running.errors.read_text(), "the answer to the first Ctrl-C")
        running.send(signal.SIGINT)
        stopped = running.end()

    [(operation_id, state, done)] = read_operations(empty_database)
    assert (stopped.status, state) == (130, "running"), stopped
    assert 0 < done < ROWS
    assert (
        "The import is not cancelled: the service completes it now, or when it next starts." in stopped.stderr
    )
    assert stopped.stderr.endswith(f"To cancel it, run: rollcall operations cancel {operation_id}\n")
    with server(empty_database, tmp_path) as service, service.client(secret) as client:
        path = f"/operations/{operation_id}"
        until(lambda: client.get(path).json()["state"] == "succeeded", "the end of the import")
    assert count_learners(empty_database, "true") == ROWS


def test_ctrl_c_cancels_an_import_that_the_service_runs(empty_database: str, tmp_path: Path) -> None:
    file = make_roster(tmp_path)
    (tmp_path / "server").mkdir()
    with server(empty_database, tmp_path / "server"):
        running = start(empty_database, tmp_path, "import", file, until_said=" of 100,000 rows")
        running.send(signal.SIGINT)
        stopped = running.end()

        [(operation_id, state, done)] = read_operations(empty_database)
        assert count_learners(empty_database, "true") == done
        assert stopped.status == 130, stopped
        assert stopped.stdout.startswith(f"Operation {operation_id}: {state}\n")
        # SQLite does not queue its writers, so the service may end the import before the command gets the file.
        if state == "succeeded" and empty_database.startswith("sqlite"):
            assert "It ended before it could be cancelled.\n" in stopped.stderr
        else:
            assert (state, done < ROWS) == ("cancelled", True)
        assert stopped.stderr.endswith(f"run: rollcall operations revert {operation_id}\n")


def test_import_that_another_command_cancels_exits_1(empty_database: str, tmp_path: Path) -> None:
    set_up(empty_database)
    running = start(empty_database, tmp_path, "import", make_roster(tmp_path), until_said=" of 100,000 rows")
    [(operation_id, _, _)] = read_operations(empty_database)
    if empty_database.startswith("sqlite"):
        # SQLite does not queue its writers. So the import pauses, or it could end first.
        with locked(empty_database, ""):
            running.send(signal.SIGSTOP)
    cancelled = rollcall("operations", "cancel", operation_id, database_url=empty_database)
    running.send(signal.SIGCONT)
    ended_here = running.end()

    [(_, state, done)] = read_operations(empty_database)
    assert (cancelled.status, ended_here.status, state) == (0, 1, "cancelled"), (cancelled, ended_here)
    revert = f"run: rollcall operations revert {operation_id}\n"
    for each in (cancelled, ended_here):
        assert f"Cancelled after {done:,} of 100,000 rows." in each.stderr
        assert each.stderr.endswith(revert)


def test_import_that_loses_its_database_names_the_operation(postgres: PostgresServer, tmp_path: Path) -> None:
    del postgres  # skipped if there is none
    with PostgresServer(durable=True) as own:
        url = own.create_database("outage")
        secret = set_up(url)
        running = start(url, tmp_path, "import", make_roster(tmp_path), until_said=" of 100,000 rows")
        own.kill()
        lost = running.end()
        own.start()

        [(operation_id, state, _)] = read_operations(url)
        assert state == "running"
        assert lost.complaint.startswith("cannot use the database: ")
        assert f"The import {operation_id} is stored." in lost.stderr
        with server(url, tmp_path) as service, service.client(secret) as client:
            path = f"/operations/{operation_id}"
            until(lambda: client.get(path).json()["state"] == "succeeded", "the end of the import")
        assert count_learners(url, "true") == ROWS


def test_ctrl_c_cancels_a_revert_and_the_next_one_completes_it(empty_database: str, tmp_path: Path) -> None:
    set_up(empty_database)
    assert rollcall("import", make_roster(tmp_path), database_url=empty_database).status == 0
    [(imported, _, _)] = read_operations(empty_database)
    revert = ("operations", "revert", imported)
    running = start(empty_database, tmp_path, *revert, until_said=" of 100,000 learners")
    running.send(signal.SIGINT)
    stopped = running.end()

    assert stopped.status == 130, stopped
    [_, (reverting, state, done)] = read_operations(empty_database)
    assert state == "cancelled"
    assert count_learners(empty_database, "deactivated_at IS NOT NULL") == done < ROWS
    assert f"rollcall operations revert {reverting}" in stopped.stderr
    rollcall(*revert, database_url=empty_database)
    assert count_learners(empty_database, "deactivated_at IS NOT NULL") == ROWS


def test_signal_before_the_import_is_stored_leaves_nothing(empty_database: str, tmp_path: Path) -> None:
    set_up(empty_database)
    file = make_roster(tmp_path)
    with locked(empty_database, "LOCK TABLE operation_chunks IN SHARE MODE"):
        running = start(empty_database, tmp_path, "import", file)
        until(lambda: catches_sigterm(running.process), "a command that watches signals")
        running.send(signal.SIGTERM)
    stopped = running.end()

    assert stopped.status == 143, stopped
    assert stopped.stderr == "rollcall: stopped before the import began. Nothing was changed.\n"
    assert read_operations(empty_database) == []
    assert query(empty_database, "SELECT count(*) FROM operation_chunks") == [(0,)]
