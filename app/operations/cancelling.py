"""Ending an operation before it is done: what is done stays done and is counted, the rest is not begun."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations import repository
from app.operations.operation import Operation, State
from app.operations.problems import OperationNotCancellable
from app.operations.runner import report_progress
from app.platform.clock import Clock
from app.platform.database import Database


async def cancel(database: Database, clock: Clock, operation: Operation) -> Operation:
    """End it at the next chunk; safe to repeat. Raises OperationNotCancellable where it has ended otherwise.

    The lock waits for the chunk that is running, in whatever process. Whoever would run the next one finds
    under the same lock that the operation has ended.
    """

    async def transaction(connection: AsyncConnection) -> tuple[Operation, Operation]:
        current = await repository.lock(connection, operation.number)
        if current.state is State.CANCELLED:
            return current, current
        if current.is_finished:
            raise OperationNotCancellable(current.state.value)
        cancelled = replace(current, state=State.CANCELLED, finished_at=clock.now())
        await repository.store_progress(connection, cancelled)
        return current, cancelled

    before, after = await database.write(transaction)
    report_progress(before, after)
    return after
