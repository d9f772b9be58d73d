"""What is written for people where there is a terminal, and for programs where there is none."""

import typer
from rich.console import Console
from rich.table import Table

_stdout = Console()
stderr = Console(stderr=True)


def print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A table on a terminal; elsewhere a line for each row, its cells parted by tabs."""
    if not _stdout.is_terminal:
        for row in (columns, *rows):
            typer.echo("\t".join(row))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*row)
    _stdout.print(table)
