"""Which characters can be seen, how white space is folded, and what a character is called in a message."""

import re
import unicodedata

# The property White_Space. `str.strip` also removes U+001C to U+001F, which are control characters.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_SPACES = re.compile(f"[{WHITE_SPACE}]+")

# The property Default_Ignorable_Code_Point, which `unicodedata` does not have:
# https://www.unicode.org/Public/17.0.0/ucd/DerivedCoreProperties.txt
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Blank as well, though Unicode calls them symbols or marks: the object replacement character, Braille without dots,
# a filler of the Khitan script, and a note without a head.
_BLANK = "\ufffc\u2800\U00016fe4\U0001d159"
_HIDDEN = re.compile(f"[{_IGNORABLE}{_BLANK}]")

# Unicode has no names for these.
_NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\x85": "a line break"}
_NAMES_BY_CATEGORY = {
    "Cc": "a control character",
    "Cn": "a character that Unicode does not define",
    "Co": "a private-use character",
    "Cs": "half of a surrogate pair",
}


def fold_spaces(text: str) -> str:
    """Return the text with one U+0020 in place of each run of white space, and none at its ends."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return _SPACES.sub(" ", text).strip(" ")


def find_hidden(text: str) -> str | None:
    """Return the first character that cannot be seen or that Unicode gives no meaning, or None.

    These are the categories Cc, Cf, Cn, Co, Cs, Zl and Zp, every Default_Ignorable_Code_Point, and blanks that are
    not spaces. Spaces of any width are not among them.
    """
    if text.isprintable() and (text.isascii() or not _HIDDEN.search(text)):
        return None
    return next(filter(_is_hidden, text), None)


def describe_character(character: str) -> str:
    """Return the character's code point and name for a message: `U+200B (ZERO WIDTH SPACE)`."""
    name = (
        _NAMES.get(character)
        or unicodedata.name(character, None)
        or _NAMES_BY_CATEGORY.get(unicodedata.category(character))
    )
    return f"U+{ord(character):04X} ({name})" if name else f"U+{ord(character):04X}"


def _is_hidden(character: str) -> bool:
    # The categories that are not printable are those of the docstring above, and the spaces.
    is_space = unicodedata.category(character) == "Zs"
    return not (character.isprintable() or is_space) or _HIDDEN.match(character) is not None
