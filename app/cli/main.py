"""The command `rollcall` as a whole: what it consists of, and how it ends."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from app import __version__

# Where each command is, and what the list of them says, in this order. Its module is imported only when it is
# called: what all of them need takes seconds.
COMMANDS = {
    "serve": ("app.cli.serve", "Start the service."),
    "worker": ("app.cli.worker", "Run large operations and send to webhooks (PostgreSQL only)."),
    "migrate": ("app.cli.migrate", "Bring the database's schema to this version."),
    "import": ("app.cli.imports", "Import a roster."),
    "export": ("app.cli.export", "Write learners as CSV, in the columns of an import."),
    "openapi": ("app.cli.openapi", "Print the OpenAPI document of the service."),
    "organizations": ("app.cli.organizations", "The tenants: each has its own learners, keys and time zone."),
    "keys": ("app.cli.api_keys", "The API keys of an organization."),
}


def load_command(name: str) -> Any:
    """The command of this name, with its options or its own commands."""
    group = get_group(import_module(COMMANDS[name][0]).commands)
    return group.commands.get(name, group)


class _Commands(TyperGroup):
    """The commands by name and summary; only the one that is called is loaded."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that is called, and load it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(name), rest


commands = typer.Typer(
    name="rollcall",
    cls=_Commands,
    help="Decides who may log in to a learning portal.\n\n"
    "Start with `rollcall serve`: it sets up its database, prints the first API key and where to go. "
    "The database is named by ROLLCALL_DATABASE_URL (default: sqlite:///var/rollcall.db).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line: exit status 0 = done, 1 = not (all) done, 2 = called wrongly, 130 = interrupted."""
    try:
        commands()
    except Exception as error:
        from app.cli.errors import explain  # noqa: PLC0415 - what can fail is half of the start-up time

        explanation = explain(error)
        if explanation is None:
            raise
        sys.stderr.write(f"rollcall: {explanation}\n")
        raise SystemExit(1) from None


@commands.callback(invoke_without_command=True)
def options(
    *, version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False
) -> None:
    """Options of the command as a whole."""
    if version:
        typer.echo(f"rollcall {__version__}")
        raise typer.Exit
