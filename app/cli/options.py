"""What the options of several commands share: the organization, the API's checks, the examples below them."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from app.cli.errors import sentence

OrganizationOption = Annotated[str, typer.Option("--organization", help="The organization's slug.")]


def checked_as(field_type: Any) -> Callable[[Any], Any]:
    """A callback that takes and refuses for an option what the API does for the same member."""
    adapter = TypeAdapter(field_type)

    def check(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise typer.BadParameter(sentence(error.errors()[0])) from None

    return check


def examples(*lines: str) -> str:
    """What stands below the options of `--help`; an empty line between two keeps them apart."""
    return "\n\n".join(("For example:", *lines))
