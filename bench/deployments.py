"""Deployments of real processes on one database, and the faults that can hit them.

When the function of a fault returns, the fault is over and every killed process runs again. The kill runs decide
when a fault happens.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx

from tests.support.disks import NoMount, SmallDisk, limit_files
from tests.support.postgres import PostgresServer
from tests.support.processes import Server, Workers, ended, find_free_port, query, until
from tests.support.relay import Relay

_DATABASE = "kills"
# Frequent checkpoints, so that recovery from a crash takes seconds.
_POSTGRESQL = {"max_wal_size": "256MB", "checkpoint_timeout": "30s", "deadlock_timeout": "200ms"}
_WORKERS = 2
# The most seconds that a database is away or a disk is full.
_AWAY_SECONDS = 2.0
_FULL_SECONDS = 4.0
# More than an upload of 100,000 rows needs, and less than SQLite's log before it is reset.
_FULL_FILE_BYTES = 16 * 1024 * 1024
# The answer to one of this many commits, of any process, is lost.
_COMMITS = 6
_OTHERS = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"


class LimitedFiles:
    """A substitute for a small disk: the servers' writes fail beyond a file size."""

    def __init__(self, deployment: "Deployment") -> None:
        self._deployment = deployment

    def fill(self) -> None:
        """Do what SmallDisk does."""
        limit_files(self._deployment.list_pids(), _FULL_FILE_BYTES)

    def free(self) -> None:
        """Do what SmallDisk does."""
        limit_files(self._deployment.list_pids(), None)


class Deployment:
    """A database with its servers. `chance` chooses which process a fault hits."""

    # Whether a server runs operations.
    with_worker = True

    def __init__(self, url: str, folder: Path, chance: random.Random, disk: SmallDisk | None) -> None:
        """Describe a deployment that has not started.

        `url`: the database; `folder`: for the files of the processes; `disk`: the disk that holds the database.
        """
        self.url = url
        self.folder = folder
        self.chance = chance
        self.disk: SmallDisk | LimitedFiles | None = disk
        self.secret = ""
        self.servers: list[Server] = []
        # How often each server has ended, by its place in `servers`.
        self.ends: list[int] = []
        # What went wrong with the processes.
        self.faults: list[str] = []

    def start(self, servers: int) -> None:
        """Start this many servers, one after the other. The first one prints a key."""
        for _ in range(servers):
            self.servers.append(self._new_server(find_free_port()).start())
            self.ends.append(0)
        self.secret = self.servers[0].secret

    def end(self) -> None:
        """End every process."""
        for server in self.servers:
            server.end()

    def describe(self) -> str:
        """Return a short description."""
        parts = [f"{len(self.servers)} {'server' if len(self.servers) == 1 else 'servers'}"]
        if self.disk is not None:
            parts.append(
                f"{'files' if isinstance(self.disk, LimitedFiles) else 'a disk'} that can become full"
            )
        return ", ".join(parts)

    def check(self) -> None:
        """Note each process that has ended by itself, and start it again."""
        for place, server in enumerate(self.servers):
            if not server.is_running:
                self.faults.append(f"a server ended by itself with {server.wait()}")
                self._start_again(place)

    def list_pids(self) -> list[int]:
        """Return the ids of the server processes."""
        return [server.pid for server in self.servers]

    def client(self, place: int) -> httpx.Client:
        """Return an administrator's client of one of the servers."""
        return self.servers[place].client(self.secret)

    def new_folder(self) -> Path:
        """Create a folder for the files of a process."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def read_logs(self) -> Iterator[str]:
        """Yield every line of every process's log."""
        for path in sorted([*self.folder.rglob("stderr"), *self.folder.glob("worker*")]):
            yield from path.read_text(errors="replace").splitlines()

    def list_faults(self) -> dict[str, Callable[[], None]]:
        """Return the faults that are possible here, by name."""
        faults: dict[str, Callable[[], None]] = {
            "server killed": self._kill_server,
            "server stopped": self._stop_server,
            "everything killed": self._kill_everything,
        }
        if self.disk is not None:
            faults["disk full"] = partial(self._fill_disk, self.disk)
        return faults

    def _new_server(self, port: int) -> Server:
        return Server(self.url, self.new_folder(), settings={"with_worker": self.with_worker}, port=port)

    def _start_again(self, place: int) -> None:
        self.ends[place] += 1
        self.servers[place] = self._new_server(self.servers[place].port).start()

    def _kill_server(self) -> None:
        place = self.chance.randrange(len(self.servers))
        self.servers[place].kill()
        self._start_again(place)

    def _stop_server(self) -> None:
        place = self.chance.randrange(len(self.servers))
        self._expect_success("server", self.servers[place].stop())
        self._start_again(place)

    def _expect_success(self, what: str, status: int) -> None:
        if status != 0:
            self.faults.append(f"a {what} that was stopped ended with {status}")

    def _kill_everything(self) -> None:
        """Kill all processes, as a power failure does."""
        for server in self.servers:
            server.kill()
        for place in range(len(self.servers)):
            self._start_again(place)

    def _fill_disk(self, disk: SmallDisk | LimitedFiles) -> None:
        """Fill the disk for a while. Every other time a server is killed meanwhile."""
        disk.fill()
        time.sleep(self.chance.uniform(0, _FULL_SECONDS))
        place = self.chance.randrange(2 * len(self.servers))
        is_killed = place < len(self.servers)
        if is_killed:
            self.servers[place].kill()
        disk.free()
        if is_killed:
            self._start_again(place)


