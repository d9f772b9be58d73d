"""The application: its parts put together, its doors mounted, its start and its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from sqlalchemy.exc import SQLAlchemyError

import app.access.router
import app.console.router
import app.imports.problems
import app.imports.router
import app.learners.problems
import app.learners.router
import app.operations.problems
import app.operations.router
import app.organizations.router
import app.platform.metrics
import app.platform.service_routes
import app.webhooks.problems
import app.webhooks.router
from app import __version__
from app.imports.worker import CsvImportWorker
from app.operations.bulk_actions import BulkActionWorker
from app.operations.operation import Kind, Worker
from app.operations.reverts import RevertWorker
from app.operations.runner import Engine, Runner
from app.organizations.authentication import Authenticator
from app.platform.clock import Clock, SystemClock
from app.platform.database import Database
from app.platform.garbage import tune_collection
from app.platform.logging import configure_logging, get_logger
from app.platform.middleware import BodyLimit, HeadAsGet, RequestContext
from app.platform.openapi import describe, document
from app.platform.problems import install_problem_handlers
from app.platform.rate_limits import RateLimiter
from app.platform.stopping import notice_of_stop
from app.platform.threads import prefer_answers
from app.settings import Settings
from app.webhooks.dispatcher import Dispatcher
from app.webhooks.sender import Sender

# How often the times at which keys were used are written down.
_FLUSH_SECONDS = 30

logger = get_logger("rollcall")

NewEngine = Callable[[Database, Runner, Settings], Engine]

WORKERS: dict[Kind, Worker] = {
    Kind.BULK_ACTION: BulkActionWorker(),
    Kind.CSV_IMPORT: CsvImportWorker(),
    Kind.REVERT: RevertWorker(),
}
_TRANSLATIONS = {
    **app.learners.problems.TRANSLATIONS,
    **app.organizations.router.TRANSLATIONS,
    **app.operations.problems.TRANSLATIONS,
    **app.imports.problems.TRANSLATIONS,
    **app.webhooks.problems.TRANSLATIONS,
}


def create_app(
    settings: Settings | None = None, clock: Clock | None = None, new_engine: NewEngine | None = None
) -> FastAPI:
    """The ASGI application. Opens nothing before its lifespan begins.

    `new_engine`: another than the durable one, and then nothing else runs in the background.
    """
    settings = settings or Settings()
    clock = clock or SystemClock()

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url, pool_size=settings.database_pool_size)
        api.state.database = database
        api.state.exports = app.learners.router.new_export_limit()
        authenticator = Authenticator(database, clock, RateLimiter(settings.rate_limit_per_minute))
        api.state.authenticator = authenticator
        api.state.runner = Runner(database, clock, WORKERS)
        engine = None
        if settings.runs_operations:
            engine = (new_engine or new_background)(database, api.state.runner, settings)
            engine.start()
        api.state.sender = Sender(to_private_networks=settings.webhooks_to_private_networks)
        flushing = asyncio.create_task(_flush_key_use(authenticator))
        try:
            with notice_of_stop() as api.state.stopping:
                yield
        finally:
            if engine is not None:
                await engine.stop()
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing
            with suppress(SQLAlchemyError, OSError):
                await authenticator.flush_use()
            await api.state.sender.close()
            await database.close()

    api = FastAPIOffline(
        title="Rollcall",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url="/openapi.json",
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/assets",
        **describe(),
    )
    api.state.clock = clock
    api.openapi = lambda: document(api)  # type: ignore[method-assign]
    for router in (
        app.operations.router.router,  # before `/learners/{learner_id}`
        app.learners.router.router,
        app.access.router.router,
        app.imports.router.router,
        app.organizations.router.router,
        app.webhooks.router.router,
        app.console.router.router,
        app.platform.service_routes.router,
        app.platform.metrics.router,
    ):
        api.include_router(router)
    install_problem_handlers(api, _TRANSLATIONS)
    api.add_middleware(
        BodyLimit, limits={"/imports/csv": settings.max_import_bytes}, default=settings.max_body_bytes
    )
    api.add_middleware(HeadAsGet)
    api.add_middleware(RequestContext, clock=clock, max_in_flight=settings.max_requests_in_flight)
    return api


class Background:
    """What a server or worker does besides answering: it runs operations, and sends events to webhooks."""

    def __init__(self, *parts: Engine | Dispatcher) -> None:
        """They start and stop together."""
        self._parts = parts

    def start(self) -> None:
        """Begin with what there is, and what will come."""
        for part in self._parts:
            part.start()

    async def stop(self) -> None:
        """Let what has begun end, and leave the rest to others."""
        await asyncio.gather(*(part.stop() for part in self._parts))


def new_background(database: Database, runner: Runner, settings: Settings) -> Background:
    """What a server or worker does besides answering."""
    from app.operations.engine import DurableEngine  # noqa: PLC0415 - half a second that only they need

    keep = timedelta(days=settings.outcomes_days)
    sender = Sender(to_private_networks=settings.webhooks_to_private_networks)
    return Background(DurableEngine(database, runner, keep), Dispatcher(database, runner.clock, sender, keep))


async def _flush_key_use(authenticator: Authenticator) -> None:
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        try:
            await authenticator.flush_use()
        except (SQLAlchemyError, OSError):
            logger.warning("could not write down when keys were used")


def serve_app() -> FastAPI:
    """The application of a server process, with its logs as the settings say."""
    settings = Settings()
    tune_collection()
    prefer_answers()
    configure_logging(settings.log_format, settings.log_level)
    return create_app(settings)
