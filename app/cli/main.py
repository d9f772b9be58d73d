"""The command `rollcall` as a whole: what it consists of, and how it ends."""

import sys
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from app import __version__
from app.cli import api_keys, export, imports, migrate, openapi, organizations, serve, worker
from app.cli.errors import Failure
from app.domain.errors import InvalidValue
from app.imports.reader import UnreadableCsv
from app.organizations.errors import SlugTaken
from app.platform.schema import SchemaMismatch

commands = typer.Typer(
    name="rollcall",
    help="Decides who may log in to a learning portal.\n\n"
    "Start with `rollcall serve`: it sets up its database, prints the first API key and where to go. "
    "The database is named by ROLLCALL_DATABASE_URL (default: sqlite:///var/rollcall.db).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
# In the order in which `--help` lists them.
commands.add_typer(serve.commands)
commands.add_typer(worker.commands)
commands.add_typer(migrate.commands)
commands.add_typer(imports.commands)
commands.add_typer(export.commands)
commands.add_typer(openapi.commands)
commands.add_typer(organizations.commands)
commands.add_typer(api_keys.commands)


def main() -> None:
    """Run the command line: exit status 0 = done, 1 = not (all) done, 2 = called wrongly, 130 = interrupted."""
    try:
        commands()
    except (Failure, InvalidValue, SlugTaken, SchemaMismatch, UnreadableCsv) as error:
        _fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        _fail(f"the database or a file is out of reach: {getattr(error, 'orig', None) or error}")


def _fail(message: str) -> None:
    sys.stderr.write(f"rollcall: {message}\n")
    raise SystemExit(1)


@commands.callback(invoke_without_command=True)
def options(
    *, version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False
) -> None:
    """Options of the command as a whole."""
    if version:
        typer.echo(f"rollcall {__version__}")
        raise typer.Exit
