"""Which characters can be seen, which are spaces, and what messages call them."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from precis_i18n.derived import derived_property
from precis_i18n.unicode import UnicodeData

from app.domain.characters import describe_character, find_hidden, fold_spaces

# All but the planes in which nothing is assigned, and most of those for private use.
EVERYTHING = [
    *map(chr, (*range(0x33000), *range(0xE0000, 0xE1010), *range(0xFFFF0, sys.maxunicode + 1, 0x55)))
]
HIDDEN = {character for character in EVERYTHING if find_hidden(character)}
UNICODE = UnicodeData()

# What prints as nothing although Unicode calls it a symbol or a mark.
BLANK = {"\u2800", "\ufffc", "\U00016fe4", "\U0001d159"}
# Refused by RFC 8264 (section 9.6, and RFC 5892, section 2.6), but visible, and letters of real names: marks that
# stretch or repeat a letter, and tones of Old Korean.
EXCEPTIONS = set("\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b")


def is_refused_by_precis(character: str) -> bool:
    """Whether RFC 8264, section 4.3, refuses it in a free text, or allows it only to join two letters."""
    kind = derived_property(ord(character), UNICODE)[0]
    return kind in {"DISALLOWED", "UNASSIGNED", "CONTEXTJ"}


def test_hidden_characters_are_those_of_precis_and_blanks() -> None:
    precis = set(filter(is_refused_by_precis, EVERYTHING))
    # Letters of which Hangul syllables are composed. NFC composes them where it can, and the rest are visible.
    hangul = {character for character in precis if UNICODE.old_hangul_jamo(ord(character))} - HIDDEN
    assert HIDDEN - precis == BLANK
    assert precis - HIDDEN == EXCEPTIONS | hangul


def test_every_default_ignorable_code_point_is_hidden() -> None:
    ignorable = {character for character in EVERYTHING if UNICODE.default_ignorable(ord(character))}
    assert len(ignorable) == 4174
    assert ignorable <= HIDDEN


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"])
def test_every_character_of_the_category_is_hidden(category: str) -> None:
    found = {character for character in EVERYTHING if unicodedata.category(character) == category}
    assert found
    assert found <= HIDDEN


def test_spaces_are_not_hidden() -> None:
    assert [character for character in HIDDEN if unicodedata.category(character) == "Zs"] == []


def test_first_hidden_character_is_found() -> None:
    assert find_hidden("a.okafor") is None
    assert find_hidden("jörg 王") is None
    assert find_hidden("a\u3000b\u200cc\u200bd") == "\u200c"
    assert find_hidden("a\x07b\u200bc") == "\x07"


@pytest.mark.parametrize(
    ("character", "description"),
    [
        ("\u200b", "U+200B (ZERO WIDTH SPACE)"),
        ("\u00ad", "U+00AD (SOFT HYPHEN)"),
        ("\U000e0041", "U+E0041 (TAG LATIN CAPITAL LETTER A)"),
        ("\u2028", "U+2028 (LINE SEPARATOR)"),
        ("\n", "U+000A (a line break)"),
        ("\r", "U+000D (a line break)"),
        ("\t", "U+0009 (a tab)"),
        ("\x07", "U+0007 (a control character)"),
        ("\ue000", "U+E000 (a private-use character)"),
        ("\U000e0fff", "U+E0FFF (a character that Unicode does not define)"),
        ("\udc80", "U+DC80 (half of a surrogate pair)"),
    ],
)
def test_message_names_the_character(character: str, description: str) -> None:
    assert describe_character(character) == description


def test_every_character_has_a_description() -> None:
    assert all(describe_character(character).startswith("U+") for character in EVERYTHING)


def test_every_kind_of_white_space_becomes_one_space() -> None:
    spaces = [character for character in EVERYTHING if fold_spaces(f"a{character}b") == "a b"]
    # Python also calls the information separators spaces. Unicode calls them controls.
    assert spaces == [
        character for character in EVERYTHING if character.isspace() and not "\x1c" <= character <= "\x1f"
    ]
    assert fold_spaces("".join(spaces)) == ""
    assert fold_spaces(f"{spaces}a{''.join(spaces)}b{spaces[0]}").endswith("a b")


@given(st.text(st.sampled_from("ab \t\n\x1c\u00a0\u3000é")))
def test_folded_text_keeps_its_words_and_has_single_spaces(text: str) -> None:
    folded = fold_spaces(text)
    assert fold_spaces(folded) == folded
    assert folded.split(" ") == re.split("[ \t\n\u00a0\u3000]+", text.strip(" \t\n\u00a0\u3000"))
