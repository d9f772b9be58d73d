"""What the fields of a profile may hold, and when two usernames are the same.

JSON, CSV and the command line all clean their input here, so that they accept and refuse the same values.
"""

import re
import unicodedata

from app.domain.characters import WHITE_SPACE, describe_character, find_hidden, fold_spaces
from app.domain.errors import InvalidValue

MAX_LENGTH = 255
MAX_EMAIL_LENGTH = 320
# An index row of PostgreSQL holds a third of a page: this much beside the organization's id.
MAX_KEY_BYTES = 2600
# Shorter usernames always fit: the longest key of one character has 33 bytes (U+FDFA).
_ALWAYS_FITS = MAX_KEY_BYTES // 33
# Controls, and lone surrogates, which databases cannot store. Line breaks have become spaces before.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# As spreadsheets and programs show large numbers: 1.23457E+11, 1,23457E+11, 1E+11 and 1.5e10. Codes such as 12E3 and
# 4E-12 have neither a decimal sign nor a plus.
_SHORTENED = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+[Ee][+-]?|[Ee]\+)[0-9]+")
# IDNA reads them too as the dot between two labels (RFC 3490, section 3.1).
_OTHER_DOTS = re.compile("[\u3002\uff0e\uff61]")


def tidy(value: str) -> str:
    """Return the text in the form in which it is stored: without outer spaces, and composed (NFC)."""
    tidied = value.strip(WHITE_SPACE)
    return tidied if tidied.isascii() else unicodedata.normalize("NFC", tidied)


def tidy_spaces(value: str) -> str:
    """Return a text like `tidy`, with single spaces inside, as usernames and names are stored."""
    return tidy(fold_spaces(value))


def clean_username(value: str) -> str:
    """Return a username with single spaces inside and none outside: 1 to 255 visible characters. Raises InvalidValue.

    It starts from the FreeformClass of RFC 8264 (PRECIS). The usernames of RFC 8265 have no spaces, no punctuation
    but ASCII's, and right-to-left letters only in some orders. Real usernames have all of these.
    """
    name = "A username"
    cleaned = tidy(value)
    # Before white space is folded: a line break or tab inside a username means that the file is broken.
    _check_visible(cleaned, name)
    cleaned = fold_spaces(cleaned)
    _check_length(cleaned, name, MAX_LENGTH)
    _check_unquoted(cleaned, name)
    if len(cleaned) > _ALWAYS_FITS and len(fold_username(cleaned).encode()) > MAX_KEY_BYTES:
        longest = max(cleaned, key=lambda character: len(fold_username(character).encode()))
        raise InvalidValue(
            f"{name} must not have so many characters like {describe_character(longest)}, which stand for several. "
            "Shorten it."
        )
    return cleaned


def clean_external_id(value: str) -> str:
    """Return an external id without outer spaces: 1 to 255 visible characters. Raises InvalidValue."""
    name = "An external ID"
    cleaned = tidy(value)
    _check_length(cleaned, name, MAX_LENGTH)
    _check_visible(cleaned, name)
    _check_unquoted(cleaned, name)
    return cleaned


def clean_name(value: str) -> str:
    """Return a first or last name with single spaces inside and none outside: 1 to 255 characters.

    Line breaks count as spaces. Other control characters are refused. Invisible characters are not, because some
    scripts need joiners and variation selectors. Raises InvalidValue.
    """
    name = "A name"
    cleaned = tidy_spaces(value)
    _check_length(cleaned, name, MAX_LENGTH)
    if found := _CONTROL.search(cleaned):
        raise InvalidValue(f"{name} must not contain {describe_character(found[0])}. Remove it.")
    _check_unquoted(cleaned, name)
    return cleaned


def clean_email(value: str) -> str:
    """Return an email address without outer spaces: at most 320 visible characters, one @, no spaces.

    It checks little more than that, because only sending mail shows whether an address works. Raises InvalidValue.
    """
    name = "An email address"
    cleaned = tidy(value)
    _check_length(cleaned, name, MAX_EMAIL_LENGTH)
    _check_visible(cleaned, name)
    if "mailto:" in cleaned.lower():
        raise InvalidValue(f"Invalid email address {cleaned!r}: remove 'mailto:' and write only the address.")
    local, _, host = cleaned.rpartition("@")
    if not local or not host or "@" in local or len(cleaned.split()) > 1:
        raise InvalidValue(f"Invalid email address {cleaned!r}: use the form name@example.org.")
    if not all(_OTHER_DOTS.sub(".", host).split(".")):
        raise InvalidValue(
            f"Invalid email address {cleaned!r}: put a name before and after each dot of {host!r}."
        )
    return cleaned


def looks_shortened(value: str) -> bool:
    """Return whether the text looks like a number that a spreadsheet has shortened, such as `1.23457E+11`.

    Its digits are lost, so several ids may have become one. Only a file can have been in a spreadsheet: JSON may
    use such ids.
    """
    return _SHORTENED.fullmatch(value.strip()) is not None


def fold(value: str) -> str:
    """Return the form in which upper and lower case are the same (Unicode's canonical caseless match)."""
    if value.isascii():
        return value.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", value).casefold())


def fold_username(value: str) -> str:
    """Return the form in which two usernames are the same: without case, width, ligatures and runs of spaces.

    That is Unicode's compatibility caseless match (definition D146), with white space folded.
    """
    if value.isascii():
        return fold_spaces(value).lower()
    folded = unicodedata.normalize("NFD", value).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    # Some compatibility characters stand for a space and an accent, so spaces are folded last.
    return fold_spaces(unicodedata.normalize("NFKC", folded))


def sort_form(value: str) -> str:
    """Return the form by which names are sorted, without case and accents: Özil is sorted under O.

    At most 255 characters, because one character can decompose into eighteen and an index row is limited.
    """
    if value.isascii():
        return value.lower()
    decomposed = unicodedata.normalize("NFKD", value).casefold()
    return "".join(filter(lambda character: not unicodedata.combining(character), decomposed))[:MAX_LENGTH]


def _check_length(cleaned: str, name: str, longest: int) -> None:
    if not cleaned:
        raise InvalidValue(f"{name} must not be empty.")
    if len(cleaned) > longest:
        raise InvalidValue(f"{name} must have at most {longest} characters. This one has {len(cleaned)}.")


def _check_visible(cleaned: str, name: str) -> None:
    if found := find_hidden(cleaned):
        raise InvalidValue(f"{name} must not contain {describe_character(found)}. Remove it.")


def _check_unquoted(cleaned: str, name: str) -> None:
    # Quotation marks of CSV that were taken for a part of the text.
    if cleaned[0] == '"' == cleaned[-1] and len(cleaned) > 1:
        raise InvalidValue(f"{name} must not begin and end with a quotation mark. Remove both.")
