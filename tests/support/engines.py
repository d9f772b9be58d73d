"""An engine for tests in one process: what the durable one does, without what makes it durable."""

import asyncio
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from app.operations import repository
from app.operations.operation import Operation
from app.operations.runner import Runner
from app.platform.database import Database
from app.settings import Settings


class TaskEngine:
    """Runs each operation in a task, as soon as it is stored."""

    def __init__(self, database: Database, runner: Runner, _settings: Settings) -> None:
        self.database = database
        self.runner = runner
        self.running: dict[int, asyncio.Task[Operation]] = {}

    def start(self) -> None:
        self.looking = asyncio.create_task(self.look_again_and_again())

    async def stop(self) -> None:
        self.runner.stop()
        self.looking.cancel()
        with suppress(asyncio.CancelledError):
            await self.looking
        await asyncio.gather(*self.running.values())

    async def look_again_and_again(self) -> None:
        while True:
            try:
                async with self.database.read() as connection:
                    # A list does not hold all of an operation.
                    unfinished = [
                        await repository.get_operation(connection, each.number)
                        for each in await repository.list_unfinished(connection)
                    ]
            except (SQLAlchemyError, OSError):  # the database is away
                await asyncio.sleep(0.01)
                continue
            self.running = {number: task for number, task in self.running.items() if not task.done()}
            for operation in unfinished:
                if operation.number not in self.running:
                    self.running[operation.number] = asyncio.create_task(self.runner.run(operation))
            await self.runner.submitted.wait()
            self.runner.submitted.clear()
