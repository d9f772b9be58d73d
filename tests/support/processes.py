"""The command `rollcall` as real processes: short ones, and servers that are stopped and killed.

To import the service takes two seconds. So most are forked from a process that has done that once; nothing
else of it is theirs.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import httpx
from sqlalchemy import text

import app.main as app_main
from app.cli import worker as worker_command
from app.cli.main import COMMANDS, main
from app.limits import Limits
from app.operations.operation import Outcome
from app.operations.outcomes import unpack
from app.operations.runner import Runner
from app.platform.database import Database

ROOT = Path(__file__).resolve().parents[2]
# Seconds, for a busy machine: what takes this long hangs.
PATIENCE = 120.0
PRODUCTION = Limits()

_context = multiprocessing.get_context("forkserver")
# The second is what runs the tests, which Python imports again in every such process; the others what a command
# would import when it is called.
_context.set_forkserver_preload(
    ["tests.support.processes", "pytest", "app.main", *(module for module, _ in COMMANDS.values())]
)


def environment(database_url: str | None, **settings: Any) -> dict[str, str]:
    """The variables of a process: no ROLLCALL_ ones but these, and nothing that colours its output."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    own = {f"ROLLCALL_{name.upper()}": str(value) for name, value in settings.items()}
    if database_url is not None:
        own["ROLLCALL_DATABASE_URL"] = database_url
    return kept | {"LC_ALL": "C.UTF-8", "COLUMNS": "200"} | own


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it wrote."""

    status: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The one line in which it says why it failed, without a traceback."""
        assert self.status == 1, self
        lines = [line for line in self.stderr.splitlines() if line.startswith("rollcall: ")]
        assert len(lines) == 1, self.stderr
        assert "Traceback" not in self.stderr
        return lines[0].removeprefix("rollcall: ")


def rollcall(
    *arguments: str | Path, database_url: str | None = None, stdin: Path | None = None, **settings: Any
) -> Finished:
    """Run `rollcall` with these arguments to its end."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        process = fork(arguments, environment(database_url, **settings), output, errors, stdin)
        status = ended(process)
        return Finished(status, output.read_bytes().decode(), errors.read_bytes().decode())


def set_up(database_url: str) -> str:
    """Set up a new database with the organization `default`, and return the secret of its first key."""
    assert rollcall("migrate", database_url=database_url).status == 0
    created = rollcall("keys", "create", "first", "--scope", "admin", database_url=database_url)
    assert created.status == 0, created
    return created.stdout.strip()


def fork(
    arguments: Sequence[str | Path],
    variables: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    stdin: Path | None = None,
    limits: Limits = PRODUCTION,
) -> BaseProcess:
    """Start `rollcall`; its streams are these files or terminals."""
    process = _context.Process(
        target=_main,
        args=([*map(str, arguments)], dict(variables), stdin or Path(os.devnull), stdout, stderr, limits),
    )
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """The exit status, after the end of the process; minus the signal where one ended it."""
    process.join(PATIENCE)
    hangs = process.exitcode is None
    if hangs:
        process.kill()
        process.join()
    status = process.exitcode
    process.close()
    assert not hangs, "the process did not end"
    assert status is not None
    return status


def _main(
    arguments: list[str], variables: dict[str, str], stdin: Path, stdout: Path, stderr: Path, limits: Limits
) -> None:
    # As from a terminal, also where the tests run in the background, where shells have SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(variables)
    for path, descriptor in ((stdin, 0), (stdout, 1), (stderr, 2)):
        opened = os.open(path, (os.O_WRONLY | os.O_CREAT | os.O_APPEND) if descriptor else os.O_RDONLY)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    sys.argv = ["rollcall", *arguments]
    # The way in for other limits than those of production: no setting and no option changes them.
    vars(app_main)["create_app"] = partial(app_main.create_app, limits=limits)
    vars(worker_command)["Runner"] = partial(Runner, limits=limits)
    main()


def until(fact: Callable[[], Any], what: str) -> Any:
    """Ask again and again until `fact` answers something, and return that."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := fact()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)
    return answer


def query(url: str, statement: str) -> list[Any]:
    """What the database itself says, past all processes."""

    async def ask() -> list[Any]:
        database = Database(url)
        try:
            async with database.read() as connection:
                return [tuple(row) for row in await connection.execute(text(statement))]
        finally:
            await database.close()

    return asyncio.run(ask())


def stored_outcomes(url: str, operation_id: str) -> list[Outcome]:
    """The outcomes of an operation as they are stored, those of all chunks."""
    packed = query(
        url,
        f"SELECT outcomes FROM operation_chunks WHERE operation_id = '{operation_id}' AND outcomes IS NOT NULL "
        "ORDER BY number",
    )
    return [outcome for (each,) in packed for outcome in unpack(each)]


