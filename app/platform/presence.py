"""How processes that share a database know of one another which of them live.

On PostgreSQL each holds an advisory lock for as long as it lives, which the server lets go when the process
or its connection dies. On SQLite one process alone is present, by a lock on a file beside the database.
"""

import fcntl
import os
import random
from abc import ABC, abstractmethod

import asyncpg  # type: ignore[import-untyped]

from app.platform.database import Database

# The first half of the key of each advisory lock: any number that nothing else locks.
_LOCK_CLASS = 1_380_927_308
_NUMBERS = 2**31 - 1
# Seconds after which a server that does not answer counts as gone.
_TIMEOUT = 10.0
_LIVING = """
    SELECT objid::bigint FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND classid = $1 AND granted AND datname = current_database()
"""


class Presence(ABC):
    """One process among those that run operations; `name` is its own, new with each start."""

    name: str

    @abstractmethod
    async def enter(self) -> bool:
        """Be present from now on, or go on being so; False where only one can be, and another is.

        Raises OSError and the driver's errors where the database cannot be reached.
        """

    @abstractmethod
    async def living(self) -> frozenset[str]:
        """The names of all who are present. Raises like `enter`."""

    @abstractmethod
    async def leave(self) -> None:
        """Be present no longer."""


class AdvisoryLocks(Presence):
    """Any number of processes on one PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        """`database` only says where to connect: the lock needs a connection of its own."""
        self._url = database.libpq_url
        self._number = random.randrange(_NUMBERS)  # noqa: S311 - nobody gains by guessing it
        self._connection: asyncpg.Connection | None = None
        self.name = str(self._number)

    async def enter(self) -> bool:
        """See Presence."""
        await self._connected()
        return True

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await asyncpg.connect(self._url, timeout=_TIMEOUT, command_timeout=_TIMEOUT)
            try:
                await connection.execute("SELECT pg_advisory_lock($1, $2)", _LOCK_CLASS, self._number)
            except BaseException:
                # Kept without its lock, it would make this process look dead while it works.
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    async def living(self) -> frozenset[str]:
        """See Presence."""
        rows = await (await self._connected()).fetch(_LIVING, _LOCK_CLASS)
        return frozenset(str(row[0]) for row in rows)

    async def leave(self) -> None:
        """See Presence."""
        if self._connection is not None:
            self._connection.terminate()


class FileLock(Presence):
    """The one process that runs operations on an SQLite database."""

    name = "local"

    def __init__(self, database: Database) -> None:
        """The lock is on a file beside the database's."""
        self._path = f"{database.url.database}.worker"
        self._file: int | None = None

    async def enter(self) -> bool:
        """See Presence."""
        if self._file is None:
            file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                return False
            self._file = file
        return True

    async def living(self) -> frozenset[str]:
        """See Presence."""
        return frozenset({self.name}) if await self.enter() else frozenset()

    async def leave(self) -> None:
        """See Presence."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def presence_at(database: Database) -> Presence:
    """The kind of presence that this database allows."""
    return FileLock(database) if database.is_sqlite else AdvisoryLocks(database)
