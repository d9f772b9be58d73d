"""How processes that share a database know which of them are alive.

On PostgreSQL each process holds an advisory lock while it lives. The server releases the lock when the process or its
connection dies. On SQLite only one process can be present: it locks a file beside the database.
"""

import fcntl
import os
import random
from abc import ABC, abstractmethod

import asyncpg

from app.platform.database import Database

# The first half of each advisory lock's key: any number that nothing else locks.
LOCK_CLASS = 1_380_927_308
_NUMBERS = 2**31 - 1
# A server that does not answer for this many seconds counts as gone.
_TIMEOUT = 10.0
_LIVING = """
    SELECT objid::bigint FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND classid = $1 AND granted AND datname = current_database()
"""


class Presence(ABC):
    """One of the processes that share background work. `name` is unique and new at each start."""

    name: str

    @abstractmethod
    async def enter(self) -> bool:
        """Become or stay present. Return False if only one process can be present and another one is.

        Raises OSError and the driver's errors if the database cannot be reached.
        """

    @abstractmethod
    async def living(self) -> frozenset[str]:
        """Return the names of all processes that are present. Raises like `enter`."""

    @abstractmethod
    async def leave(self) -> None:
        """Stop being present."""


class AdvisoryLocks(Presence):
    """Any number of processes on one PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        """`database` only gives the address: the lock needs its own connection."""
        self._url = database.libpq_url
        self._number = random.randrange(_NUMBERS)  # noqa: S311 - it is not a secret
        self._connection: asyncpg.Connection | None = None
        self.name = str(self._number)

    async def enter(self) -> bool:
        """See Presence."""
        await self._connect()
        return True

    async def _connect(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await asyncpg.connect(self._url, timeout=_TIMEOUT, command_timeout=_TIMEOUT)
            try:
                await connection.execute("SELECT pg_advisory_lock($1, $2)", LOCK_CLASS, self._number)
            except BaseException:
                # Without the lock, this process would look dead while it works.
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    async def living(self) -> frozenset[str]:
        """See Presence."""
        rows = await (await self._connect()).fetch(_LIVING, LOCK_CLASS)
        return frozenset(str(row[0]) for row in rows)

    async def leave(self) -> None:
        """See Presence."""
        if self._connection is not None:
            self._connection.terminate()


class FileLock(Presence):
    """The only process that does background work on an SQLite database."""

    name = "local"

    def __init__(self, database: Database) -> None:
        """The locked file is beside the file of `database`."""
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


def create_presence(database: Database) -> Presence:
    """Return the kind of presence that this database allows."""
    return FileLock(database) if database.is_sqlite else AdvisoryLocks(database)
