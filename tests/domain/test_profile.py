"""What the fields of a profile accept and refuse, and when two usernames are the same."""

# ruff: noqa: RUF001, RUF003  letters that look like others are what is tested here

import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.errors import InvalidValue
from app.domain.profile import clean_email, clean_external_id, clean_name, clean_username, fold, sort_form

CLEANERS = [clean_username, clean_external_id, clean_name, clean_email]
every_cleaner = pytest.mark.parametrize("clean", CLEANERS, ids=[clean.__name__ for clean in CLEANERS])
every_short_cleaner = pytest.mark.parametrize(
    ("clean", "name"),
    [(clean_username, "A username"), (clean_external_id, "An external ID"), (clean_name, "A name")],
    ids=["username", "external-id", "name"],
)

# The most bytes of an index row on PostgreSQL beside the organization's id: a third of a page.
MOST_INDEXED_BYTES = 2600
NFC_ALPHABET = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]).filter(
    lambda character: unicodedata.is_normalized("NFC", character)
)
E_ACUTE, E_AND_ACUTE = "\u00e9", "e\u0301"


def cleaned_or_none(clean: Callable[[str], str], value: str) -> str | None:
    try:
        return clean(value)
    except InvalidValue:
        return None


@every_cleaner
@pytest.mark.parametrize("outside", [" ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028"])
def test_outer_spaces_are_removed(clean: Callable[[str], str], outside: str) -> None:
    assert clean(f"{outside}a@b{outside}") == "a@b"


@every_cleaner
def test_decomposed_letters_are_composed(clean: Callable[[str], str]) -> None:
    assert clean(f"jos{E_AND_ACUTE}@example.org") == f"jos{E_ACUTE}@example.org"


@pytest.mark.parametrize(
    "value",
    [
        "a.okafor",
        "O'Brien",
        "van der Berg",
        "Adébáyọ̀",
        "Иванова",
        "王小明",
        "김민준",
        "محمد",
        "प्रिया",
        "😀",
    ],
)
def test_names_of_any_script_are_unchanged(value: str) -> None:
    composed = unicodedata.normalize("NFC", value)
    assert (clean_username(value), clean_name(value)) == (composed, composed)


@pytest.mark.parametrize(
    "code",
    [
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2065),
        *range(0x2066, 0x206A),
        0xFEFF,
    ],
    ids=lambda code: f"U+{code:04X}",
)
def test_invisible_characters_are_refused_only_in_usernames(code: int) -> None:
    for value in (f"a{chr(code)}b", f"{chr(code)}ab", f"ab{chr(code)}", f"é{chr(code)}"):
        with pytest.raises(
            InvalidValue,
            match=f"^A username must not contain invisible characters\\. Remove U\\+{code:04X}\\.$",
        ):
            clean_username(value)
        assert clean_name(value) == value


@pytest.mark.parametrize("code", [0x200A, 0x2010, 0x202F, 0x205F, 0x206A, 0xFEFE])
def test_neighbours_of_invisible_characters_are_accepted(code: int) -> None:
    assert clean_username(f"a{chr(code)}b") == f"a{chr(code)}b"


def test_name_keeps_the_joiners_of_its_script() -> None:
    assert clean_name("می‌خواهم") == "می‌خواهم"


def test_cleaning_keeps_case_and_inner_spaces() -> None:
    assert clean_username(" A. Okafor ") == "A. Okafor"
    assert clean_external_id(" hr-1003 ") == "hr-1003"


