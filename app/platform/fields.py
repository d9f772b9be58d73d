"""Field types that all schemas share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.config import JsonDict
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.domain.errors import InvalidValue

# Databases cannot store NUL or a lone surrogate. The other control characters serve no purpose.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HALF = re.compile("[\ud800-\udfff]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(_DAY.pattern + r"[Tt ][0-9:.]+(?:[Zz]|[+-][0-9:]+)")


def _require_plain(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("Control characters are not allowed. Remove them.")
    if half := _HALF.search(value):
        raise ValueError(
            f"\\u{ord(half[0]):04x} is half of a surrogate pair. Send the other half too, or remove it."
        )
    return value


def _require_day(value: object) -> object:
    # Pydantic alone would read numbers as Unix time, so that 0 would be a date in 1970.
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if not is_day and not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise ValueError("Invalid date: use YYYY-MM-DD, such as 2026-10-31.")
    return value


def _require_instant(value: object) -> object:
    # Pydantic alone would read numbers as Unix time, and guess whether they are seconds or milliseconds.
    if not isinstance(value, datetime) and not (isinstance(value, str) and _INSTANT.fullmatch(value)):
        raise ValueError("Invalid time: use RFC 3339 with a time zone, such as 2026-10-31T09:00:00Z.")
    return value


def _convert_to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("This time is out of range: in UTC, its year must be between 1 and 9999.") from None


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a whole number, both included. One sentence names both."""

    lowest: int
    highest: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the bounds after the type."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Document the bounds."""
        return {**handler(schema), "minimum": self.lowest, "maximum": self.highest}

    def _check(self, value: int) -> int:
        if not self.lowest <= value <= self.highest:
            bounds = {"lowest": f"{self.lowest:,}", "highest": f"{self.highest:,}"}
            raise PydanticCustomError("out_of_range", "Must be between {lowest} and {highest}.", bounds)
        return value


PlainText = Annotated[str, AfterValidator(_require_plain)]
Instant = Annotated[AwareDatetime, BeforeValidator(_require_instant), AfterValidator(_convert_to_utc)]
Day = Annotated[date, BeforeValidator(_require_day)]
Reason = Annotated[
    PlainText,
    Field(max_length=1000, description="The reason. The history shows it.", examples=["contract ended"]),
]


def document_length(longest: int) -> JsonDict:
    """Return the JSON schema for the length of a text that a rule checks after it has removed outer spaces."""
    return {"minLength": 1, "maxLength": longest}


def clean_with(clean: Callable[[str], str]) -> AfterValidator:
    """Return a validator that cleans with a rule of the domain, so that every way in rejects the same values."""

    def validate(value: str) -> str:
        try:
            return clean(value)
        except InvalidValue as error:
            raise ValueError(str(error)) from None

    return AfterValidator(validate)


def reject_with(sentence: str) -> BeforeValidator:
    """Return the validator of a read-only member. It rejects every value with `sentence`."""

    def refuse(_value: object) -> None:
        raise ValueError(sentence)

    return BeforeValidator(refuse)
