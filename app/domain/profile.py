"""Who a learner is: what the fields of a profile may hold, and when two usernames are the same.

Every door (JSON, CSV, command line) cleans its input here, so that all of them take and refuse the same.
"""

import re
import unicodedata

from app.domain.errors import InvalidValue

MAX_LENGTH = 255
MAX_EMAIL_LENGTH = 320
# C0, DEL, C1, the line and paragraph separators, and lone surrogates, which no database stores.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Zero-width characters, those that change the direction of text, and the byte order mark.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def tidy(value: str) -> str:
    """The text as it would be stored: without outer spaces, and composed (NFC)."""
    tidied = value.strip()
    return tidied if tidied.isascii() else unicodedata.normalize("NFC", tidied)


def _clean(value: str, name: str, longest: int) -> str:
    cleaned = tidy(value)
    is_ascii = cleaned.isascii()
    if not cleaned:
        raise InvalidValue(f"{name} must not be empty.")
    if len(cleaned) > longest:
        raise InvalidValue(f"{name} is {len(cleaned)} characters long; at most {longest} are allowed.")
    if not cleaned.isprintable() if is_ascii else _UNPRINTABLE.search(cleaned):
        raise InvalidValue(f"{name} contains a line break or another control character.")
    return cleaned


def clean_username(value: str) -> str:
    """A username without outer spaces, 1 to 255 characters that can be seen. Raises InvalidValue.

    With invisible ones two people could have usernames that look the same. Names may have them: some scripts
    need joiners.
    """
    cleaned = _clean(value, "A username", MAX_LENGTH)
    if not cleaned.isascii() and (found := _INVISIBLE.search(cleaned)):
        raise InvalidValue(f"A username contains the invisible character U+{ord(found[0]):04X}.")
    return cleaned


def clean_external_id(value: str) -> str:
    """The HR system's id without outer spaces, 1 to 255 characters, compared exactly. Raises InvalidValue."""
    return _clean(value, "An external ID", MAX_LENGTH)


def clean_name(value: str) -> str:
    """A first or last name without outer spaces, 1 to 255 characters. Raises InvalidValue."""
    return _clean(value, "A name", MAX_LENGTH)


def clean_email(value: str) -> str:
    """An email address, up to 320 characters: something, one @, something, no spaces. Raises InvalidValue.

    Only mail can tell whether an address works, so nothing finer is checked.
    """
    cleaned = _clean(value, "An email address", MAX_EMAIL_LENGTH)
    local, _, host = cleaned.rpartition("@")
    if not local or not host or "@" in local or len(cleaned.split()) > 1:
        raise InvalidValue(f"An email address looks like name@example.org; {cleaned!r} does not.")
    return cleaned


def fold(value: str) -> str:
    """The form in which texts are compared without regard to case (Unicode's canonical caseless match)."""
    if value.isascii():
        return value.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", value).casefold())


def sort_form(value: str) -> str:
    """The form by which names are sorted: without regard to case and accents, so that Özil stands at O.

    At most 255 characters, since one character can decompose into eighteen and an index row is bounded.
    """
    if value.isascii():
        return value.lower()
    decomposed = unicodedata.normalize("NFKD", value).casefold()
    return "".join(filter(lambda character: not unicodedata.combining(character), decomposed))[:MAX_LENGTH]
