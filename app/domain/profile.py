"""What the fields of a profile may hold, and when two usernames are the same.

JSON, CSV and the command line all clean their input here, so that they accept and refuse the same values.
"""

import re
import unicodedata

from app.domain.errors import InvalidValue

MAX_LENGTH = 255
MAX_EMAIL_LENGTH = 320
# C0, DEL, C1, the line and paragraph separators, and lone surrogates, which databases cannot store.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Zero-width characters, those that change the direction of text, and the byte order mark.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def tidy(value: str) -> str:
    """Return the text in the form in which it is stored: without outer spaces, and composed (NFC)."""
    tidied = value.strip()
    return tidied if tidied.isascii() else unicodedata.normalize("NFC", tidied)


def _clean(value: str, name: str, longest: int) -> str:
    cleaned = tidy(value)
    is_ascii = cleaned.isascii()
    if not cleaned:
        raise InvalidValue(f"{name} must not be empty.")
    if len(cleaned) > longest:
        raise InvalidValue(f"{name} must have at most {longest} characters. This one has {len(cleaned)}.")
    if not cleaned.isprintable() if is_ascii else _UNPRINTABLE.search(cleaned):
        raise InvalidValue(f"{name} must not contain a line break or another control character.")
    return cleaned


def clean_username(value: str) -> str:
    """Return a username without outer spaces: 1 to 255 visible characters. Raises InvalidValue.

    With invisible characters, two usernames could look the same. Names may contain them, because some scripts need
    joiners.
    """
    cleaned = _clean(value, "A username", MAX_LENGTH)
    if not cleaned.isascii() and (found := _INVISIBLE.search(cleaned)):
        raise InvalidValue(f"A username must not contain invisible characters. Remove U+{ord(found[0]):04X}.")
    return cleaned


def clean_external_id(value: str) -> str:
    """Return an external id without outer spaces: 1 to 255 characters. Raises InvalidValue."""
    return _clean(value, "An external ID", MAX_LENGTH)


def clean_name(value: str) -> str:
    """Return a first or last name without outer spaces: 1 to 255 characters. Raises InvalidValue."""
    return _clean(value, "A name", MAX_LENGTH)


def clean_email(value: str) -> str:
    """Return an email address without outer spaces: at most 320 characters, one @, no spaces. Raises InvalidValue.

    It checks no more than that, because only sending mail shows whether an address works.
    """
    cleaned = _clean(value, "An email address", MAX_EMAIL_LENGTH)
    local, _, host = cleaned.rpartition("@")
    if not local or not host or "@" in local or len(cleaned.split()) > 1:
        raise InvalidValue(f"Invalid email address {cleaned!r}: use the form name@example.org.")
    return cleaned


def fold(value: str) -> str:
    """Return the form in which upper and lower case are the same (Unicode's canonical caseless match)."""
    if value.isascii():
        return value.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", value).casefold())


def sort_form(value: str) -> str:
    """Return the form by which names are sorted, without case and accents: Özil is sorted under O.

    At most 255 characters, because one character can decompose into eighteen and an index row is limited.
    """
    if value.isascii():
        return value.lower()
    decomposed = unicodedata.normalize("NFKD", value).casefold()
    return "".join(filter(lambda character: not unicodedata.combining(character), decomposed))[:MAX_LENGTH]
