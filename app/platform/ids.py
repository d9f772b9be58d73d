"""UUIDv7 (RFC 9562 section 5.7): made in Python or by the database, and read as an instant."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import getrandbits
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam, cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from uuid_utils import uuid7

from app.platform.column_types import Id

_TIMESTAMP = "new_ids_timestamp"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The last part of an id: where it begins, its bits, and the bits of a step from one id to the next.
_HEAD, _TAIL_BITS, _STEP_BITS = 24, 48, 24
_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass
class _Latest:
    """The latest id of this process: its timestamp, all before its last 48 bits, and these."""

    nanoseconds: int = -1
    head: str = ""
    tail: int = 0
    lock: Lock = field(default_factory=Lock)


_latest = _Latest()


def new_id(now: datetime) -> str:
    """Return a new UUIDv7 with the timestamp `now` (an aware instant), in canonical lower-case form.

    The ids that a process makes one after the other with the same timestamp increase (RFC 9562 section 6.2, method 2).
    So they have the order in which they were made, and the indexes of a database grow at their end.
    """
    nanoseconds = _nanoseconds(now)
    with _latest.lock:
        _latest.tail += 1 + getrandbits(_STEP_BITS)
        if nanoseconds != _latest.nanoseconds or _latest.tail >> _TAIL_BITS:
            text = str(uuid7(nanoseconds=nanoseconds))
            _latest.nanoseconds, _latest.head = nanoseconds, text[:_HEAD]
            # The lower half of the range, so that there is room for increasing ids.
            _latest.tail = int(text[_HEAD:], 16) >> 1
        return f"{_latest.head}{_latest.tail:012x}"


# Thousands of ids are made with one instant.
@lru_cache(16)
def _nanoseconds(now: datetime) -> int:
    since_epoch = now - _EPOCH
    seconds = since_epoch.days * 86_400 + since_epoch.seconds
    return seconds * 1_000_000_000 + since_epoch.microseconds // 1_000 * 1_000_000


def derive_id(now: datetime, base: str, number: int) -> str:
    """Return a UUIDv7 with the timestamp `now` that follows from another UUIDv7 and a number.

    Different bases or numbers below 4096 give different ids, except by a chance of one in 2^62.
    """
    timestamp = f"{_nanoseconds(now) // 1_000_000:012x}"
    return f"{timestamp[:8]}-{timestamp[8:]}-7{number & 0xFFF:03x}-{base[19:]}"


def parse_id(text: str) -> str | None:
    """Return the canonical form of an id from outside, or None if it is not a UUID."""
    lowered = text.lower()
    return lowered if _CANONICAL.fullmatch(lowered) else None


def instant_of(identifier: str) -> datetime:
    """Return the instant in a UUIDv7, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=int(identifier[:8] + identifier[9:13], 16))


class _NewIds(GenericFunction[str]):
    """A new UUIDv7 for each row of an INSERT ... SELECT. The arguments: a timestamp of 12 hex digits, and a number."""

    type = Id()
    inherit_cache = True
    name = "rollcall_new_ids"


def new_ids(number: ColumnElement[int]) -> ColumnElement[str]:
    """Return SQL that makes a new UUIDv7 for each row. `timestamp_parameter` gives the statement its instant.

    The ids have the order of `number`, up to 2^24 of them (RFC 9562 section 6.2, method 1). So a million new rows
    are inserted at the end of the indexes of ids, not at random places.
    """
    return _NewIds(cast(bindparam(_TIMESTAMP, type_=Text), Text), number)


def timestamp_parameter(now: datetime) -> dict[str, str]:
    """Return the parameter by which the ids of `new_ids` carry the instant `now`."""
    return {_TIMESTAMP: new_id(now).replace("-", "")[:12]}


@compiles(_NewIds, "postgresql")
def _new_ids_postgresql(element: _NewIds, compiler: SQLCompiler, **options: Any) -> str:
    timestamp, number = (compiler.process(each, **options) for each in element.clauses)
    high, low = (f"lpad(to_hex(({part}) & 4095), 3, '0')" for part in (f"{number} >> 12", number))
    random = "right(replace(gen_random_uuid()::text, '-', ''), 12)"
    return f"({timestamp} || '7' || {high} || '8' || {low} || {random})::uuid"


@compiles(_NewIds, "sqlite")
def _new_ids_sqlite(element: _NewIds, compiler: SQLCompiler, **options: Any) -> str:
    timestamp, number = (compiler.process(each, **options) for each in element.clauses)
    return (
        f"printf('%s-%s-7%03x-8%03x-%s', substr({timestamp}, 1, 8), substr({timestamp}, 9, 4), "
        f"(({number}) >> 12) & 4095, ({number}) & 4095, lower(hex(randomblob(6))))"
    )
