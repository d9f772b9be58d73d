"""Runs operations step by step, each in one transaction, until all are done; any process may take the next one."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from app.limits import Limits
from app.operations import repository
from app.operations.deciding import Context
from app.operations.handler import Handler
from app.operations.metrics import OPERATIONS, ROWS
from app.operations.operation import Kind, Operation, Phase, Position, State, Step
from app.operations.problems import describe_failure
from app.operations.steps import close, read_step, take_step
from app.organizations.organization import Organization
from app.organizations.repository import get_organization
from app.platform.bulk_rows import plan_for_many_rows
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.database_errors import is_unavailable, lost_a_race
from app.platform.logging import get_logger

logger = get_logger("rollcall.operations")


class TooLargeAtOnce(Exception):
    """The plan has more to do than fits into one transaction."""


class Engine(Protocol):
    """Runs stored operations until they are finished."""

    def start(self) -> None:
        """Begin to run the operations that wait, and those to come."""
        ...

    async def stop(self) -> None:
        """Let the running chunks end, and leave the rest to other processes."""
        ...


class _Ahead(NamedTuple):
    """What the next step of an operation needs, being read while the current one is taken."""

    position: Position
    reading: asyncio.Task[Any]


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
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Operation:
        """Do a whole operation of one staged chunk in the caller's transaction, together with its row.

        Raises TooLargeAtOnce: the caller rolls the transaction back and stores the operation to be run later.
        """
        await plan_for_many_rows(connection)
        current = await repository.insert_operation(connection, operation)
        handler = self.handlers[operation.kind]
        while not current.is_finished:
            read = await read_step(connection, current, handler, self.limits, organization)
            current = await take_step(connection, current, read, self._context(current, organization))
            if current.chunks > self.limits.chunks_in_request:
                raise TooLargeAtOnce
        await repository.store_progress(connection, current)
        return current

    async def run(self, operation: Operation, *, is_over: Callable[[], bool] = lambda: False) -> Operation:
        """Take steps until none is left, the process stops, or `is_over` says that another operation is waiting."""
        async with self.turn(operation.organization_id):
            pause = self.limits.first_retry_seconds
            is_faulty = False
            try:
                while not (operation.is_finished or self._stopping.is_set() or is_over()):
                    try:
                        async with self._chunks:
                            operation = await (self.fail if is_faulty else self.run_next_step)(operation)
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
                await self._stop_reading(operation)
            return operation

    async def run_or_wait(self, operation: Operation, seconds: float) -> Operation:
        """Give the operation up to `seconds` to end. A small one is run here, if it is the organization's turn.

        The engine would begin it only after its next look. It may run the same operation meanwhile: each step checks
        that no other process has taken it.
        """
        clock = asyncio.get_running_loop()
        deadline = clock.time() + seconds
        if operation.chunks <= self.limits.chunks_in_request and await self._is_next(operation):
            async with self.turn(operation.organization_id):
                try:
                    while not operation.is_finished and clock.time() < deadline:
                        operation = await self.run_next_step(operation)
                except (SQLAlchemyError, OSError):
                    pass  # the engine tries again
                finally:
                    await self._stop_reading(operation)
        return await self.wait(operation, deadline - clock.time())

    async def _stop_reading(self, operation: Operation) -> None:
        if ahead := self._ahead.pop(operation.number, None):
            ahead.reading.cancel()
            await asyncio.gather(ahead.reading, return_exceptions=True)

    async def _is_next(self, operation: Operation) -> bool:
        """Return whether the organization has no other operation that comes before this one."""
        if self.turn(operation.organization_id).locked():
            return False
        async with self.database.read() as connection:
            unfinished = await repository.list_unfinished(connection)
        return not any(
            each.organization_id == operation.organization_id and each.id != operation.id
            for each in unfinished
        )

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

    async def run_next_step(self, operation: Operation) -> Operation:
        """Read for the next step and take it in one transaction. Begin to read the next chunk meanwhile."""
        ahead = self._ahead.pop(operation.number, None)
        if ahead is not None and ahead.position == operation.position:
            read = await ahead.reading
        else:
            read = await self._read(operation)
        if operation.phase is Phase.PLAN and operation.cursor + 1 < operation.chunks:
            following = replace(operation, cursor=operation.cursor + 1)
            reading = asyncio.create_task(self._read(following), name="read-ahead")
            self._ahead[operation.number] = _Ahead(following.position, reading)
        step = await self.database.write(self._take_step, operation, read)
        report_progress(step.before, step.after)
        return step.after

    async def _read(self, operation: Operation) -> Any:
        async with self.database.read() as connection:
            organization = await get_organization(connection, operation.organization_id)
            handler = self.handlers[operation.kind]
            return await read_step(connection, operation, handler, self.limits, organization)

    async def _take_step(self, connection: AsyncConnection, operation: Operation, read: Any) -> Step:
        current = await repository.lock_operation(connection, operation.number)
        if current.position != operation.position or current.is_finished:
            return Step(current, current)  # another process has taken it meanwhile
        await plan_for_many_rows(connection)
        organization = await get_organization(connection, current.organization_id)
        after = await take_step(connection, current, read, self._context(current, organization))
        await repository.store_progress(connection, after)
        return Step(current, after)

    def _context(self, operation: Operation, organization: Organization) -> Context:
        return Context(self.handlers[operation.kind], self.limits, organization, self.clock.now())

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
            await close(connection, current),
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
