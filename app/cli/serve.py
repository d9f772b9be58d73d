"""`rollcall serve`: start the service. The first start prints the first API key."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from types import FrameType
from typing import Annotated

import typer

from app import __version__
from app.cli.environment import open_database, read_settings
from app.cli.errors import Failure
from app.cli.options import show_examples
from app.organizations import service as organization_service
from app.platform.clock import SystemClock
from app.platform.logging import configure_logging

# A server process that does not answer its supervisor for this long is replaced. On a busy machine it needs some
# seconds to start. With uvicorn's default of five it would be replaced again and again.
_WORKER_START_SECONDS = 60

commands = typer.Typer()


@commands.command(
    epilog=show_examples(
        "rollcall serve --port 8080",
        "ROLLCALL_DATABASE_URL=postgresql://rollcall@db.example.org/rollcall rollcall serve --workers 4",
    )
)
def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on. 0.0.0.0 = all addresses.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    workers: Annotated[
        int,
        typer.Option(min=1, max=64, help="Processes that answer requests. More than one needs PostgreSQL."),
    ] = 1,
    with_worker: Annotated[
        bool,
        typer.Option(
            "--with-worker",
            help="Also do the work of `rollcall worker`. With SQLite this is always on.",
        ),
    ] = False,
) -> None:
    """Start the service. The first start creates the organization `default` and prints an admin key once."""
    import uvicorn  # noqa: PLC0415 - half of the start-up time of every other command

    settings = read_settings()
    if workers > 1 and settings.database_url.startswith("sqlite"):
        raise Failure("SQLite allows only one process. Use --workers 1, or use PostgreSQL.")
    if with_worker:
        os.environ["ROLLCALL_WITH_WORKER"] = "true"
    _require_free(host, port)
    secret = asyncio.run(_prepare_to_serve())
    _print_addresses(host, port, secret)
    configure_logging(settings.log_format, settings.log_level)
    # uvicorn raises the signal again after a clean stop. Without a handler, the exit status would be that of a failure.
    signal.signal(signal.SIGTERM, _exit_cleanly)
    with tempfile.TemporaryDirectory(prefix="rollcall-metrics-") as directory:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        uvicorn.run(
            "app.main:serve_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
            timeout_worker_healthcheck=_WORKER_START_SECONDS,
        )


def _print_addresses(host: str, port: int, secret: str | None) -> None:
    address = f"http://{_name_host(host)}:{port}"
    typer.echo(
        f"Rollcall {__version__}\n  console  {address}/console/\n  API      {address}\n  docs     {address}/docs"
    )
    if secret is not None:
        typer.echo(f"\nYour first API key (scope admin). It is shown only once:\n{secret}\n")
    sys.stdout.flush()


def _exit_cleanly(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _name_host(host: str) -> str:
    """Return the host for a browser on this machine."""
    if host in ("127.0.0.1", "0.0.0.0", "::"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _require_free(host: str, port: int) -> None:
    """Raise Failure if the port is taken, before the first key is created and shown."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Failure(
                f"cannot listen on {host}, port {port}: {error.strerror}. Use another --host or --port."
            ) from None


async def _prepare_to_serve() -> str | None:
    async with open_database() as database:
        return await database.write(organization_service.set_up_first_start, SystemClock().now())
