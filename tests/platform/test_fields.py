"""Shared field types: which values are valid and which are not."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.domain.errors import InvalidValue
from app.platform.fields import Day, Instant, PlainText, clean_with

plain_text = TypeAdapter(PlainText)
day = TypeAdapter(Day)
instant = TypeAdapter(Instant)


@pytest.mark.parametrize("text", ["", "a", "Žofie", "🎓", "two\nlines", "a\ttab", "\r\n", "\u2028", "\ufeff"])
def test_text_with_any_letters_and_line_breaks_is_valid(text: str) -> None:
    assert plain_text.validate_python(text) == text


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x80", "\x9f", "\ud800"])
def test_text_with_control_characters_or_surrogates_is_invalid(character: str) -> None:
    with pytest.raises(
        ValidationError, match="surrogate pair" if character == "\ud800" else "Control characters"
    ):
        plain_text.validate_python(f"a{character}b")


@given(st.dates())
def test_date_in_iso_form_is_valid(value: date) -> None:
    assert day.validate_python(value.isoformat()) == value


@pytest.mark.parametrize(
    "value",
    [
        0,
        86400,
        1.0,
        True,
        "86400",
        "20261031",
        "2026-10-31T00:00:00Z",
        "2026-10-31 ",
        "2026-1-1",
        "31.10.2026",
        "tomorrow",
        "",
        "2026-02-30",
        "0000-01-01",
        "+2026-10-31",
        "\uff12026-10-31",
        [],
        None,
    ],
    ids=repr,
)
def test_other_dates_are_invalid(value: object) -> None:
    with pytest.raises(ValidationError):
        day.validate_python(value)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_instant_in_rfc_3339_form_is_valid(value: datetime) -> None:
    for offset in (timedelta(0), timedelta(hours=5, minutes=30), timedelta(hours=-12)):
        written = value.astimezone(timezone(offset)).isoformat()
        assert instant.validate_python(written) == value
        assert instant.validate_python(written).utcoffset() == timedelta(0)
    assert instant.validate_python(value.isoformat().replace("+00:00", "Z")) == value
    assert instant.validate_python(value.isoformat().replace("T", " ")) == value


@pytest.mark.parametrize(
    "value",
    [
        0,
        1800000000,
        1.5,
        "1800000000",
        "2026-10-31",
        "2026-10-31T09:00:00",
        "2026-10-31T09:00:00 02:00",
        "2026-10-31T25:00:00Z",
        "2026-02-30T09:00:00Z",
        "now",
        "",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        None,
    ],
    ids=repr,
)
def test_other_instants_are_invalid(value: object) -> None:
    with pytest.raises(ValidationError):
        instant.validate_python(value)


def test_field_reports_the_message_of_the_rule() -> None:
    def clean(value: str) -> str:
        if value == "bad":
            raise InvalidValue("It must not be bad.")
        return value.upper()

    adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, clean_with(clean)])
    assert adapter.validate_python("good") == "GOOD"
    with pytest.raises(ValidationError, match="It must not be bad"):
        adapter.validate_python("bad")
