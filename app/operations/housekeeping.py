"""Removes what is no longer needed: abandoned stages, plans of ended operations, and old outcomes.

Events are kept forever. Everything is removed in small transactions, so that nothing else waits for long, and several
processes may do it at once.
"""

from datetime import datetime, timedelta

from app.learners import plan_repository
from app.operations import repository
from app.operations.operation import Operation, Tidied
from app.operations.runner import Runner
from app.platform.ids import new_id


async def tidy(runner: Runner, keep_outcomes: timedelta) -> None:
    """Remove everything that is no longer needed. Outcomes and uploaded rows are kept for `keep_outcomes`."""
    now = runner.clock.now()
    abandoned = new_id(now - runner.limits.stage_abandoned_after)
    await runner.database.write(repository.delete_abandoned_stages, abandoned)
    for operation in await _list_ended(runner, Tidied.NOTHING, now):
        await _remove_plan(runner, operation)
        await _mark(runner, operation, Tidied.WORK)
    for operation in await _list_ended(runner, Tidied.WORK, now - keep_outcomes):
        await _mark(runner, operation, Tidied.OUTCOMES_EXPIRED)  # from now on they are not read
    for operation in await _list_ended(runner, Tidied.OUTCOMES_EXPIRED, now):
        await runner.database.write(repository.delete_stage, operation.id)
        await _mark(runner, operation, Tidied.ALL)


async def _list_ended(runner: Runner, tidied: Tidied, ended_before: datetime) -> list[Operation]:
    async with runner.database.read() as connection:
        return await repository.list_ended(connection, tidied, ended_before)


async def _mark(runner: Runner, operation: Operation, tidied: Tidied) -> None:
    await runner.database.write(repository.mark_tidied, operation.number, tidied)


async def _remove_plan(runner: Runner, operation: Operation) -> None:
    while await runner.database.write(
        plan_repository.delete_some, operation.number, runner.limits.removed_rows
    ):
        pass