class PostgresDeployment(Deployment):
    """PostgreSQL, with servers that run no operations and workers that do."""

    with_worker = False

    def __init__(
        self,
        relay: Relay,
        folder: Path,
        chance: random.Random,
        disk: SmallDisk | None,
        postgres: PostgresServer,
    ) -> None:
        """Describe a deployment that reaches its database in `postgres` through `relay`."""
        super().__init__(postgres.url(_DATABASE), folder, chance, disk)
        self._postgres = postgres
        self._relay = relay
        self._workers = Workers(relay.url, folder)

    def start(self, servers: int) -> None:
        """Do what Deployment does, for workers too."""
        super().start(servers)
        for _ in range(_WORKERS):
            self._workers.start()

    def end(self) -> None:
        """Do what Deployment does, for workers too."""
        super().end()
        for process in list(self._workers.running):
            self._workers.kill(process)

    def describe(self) -> str:
        """Do what Deployment does, for workers too."""
        return f"{_WORKERS} workers, {super().describe()}"

    def check(self) -> None:
        """Do what Deployment does, for workers too."""
        super().check()
        for process in [each for each in self._workers.running if not each.is_alive()]:
            self._workers.running.remove(process)
            self.faults.append(f"a worker ended by itself with {ended(process)}")
            self._workers.start()

    def list_faults(self) -> dict[str, Callable[[], None]]:
        """Do what Deployment does, for workers too."""
        return super().list_faults() | {
            "worker killed": self._kill_worker,
            "worker stopped": self._stop_worker,
            "connections terminated": self._terminate_connections,
            "connections cut": self._cut_connections,
            "answer to a commit lost": self._lose_answer,
            "backend killed": self._kill_backend,
            "PostgreSQL killed": self._kill_postgres,
            "PostgreSQL restarted": self._postgres.restart,
        }

    def _new_server(self, port: int) -> Server:
        server = super()._new_server(port)
        server.database_url = self._relay.url
        return server

    def _kill_worker(self) -> None:
        self._workers.kill(self.chance.choice(self._workers.running))
        self._workers.start()

    def _stop_worker(self) -> None:
        process = self.chance.choice(self._workers.running)
        self._expect_success("worker", self._workers.kill(process, signal.SIGTERM))
        self._workers.start()

    def _kill_everything(self) -> None:
        for process in list(self._workers.running):
            self._workers.kill(process)
        for server in self.servers:
            server.kill()
        self._postgres.kill()
        self._postgres.start()
        for place in range(len(self.servers)):
            self._start_again(place)
        for _ in range(_WORKERS):
            self._workers.start()

    def _terminate_connections(self) -> None:
        query(self.url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OTHERS}")

    def _cut_connections(self) -> None:
        self._relay.cut()

    def _lose_answer(self) -> None:
        self._relay.lose_answer(self.chance.randrange(_COMMITS))
        ends_at = time.monotonic() + _AWAY_SECONDS
        while not self._relay.has_lost and time.monotonic() < ends_at:
            time.sleep(0.01)
        self._relay.forget()

    def _kill_backend(self) -> None:
        """Kill a backend. PostgreSQL then ends all others too, and recovers."""
        pids = [pid for (pid,) in query(self.url, f"SELECT pid FROM pg_stat_activity WHERE {_OTHERS}")]
        if pids:
            os.kill(self.chance.choice(pids), signal.SIGKILL)
            time.sleep(0.5)  # until PostgreSQL has noticed
            until(self._is_postgres_there, "PostgreSQL after a crash")

    def _is_postgres_there(self) -> bool:
        try:
            return bool(query(self.url, "SELECT 1"))
        except Exception:  # noqa: BLE001 - whatever says that it is not
            return False

    def _kill_postgres(self) -> None:
        self._postgres.kill()
        time.sleep(self.chance.uniform(0, _AWAY_SECONDS))
        self._postgres.start()


@contextmanager
def deploy(kind: str, chance: random.Random, *, servers: int, disk_bytes: int | None) -> Iterator[Deployment]:
    """Yield a new database of this kind with its processes, and delete all of it afterwards.

    `disk_bytes`: the size of the disk of its own that can become full; None = no such disk. If no disk can be
    mounted, SQLite's file size is limited instead. PostgreSQL then has no such disk: `disk` is None.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rollcall-kills-")))
        disk: SmallDisk | None = None
        if disk_bytes is not None:
            with suppress(NoMount):
                disk = stack.enter_context(closing(SmallDisk(disk_bytes)))
        deployment: Deployment
        if kind == "sqlite":
            path = (folder if disk is None else disk.path) / f"{_DATABASE}.db"
            deployment = Deployment(f"sqlite:///{path}", folder, chance, disk)
            if disk_bytes is not None and disk is None:
                deployment.disk = LimitedFiles(deployment)
        else:
            postgres = stack.enter_context(PostgresServer(durable=True, settings=_POSTGRESQL))
            url = postgres.create_database(_DATABASE, folder=None if disk is None else disk.path)
            relay = stack.enter_context(closing(Relay(url)))
            deployment = PostgresDeployment(relay, folder, chance, disk, postgres)
        try:
            deployment.start(servers)
            yield deployment
        finally:
            deployment.end()
