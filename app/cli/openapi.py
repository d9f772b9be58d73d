"""`rollcall openapi`: print the description of the API."""

from enum import StrEnum
from typing import Annotated

import orjson
import typer

from app.cli.environment import read_settings
from app.cli.options import show_examples
from app.main import create_app
from app.platform.service_routes import to_yaml

commands = typer.Typer()


class DocumentFormat(StrEnum):
    """The format of the document."""

    YAML = "yaml"
    JSON = "json"


@commands.command("openapi", epilog=show_examples("rollcall openapi --format json > openapi.json"))
def print_openapi(
    document_format: Annotated[
        DocumentFormat, typer.Option("--format", help="The format of the document.")
    ] = DocumentFormat.YAML,
) -> None:
    """Print the OpenAPI document of the service. Needs no database."""
    document = create_app(read_settings()).openapi()
    if document_format is DocumentFormat.YAML:
        typer.echo(to_yaml(document), nl=False)
    else:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