def find_free_port() -> int:
    """A port that nobody listens on, for now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Server:
    """`rollcall serve` on a port of its own."""

    database_url: str
    folder: Path
    options: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    # A fresh interpreter, as a person starts it, instead of a fork.
    is_fresh: bool = False
    # Where the code is.
    root: Path = ROOT
    limits: Limits = PRODUCTION
    port: int = field(default_factory=find_free_port)
    _process: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    @property
    def pid(self) -> int:
        pid: int = self._process.pid
        return pid

    @property
    def is_running(self) -> bool:
        status = self._process.poll() if self.is_fresh else self._process.exitcode
        return status is None

    @property
    def secret(self) -> str:
        """The key that it has shown: the last line of all."""
        return self.stdout.strip().splitlines()[-1]

    def start(self) -> Self:
        """Start, and wait until it can serve."""
        arguments = ["serve", "--port", str(self.port), *self.options]
        variables = environment(
            self.database_url, **{"rate_limit_per_minute": 0, "with_worker": True, **self.settings}
        )
        variables["TMPDIR"] = str(self.folder)
        output, errors = self.folder / "stdout", self.folder / "stderr"
        output.unlink(missing_ok=True)
        errors.unlink(missing_ok=True)
        if self.is_fresh:
            with output.open("wb") as out, errors.open("wb") as err:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "app.cli", *arguments],
                    cwd=self.root,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
        else:
            self._process = fork(arguments, variables, output, errors, limits=self.limits)
        with self.client() as client:
            until(lambda: self._is_ready(client), "a server that is ready")
        return self

    def _is_ready(self, client: httpx.Client) -> bool:
        assert self.is_running, f"it ended: {self.stderr}"
        try:
            return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def run(self, *arguments: str) -> Finished:
        """Run another command of the same code, in a fresh interpreter, on the same database."""
        answer = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=self.root,
            env=environment(self.database_url),
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        return Finished(answer.returncode, answer.stdout, answer.stderr)

    def client(self, secret: str | None = None, **headers: str) -> httpx.Client:
        """A client with this key."""
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE)

    def terminate(self) -> None:
        """Send SIGTERM, as whoever runs services does."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill it at once, as no memory or no power would."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL

    def wait(self) -> int:
        """The exit status, after the end."""
        status: int = self._process.wait(PATIENCE) if self.is_fresh else ended(self._process)
        self._process = None
        return status

    def stop(self) -> int:
        """Stop it in good order; the exit status."""
        self.terminate()
        return self.wait()

    def end(self) -> None:
        """Leave nothing behind, whatever has happened."""
        if self._process is not None:
            # A fresh one leads a session, which its workers belong to.
            (os.killpg if self.is_fresh else os.kill)(self.pid, signal.SIGKILL)
            self.wait()


@contextmanager
def server(
    database_url: str, folder: Path, *options: str, limits: Limits = PRODUCTION, **settings: Any
) -> Iterator[Server]:
    """A running `rollcall serve`, forked."""
    running = Server(database_url, folder, options, settings, limits=limits)
    try:
        yield running.start()
    finally:
        running.end()


@dataclass
class Workers:
    """Processes of `rollcall worker` on one database."""

    url: str
    folder: Path
    limits: Limits = PRODUCTION
    running: list[BaseProcess] = field(default_factory=list)
    started: int = 0

    def start(self) -> BaseProcess:
        self.started += 1
        output = self.folder / f"worker{self.started}"
        process = fork(["worker"], environment(self.url), output, output, limits=self.limits)
        self.running.append(process)
        until(lambda: output.exists() and "engine ready" in output.read_text(), "a worker that is ready")
        return process

    def kill(self, process: BaseProcess, how: signal.Signals = signal.SIGKILL) -> int:
        self.running.remove(process)
        os.kill(process.pid or 0, how)
        return ended(process)

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("worker*")))


@contextmanager
def workers(url: str, folder: Path, limits: Limits = PRODUCTION) -> Iterator[Workers]:
    some = Workers(url, folder, limits)
    try:
        yield some
    finally:
        for process in list(some.running):
            some.kill(process)


@dataclass(frozen=True)
class Answer:
    """What a client process was answered."""

    status: int
    headers: Mapping[str, str]
    document: dict[str, Any]


class Sender:
    """A client process that sends one request, and can be killed on its way."""

    def __init__(
        self, url: str, headers: Mapping[str, str], content: Path, folder: Path, *, seconds: float = 0.0
    ) -> None:
        """POST the file `content`, in pieces over so many `seconds` at the least; `folder` is a new one."""
        self._output = folder / "answer"
        self._process = _context.Process(
            target=_send, args=(url, dict(headers), content, seconds, self._output), daemon=True
        )
        self._process.start()

    @property
    def is_alive(self) -> bool:
        """Whether it has neither got an answer nor lost its connection."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Kill it at once, in whatever piece it is."""
        self._process.kill()

    def wait(self) -> Answer | None:
        """The answer, after the end of the process; None where none came."""
        ended(self._process)
        return Answer(*json.loads(self._output.read_bytes())) if self._output.exists() else None


_PIECES = 50


def _send(url: str, headers: dict[str, str], content: Path, seconds: float, output: Path) -> None:
    whole = content.read_bytes()

    def pieces() -> Iterator[bytes]:
        size = len(whole) // _PIECES + 1
        for first in range(0, len(whole), size):
            yield whole[first : first + size]
            time.sleep(seconds / _PIECES)

    try:
        answer = httpx.post(url, headers=headers, content=pieces(), timeout=PATIENCE)
    except httpx.TransportError:
        return
    unfinished = output.with_suffix(".unfinished")
    unfinished.write_text(json.dumps([answer.status_code, dict(answer.headers), answer.json()]))
    unfinished.rename(output)
