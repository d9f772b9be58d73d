"""Output: for people on a terminal, and for programs elsewhere."""

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Column, Table

from app.cli.errors import Failure


def print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]], *, is_first: bool = True) -> None:
    """Print a table on a terminal. Elsewhere print a line for each row, with tabs between cells.

    A long table can be printed in parts. Only the first one (`is_first`) has the titles of the columns.
    """
    # Names are shown as they were written: `[bold]` is not markup, and `:+1:` is not an emoji.
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        for row in (columns, *rows) if is_first else rows:
            typer.echo("\t".join(row))
        return
    # Long cells are folded and not cut, because half an id is useless.
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, show_header=is_first)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_json(document: type[BaseModel], found: Iterable[Mapping[str, Any]]) -> None:
    """Print each of these as the API shows it: one JSON object a line."""
    for each in found:
        typer.echo(document.model_validate(each).model_dump_json())


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Print a line for each name and value, indented."""
    for name, value in pairs.items():
        typer.echo(f"  {name:<17}  {value}")


def describe_instant(instant: datetime | None) -> str | None:
    """Return an instant in UTC, to the second. None stays None."""
    return None if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}Z"


def is_stdout(output: Path | None) -> bool:
    """Return whether the output is standard output: `-`, or no file at all."""
    return output is None or str(output) == "-"


def open_output(output: Path | None) -> TextIO:
    """Open the file to write, or standard output, which stays open. Line ends are written unchanged. Raises Failure."""
    target = sys.stdout.fileno() if output is None or is_stdout(output) else output
    try:
        return open(target, "w", encoding="utf-8", newline="", closefd=not is_stdout(output))
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from None
