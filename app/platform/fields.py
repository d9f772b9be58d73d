"""Field types that every slice's schemas share."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic.config import JsonDict

from app.domain.errors import InvalidValue

# No database stores NUL or half a surrogate pair; the other control characters help nobody.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HALF = re.compile("[\ud800-\udfff]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(_DAY.pattern + r"[Tt ][0-9:.]+(?:[Zz]|[+-][0-9:]+)")


def _plain(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("Control characters are not allowed.")
    if half := _HALF.search(value):
        raise ValueError(f"\\u{ord(half[0]):04x} is half of a pair (a lone surrogate), not a character.")
    return value


def _as_written(value: object) -> object:
    # Left alone, pydantic takes numbers as Unix time: `"expires_on": 0` would expire a learner at once.
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if not is_day and not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise ValueError("A date is written YYYY-MM-DD, such as 2026-10-31.")
    return value


def _instant_as_written(value: object) -> object:
    # Likewise: what takes Unix time would have to guess whether it is seconds or milliseconds.
    if not isinstance(value, datetime) and not (isinstance(value, str) and _INSTANT.fullmatch(value)):
        raise ValueError("An instant is written as RFC 3339 has it, such as 2026-10-31T09:00:00Z.")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("In UTC this instant lies outside the years 1 to 9999.") from None


PlainText = Annotated[str, AfterValidator(_plain)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant_as_written), AfterValidator(_in_utc)]
Day = Annotated[date, BeforeValidator(_as_written)]
Reason = Annotated[
    PlainText, Field(max_length=1000, description="Why; kept in the history.", examples=["contract ended"])
]


def shown_length(longest: int) -> JsonDict:
    """How the document tells the length of a text that a rule of the domain measures, outer spaces apart."""
    return {"minLength": 1, "maxLength": longest}


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
