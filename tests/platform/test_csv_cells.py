import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.platform.csv_cells import (
    break_formulas,
    guard_formula,
    guard_sent_cell,
    read_cell,
    unguard_formula,
    write_line,
)

DELIMITERS = ",;\t|"
ALPHABET = "'=+-@＝＠\"\t\r\n,;| a1\u200b\N{NO-BREAK SPACE}\0"  # noqa: RUF001
TEXTS = st.text() | st.text(alphabet=ALPHABET)
# What a spreadsheet may run: a formula behind anything that a program may drop.
RUNS = re.compile(r"[\s\"\0-\x1f\u200b]*[=+\-@＝＋－＠]")  # noqa: RUF001


@pytest.mark.parametrize(
    "text",
    [
        "=1+2",
        "+49 30 1",
        "-cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        "'=1",
        "''@a",
        " =1",
        '"=1',
        "\ufeff=1",
        "＝1+1",  # noqa: RUF001
        "＋49",  # noqa: RUF001
        "－1",  # noqa: RUF001
        "＠SUM(A1)",  # noqa: RUF001
        "﹦1",
    ],
)
def test_formula_gets_an_apostrophe(text: str) -> None:
    assert guard_formula(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("x;=1+1;", "'x;'=1+1;"),
        ("x,=1", "'x,'=1"),
        ("x|@a", "'x|'@a"),
        ("x\t+1", "'x\t'+1"),
        ("x\n-1", "'x\n'-1"),
        ("x\r\n=1", "'x\r\n'=1"),
        ("x; ＝1", "'x;' ＝1"),  # noqa: RUF001
        ('x;"=1', "'x;'\"=1"),
        ("x;'=1", "'x;''=1"),
        ("x;=1,=2", "'x;'=1,'=2"),
        ("=1;=2", "'=1;'=2"),
        ("'x;=1", "''x;'=1"),
    ],
)
def test_formula_behind_a_possible_delimiter_gets_an_apostrophe_too(text: str, cell: str) -> None:
    assert guard_formula(text) == cell
    assert unguard_formula(cell) == text


@pytest.mark.parametrize(
    "text",
    ["", "'", "''", "a.okafor", "O'Neill", "'t Hooft", "a=b", "1-2", "İpek", "a; b", "x;1=1", "a\nb", "'a;b"],
)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert guard_formula(text) == text
    assert unguard_formula(text) == text
    assert break_formulas(text) == text


@pytest.mark.parametrize(("cell", "text"), [("'=1", "=1"), ("''=1", "'=1"), ("'''@a", "''@a"), ("=1", "=1")])
def test_guarded_cell_loses_one_apostrophe(cell: str, text: str) -> None:
    assert unguard_formula(cell) == text


@pytest.mark.parametrize(("cell", "text"), [("'=1;=2", "=1;=2"), ("'x;=1", "'x;=1"), ("x;'=1", "x;'=1")])
def test_cell_of_an_earlier_version_comes_back_as_it_was(cell: str, text: str) -> None:
    assert unguard_formula(cell) == text


@given(TEXTS)
def test_any_text_survives_guard_and_unguard(text: str) -> None:
    assert unguard_formula(guard_formula(text)) == text


@given(TEXTS)
def test_guarding_a_cell_again_after_unguarding_changes_nothing(text: str) -> None:
    guarded = guard_formula(text)
    assert guard_formula(unguard_formula(guarded)) == guarded


@pytest.mark.parametrize(
    ("sent", "cell"),
    [
        ("=1", "'=1"),
        ("'=1", "'=1"),
        (" '=1", "'=1"),
        ("x;'=1", "'x;''=1"),
        ("'x;'=1", "'x;'=1"),
        (" =1 ", "' =1"),
        ("\t", "\t"),
        ("'\t", "'\t"),
        ('="00123"', "00123"),
        ('="=1"', "'=1"),
        ('="\t"', ""),
        (" a ", " a "),
    ],
)
def test_sent_cell_keeps_its_guard_or_gets_one(sent: str, cell: str) -> None:
    assert guard_sent_cell(sent) == cell


@given(TEXTS | TEXTS.map('="{}"'.format))
def test_sent_cell_means_the_same_with_a_guard(sent: str) -> None:
    assert read(guard_sent_cell(sent)) == read(sent)
    assert read(guard_sent_cell(guard_sent_cell(sent))) == read(sent)


def read(cell: str) -> str:
    """Return the text of a cell as imports read it."""
    return read_cell(cell.strip()).strip()


@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(DELIMITERS), st.sampled_from(DELIMITERS))
def test_no_cell_runs_whatever_delimiter_the_line_is_split_by(
    texts: list[str], delimiter: str, other: str
) -> None:
    line = write_line([*map(guard_formula, texts), break_formulas(f"code: {texts[0]}")], delimiter)
    for cells in csv.reader(io.StringIO(line, newline=""), delimiter=other):
        assert [cell for cell in cells if RUNS.match(cell)] == []


@given(st.lists(TEXTS, min_size=2, max_size=4), st.sampled_from(DELIMITERS))
def test_a_csv_reader_finds_the_same_cells(texts: list[str], delimiter: str) -> None:
    cells = [*map(guard_formula, texts)]
    line = write_line(cells, delimiter)
    assert list(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter, strict=True)) == [cells]


@pytest.mark.parametrize("text", ["a;b", "a,b", "a|b", "a\tb", "a\nb", 'a"b', "'=1"])
def test_guarded_cells_and_cells_with_a_possible_delimiter_are_quoted(text: str) -> None:
    doubled = text.replace('"', '""')
    assert write_line(["x", text]) == f'x,"{doubled}"\r\n'
    assert write_line([text, "x"], ";") == f'"{doubled}";x\r\n'


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('="00123"', "00123"),
        ('= "a"', "a"),
        ('="say ""x"""', 'say "x"'),
        ('=""', ""),
        ('="=1+1"', "=1+1"),
        ('="a"&"b"', '="a"&"b"'),
        ('="a', '="a'),
        ('\'="a"', '="a"'),
        ("=1+1", "=1+1"),
    ],
)
def test_formula_that_is_only_a_text_is_read_as_that_text(cell: str, text: str) -> None:
    assert read_cell(cell) == text
    assert read_cell(guard_sent_cell(cell)) == text


@given(TEXTS | st.text(alphabet="='\"a"))
def test_guarded_text_is_read_as_it_was(text: str) -> None:
    assert read_cell(guard_formula(text)) == (text if guard_formula(text) != text else unguard_formula(text))
