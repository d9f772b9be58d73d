"""The command `rollcall`: its subcommands and its exit status."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from app import __version__

# The module and summary of each command, in the order of `--help`. A module is imported only when its command is
# called, because importing all of them takes seconds.
COMMANDS = {
    "serve": ("app.cli.serve", "Start the service."),
    "worker": ("app.cli.worker", "Run large operations and send webhook messages (PostgreSQL only)."),
    "migrate": ("app.cli.migrate", "Update the database schema to this version."),
    "import": ("app.cli.imports", "Import a roster."),
    "export": ("app.cli.export", "Write learners as CSV, in the columns of an import."),
    "operations": (
        "app.cli.operations",
        "List, show, cancel and revert operations: imports, bulk actions and reverts.",
    ),
    "learners": ("app.cli.learners", "Show, activate and deactivate single learners."),
    "openapi": ("app.cli.openapi", "Print the OpenAPI document of the service."),
    "organizations": (
        "app.cli.organizations",
        "Manage the tenants. Each has its own learners, keys and time zone.",
    ),
    "keys": ("app.cli.api_keys", "Manage the API keys of an organization."),
}


def load_command(name: str) -> Any:
    """Import and return the command with this name."""
    group = get_group(import_module(COMMANDS[name][0]).commands)
    return group.commands.get(name, group)


class _Commands(TyperGroup):
    """The commands by name and summary. Only the one that is called is loaded."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find and load the command that is called."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is called.

        Explain in the service's own words what is wrong with the value of an option.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from app.cli.wording import reword_invalid_value  # noqa: PLC0415 - needed only here

            reword_invalid_value(error)
            raise


commands = typer.Typer(
    name="rollcall",
    cls=_Commands,
    help="Decide who may log in to a learning portal.\n\n"
    "Start with `rollcall serve`. It sets up its database and prints the first API key and the addresses to open. "
    "ROLLCALL_DATABASE_URL names the database (default: sqlite:///var/rollcall.db).\n\n"
    "Exit status: 0 = success, 1 = failed or only partly done, 2 = usage error, 130 = stopped with Ctrl-C, "
    "143 = stopped with SIGTERM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line.

    Exit status: 0 = success, 1 = failed or partly done, 2 = usage error, 130 = Ctrl-C, 143 = SIGTERM.
    """
    try:
        commands()
    except Exception as error:
        from app.cli.errors import explain  # noqa: PLC0415 - half of the start-up time

        explanation = explain(error)
        if explanation is None:
            raise
        sys.stderr.write(f"rollcall: {explanation}\n")
        raise SystemExit(1) from None


@commands.callback(invoke_without_command=True)
def options(
    *, version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False
) -> None:
    """Accept the options of `rollcall` itself."""
    if version:
        typer.echo(f"rollcall {__version__}")
        raise typer.Exit
