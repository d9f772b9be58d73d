"""Runs operations chunk by chunk, each in one transaction, until all are done; any process may run the next one.

A chunk's transaction changes the learners, appends their events, records the outcomes and advances the operation's
cursor together, so a crash at any point loses nothing and repeats nothing.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from app.limits import Limits
from app.operations import repository
from app.operations.handler import Handler
from app.operations.metrics import OPERATIONS, ROWS
from app.operations.operation import Chunk, Kind, Operation, Position, State, Step, Tally
from app.operations.problems import describe_failure
from app.organizations.organization import Organization
from app.organizations.repository import get_organization
from app.platform.bulk_rows import plan_for_many_rows
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.database_errors import is_unavailable, lost_a_race
from app.platform.logging import get_logger
from app.platform.threads import compute

logger = get_logger("rollcall.operations")


class TooLargeAtOnce(Exception):
    """The rehearsal has found more to do than fits into one transaction."""


class Engine(Protocol):
    """Runs stored operations until they are finished."""

    def start(self) -> None:
        """Begin to run the operations that wait, and those to come."""
        ...

    async def stop(self) -> None:
        """Let the running chunks end, and leave the rest to other processes."""
        ...


class _Fetched(NamedTuple):
    """A chunk (None = there are no more) and its decoded content."""

    chunk: Chunk | None
    work: Any


class _Ahead(NamedTuple):
    """The next chunk of an operation, being read while the current one is done."""

    position: Position
    reading: asyncio.Task[_Fetched]


class Runner:
    """Carries out operations; those of one organization one after the other."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        handlers: Mapping[Kind, Handler],
        limits: Limits = Limits(),
    ) -> None:
        """`handlers`: who carries out each kind of operation."""
        self.limits = limits
        self.database = database
        self.clock = clock
        self.handlers = handlers
        self.selecting = asyncio.Semaphore(limits.selections_at_once)
        # Set when an operation has been stored that waits to be run.
        self.submitted = asyncio.Event()
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        # By the number of each operation that runs.
        self._ahead: dict[int, _Ahead] = {}
        # First come, first served, so that organizations take turns.
        self._chunks = asyncio.Semaphore(limits.chunks_at_once)
        self._stopping = asyncio.Event()

    async def run_at_once(
        self, connection: AsyncConnection, operation: Operation, chunk: Chunk, organization: Organization
    ) -> Operation:
        """Do a whole operation of one staged chunk in the caller's transaction, together with its row.

        Raises TooLargeAtOnce: the caller rolls the transaction back and stores the operation to be run later.
        """
        await plan_for_many_rows(connection)
        current = await repository.insert_operation(connection, operation)
        found: Chunk | None = chunk
        while True:
            fetched = await self._read(current, found)
            current = await self._advance(connection, current, fetched, organization)
            if current.is_finished:
                return current
            if current.chunks > self.limits.chunks_in_request:
                raise TooLargeAtOnce
            found = await self._find_chunk(connection, current)

    async def run(self, operation: Operation, *, is_over: Callable[[], bool] = lambda: False) -> Operation:
        """Do chunks until none is left, the process stops, or `is_over` says that another operation is waiting."""
        async with self.turn(operation.organization_id):
            pause = self.limits.first_retry_seconds
            is_faulty = False
            try:
                while not (operation.is_finished or self._stopping.is_set() or is_over()):
                    try:
                        async with self._chunks:
                            operation = await (self.fail if is_faulty else self.run_next_chunk)(operation)
                        pause = self.limits.first_retry_seconds
                    except Exception as error:
                        may_pass = (
                            is_unavailable(error) or isinstance(error, PoolTimeout) or lost_a_race(error)
                        )
                        if not may_pass and not is_faulty:
                            logger.exception("operation failed", operation=operation.id)
                            is_faulty = True  # a bug, which would happen again
                            continue
                        # The database is away, full or busy. The cursor has not moved, so try again.
                        logger.exception(
                            "operation will be retried", operation=operation.id, pause_seconds=pause
                        )
                        await self._pause(pause)
                        pause = min(2 * pause, self.limits.longest_retry_seconds)
            finally:
                if ahead := self._ahead.pop(operation.number, None):
                    ahead.reading.cancel()
            return operation

    async def wait(self, operation: Operation, seconds: float) -> Operation:
        """Give the operation up to `seconds` to end, in whatever process, and return it as it then is."""
        clock = asyncio.get_running_loop()
        deadline = clock.time() + seconds
        pause = self.limits.first_look_seconds
        while True:
            async with self.database.read() as connection:
                found = await repository.find_operation(connection, operation.organization_id, operation.id)
            current = found or operation
            left = deadline - clock.time()
            if current.is_finished or left <= 0:
                return current
            await asyncio.sleep(min(pause, left))
            pause = min(1.5 * pause, self.limits.last_look_seconds)

    def turn(self, organization_id: int) -> asyncio.Lock:
        """Return the lock under which this process runs the operations of an organization, one at a time."""
        return self._turns[organization_id]

    def stop(self) -> None:
        """Let every running chunk end, and begin no further one."""
        self._stopping.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def run_next_chunk(self, operation: Operation) -> Operation:
        """Do the next chunk in one transaction, and begin to read the one after it.

        After the last chunk of a rehearsal, judge it instead.
        """
        ahead = self._ahead.pop(operation.number, None)
        if ahead is not None and ahead.position == operation.position:
            fetched = await ahead.reading
        else:
            fetched = await self._fetch(operation)
        if operation.cursor + 1 < operation.chunks:
            following = replace(operation, cursor=operation.cursor + 1)
            reading = asyncio.create_task(self._fetch(following), name="read-ahead")
            self._ahead[operation.number] = _Ahead(following.position, reading)
        step = await self.database.write(self._take_step, operation, fetched)
        report_progress(step.before, step.after)
        return step.after

    async def _take_step(self, connection: AsyncConnection, operation: Operation, fetched: _Fetched) -> Step:
        current = await repository.lock_operation(connection, operation.number)
        if current.position != operation.position or current.is_finished:
            return Step(current, current)  # another process has done it meanwhile
        await plan_for_many_rows(connection)
        organization = await get_organization(connection, current.organization_id)
        after = await self._advance(connection, current, fetched, organization)
        return Step(current, after)

    async def _fetch(self, operation: Operation) -> _Fetched:
        async with self.database.read() as connection:
            chunk = await self._find_chunk(connection, operation)
        return await self._read(operation, chunk)

    async def _find_chunk(self, connection: AsyncConnection, operation: Operation) -> Chunk | None:
        if operation.cursor < operation.chunks:
            return await repository.get_chunk(connection, operation.id, operation.cursor)
        return await self.handlers[operation.kind].find_more(connection, operation, self.limits.chunk_rows)

    async def _read(self, operation: Operation, chunk: Chunk | None) -> _Fetched:
        if chunk is None or not chunk.items:
            return _Fetched(chunk, None)
        handler = self.handlers[operation.kind]
        return _Fetched(chunk, await compute(chunk.items, lambda: handler.read_chunk(operation, chunk)))

    async def _advance(
        self,
        connection: AsyncConnection,
        operation: Operation,
        fetched: _Fetched,
        organization: Organization,
    ) -> Operation:
        chunk = fetched.chunk
        if chunk is None:
            return await self._judge(connection, operation, organization)
        if chunk.number == operation.chunks:  # found by the rehearsal
            await repository.insert_chunk(connection, operation.id, chunk)
            operation = replace(operation, chunks=operation.chunks + 1, total=operation.total + chunk.items)
        return await self._do_chunk(connection, operation, chunk, fetched.work, organization)

    async def _judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Operation:
        problem = await self.handlers[operation.kind].judge(connection, operation, organization)
        judged = replace(operation, is_rehearsal=False, cursor=0, problem=problem)
        await repository.store_progress(connection, judged)
        return judged

    async def _do_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: Any,
        organization: Organization,
    ) -> Operation:
        now = self.clock.now()
        tally = Tally()
        if chunk.items:
            handler = self.handlers[operation.kind]
            cause = operation.cause(organization, now)
            tally = await handler.run_chunk(connection, operation, chunk, work, cause)
        advanced = replace(
            operation,
            state=State.RUNNING,
            cursor=operation.cursor + 1,
            started_at=operation.started_at or now,
        )
        if operation.is_rehearsal:
            advanced = replace(advanced, rehearsed=operation.rehearsed + tally.rehearsal)
        else:
            advanced = replace(
                advanced,
                done=operation.done + chunk.items,
                deactivated=operation.deactivated + tally.deactivated,
                counts=dict(Counter(operation.counts) + tally.outcomes),
            )
            if advanced.cursor >= operation.chunks:
                state = State.SUCCEEDED if operation.problem is None else State.REFUSED
                advanced = replace(advanced, state=state, finished_at=self.clock.now())
        await repository.store_progress(connection, advanced)
        return advanced

    async def fail(self, operation: Operation) -> Operation:
        """End the operation as failed, because of a bug, unless it has ended meanwhile."""
        step = await self.database.write(self._take_failing_step, operation)
        report_progress(step.before, step.after)
        return step.after

    async def _take_failing_step(self, connection: AsyncConnection, operation: Operation) -> Step:
        current = await repository.lock_operation(connection, operation.number)
        if current.is_finished:
            return Step(current, current)  # cancelled meanwhile
        now = self.clock.now()
        failed = replace(
            current,
            # An operation that was refused stays refused: nothing was changed.
            state=State.REFUSED if current.is_refused else State.FAILED,
            problem=current.problem if current.is_refused else describe_failure(),
            started_at=current.started_at or now,
            finished_at=now,
        )
        await repository.store_progress(connection, failed)
        return Step(current, failed)


def report_progress(before: Operation, after: Operation) -> None:
    """Count and log what a transaction has done. Call it only after the commit."""
    for outcome, number in (Counter(after.counts) - Counter(before.counts)).items():
        ROWS.labels(after.kind, outcome).inc(number)
    if after.is_finished and not before.is_finished:
        OPERATIONS.labels(after.kind, after.state).inc()
        logger.info(
            "operation ended",
            operation=after.id,
            kind=after.kind.value,
            state=after.state.value,
            total=after.total,
            dry_run=after.dry_run,
            **after.counts,
        )
