"""Runs operations: one chunk, one transaction, until all are done, whoever runs the next one.

A chunk's transaction changes the learners, appends their events, records the outcomes and advances the
operation's cursor together; so a crash at any point loses nothing and doubles nothing.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from app.limits import Limits
from app.operations import repository
from app.operations.metrics import OPERATIONS, ROWS
from app.operations.operation import DEACTIVATED, Chunk, Kind, Operation, Position, State, Worker
from app.organizations.organization import Organization
from app.organizations.repository import get_organization
from app.platform.bulk_rows import plan_for_many_rows
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.database_errors import is_unavailable, lost_a_race
from app.platform.logging import get_logger
from app.platform.problems import INTERNAL_ERROR, Problem
from app.platform.threads import compute

logger = get_logger("rollcall.operations")


class TooLargeAtOnce(Exception):
    """The rehearsal found more to do than one transaction should."""


class Engine(Protocol):
    """What has the operations run that are stored and not finished."""

    def start(self) -> None:
        """Begin to run what there is, and what will come."""
        ...

    async def stop(self) -> None:
        """Let the running chunks end, and leave the rest to others."""
        ...


class Runner:
    """Carries operations out, those of one organization one after the other."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        workers: Mapping[Kind, Worker],
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        """`workers`: how each kind of operation does its work."""
        self.limits = limits
        self.database = database
        self.clock = clock
        self.workers = workers
        self.selecting = asyncio.Semaphore(limits.selections_at_once)
        # Set where an operation was stored that waits to be run.
        self.submitted = asyncio.Event()
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        # The next chunk of each operation that runs: its position, and who reads it.
        self._ahead: dict[int, tuple[Position, asyncio.Task[tuple[Chunk | None, Any]]]] = {}
        # Whoever waits for longest comes first, so that organizations take turns.
        self._chunks = asyncio.Semaphore(limits.chunks_at_once)
        self._stopping = asyncio.Event()

    async def run_at_once(
        self, connection: AsyncConnection, operation: Operation, chunk: Chunk, organization: Organization
    ) -> Operation:
        """Do all of an operation of one staged chunk in the caller's transaction, together with its row.

        Raises TooLargeAtOnce: then the transaction is to be rolled back, and the operation to be run.
        """
        await plan_for_many_rows(connection)
        current = await repository.insert_operation(connection, operation)
        found: Chunk | None = chunk
        while True:
            work = await self._read(current, found)
            current = await self._advance(connection, current, found, work, organization)
            if current.is_finished:
                return current
            if current.chunks > self.limits.chunks_in_request:
                raise TooLargeAtOnce
            found = await self._find_chunk(connection, current, current.cursor)

    async def run(self, operation: Operation, *, is_over: Callable[[], bool] = lambda: False) -> Operation:
        """Do chunks until none is left, the process stops, or `is_over` says that others are waiting."""
        async with self.turn(operation.organization_id):
            pause = self.limits.first_retry_seconds
            is_faulty = False
            try:
                while not (operation.is_finished or self._stopping.is_set() or is_over()):
                    try:
                        async with self._chunks:
                            operation = await (self._fail if is_faulty else self.run_next_chunk)(operation)
                        pause = self.limits.first_retry_seconds
                    except Exception as error:
                        may_pass = (
                            is_unavailable(error) or isinstance(error, PoolTimeout) or lost_a_race(error)
                        )
                        if not may_pass and not is_faulty:
                            logger.exception("operation failed", operation=operation.id)
                            is_faulty = True  # a fault of ours, which would only happen again
                            continue
                        # The database is away, full or busy: the cursor stands where it stood, so try again.
                        logger.exception("trying again", operation=operation.id, pause_seconds=pause)
                        await self._pause(pause)
                        pause = min(2 * pause, self.limits.longest_retry_seconds)
            finally:
                if ahead := self._ahead.pop(operation.number, None):
                    ahead[1].cancel()
            return operation

    async def wait(self, operation: Operation, seconds: float) -> Operation:
        """Give the operation up to `seconds` to end, whoever runs it, and answer how it stands then."""
        clock = asyncio.get_running_loop()
        deadline = clock.time() + seconds
        pause = self.limits.first_look_seconds
        while True:
            async with self.database.read() as connection:
                found = await repository.find(connection, operation.organization_id, operation.id)
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
        """Let every running chunk end, and begin no other."""
        self._stopping.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def run_next_chunk(self, operation: Operation) -> Operation:
        """Do the next chunk in one transaction, whoever did the ones before, and begin to read the one after.

        Where all chunks were rehearsed, the step between the passes is done instead.
        """
        ahead = self._ahead.pop(operation.number, None)
        if ahead is not None and ahead[0] == operation.position:
            chunk, work = await ahead[1]
        else:
            chunk, work = await self._fetch(operation, operation.cursor)
        if operation.cursor + 1 < operation.chunks:
            following = replace(operation, cursor=operation.cursor + 1)
            reading = asyncio.create_task(self._fetch(following, following.cursor))
            self._ahead[operation.number] = following.position, reading

        async def transaction(connection: AsyncConnection) -> tuple[Operation, Operation]:
            current = await repository.lock(connection, operation.number)
            if current.position != operation.position or current.is_finished:
                return current, current  # another process did it meanwhile
            await plan_for_many_rows(connection)
            organization = await get_organization(connection, current.organization_id)
            return current, await self._advance(connection, current, chunk, work, organization)

        before, after = await self.database.write(transaction)
        report_progress(before, after)
        return after

    async def _fetch(self, operation: Operation, number: int) -> tuple[Chunk | None, Any]:
        async with self.database.read() as connection:
            chunk = await self._find_chunk(connection, operation, number)
        return chunk, await self._read(operation, chunk)

    async def _find_chunk(
        self, connection: AsyncConnection, operation: Operation, number: int
    ) -> Chunk | None:
        if number < operation.chunks:
            return await repository.get_chunk(connection, operation.id, number)
        return await self.workers[operation.kind].find_more(connection, operation, self.limits.chunk_rows)

    async def _read(self, operation: Operation, chunk: Chunk | None) -> Any:
        if chunk is None or not chunk.items:
            return None
        worker = self.workers[operation.kind]
        return await compute(chunk.items, lambda: worker.read_chunk(operation, chunk))

    async def _advance(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk | None,
        work: Any,
        organization: Organization,
    ) -> Operation:
        if chunk is None:
            return await self._judge(connection, operation, organization)
        if chunk.number == operation.chunks:  # found by the rehearsal
            await repository.insert_chunk(connection, operation.id, chunk)
            operation = replace(operation, chunks=operation.chunks + 1, total=operation.total + chunk.items)
        return await self._do_chunk(connection, operation, chunk, work, organization)

    async def _judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Operation:
        problem = await self.workers[operation.kind].judge(connection, operation, organization)
        judged = replace(
            operation,
            is_rehearsal=False,
            cursor=0,
            problem=None if problem is None else problem.document(),
        )
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
        counted: Counter[str] = Counter()
        if chunk.items:
            worker = self.workers[operation.kind]
            cause = operation.cause(organization, now)
            counted = await worker.run_chunk(connection, operation, chunk, work, cause)
        advanced = replace(
            operation,
            state=State.RUNNING,
            cursor=operation.cursor + 1,
            started_at=operation.started_at or now,
        )
        if operation.is_rehearsal:
            advanced = replace(advanced, rehearsed=dict(Counter(operation.rehearsed) + counted))
        else:
            deactivated = counted.pop(DEACTIVATED, 0)
            advanced = replace(
                advanced,
                done=operation.done + chunk.items,
                deactivated=operation.deactivated + deactivated,
                counts=dict(Counter(operation.counts) + counted),
            )
            if advanced.cursor >= operation.chunks:
                state = State.SUCCEEDED if operation.problem is None else State.REFUSED
                advanced = replace(advanced, state=state, finished_at=self.clock.now())
        await repository.store_progress(connection, advanced)
        return advanced

    async def _fail(self, operation: Operation) -> Operation:
        problem = Problem(
            INTERNAL_ERROR, "A fault of the service ended this operation; what is done stays done."
        )

        async def transaction(connection: AsyncConnection) -> tuple[Operation, Operation]:
            current = await repository.lock(connection, operation.number)
            if current.is_finished:
                return current, current  # cancelled meanwhile
            now = self.clock.now()
            failed = replace(
                current,
                # Where it had been refused already, that is still what became of it.
                state=State.REFUSED if current.is_refused else State.FAILED,
                problem=current.problem if current.is_refused else problem.document(),
                started_at=current.started_at or now,
                finished_at=now,
            )
            await repository.store_progress(connection, failed)
            return current, failed

        before, after = await self.database.write(transaction)
        report_progress(before, after)
        return after


def report_progress(before: Operation, after: Operation) -> None:
    """Tell metrics and log what a committed transaction brought about; before the commit it is not true yet."""
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
