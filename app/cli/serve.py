"""`rollcall serve`: the service, and what its first start shows once."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from functools import partial
from typing import Annotated

import typer

from app import __version__
from app.cli.environment import open_database, read_settings
from app.cli.errors import Failure
from app.cli.options import examples
from app.organizations import service as organization_service
from app.platform.clock import SystemClock
from app.platform.logging import configure_logging

# A worker that does not answer its supervisor for this long is replaced. On a busy machine it takes some seconds
# before it answers at all; uvicorn's five would then replace it for ever.
_WORKER_START_SECONDS = 60

commands = typer.Typer()


@commands.command(
    epilog=examples(
        "rollcall serve --port 8080",
        "ROLLCALL_DATABASE_URL=postgresql://rollcall@db.example.org/rollcall rollcall serve --workers 4",
    )
)
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    workers: Annotated[
        int,
        typer.Option(min=1, max=64, help="Processes that answer requests; more than one needs PostgreSQL."),
    ] = 1,
    with_worker: Annotated[
        bool,
        typer.Option(
            "--with-worker",
            help="Run large operations here too, without `rollcall worker`; with SQLite always so.",
        ),
    ] = False,
) -> None:
    """Start the service. The first start creates the organization `default` and prints an admin key, once."""
    import uvicorn  # noqa: PLC0415 - half of the start-up time of every other command

    settings = read_settings()
    if workers > 1 and settings.database_url.startswith("sqlite"):
        raise Failure("with SQLite one process does everything: leave --workers at 1, or use PostgreSQL")
    if with_worker:
        os.environ["ROLLCALL_WITH_WORKER"] = "true"
    _require_free(host, port)
    secret = asyncio.run(_prepare_to_serve())
    address = f"http://{_shown_host(host)}:{port}"
    typer.echo(
        f"Rollcall {__version__}\n  console  {address}/console/\n  API      {address}\n  docs     {address}/docs"
    )
    if secret is not None:
        typer.echo(f"\nThe first API key (scope admin), shown only now:\n{secret}\n")
    sys.stdout.flush()
    configure_logging(settings.log_format, settings.log_level)
    # Once everything has ended in good order uvicorn raises the signal again, which would say that it had not.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
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


def _shown_host(host: str) -> str:
    """What to type into a browser on this machine."""
    if host in ("127.0.0.1", "0.0.0.0", "::"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _require_free(host: str, port: int) -> None:
    """Find out before the first key is shown, and say it in a sentence. Raises Failure."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Failure(
                f"cannot listen on {host}, port {port}: {error.strerror}; choose others with --host and --port"
            ) from None


async def _prepare_to_serve() -> str | None:
    async with open_database() as database:
        now = SystemClock().now()
        return await database.write(partial(organization_service.set_up_first_start, now=now))
