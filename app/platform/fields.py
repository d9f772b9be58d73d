"""Field types that every slice's schemas share."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from app.domain.errors import InvalidValue

# No database stores NUL or half a surrogate pair; the other control characters help nobody.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _plain(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("Control characters are not allowed.")
    return value


PlainText = Annotated[str, AfterValidator(_plain)]
Reason = Annotated[
    PlainText, Field(max_length=1000, description="Why; kept in the history.", examples=["contract ended"])
]


def cleaned_by(clean: Callable[[str], str]) -> AfterValidator:
    """A validator that cleans with a rule of the domain, so that every door refuses the same."""

    def validate(value: str) -> str:
        try:
            return clean(value)
        except InvalidValue as error:
            raise ValueError(str(error)) from None

    return AfterValidator(validate)


def refused_with(sentence: str) -> BeforeValidator:
    """The validator of a member that can't be written: whoever sends it is told what to do instead."""

    def refuse(_value: object) -> None:
        raise ValueError(sentence)

    return BeforeValidator(refuse)
