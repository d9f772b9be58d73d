"""Fields with parameters: what RFC 9110 and RFC 6266 say, and what a hostile client sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.platform.media_types import LONGEST_FIELD, HeaderValue, parse_header_value, read_file_name

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+.^_`|~-", min_size=1, max_size=10)
QUOTABLE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
)


@pytest.mark.parametrize(
    ("text", "value", "parameters"),
    [
        ("", "", {}),
        ("  ", "", {}),
        ("text/csv", "text/csv", {}),
        ("Text/CSV", "text/csv", {}),
        ("text/csv;", "text/csv", {}),
        ("text/csv ; ;\t; charset=utf-8 ;", "text/csv", {"charset": "utf-8"}),
        ('text/csv; CharSet="UTF-8"', "text/csv", {"charset": "UTF-8"}),
        ("text/csv; charset = utf-8", "text/csv", {"charset": "utf-8"}),
        ('text/csv; charset=""', "text/csv", {"charset": ""}),
        ("multipart/form-data; boundary=a:b/c=d?e", "multipart/form-data", {"boundary": "a:b/c=d?e"}),
        (r'a/b; x="say \"a;b\" \\ \c"; y=1', "a/b", {"x": r'say "a;b" \ \c', "y": "1"}),
        ("text/csv; header=present; charset=x", "text/csv", {"header": "present", "charset": "x"}),
    ],
)
def test_well_formed_field_is_its_value_and_parameters(
    text: str, value: str, parameters: dict[str, str]
) -> None:
    assert parse_header_value(text) == HeaderValue(value, parameters)


@pytest.mark.parametrize(
    "text",
    [
        ";",
        "; charset=utf-8",
        '"text/csv"',
        "text/csv charset=utf-8",
        "text/csv, text/plain",
        'text/csv; charset="utf-8',
        'text/csv; charset="utf-8"x',
        "text/csv; charset",
        "text/csv; charset=",
        "text/csv; =utf-8",
        "text/csv; charset=a; charset=b",
        "text/csv; charset=a; CHARSET=a",
        'text/csv; charset="\x00"',
        'text/csv; charset="a\nb"',
        "text/csv; charset=\x7f",
        "text/csv; x=" + "a" * LONGEST_FIELD,
    ],
)
def test_malformed_field_is_refused(text: str) -> None:
    assert parse_header_value(text) is None


@pytest.mark.parametrize(
    "head", ["", "text/csv", "text/csv;", 'text/csv;"', 'text/csv;a="', "text/csv;a=", "a;a=b"]
)
@pytest.mark.parametrize(
    "part",
    [";", '"', "\\", " ", "\t", ";a", ";a=", ';a="', "=", '\\"', ' ;a="\\" ', "a", '";"', ",", "\xff", "'"],
)
@pytest.mark.parametrize("length", [LONGEST_FIELD, 4_000_000])
def test_hostile_field_of_any_length_is_read_in_one_pass(head: str, part: str, length: int) -> None:
    text = (head + part * length)[:length]

    # A reader that looks at every place from every place would need hours for the longer texts.
    parsed = parse_header_value(text)

    assert length <= LONGEST_FIELD or parsed is None


@given(TOKENS, st.dictionaries(TOKENS, st.tuples(st.booleans(), QUOTABLE), max_size=5))
def test_any_parameters_come_back(value: str, parameters: dict[str, tuple[bool, str]]) -> None:
    def write(is_spaced: bool, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f' ="{escaped}"\t' if is_spaced else f'="{escaped}"'

    field = value + "".join(f";{name}{write(*parameter)}" for name, parameter in parameters.items())

    assert parse_header_value(field) == HeaderValue(
        value, {name: text for name, (_, text) in parameters.items()}
    )


@given(st.text(max_size=200))
def test_no_text_is_an_error(text: str) -> None:
    parse_header_value(text)
    read_file_name(text)
    read_file_name(f"attachment; filename*={text}")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("", None),
        ("attachment", None),
        ("attachment; filename=roster.csv", "roster.csv"),
        ('attachment; filename="our roster.csv"', "our roster.csv"),
        (r'form-data; name="file"; filename="C:\My Files\roster.csv"', "roster.csv"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="roster.csv/"', None),
        ('attachment; filename=""', None),
        (r'attachment; filename="say \"hi\".csv"', 'say "hi".csv'),
        ("attachment; filename*=UTF-8''%e2%82%ac%20rates.csv; filename=rates.csv", "€ rates.csv"),
        ("attachment; filename=rates.csv; filename*=iso-8859-1'en'%A3%20rates.csv", "£ rates.csv"),
        ("attachment; filename*=UTF-8''..%2F..%5Croster.csv", "roster.csv"),
        ("attachment; filename*=UTF-8''%FF.csv", "\ufffd.csv"),
        ("attachment; filename*=UTF-8''a%00b%0Ac%E2%80%AEd.csv", "a b c d.csv"),
        ("attachment; filename=plain.csv; filename*=punycode''%61", "plain.csv"),
        ("attachment; filename=plain.csv; filename*=broken", "plain.csv"),
        ('attachment; filename="Zoë.csv"'.encode().decode("latin-1"), "Zoë.csv"),
        ('attachment; filename="Zoë.csv"', "Zoë.csv"),
        ('attachment; filename="李伟.csv"', "李伟.csv"),
        (f'attachment; filename="{"x" * 300}"', "x" * 255),
        ('attachment; filename="unclosed.csv', None),
    ],
)
def test_file_name_is_without_folders_and_invisible_characters(disposition: str, name: str | None) -> None:
    assert read_file_name(disposition) == name
