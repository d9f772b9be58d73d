"""How commands carry out operations: they use the calls of the API, follow the work, and stop it on Ctrl-C."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.background import HANDLERS
from app.cli.environment import get_actor
from app.cli.interruption import Interruption, watch_signals
from app.cli.wording import name_command
from app.imports.service import ImportOptions, submit_csv_import
from app.operations import service
from app.operations.errors import OperationNotCancellable
from app.operations.operation import Operation
from app.operations.reverts import submit_revert
from app.operations.runner import Runner
from app.operations.schemas import RevertRequest
from app.operations.service import Asker, OnStored
from app.organizations.organization import Organization
from app.platform.clock import SystemClock
from app.platform.database import Database
from app.platform.presence import create_presence

_REFRESH_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Task:
    """An operation to carry out, and how to speak of it."""

    # Such as "import", "Importing" and "rows".
    noun: str
    doing: str
    items: str
    organization: Organization
    submit: Callable[[OnStored], Awaitable[Operation]]
    # Whether to leave it to the service as soon as it is stored.
    is_detached: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """An operation after the command has done its part, and the exit status if a signal has stopped the command."""

    operation: Operation
    exit_status: int | None


def create_runner(database: Database) -> Runner:
    """Return what carries out operations in this process."""
    return Runner(database, SystemClock(), HANDLERS)


def plan_import(
    runner: Runner,
    organization: Organization,
    file: BinaryIO,
    options: ImportOptions,
    *,
    is_detached: bool,
) -> Task:
    """Return the task of importing this file."""
    name = file.name
    file_name = Path(name).name if isinstance(name, str) and Path(name).is_file() else None

    def submit(on_stored: OnStored) -> Awaitable[Operation]:
        asker = Asker(organization, get_actor(), runner.clock.now(), on_stored)
        return submit_csv_import(runner, asker, file, options, file_name)

    return Task("import", "Importing", "rows", organization, submit, is_detached)


def plan_revert(
    runner: Runner, organization: Organization, operation_id: str, wanted: RevertRequest, *, is_detached: bool
) -> Task:
    """Return the task of reverting this operation."""

    def submit(on_stored: OnStored) -> Awaitable[Operation]:
        asker = Asker(organization, get_actor(), runner.clock.now(), on_stored)
        return submit_revert(runner, asker, operation_id, wanted)

    return Task("revert", "Reverting", "learners", organization, submit, is_detached)


async def cancel(runner: Runner, operation: Operation) -> Operation:
    """Cancel the operation after the chunk in progress. Safe to repeat. Raises OperationNotCancellable."""
    return await service.cancel(runner, operation)


async def carry_out(runner: Runner, task: Task) -> Ended:
    """Submit the operation and follow it to its end. The first Ctrl-C or SIGTERM cancels it.

    Raises Exit if a signal comes before the operation is stored, and what `task.submit` raises.
    """
    with watch_signals() as interruption:
        operation = await _submit(task, interruption)
        if operation.is_finished or task.is_detached:
            return Ended(operation, interruption.exit_status)
        command = name_command("operations cancel", operation.id, task.organization)
        interruption.farewell = (
            f"stopped at once. The {task.noun} is not cancelled: the service completes it now, or when it next "
            f"starts. To cancel it, run: {command}"
        )
        try:
            async with _keep_running(runner, operation):
                operation = await _follow(runner, operation, task, interruption)
                if not operation.is_finished:
                    typer.echo(
                        f"Stopping when the {task.items} in progress are done. To stop at once, press Ctrl-C again.",
                        err=True,
                    )
                    operation = await _stop(runner, operation)
        except (SQLAlchemyError, OSError):
            typer.echo(
                f"The {task.noun} {operation.id} is stored. The service completes it when the database is back.",
                err=True,
            )
            raise
        return Ended(operation, interruption.exit_status)


async def _submit(task: Task, interruption: Interruption) -> Operation:
    """Store the operation, unless a signal comes first. Then nothing is stored or changed."""
    interruption.farewell = (
        f"stopped at once. To see whether the {task.noun} was stored, run: "
        f"{name_command('operations list', '', task.organization)}"
    )
    is_stored = False

    async def notice(_connection: AsyncConnection, _operation: Operation) -> None:
        nonlocal is_stored
        is_stored = True

    submitting = asyncio.ensure_future(task.submit(notice))
    asked = asyncio.create_task(interruption.wait())
    await asyncio.wait({submitting, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    # Its commit must not be disturbed: the outcome would be unknown.
    if submitting.done() or is_stored:
        return await submitting
    submitting.cancel()
    with suppress(asyncio.CancelledError):
        return await submitting
    typer.echo(f"rollcall: stopped before the {task.noun} began. Nothing was changed.", err=True)
    raise typer.Exit(interruption.exit_status or 1)


async def _stop(runner: Runner, operation: Operation) -> Operation:
    """Cancel the operation, unless it has ended by itself."""
    try:
        return await cancel(runner, operation)
    except OperationNotCancellable:
        return await service.get_operation(runner.database, operation.organization_id, operation.id)


@asynccontextmanager
async def _keep_running(runner: Runner, operation: Operation) -> AsyncIterator[None]:
    """Run the operation in this process, unless a server or worker is alive and does it."""
    presence = create_presence(runner.database)
    try:
        is_alone = await presence.enter() and await presence.living() == {presence.name}
        running = asyncio.create_task(runner.run(operation)) if is_alone else None
        try:
            yield
        finally:
            runner.stop()
            if running is not None:
                await running
    finally:
        await presence.leave()


async def _follow(runner: Runner, operation: Operation, task: Task, interruption: Interruption) -> Operation:
    """Show progress until the operation has ended or a signal comes.

    It is a bar on a terminal, and elsewhere a line for every tenth.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    stderr = Console(stderr=True)
    shown_tenth = 0
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:
        bar = progress.add_task(task.doing, total=operation.total)
        while not (operation.is_finished or interruption.is_asked):
            operation = await runner.wait(operation, _REFRESH_SECONDS)
            doing = task.doing if operation.is_planned else "Checking"
            progress.update(bar, description=doing, completed=operation.done, total=operation.total)
            tenth = operation.done * 10 // max(1, operation.total)
            if not stderr.is_terminal and tenth > shown_tenth:
                shown_tenth = tenth
                typer.echo(f"{operation.done:,} of {operation.total:,} {task.items}", err=True)
    return operation
