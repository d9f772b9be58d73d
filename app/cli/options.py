"""What the options of several commands share: the organization, the checks of the API, and examples."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from app.cli.wording import describe_invalid_value
from app.platform.fields import Reason

OrganizationOption = Annotated[str, typer.Option("--organization", help="The organization's slug.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs, as in the API: one object a line.")
]
DetachOption = Annotated[
    bool,
    typer.Option(
        "--detach",
        help="Do not wait. Store the work, print its id, and leave it to the service. Little work is done at once.",
    ),
]


def check_as(field_type: Any) -> Callable[[Any], Any]:
    """Return a callback that checks an option as the API checks the same member."""
    adapter = TypeAdapter(field_type)

    def check(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise typer.BadParameter(describe_invalid_value(error)) from None

    return check


ReasonOption = Annotated[
    str | None, typer.Option(callback=check_as(Reason | None), help="The reason. The history shows it.")
]


def show_examples(*lines: str) -> str:
    """Return the examples below the options of `--help`. Empty lines keep them apart."""
    return "\n\n".join(("For example:", *lines))
