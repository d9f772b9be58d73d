"""What is removed after its time: abandoned stages, what operations needed while they ran, and at last outcomes.

Events stay for ever. Everything goes in small transactions, so that nobody waits for long, and several
processes may do it at once.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations import repository
from app.operations.operation import Operation, Tidied
from app.operations.runner import Runner
from app.platform.ids import new_id

_Removal = Callable[[AsyncConnection], Awaitable[int]]


async def tidy(runner: Runner, keep_outcomes: timedelta) -> None:
    """Remove all that has had its time: outcomes, and the rows as they were sent, after `keep_outcomes`."""
    now = runner.clock.now()
    abandoned = new_id(now - runner.limits.stage_abandoned_after)
    await runner.database.write(lambda connection: repository.delete_abandoned_stages(connection, abandoned))
    for operation in await _list(runner, Tidied.NOTHING, now):
        await _remove_all(runner, _work_of(runner, operation))
        await _mark(runner, operation, Tidied.WORK)
    for operation in await _list(runner, Tidied.WORK, now - keep_outcomes):
        await _mark(runner, operation, Tidied.OUTCOMES_EXPIRED)  # from now on nobody reads them
    for operation in await _list(runner, Tidied.OUTCOMES_EXPIRED, now):
        await _remove_stage(runner, operation)
        await _remove_all(runner, _outcomes_of(runner, operation))
        await _mark(runner, operation, Tidied.ALL)


async def _list(runner: Runner, tidied: Tidied, ended_before: datetime) -> list[Operation]:
    async with runner.database.read() as connection:
        return await repository.list_ended(connection, tidied, ended_before)


async def _mark(runner: Runner, operation: Operation, tidied: Tidied) -> None:
    await runner.database.write(
        lambda connection: repository.mark_tidied(connection, operation.number, tidied)
    )


async def _remove_stage(runner: Runner, operation: Operation) -> None:
    await runner.database.write(lambda connection: repository.delete_stage(connection, operation.id))


async def _remove_all(runner: Runner, removal: _Removal) -> None:
    while await runner.database.write(removal):
        pass


def _work_of(runner: Runner, operation: Operation) -> _Removal:
    worker = runner.workers[operation.kind]
    return lambda connection: worker.remove_work(connection, operation, runner.limits.removed_rows)


def _outcomes_of(runner: Runner, operation: Operation) -> _Removal:
    return lambda connection: repository.delete_outcomes(connection, operation, runner.limits.removed_rows)
