"""What a learner in JSON means: a wish, or the reasons why the row is invalid. Pure, like `rows`."""

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any

from app.domain.errors import InvalidValue
from app.domain.profile import looks_shortened
from app.imports.errors import CellReason, InvalidCell, MissingKey, NotAnObject, UnknownMember
from app.imports.json_reader import Number
from app.imports.rows import InvalidRow
from app.learners.fields import ACTIVE, EXPIRATION_DATE, PROFILE, ProfileField
from app.learners.wish import NO_CHANGE, Wish
from app.platform.wording import replace_surrogates

# Of a row with very many problems, so many are reported.
MOST_REASONS = 20
_LONGEST_QUOTE = 40
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEYS = ("username", "external_id")


def compile_json_parser() -> Callable[[object], Wish | InvalidRow]:
    """Return a function that parses the value of a JsonRow.

    A missing member leaves the field as it is, and null clears it, except the username and `active`. Values are
    cleaned as those of a CSV row are. An invalid row has all its problems: those of its keys, the others, and the
    missing key.
    """
    readers: dict[str, tuple[str, Callable[[object], Any]]] = {
        **{field.name: (field.name, _compile_text_reader(field)) for field in PROFILE},
        "active": (ACTIVE.name, _read_active),
        "expires_on": (EXPIRATION_DATE.name, _read_date),
    }

    def parse(value: object) -> Wish | InvalidRow:
        if not isinstance(value, tuple):
            return InvalidRow((NotAnObject(), MissingKey()))
        values: dict[str, Any] = {}
        reasons: list[CellReason] = []
        for member, sent in value:
            if member not in readers:
                reasons.append(UnknownMember(member))
                continue
            name, read = readers[member]
            if name in values:
                reasons.append(
                    InvalidCell(name, member, "The object has this member twice. Keep one of them.")
                )
                continue
            values[name] = None
            try:
                values[name] = read(sent)
            except InvalidValue as error:
                reasons.append(InvalidCell(name, member, str(error)))
        if reasons or (values.get("username") is None and values.get("external_id") is None):
            return _refuse(values, reasons)
        is_active = values.pop(ACTIVE.name, None)
        expires_on = values.pop(EXPIRATION_DATE.name, NO_CHANGE)
        return Wish(values, expires_on, is_active)

    return parse


def _refuse(values: dict[str, Any], reasons: list[CellReason]) -> InvalidRow:
    username, external_id = (values.get(key) for key in _KEYS)
    # What hides the learner comes first, so that it is never cut off: guards ask for it.
    reasons.sort(key=lambda reason: not _is_about_key(reason))
    told = reasons[:MOST_REASONS]
    if username is None and external_id is None and not any(map(_is_about_key, told)):
        told.append(MissingKey())
    asks_to_deactivate = values.get(ACTIVE.name) is False
    return InvalidRow(tuple(told), username, external_id, asks_to_deactivate=asks_to_deactivate)


def _is_about_key(reason: CellReason) -> bool:
    return isinstance(reason, InvalidCell) and reason.field in _KEYS


def _compile_text_reader(field: ProfileField) -> Callable[[object], str | None]:
    def read(value: object) -> str | None:
        if type(value) is str:
            if field.is_exact and looks_shortened(value):
                raise InvalidValue(
                    f"{_quote(value)} looks like a number that a spreadsheet has shortened. Send the whole id."
                )
            return field.clean(value)
        if value is None and not field.is_required:
            return None
        if value is None:
            raise InvalidValue("This member cannot be null. Leave it out to keep the value.")
        if isinstance(value, Number):
            raise InvalidValue(f"This is a number. Write it as text: {_quote(value)}.")
        raise InvalidValue("This must be text.")

    return read


def _read_active(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidValue("Use true or false, without quotes. Leave the member out to keep the status.")


def _read_date(value: object) -> date | None:
    if value is None:
        return None
    if type(value) is not str:
        raise InvalidValue("This is not a date. Write it as text, YYYY-MM-DD, or null for never.")
    return _parse_date(value)


# The dates of nearly every roster are from a few years, so they repeat.
@lru_cache(4_096)
def _parse_date(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise InvalidValue(f"{_quote(text)} is not a valid date. Write YYYY-MM-DD, or null for never.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidValue(
            f"{_quote(text)} does not exist in the calendar. Check the month and the day."
        ) from None


def _quote(text: str) -> str:
    shown = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
    # A lone surrogate is no character, so no database and no answer can hold it.
    return f'"{replace_surrogates(shown)}"'
