"""`rollcall worker`: a process that runs large operations and sends webhook messages."""

import asyncio
import signal
from typing import Annotated

import typer
from prometheus_client import start_http_server

from app.background import HANDLERS, create_background
from app.cli.environment import open_database, read_settings
from app.cli.errors import Failure
from app.cli.options import show_examples
from app.operations.runner import Runner
from app.platform.clock import SystemClock
from app.platform.logging import configure_logging
from app.platform.runtime import tune_interpreter
from app.settings import Settings

commands = typer.Typer()


@commands.command(epilog=show_examples("rollcall worker", "rollcall worker --metrics-port 9100"))
def worker(
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Serve /metrics of this process on this port. 0 = off.")
    ] = 0,
) -> None:
    """Run large operations and send webhook messages (PostgreSQL only).

    Start as many workers as you like. If one dies, the others take over its work.
    """
    settings = read_settings()
    if settings.database_url.startswith("sqlite"):
        raise Failure("a worker needs PostgreSQL. With SQLite, `rollcall serve` does all the work.")
    configure_logging(settings.log_format, settings.log_level)
    if metrics_port:
        start_http_server(metrics_port, addr="127.0.0.1")
    tune_interpreter()
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    stopping = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopping.set)
    async with open_database() as database:
        background = create_background(database, Runner(database, SystemClock(), HANDLERS), settings)
        background.start()
        await stopping.wait()
        await background.stop()
