"""The application: it connects the parts, mounts the routers, and opens and closes what they need."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

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
from app.background import HANDLERS, create_background, create_sender
from app.description import INTRODUCTION
from app.imports.dependencies import UPLOADS
from app.imports.uploads import Uploads
from app.learners.dependencies import EXPORTS
from app.limits import LIMITS, Limits
from app.operations.dependencies import RUNNER
from app.operations.runner import Engine, Runner
from app.organizations.authentication import Authenticator
from app.organizations.dependencies import AUTHENTICATOR, RATE_LIMITER
from app.platform.clock import Clock, SystemClock
from app.platform.database import Database
from app.platform.dependencies import CLOCK, DATABASE, STOPPING
from app.platform.logging import configure_logging, get_logger
from app.platform.middleware import BodyLimit, HeadAsGet, RequestContext
from app.platform.openapi import build_document, describe
from app.platform.problems import install_problem_handlers
from app.platform.rate_limits import RateLimiter
from app.platform.runtime import tune_interpreter
from app.platform.stopping import watch_for_stop
from app.settings import Settings
from app.webhooks.dependencies import SENDER

logger = get_logger("rollcall")

NewEngine = Callable[[Database, Runner, Settings], Engine]

_TRANSLATIONS = {
    **app.learners.problems.TRANSLATIONS,
    **app.organizations.problems.TRANSLATIONS,
    **app.operations.problems.TRANSLATIONS,
    **app.imports.problems.TRANSLATIONS,
    **app.webhooks.problems.TRANSLATIONS,
}

_TAGS = (
    app.learners.router.TAG,
    app.access.router.TAG,
    app.operations.router.TAG,
    app.webhooks.router.TAG,
    app.organizations.router.TAG,
    app.platform.service_routes.TAG,
)
_ROUTERS = (
    app.operations.router.router,  # before `/learners/{learner_id}`
    app.learners.router.router,
    app.access.router.router,
    app.imports.router.router,
    app.organizations.router.router,
    app.webhooks.router.router,
    app.console.router.router,
    app.platform.service_routes.router,
    app.platform.metrics.router,
)


def create_app(
    settings: Settings | None = None,
    clock: Clock | None = None,
    new_engine: NewEngine | None = None,
    limits: Limits = Limits(),
) -> FastAPI:
    """Build the ASGI application. It opens nothing before its lifespan begins.

    `new_engine` replaces the durable engine and all other background work.
    """
    settings = settings or Settings()
    clock = clock or SystemClock()
    api = FastAPIOffline(
        title="Rollcall",
        version=__version__,
        lifespan=partial(_open, settings=settings, new_engine=new_engine or create_background),
        redirect_slashes=False,
        openapi_url="/openapi.json",
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/assets",
        **describe(INTRODUCTION, _TAGS),
    )
    CLOCK.put(api, clock)
    LIMITS.put(api, limits)
    api.openapi = partial(build_document, api)  # type: ignore[method-assign]
    for router in _ROUTERS:
        api.include_router(router)
    install_problem_handlers(api, _TRANSLATIONS)
    imports = (app.imports.router.import_csv, app.imports.router.import_json)
    uploads = {str(api.url_path_for(each.__name__)): settings.max_import_bytes for each in imports}
    api.add_middleware(BodyLimit, limits=uploads, default=settings.max_body_bytes)
    api.add_middleware(HeadAsGet)
    api.add_middleware(RequestContext, clock=clock, max_in_flight=settings.max_requests_in_flight)
    return api


@asynccontextmanager
async def _open(api: FastAPI, settings: Settings, new_engine: NewEngine) -> AsyncIterator[None]:
    """Open what the application needs while it serves, and close it at the end."""
    clock, limits = CLOCK.of(api), LIMITS.of(api)
    database = DATABASE.put(api, Database(settings.database_url, pool_size=settings.database_pool_size))
    EXPORTS.put(api, asyncio.Semaphore(limits.exports_at_once))
    UPLOADS.put(api, Uploads())
    RATE_LIMITER.put(api, RateLimiter(settings.rate_limit_per_minute))
    authenticator = AUTHENTICATOR.put(api, Authenticator(database, clock, limits))
    runner = RUNNER.put(api, Runner(database, clock, HANDLERS, limits))
    engine = None
    if settings.runs_operations:
        engine = new_engine(database, runner, settings)
        engine.start()
    sender = SENDER.put(api, create_sender(settings, limits))
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


async def _flush_key_use(authenticator: Authenticator, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await authenticator.flush_use()
        except (SQLAlchemyError, OSError):
            logger.warning("could not store when keys were last used")


def serve_app() -> FastAPI:
    """Return the application of a server process, and configure its logs."""
    settings = Settings()
    tune_interpreter()
    configure_logging(settings.log_format, settings.log_level)
    return create_app(settings)
