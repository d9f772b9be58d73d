"""Header fields such as `text/csv; charset=utf-8`: a value and its parameters (RFC 9110 sections 5.6.6 and 8.3.1).

A field comes from a client, so it is read in one pass over a bounded text. No parameter is ever used as the name of a
codec here.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

# In characters. A file name of 255 characters, percent-encoded, fits.
LONGEST_FIELD = 4096
LONGEST_FILE_NAME = 255
_VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+")
# Recipients may accept more than a token without quotes, such as a boundary with a colon. The groups are possessive,
# so that no text can be tried twice.
_PARAMETER = re.compile(
    r"""[ \t]*+;[ \t]*+
    (?:([!#$%&'*+.^_`|~0-9A-Za-z-]++)[ \t]*+=[ \t]*+
    (?:"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x1f\x7f])*+)"|([^\x00-\x20\x7f";,]++)))?+""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r'\\(["\\])')
# RFC 8187: a character set, a language, and percent-encoded bytes.
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[A-Za-z0-9-]*'(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """A value and its parameters. The value and the names of parameters are in lower case."""

    value: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_header_value(text: str) -> HeaderValue | None:
    """Return a field with parameters, or None if it is malformed, too long, or names a parameter twice.

    An absent field, which is empty, has an empty value.
    """
    if len(text) > LONGEST_FIELD:
        return None
    text = text.strip(" \t")
    found = _VALUE.match(text)
    if found is None:
        return None if text else HeaderValue()
    at = found.end()
    parameters: dict[str, str] = {}
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            return None
        at = parameter.end()
        name, quoted, plain = parameter.groups()
        if name is not None:
            if name.lower() in parameters:
                return None
            parameters[name.lower()] = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
    return HeaderValue(found[0].lower(), parameters)


def read_file_name(disposition: str) -> str | None:
    """Return the file name in a `Content-Disposition` (RFC 6266), without folders, or None.

    `filename*` comes before `filename`. Forms and many clients send UTF-8 in `filename`, unlike RFC 6266.
    """
    parsed = parse_header_value(disposition)
    if parsed is None:
        return None
    extended = _EXTENDED.fullmatch(parsed.parameters.get("filename*", ""))
    if extended is not None:
        return clean_file_name(unquote_to_bytes(extended[2]).decode(extended[1].lower(), "replace"))
    name = parsed.parameters.get("filename", "")
    with suppress(UnicodeError):  # then it is ISO-8859-1, as which header fields are decoded
        name = name.encode("latin-1").decode("utf-8")
    return clean_file_name(name)


def clean_file_name(name: str) -> str | None:
    """Return a name to show, never to open: without folders and invisible characters, at most 255 long, or None."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(character if character.isprintable() else " " for character in last)
    return " ".join(shown.split())[:LONGEST_FILE_NAME].strip() or None
