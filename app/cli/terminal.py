"""What is written for people where there is a terminal, and for programs where there is none."""

import sys
from pathlib import Path
from typing import TextIO

import typer
from rich.console import Console
from rich.table import Column, Table


def print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A table on a terminal; elsewhere a line for each row, its cells parted by tabs."""
    # What people have named is shown as they wrote it: `[bold]` in it is no markup, `:+1:` no picture.
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        for row in (columns, *rows):
            typer.echo("\t".join(row))
        return
    # Where there is too little room a cell goes on below: half of an id would be of no use.
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def is_stdout(output: Path | None) -> bool:
    """Whether this output is standard output: by the name `-`, or since no other was named."""
    return output is None or str(output) == "-"


def open_output(output: Path | None) -> TextIO:
    """The file to write, or stdout, which stays open; line ends are left as they come."""
    target = sys.stdout.fileno() if output is None or is_stdout(output) else output
    return open(target, "w", encoding="utf-8", newline="", closefd=not is_stdout(output))
