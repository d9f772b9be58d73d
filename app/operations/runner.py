"""Runs operations: one chunk, one transaction, until all are done, whoever runs the next one.

A chunk's transaction changes the learners, appends their events, records the outcomes and advances the
operation's cursor together; so a crash at any point loses nothing and doubles nothing.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations import repository
from app.operations.operation import Chunk, Kind, Operation, State, Worker
from app.organizations.organization import Organization
from app.organizations.repository import get_organization
from app.platform.clock import Clock
from app.platform.database import Database, is_unavailable, lost_a_race
from app.platform.ids import new_id
from app.platform.logging import get_logger
from app.platform.metrics import OPERATIONS, ROWS
from app.platform.problems import INTERNAL_ERROR, Problem
from app.platform.threads import compute

# A stage this old, whose operation never came, belongs to an upload that was cut off.
_STAGE_ABANDONED = timedelta(hours=24)
_SELECTING_AT_ONCE = 3
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0

logger = get_logger("rollcall.operations")


class Runner:
    """Carries operations out in this process, those of one organization one after the other."""

    def __init__(self, database: Database, clock: Clock, workers: Mapping[Kind, Worker]) -> None:
        """`workers`: how each kind of operation does its work."""
        self.database = database
        self.clock = clock
        self.workers = workers
        # Selecting by filter holds one connection while it stages with another: never with all of them.
        self.selecting = asyncio.Semaphore(_SELECTING_AT_ONCE)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        # The next chunk of each operation that runs, being read; the task's name is the chunk's number.
        self._ahead: dict[int, asyncio.Task[tuple[Chunk, Any]]] = {}
        self._stopping = asyncio.Event()

    async def run_at_once(
        self, connection: AsyncConnection, operation: Operation, chunk: Chunk, organization: Organization
    ) -> Operation:
        """Do all of an operation of one chunk in the caller's transaction, together with its row."""
        stored = await repository.insert_operation(connection, operation)
        return await self._do_chunk(connection, stored, chunk, await self._read(stored, chunk), organization)

    def start(self, operation: Operation) -> None:
        """Run a stored operation in the background, unless this process runs it already."""
        if operation.number not in self._tasks:
            task = asyncio.create_task(self._run(operation), name=f"operation {operation.id}")
            self._tasks[operation.number] = task
            task.add_done_callback(lambda _: self._forget(operation.number))

    def _forget(self, number: int) -> None:
        self._tasks.pop(number, None)
        if ahead := self._ahead.pop(number, None):
            ahead.cancel()

    async def wait(self, operation: Operation, seconds: float) -> Operation:
        """Give the operation up to `seconds` to end, and answer how it stands then."""
        task = self._tasks.get(operation.number)
        if task is not None and seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), seconds)
        async with self.database.read() as connection:
            return await repository.find(connection, operation.organization_id, operation.id) or operation

    async def take_up_unfinished(self) -> None:
        """Go on with what an earlier process left, and clean up the stages of uploads that were cut off."""
        async with self.database.read() as connection:
            unfinished = await repository.list_unfinished(connection)
        for operation in unfinished:
            self.start(operation)
        before_id = new_id(self.clock.now() - _STAGE_ABANDONED)
        await self.database.write(
            lambda connection: repository.delete_abandoned_stages(connection, before_id)
        )

    async def stop(self) -> None:
        """Let every running chunk end, and leave the rest for the next process."""
        self._stopping.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, operation: Operation) -> None:
        async with self._turns[operation.organization_id]:
            pause = _FIRST_PAUSE_SECONDS
            is_faulty = False
            while not operation.is_finished and not self._stopping.is_set():
                try:
                    operation = await (self._fail if is_faulty else self.run_next_chunk)(operation)
                    pause = _FIRST_PAUSE_SECONDS
                except Exception as error:
                    may_pass = is_unavailable(error) or isinstance(error, PoolTimeout) or lost_a_race(error)
                    if not may_pass and not is_faulty:
                        logger.exception("operation failed", operation=operation.id)
                        is_faulty = True  # a fault of ours, which would only happen again
                        continue
                    # The database is away, full or busy: the cursor stands where it stood, so try again.
                    logger.exception("trying again", operation=operation.id, pause_seconds=pause)
                    await self._pause(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def run_next_chunk(self, operation: Operation) -> Operation:
        """Do the next chunk in one transaction, whoever did the ones before, and begin to read the one after."""
        ahead = self._ahead.pop(operation.number, None)
        if ahead is not None and ahead.get_name() == str(operation.cursor):
            chunk, work = await ahead
        else:
            chunk, work = await self._fetch(operation, operation.cursor)
        if operation.cursor + 1 < operation.chunks:
            fetching = self._fetch(operation, operation.cursor + 1)
            self._ahead[operation.number] = asyncio.create_task(fetching, name=str(operation.cursor + 1))

        async def transaction(connection: AsyncConnection) -> tuple[Operation, Operation]:
            current = await repository.lock(connection, operation.number)
            if current.cursor != operation.cursor or current.is_finished:
                return current, current  # another process did it meanwhile
            organization = await get_organization(connection, current.organization_id)
            return current, await self._do_chunk(connection, current, chunk, work, organization)

        before, after = await self.database.write(transaction)
        report_progress(before, after)
        return after

    async def _fetch(self, operation: Operation, number: int) -> tuple[Chunk, Any]:
        async with self.database.read() as connection:
            chunk = await repository.get_chunk(connection, operation.id, number)
        return chunk, await self._read(operation, chunk)

    async def _read(self, operation: Operation, chunk: Chunk) -> Any:
        if not chunk.items:
            return None
        worker = self.workers[operation.kind]
        return await compute(chunk.items, lambda: worker.read_chunk(operation, chunk))

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
        is_last = operation.cursor + 1 >= operation.chunks
        advanced = replace(
            operation,
            state=State.SUCCEEDED if is_last else State.RUNNING,
            cursor=operation.cursor + 1,
            done=operation.done + chunk.items,
            counts=dict(Counter(operation.counts) + counted),
            started_at=operation.started_at or now,
            finished_at=self.clock.now() if is_last else None,
        )
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
                state=State.FAILED,
                problem=problem.document(),
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