@every_short_cleaner
@pytest.mark.parametrize("value", ["", " ", "\t\r\n", "\u00a0\u3000"])
def test_text_of_spaces_is_refused(clean: Callable[[str], str], name: str, value: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{name} must not be empty\\.$"):
        clean(value)


@every_short_cleaner
def test_255_characters_are_accepted_and_256_refused(clean: Callable[[str], str], name: str) -> None:
    assert clean("x" * 255) == "x" * 255
    assert clean(" " + "ß" * 255 + " ") == "ß" * 255
    assert clean("😀" * 255) == "😀" * 255
    with pytest.raises(
        InvalidValue, match=f"^{name} must have at most 255 characters\\. This one has 256\\.$"
    ):
        clean("x" * 256)


@every_short_cleaner
def test_length_is_counted_after_composing(clean: Callable[[str], str], name: str) -> None:
    assert clean(E_AND_ACUTE * 255) == E_ACUTE * 255
    # U+0958 is always stored as two.
    with pytest.raises(InvalidValue, match=f"^{name} must have at most 255 characters\\. This one has 256"):
        clean("\u0958" * 128)


@every_cleaner
@pytest.mark.parametrize(
    "code",
    [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xD800, 0xDC80, 0xDFFF],
    ids=lambda code: f"U+{code:04X}",
)
def test_control_character_or_lone_surrogate_is_refused(clean: Callable[[str], str], code: int) -> None:
    with pytest.raises(InvalidValue, match=r"must not contain a line break or another control character\.$"):
        clean(f"a{chr(code)}b@example.org")


@pytest.mark.parametrize(
    "value",
    [
        "a.okafor@example.org",
        "a@b",
        "o'brien+training@mail.example.org",
        "jörg@bücher.example",
        "用户@例子.example",
        '"a.b"@example.org',
        "a@[192.0.2.1]",
    ],
)
def test_email_addresses_that_are_accepted(value: str) -> None:
    assert clean_email(f" {value} ") == value


@pytest.mark.parametrize(
    "value",
    [
        "a.okafor",
        "a.okafor.example.org",
        "@example.org",
        "a.okafor@",
        "@",
        "a@@b",
        "a@b@c",
        "a b@c",
        "a@b\u00a0c",
    ],
)
def test_invalid_email_address_is_refused_with_an_example(value: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        clean_email(value)
    assert str(refusal.value) == f"Invalid email address {value!r}: use the form name@example.org."


def test_320_characters_of_an_email_are_accepted_and_321_refused() -> None:
    longest = "x" * 308 + "@example.org"
    assert clean_email(longest) == longest
    with pytest.raises(
        InvalidValue, match=r"^An email address must have at most 320 characters\. This one has 321"
    ):
        clean_email("x" + longest)


@every_cleaner
@given(value=st.text(max_size=400) | st.emails())
def test_cleaned_text_is_storable_and_cleans_to_itself(clean: Callable[[str], str], value: str) -> None:
    cleaned = cleaned_or_none(clean, value)
    if cleaned is not None:
        assert cleaned_or_none(clean, cleaned) == cleaned
        assert unicodedata.is_normalized("NFC", cleaned)
        assert cleaned.encode().decode() == cleaned.strip()
        assert 1 <= len(cleaned) <= (320 if clean is clean_email else 255)
        assert not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in cleaned)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A.Okafor", "a.okafor"),
        ("Straße", "STRASSE"),
        ("Straße", "strasse"),
        ("STRAẞE", "straße"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("οδυσσευς", "οδυσσευσ"),
        ("ŞEYMA", "şeyma"),
        ("ИВАНОВА", "иванова"),
        ("ԱՐՄԵՆ", "արմեն"),
        ("ﬁona", "FIONA"),
        ("\u212angstrom", "Kngstrom"),  # the Kelvin sign
        ("\u212bsa", "\u00e5sa"),  # the Ångström sign
        (f"JOS{E_ACUTE}", f"jos{E_AND_ACUTE}"),
        ("J. NGUYỄN", unicodedata.normalize("NFD", "j. nguyễn")),
        ("α\u0345\u0301", "Α\u0301Ι"),  # a subscript iota before and after its accent
        ("김", unicodedata.normalize("NFD", "김")),
    ],
)
def test_texts_that_differ_only_in_case_or_composition_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ozil", "özil"),
        ("ılgaz", "ilgaz"),  # Turkish: the dotless ı is a letter of its own
        ("İlgaz", "ilgaz"),  # and İ without a language is i with a dot
        ("a.okafor", "a.okafor2"),
        ("a.okafor", "a okafor"),
        ("а.okafor", "a.okafor"),  # the first letter is Cyrillic
    ],
)
def test_texts_that_differ_in_more_fold_differently(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_turkish_letters_fold_by_unicode_not_by_language() -> None:
    assert fold("I") == "i"
    assert fold("İ") == fold("i\u0307") == "i\u0307"
    assert fold("ı") == "ı"


def test_ascii_folds_the_same_alone_and_among_other_letters() -> None:
    ascii_text = "".join(map(chr, range(0x20, 0x7F)))
    assert fold(ascii_text) + "ss" == fold(ascii_text + "ß")


@given(st.text())
@example("ΐ")
@example("ᾳ\u0313")
@example("İ\u0323")
def test_folding_is_stable_and_ignores_composition(value: str) -> None:
    folded = fold(value)
    assert fold(folded) == folded
    assert {fold(unicodedata.normalize(form, value)) for form in ("NFC", "NFD")} == {folded}


@given(st.text(st.characters(exclude_characters="ı")))
def test_folding_ignores_case(value: str) -> None:
    # Only the dotless ı has a capital that belongs to another letter.
    assert {fold(value.upper()), fold(value.lower()), fold(value.swapcase())} == {fold(value)}


@given(st.text(NFC_ALPHABET, min_size=1, max_size=255))
@example("\u0ccb" * 255)
@example("\u1f82" * 255)
@example("\u0390" * 255)
@example("\U0001f600" * 255)
def test_folded_username_fits_an_index_row(value: str) -> None:
    username = cleaned_or_none(clean_username, value)
    if username is not None:
        assert len(fold(username).encode()) <= MOST_INDEXED_BYTES


def test_longest_folded_username_fits_an_index_row() -> None:
    """Prove it for all of Unicode. The test above only samples.

    fold() is NFC(casefold(NFD(text))). Decomposing and casefolding add up character by character, and
    composing never lengthens, so 255 times the longest decomposed fold bounds every username.
    """
    longest = 0
    for character in map(chr, range(0x80, sys.maxunicode + 1)):
        if 0xD800 <= ord(character) <= 0xDFFF or not unicodedata.is_normalized("NFC", character):
            continue  # never in a cleaned username
        decomposed = unicodedata.normalize("NFD", character)
        assert len(character.encode()) <= len(decomposed.encode())
        folded = unicodedata.normalize("NFD", decomposed.casefold())
        longest = max(longest, len(folded.encode()))
    assert 255 * longest <= MOST_INDEXED_BYTES


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Okafor", "okafor"),
        ("Özil", "ozil"),
        ("ÉCOLE", "ecole"),
        (f"Jos{E_AND_ACUTE}", "jose"),
        ("Nguyễn", "nguyen"),
        ("Adébáyọ̀", "adebayo"),
        ("Weiß", "weiss"),
        ("İnönü", "inonu"),
        ("Ἀθηνᾶ", "αθηνα"),
        ("Йорданов", "иорданов"),
        ("ﬁona", "fiona"),
        ("ﾔﾏﾀﾞ", "ヤマタ"),
        ("王", "王"),
    ],
)
def test_the_sort_form_has_no_case_and_no_accents(name: str, form: str) -> None:
    assert sort_form(name) == form


def test_names_sort_by_their_letters() -> None:
    names = ["Zimmer", "Özil", "oakley", "Ozark", "Ørsted", "Olsen", "Émile", "emil", "Weiß", "Weisz"]
    assert sorted(names, key=sort_form) == [
        "emil",
        "Émile",
        "oakley",
        "Olsen",
        "Ozark",
        "Özil",
        "Weiß",
        "Weisz",
        "Zimmer",
        "Ørsted",  # Unicode gives the ø no decomposition: a letter of its own
    ]


@given(st.text())
@example("\ufdfa" * 255)
def test_sort_form_is_bounded_without_accents_and_stable(value: str) -> None:
    form = sort_form(value)
    assert len(form) <= 255
    assert not any(map(unicodedata.combining, form))
    assert sort_form(form) == form


@given(st.text())
def test_texts_that_fold_alike_sort_alike(value: str) -> None:
    assert sort_form(fold(value)) == sort_form(value)
