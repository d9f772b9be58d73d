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
import app.organizations.problems
import app.organizations.router
import app.platform.metrics
import app.platform.service_routes
import app.webhooks.problems
import app.webhooks.router
from app import __version__
from app.description import INTRODUCTION
from app.imports.handler import CsvImportHandler
from app.learners.dependencies import EXPORTS
from app.limits import LIMITS, Limits
from app.operations.bulk_actions import BulkActionHandler
from app.operations.dependencies import RUNNER
from app.operations.handler import Handler
from app.operations.operation import Kind
from app.operations.reverts import RevertHandler
from app.operations.runner import Engine, Runner
from app.organizations.authentication import Authenticator
from app.organizations.dependencies import AUTHENTICATOR, RATE_LIMITER
from app.platform.clock import Clock, SystemClock
from app.platform.database import Database
from app.platform.dependencies import CLOCK, DATABASE, STOPPING
from app.platform.logging import configure_logging, get_logger
from app.platform.middleware import BodyLimit, HeadAsGet, RequestContext
from app.platform.openapi import describe, document
from app.platform.problems import install_problem_handlers
from app.platform.rate_limits import RateLimiter
from app.platform.runtime import tune_interpreter
from app.platform.stopping import watch_for_stop
from app.settings import Settings
from app.webhooks.dependencies import SENDER
from app.webhooks.dispatcher import Dispatcher
from app.webhooks.sender import Sender

logger = get_logger("rollcall")

NewEngine = Callable[[Database, Runner, Settings], Engine]

HANDLERS: dict[Kind, Handler] = {
    Kind.BULK_ACTION: BulkActionHandler(),
    Kind.CSV_IMPORT: CsvImportHandler(),
    Kind.REVERT: RevertHandler(),
}
_TRANSLATIONS = {
    **app.learners.problems.TRANSLATIONS,
    **app.organizations.problems.TRANSLATIONS,
    **app.operations.problems.TRANSLATIONS,
    **app.imports.problems.TRANSLATIONS,
    **app.webhooks.problems.TRANSLATIONS,
}

TAGS = (
    app.learners.router.TAG,
    app.access.router.TAG,
    app.operations.router.TAG,
    app.webhooks.router.TAG,
    app.organizations.router.TAG,
    app.platform.service_routes.TAG,
)


def create_app(
    settings: Settings | None = None,
    clock: Clock | None = None,
    new_engine: NewEngine | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> FastAPI:
    """Build the ASGI application. It opens nothing before its lifespan begins.

    `new_engine` replaces the durable engine; then nothing else runs in the background.
    """
    settings = settings or Settings()
    clock = clock or SystemClock()

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        database = DATABASE.put(api, Database(settings.database_url, pool_size=settings.database_pool_size))
        EXPORTS.put(api, asyncio.Semaphore(limits.exports_at_once))
        RATE_LIMITER.put(api, RateLimiter(settings.rate_limit_per_minute))
        authenticator = AUTHENTICATOR.put(api, Authenticator(database, clock, limits))
        runner = RUNNER.put(api, Runner(database, clock, HANDLERS, limits))
        engine = None
        if settings.runs_operations:
            engine = (new_engine or new_background)(database, runner, settings)
            engine.start()
        sender = SENDER.put(api, _new_sender(settings, limits))
        flushing = asyncio.create_task(_flush_key_use(authenticator, limits.key_use_seconds))
        try:
            with watch_for_stop() as stopping:
                STOPPING.put(api, stopping)
                yield
        finally:
            if engine is not None:
                await engine.stop()
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing
            with suppress(SQLAlchemyError, OSError):
                await authenticator.flush_use()
            await sender.close()
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
        **describe(INTRODUCTION, TAGS),
    )
    CLOCK.put(api, clock)
    LIMITS.put(api, limits)
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
    limits = runner.limits
    dispatcher = Dispatcher(database, runner.clock, _new_sender(settings, limits), keep, limits)
    return Background(DurableEngine(database, runner, keep), dispatcher)


def _new_sender(settings: Settings, limits: Limits) -> Sender:
    return Sender(
        to_private_networks=settings.webhooks_to_private_networks,
        timeout_seconds=limits.webhook_timeout_seconds,
    )


async def _flush_key_use(authenticator: Authenticator, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await authenticator.flush_use()
        except (SQLAlchemyError, OSError):
            logger.warning("could not write down when keys were used")


def serve_app() -> FastAPI:
    """The application of a server process, with its logs as the settings say."""
    settings = Settings()
    tune_interpreter()
    configure_logging(settings.log_format, settings.log_level)
    return create_app(settings)
