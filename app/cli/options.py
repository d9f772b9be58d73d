"""What the options of several commands share: the organization, the checks of the API, and examples."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from app.cli.wording import describe_invalid_value

OrganizationOption = Annotated[str, typer.Option("--organization", help="The organization's slug.")]


def check_as(field_type: Any) -> Callable[[Any], Any]:
    """Return a callback that checks an option as the API checks the same member."""
    adapter = TypeAdapter(field_type)

    def check(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise typer.BadParameter(describe_invalid_value(error)) from None

    return check


def show_examples(*lines: str) -> str:
    """Return the examples below the options of `--help`. Empty lines keep them apart."""
    return "\n\n".join(("For example:", *lines))
