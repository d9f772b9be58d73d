"""The durable engine: it decides which process runs an operation, and which continues if that process dies.

The only module that knows dbos, which keeps a queue with one partition for each organization. The operation's own row
decides: an unfinished operation without a workflow gets one, whether it was just stored or was left by a process that
ended. Its cursor says how far it is. So nothing is lost between the row and the queue, and a workflow that runs twice
does nothing twice.
"""

import asyncio
import contextlib
import logging
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

from app.operations import housekeeping, repository
from app.operations.operation import Operation, State
from app.operations.runner import Runner
from app.platform.database import Database
from app.platform.ids import new_id
from app.platform.logging import get_logger
from app.platform.presence import create_presence

_QUEUE = "operations"
_WORKFLOW = "run-operation"
# The version of the workflow's code. It never changes: otherwise dbos would compute one for each deployment, and would
# not continue what older ones have begun.
_VERSION = "1"

logger = get_logger("rollcall.engine")


class DurableEngine:
    """Runs operations in this process, along with every other process that has an engine on this database.

    There is one per process, since dbos keeps its state in its module. On SQLite the engine of one process runs, and
    the next process in line takes over when that process ends.
    """

    def __init__(self, database: Database, runner: Runner, keep_outcomes: timedelta) -> None:
        """`runner`: does the work of an operation; `keep_outcomes`: how long outcomes are kept."""
        self._keep_outcomes = keep_outcomes
        self._database = database
        self._runner = runner
        self._limits = runner.limits
        self._presence = create_presence(database)
        self._tasks: list[asyncio.Task[None]] = []
        self._is_launched = False
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._others_wait = False
        self._forgets_at = 0.0

    def start(self) -> None:
        """Begin to run the operations that wait, and those to come."""
        self._tasks = [
            asyncio.create_task(self._look_repeatedly(), name="engine"),
            asyncio.create_task(self._tidy_repeatedly(), name="housekeeping"),
        ]

    async def stop(self) -> None:
        """Let the running chunks end. Another process, or the next start, continues their operations."""
        self._runner.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._is_launched:
            await self._idle.wait()
            # dbos has replaced the loop's threads with its own, and removes them when it ends.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
            await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        await self._presence.leave()

    async def _look_repeatedly(self) -> None:
        while True:
            try:
                if await self._presence.enter():
                    if not self._is_launched:
                        await self._launch()
                    await self._look()
            except Exception:
                # Usually the database is unavailable for a while. Catch every error, because operations wait for this
                # loop.
                logger.exception("cannot look for operations, will try again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._runner.submitted.wait(), self._limits.engine_look_seconds)
            self._runner.submitted.clear()

    async def _tidy_repeatedly(self) -> None:
        while True:
            # Plus or minus a half, so that processes do not do it at the same time.
            await asyncio.sleep(self._limits.housekeeping_seconds * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await housekeeping.tidy(self._runner, self._keep_outcomes)
            except Exception:
                logger.exception("housekeeping failed, will try again")

    async def _launch(self) -> None:
        await asyncio.to_thread(migrate, self._database)
        DBOS(config=_config(self._database, self._presence.name, self._limits.operations_at_once))
        _redirect_log()

        @DBOS.workflow(name=_WORKFLOW)
        async def run_operation(number: int) -> None:
            await self._run_operation(number)

        # On this loop, to which the database's connections belong, so that dbos runs the workflows on it.
        DBOS.launch()
        await DBOS.register_queue_async(
            _QUEUE,
            partition_concurrency=1,
            worker_concurrency=self._limits.operations_at_once,
            polling_interval_sec=self._limits.queue_poll_seconds,
            on_conflict="always_update",
        )
        self._is_launched = True
        logger.info("engine ready", executor=self._presence.name)

    async def _look(self) -> None:
        """Give the next operation of each organization a workflow, unless it has one.

        Only the next one: an operation that is taken over from a dead process goes to the end of the queue,
        and later ones must not overtake it.
        """
        async with self._database.read() as connection:
            unfinished = await repository.list_unfinished(connection)
        loop = asyncio.get_running_loop()
        if loop.time() > self._forgets_at:
            self._forgets_at = loop.time() + self._limits.forget_seconds
            await asyncio.to_thread(_delete_ended, self._limits.forgotten_workflows)
        if not unfinished:
            self._others_wait = False
            return
        living = await self._presence.living()
        active = set()
        enqueued = 0
        for workflow in await asyncio.to_thread(_list_active):
            if workflow.status == "PENDING" and workflow.executor_id not in living:
                logger.warning("taking over from a process that died", workflow=workflow.workflow_id)
                await asyncio.to_thread(DBOS.cancel_workflow, workflow.workflow_id)
                continue
            enqueued += workflow.status == "ENQUEUED"
            active.add(workflow.workflow_id.partition(".")[0])
        first: dict[int, Operation] = {}
        for operation in sorted(unfinished, key=lambda each: each.state is State.PENDING):  # begun first
            first.setdefault(operation.organization_id, operation)
        for operation in first.values():
            if operation.id not in active:
                await asyncio.to_thread(self._enqueue, operation)
                enqueued += 1
        self._others_wait = enqueued > 0

    def _enqueue(self, operation: Operation) -> None:
        DBOS.enqueue_workflow_with_options(
            {
                "workflow_name": _WORKFLOW,
                "queue_name": _QUEUE,
                "queue_partition_key": str(operation.organization_id),
                "workflow_id": f"{operation.id}.{new_id(self._runner.clock.now())}",
                "app_version": _VERSION,
            },
            operation.number,
        )

    async def _run_operation(self, number: int) -> None:
        self._running += 1
        self._idle.clear()
        try:
            await DBOS.run_step_async({"name": "chunks"}, self._take_turn, number)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
            self._runner.submitted.set()

    async def _take_turn(self, number: int) -> None:
        async with self._database.read() as connection:
            operation = await repository.get_operation(connection, number)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._limits.turn_seconds
        await self._runner.run(operation, is_over=lambda: self._others_wait and loop.time() > ends_at)


def migrate(database: Database) -> None:
    """Migrate the tables of dbos, which are a schema on PostgreSQL and a file of their own on SQLite."""
    _redirect_log()
    DBOS.migrate(_system_url(database))


def _redirect_log() -> None:
    """Send the warnings and errors of dbos to our log."""
    log = logging.getLogger("dbos")
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.WARNING)


def _config(database: Database, executor_id: str, operations_at_once: int) -> DBOSConfig:
    return {
        "name": "rollcall",
        "system_database_url": _system_url(database),
        "sys_db_pool_size": operations_at_once + 2,
        "application_version": _VERSION,
        "executor_id": executor_id,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "WARNING",
        "run_migrations": False,
    }


def _system_url(database: Database) -> str:
    if database.is_sqlite:
        return f"sqlite:///{Path(str(database.url.database)).with_suffix('.engine.db')}"
    return database.libpq_url


def _list_active() -> list[Any]:
    return DBOS.list_workflows(
        queue_name=_QUEUE, status=["ENQUEUED", "PENDING"], load_input=False, load_output=False
    )


def _delete_ended(limit: int) -> None:
    # The operations hold everything that ended workflows hold.
    ended = DBOS.list_workflows(
        name=_WORKFLOW,
        status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
        limit=limit,
        load_input=False,
        load_output=False,
    )
    DBOS.delete_workflows([workflow.workflow_id for workflow in ended])
