"""Content negotiation (RFC 9110 section 12.5.1): which of the offered media types a client prefers."""

import re
from collections.abc import Sequence

from fastapi import Request

from app.platform.media_types import LONGEST_FIELD
from app.platform.problems import NOT_ACCEPTABLE, Problem, illustrate

JSON = "application/json"
CSV = "text/csv"
_LONGEST_QUOTE = 200
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def choose_media_type(request: Request, offered: Sequence[str]) -> str:
    """Return the offered type that `Accept` prefers, or the first one if it has no preference.

    Raises the problem `not-acceptable`.
    """
    header = ",".join(request.headers.getlist("accept")).strip()
    if not header:
        return offered[0]
    if len(header) > LONGEST_FIELD:
        raise not_offered(offered, header)
    ranges = [_parse_range(part) for part in header.split(",") if part.strip()]
    best = max(offered, key=lambda media_type: (_quality(media_type, ranges), -offered.index(media_type)))
    if _quality(best, ranges) <= 0:
        raise not_offered(offered, header)
    return best


def not_offered(offered: Sequence[str], header: str) -> Problem:
    """Return the problem for an `Accept` header with none of the offered types."""
    wanted = header if len(header) <= _LONGEST_QUOTE else f"{header[:_LONGEST_QUOTE]}…"
    return Problem(
        NOT_ACCEPTABLE, f"This address offers {' or '.join(offered)}, not {wanted}. Change the Accept header."
    )


def _parse_range(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            quality = float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
    return media_range, quality


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    by_specificity = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    for candidate in by_specificity:
        for media_range, quality in ranges:
            if media_range == candidate:
                return quality
    return 0.0


illustrate(not_offered((JSON, CSV), "application/xml"))
