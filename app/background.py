"""Background work: large operations, and webhook messages."""

import asyncio
from datetime import timedelta

from app.imports.handler import CsvImportHandler, JsonImportHandler
from app.limits import Limits
from app.operations.bulk_actions import BulkActionHandler
from app.operations.handler import Handler
from app.operations.operation import Kind
from app.operations.reverts import RevertHandler
from app.operations.runner import Engine, Runner
from app.platform.database import Database
from app.settings import Settings
from app.webhooks.dispatcher import Dispatcher
from app.webhooks.sender import Sender

HANDLERS: dict[Kind, Handler] = {
    Kind.BULK_ACTION: BulkActionHandler(),
    Kind.CSV_IMPORT: CsvImportHandler(),
    Kind.JSON_IMPORT: JsonImportHandler(),
    Kind.REVERT: RevertHandler(),
}


class Background:
    """The background work of one server or worker. Its parts start and stop together."""

    def __init__(self, *parts: Engine | Dispatcher) -> None:
        self._parts = parts

    def start(self) -> None:
        """Start every part."""
        for part in self._parts:
            part.start()

    async def stop(self) -> None:
        """Stop every part. Each finishes the step that it is in, and leaves the rest to other processes."""
        await asyncio.gather(*(part.stop() for part in self._parts))


def create_background(database: Database, runner: Runner, settings: Settings) -> Background:
    """Return the background work of a server or worker, not yet started."""
    from app.operations.engine import DurableEngine  # noqa: PLC0415 - its import takes half a second

    keep = timedelta(days=settings.outcomes_days)
    limits = runner.limits
    dispatcher = Dispatcher(database, runner.clock, create_sender(settings, limits), keep, limits)
    return Background(DurableEngine(database, runner, keep), dispatcher)


def create_sender(settings: Settings, limits: Limits) -> Sender:
    """Return the sender of webhook messages."""
    return Sender(
        to_private_networks=settings.webhooks_to_private_networks,
        timeout_seconds=limits.webhook_timeout_seconds,
    )
