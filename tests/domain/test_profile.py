"""What the fields of a profile take and refuse, and when two usernames are the same."""

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

# What an index row on PostgreSQL holds beside the organization's id: a third of a page.
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
def test_outer_spaces_go(clean: Callable[[str], str], outside: str) -> None:
    assert clean(f"{outside}a@b{outside}") == "a@b"


@every_cleaner
def test_letters_and_accents_in_two_parts_become_one(clean: Callable[[str], str]) -> None:
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
def test_names_of_any_script_are_kept_as_they_are(value: str) -> None:
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
def test_what_cannot_be_seen_is_refused_in_usernames_only(code: int) -> None:
    for value in (f"a{chr(code)}b", f"{chr(code)}ab", f"ab{chr(code)}", f"é{chr(code)}"):
        with pytest.raises(
            InvalidValue,
            match=f"^A username must not contain invisible characters\\. Remove U\\+{code:04X}\\.$",
        ):
            clean_username(value)
        assert clean_name(value) == value


@pytest.mark.parametrize("code", [0x200A, 0x2010, 0x202F, 0x205F, 0x206A, 0xFEFE])
def test_their_neighbours_are_taken(code: int) -> None:
    assert clean_username(f"a{chr(code)}b") == f"a{chr(code)}b"


def test_a_name_keeps_the_joiners_that_its_script_needs() -> None:
    assert clean_name("می‌خواهم") == "می‌خواهم"


def test_cleaning_keeps_case_and_inner_spaces() -> None:
    assert clean_username(" A. Okafor ") == "A. Okafor"
    assert clean_external_id(" hr-1003 ") == "hr-1003"


@every_short_cleaner
@pytest.mark.parametrize("value", ["", " ", "\t\r\n", "\u00a0\u3000"])
def test_nothing_but_spaces_is_refused(clean: Callable[[str], str], name: str, value: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{name} must not be empty\\.$"):
        clean(value)


@every_short_cleaner
def test_255_characters_are_taken_and_256_refused(clean: Callable[[str], str], name: str) -> None:
    assert clean("x" * 255) == "x" * 255
    assert clean(" " + "ß" * 255 + " ") == "ß" * 255
    assert clean("😀" * 255) == "😀" * 255
    with pytest.raises(
        InvalidValue, match=f"^{name} must have at most 255 characters\\. This one has 256\\.$"
    ):
        clean("x" * 256)


@every_short_cleaner
def test_characters_are_counted_as_they_are_stored(clean: Callable[[str], str], name: str) -> None:
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
def test_a_control_character_or_a_lone_surrogate_is_refused(clean: Callable[[str], str], code: int) -> None:
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
def test_an_email_address_is_something_at_something(value: str) -> None:
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
def test_what_is_no_email_address_is_refused_with_an_example(value: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        clean_email(value)
    assert str(refusal.value) == f"Invalid email address {value!r}: use the form name@example.org."


def test_an_email_address_has_at_most_320_characters() -> None:
    longest = "x" * 308 + "@example.org"
    assert clean_email(longest) == longest
    with pytest.raises(
        InvalidValue, match=r"^An email address must have at most 320 characters\. This one has 321"
    ):
        clean_email("x" + longest)


@every_cleaner
@given(value=st.text(max_size=400) | st.emails())
def test_what_was_cleaned_can_be_stored_and_cleans_to_itself(clean: Callable[[str], str], value: str) -> None:
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
def test_texts_that_differ_in_case_or_composition_only_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ozil", "özil"),
        ("ılgaz", "ilgaz"),  # Turkish: the dotless ı is a letter of its own
        ("İlgaz", "ilgaz"),  # and İ without a language is i with a dot
        ("a.okafor", "a.okafor2"),
        ("a.okafor", "a okafor"),
        ("а.okafor", "a.okafor"),  # the first is Cyrillic
    ],
)
def test_texts_that_differ_in_more_do_not_fold_alike(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_turkish_letters_fold_as_unicode_has_it_and_not_as_a_language_does() -> None:
    assert fold("I") == "i"
    assert fold("İ") == fold("i\u0307") == "i\u0307"
    assert fold("ı") == "ı"


def test_a_text_in_ascii_folds_as_it_does_among_others() -> None:
    ascii_text = "".join(map(chr, range(0x20, 0x7F)))
    assert fold(ascii_text) + "ss" == fold(ascii_text + "ß")


@given(st.text())
@example("ΐ")
@example("ᾳ\u0313")
@example("İ\u0323")
def test_folding_is_stable_and_blind_to_composition(value: str) -> None:
    folded = fold(value)
    assert fold(folded) == folded
    assert {fold(unicodedata.normalize(form, value)) for form in ("NFC", "NFD")} == {folded}


@given(st.text(st.characters(exclude_characters="ı")))
def test_folding_is_blind_to_case(value: str) -> None:
    # Only the dotless ı has a capital that belongs to another letter.
    assert {fold(value.upper()), fold(value.lower()), fold(value.swapcase())} == {fold(value)}


@given(st.text(NFC_ALPHABET, min_size=1, max_size=255))
@example("\u0ccb" * 255)
@example("\u1f82" * 255)
@example("\u0390" * 255)
@example("\U0001f600" * 255)
def test_a_folded_username_fits_an_index_row(value: str) -> None:
    username = cleaned_or_none(clean_username, value)
    if username is not None:
        assert len(fold(username).encode()) <= MOST_INDEXED_BYTES


def test_no_characters_exist_of_which_a_folded_username_would_not_fit_an_index_row() -> None:
    """A proof over all of Unicode, where the test above only tries.

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
def test_a_sort_form_is_bounded_has_no_accents_and_is_its_own_sort_form(value: str) -> None:
    form = sort_form(value)
    assert len(form) <= 255
    assert not any(map(unicodedata.combining, form))
    assert sort_form(form) == form


@given(st.text())
def test_texts_that_fold_alike_sort_alike(value: str) -> None:
    assert sort_form(fold(value)) == sort_form(value)
