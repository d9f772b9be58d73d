"""Which learners a JSON document or NDJSON has, and where a file that is neither is wrong."""

import io
import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.errors import UnreadableJson
from app.imports.json_reader import LONGEST_ROW, JsonRow, Number, open_json

BLOCKS = [1, 2, 7, 262_144]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=5) | VALUES, max_size=8)


def read(content: str | bytes, *, is_lines: bool = False, block_bytes: int = 7) -> list[JsonRow]:
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return list(open_json(file, is_lines=is_lines, block_bytes=block_bytes).rows())


def plain(value: object) -> Any:
    """A value as the standard library reads it."""
    if isinstance(value, Number):
        return json.loads(value)
    if isinstance(value, tuple):
        return {name: plain(member) for name, member in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def refuse(content: str | bytes, *, is_lines: bool = False) -> UnreadableJson:
    """The refusal of a file, which is the same whatever the blocks are."""
    refusals = []
    for block_bytes in BLOCKS:
        with pytest.raises(UnreadableJson) as refused:
            read(content, is_lines=is_lines, block_bytes=block_bytes)
        refusals.append(refused.value)
    assert len({(each.detail, each.line, each.is_cut_off) for each in refusals}) == 1
    return refusals[0]


# Any rows


@given(ROWS, st.sampled_from(BLOCKS), st.sampled_from([None, 1, "\t"]), st.booleans(), st.booleans())
def test_both_forms_have_the_same_rows_whatever_the_blocks_are(
    rows: list[Any], block_bytes: int, indent: int | str | None, ensure_ascii: bool, has_mark: bool
) -> None:
    mark = "\ufeff" if has_mark else ""
    document = mark + json.dumps({"learners": rows}, indent=indent, ensure_ascii=ensure_ascii)
    lines = mark + "".join(json.dumps(row, ensure_ascii=ensure_ascii) + "\r\n" for row in rows)

    from_document = read(document, block_bytes=block_bytes)
    from_lines = read(lines, is_lines=True, block_bytes=block_bytes)

    for read_rows in (from_document, from_lines):
        assert [plain(row.value) for row in read_rows] == rows
        assert [json.loads(row.text) for row in read_rows] == rows
        assert [row.line for row in read_rows] == [*range(1, len(rows) + 1)]


@given(st.binary(max_size=200), st.sampled_from(BLOCKS), st.booleans())
def test_no_bytes_are_an_error_of_another_kind(content: bytes, block_bytes: int, is_lines: bool) -> None:
    with suppress(UnreadableJson):
        read(content, is_lines=is_lines, block_bytes=block_bytes)


@pytest.mark.parametrize(
    "end", ["1", "1.", "1e", "1e+", "-", "-Inf", "tru", "nul", '"', '"\\', '"\\u12', "[", "{", '{"a']
)
def test_value_that_is_cut_off_is_told_so(end: str) -> None:
    assert refuse('{"learners": [{"a": ' + end).is_cut_off


@given(ROWS, st.data())
def test_document_that_is_cut_off_anywhere_is_refused(rows: list[Any], data: st.DataObject) -> None:
    document = json.dumps({"learners": rows})
    cut = data.draw(st.integers(0, len(document) - 1))

    assert refuse(document[:cut]).is_cut_off


@given(ROWS, st.data())
def test_any_character_that_is_missing_is_refused_or_read_as_the_standard_library_does(
    rows: list[Any], data: st.DataObject
) -> None:
    document = json.dumps({"learners": rows})
    gap = data.draw(st.integers(0, len(document) - 1))
    damaged = document[:gap] + document[gap + 1 :]
    try:
        expected = json.loads(damaged)
    except ValueError:
        expected = None

    try:
        read_rows = [plain(row.value) for row in read(damaged)]
    except UnreadableJson:
        assert not isinstance(expected, dict) or [*expected] != ["learners"] or expected["learners"] == {}
    else:
        assert expected == {"learners": read_rows}


# Single cases


def test_line_of_ndjson_is_counted_with_empty_lines() -> None:
    rows = read('\n{"a": 1}\r\n  \t\n\n{"b": 2}', is_lines=True)

    assert rows == [(2, (("a", "1"),), '{"a": 1}'), (5, (("b", "2"),), '{"b": 2}')]


def test_element_of_a_document_has_its_number_and_its_text() -> None:
    rows = read('{ "learners" :\n[ {"a": [null, true]} ,\n "x" ] }\n')

    assert rows == [(1, (("a", [None, True]),), '{"a": [null, true]}'), (2, "x", '"x"')]


@pytest.mark.parametrize("content", ['{"learners": []}', '\ufeff{"learners":[ \n ]}\n\n'])
def test_document_without_learners_has_no_rows(content: str) -> None:
    assert read(content) == []


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_empty_lines_have_no_rows(content: str) -> None:
    assert read(content, is_lines=True) == []


def test_repeated_members_are_all_read() -> None:
    assert read('{"learners": [{"a": "1", "a": "2"}]}')[0].value == (("a", "1"), ("a", "2"))


def test_number_is_kept_as_it_is_written() -> None:
    digits = "9" * 10_000  # Python would refuse to read it
    (row,) = read(f'{{"learners": [{{"a": [1.50, -0, 1e999, {digits}]}}]}}', block_bytes=100)

    assert row.value == (("a", ["1.50", "-0", "1e999", digits]),)
    assert isinstance(row.value, tuple)
    assert all(type(each) is Number for each in row.value[0][1])


@pytest.mark.parametrize("block_bytes", [1, 100, 262_144])
def test_longest_row_is_read(block_bytes: int) -> None:
    row = json.dumps({"a": "x" * (LONGEST_ROW - 9)})
    assert len(row) == LONGEST_ROW

    if block_bytes > 1:  # each block is a try, so single bytes would take long
        assert len(read(f'{{"learners": [{row}, {row}]}}', block_bytes=block_bytes)) == 2
    assert len(read(f"{row}\r\n{row}", is_lines=True, block_bytes=block_bytes)) == 2


@pytest.mark.parametrize("is_lines", [False, True])
@pytest.mark.parametrize(
    "row",
    [json.dumps({"a": "x" * LONGEST_ROW}), json.dumps({"a": [{}] * LONGEST_ROW}), "[" * (2 * LONGEST_ROW)],
)
def test_longer_row_is_refused(is_lines: bool, row: str) -> None:
    content = f"{row}\n" if is_lines else f'{{"learners": [{row}]}}'
    for block_bytes in (10_000, LONGEST_ROW, 1_000_000):
        with pytest.raises(UnreadableJson, match=r"at most 65,536 characters|nested too deeply"):
            read(content, is_lines=is_lines, block_bytes=block_bytes)


@pytest.mark.parametrize("is_lines", [False, True])
def test_endless_row_is_not_kept_in_memory(is_lines: bool) -> None:
    begin = '{"a": "' if is_lines else '{"learners": [{"a": "'
    content = (begin + "x" * 10_000_000).encode()
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableJson):
            read(content, is_lines=is_lines, block_bytes=100_000)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 2_000_000


@pytest.mark.parametrize(
    ("content", "line", "detail"),
    [
        ("", 1, "The file ends too early."),
        ("Username\na\n", 1, "column 1. Send an object"),
        ("[]", 1, 'Send an object: {"learners": [{"username": "…"}, …]}.'),
        ('{"username": "a"}\n{"username": "b"}', 1, "application/x-ndjson"),
        ("{}", 1, "column 2. Send an object with one member"),
        ('{"options": {}, "learners": []}', 1, "Unknown member 'options'"),
        ('{"learners": {}}', 1, "must be a list"),
        ('{"learners" []}', 1, "A colon is missing."),
        ('{"learners": [], "learners": []}', 1, "must be the only member"),
        ('{"learners": []} {}', 1, "More text follows after the end."),
        ('{"learners": [\n{"a": 1},\n]}', 3, "column 1. Remove the comma before it."),
        ('{"learners": [\n{"a": 1}\n{"a": 1}]}', 3, "A comma or the end of the list is missing."),
        ('{"learners": [\n{"a": 1},\n {"a" 2}]}', 3, "line 3, column 7. A colon is missing."),
        ('{"learners": [{a: 1}]}', 1, "column 16. A member name in double quotes is missing."),
        ("{\"learners\": [{'a': 1}]}", 1, "A member name in double quotes is missing."),
        ('{"learners": [{"a": "\n"}]}', 1, "column 22. A string contains an unescaped control character."),
        ('{"learners": [{"a": "\\x"}]}', 1, "A string contains an unknown escape."),
        ('{"learners": [NaN]}', 1, "JSON has no NaN. Use null."),
        ('{"learners": [{"a": -Infinity}]}', 1, "JSON has no -Infinity. Use null."),
        ('{"learners": [nul]}', 1, "A value is missing or misspelled."),
        ('{"learners": [01]}', 1, "A comma or the end of the list is missing."),
        ('{"learners": [' + "[" * 30_000 + "]" * 30_000 + "]}", 1, "Values are nested too deeply."),
        (b'{"learners": [\n{"a": "\xff"}]}', 2, "Line 2 contains bytes that are not valid UTF-8."),
        (b'{"learners": [\n{"a": "\xc3', 2, "not valid UTF-8"),
        ('{"learners": []}'.encode("utf-16"), 1, "not valid UTF-8"),
    ],
)
def test_wrong_document_is_told_where_and_why(content: str | bytes, line: int, detail: str) -> None:
    if isinstance(content, str) and len(content) > LONGEST_ROW // 2:
        with pytest.raises(UnreadableJson, match="nested"):
            read(content, block_bytes=262_144)
        return
    refusal = refuse(content)

    assert (detail in refusal.detail, refusal.line) == (True, line), refusal.detail


@pytest.mark.parametrize(
    ("content", "line", "detail"),
    [
        ('{"a": 1}\n{"a": 1', 2, "Line 2 is not valid JSON."),
        ('{"a": 1} {"a": 1}\n', 1, "More text follows after the object."),
        ('\n{"a": 1},\n', 2, "More text follows after the object."),
        ('{\n"a": 1\n}\n', 1, "Each line must hold one object."),
        ('{"a": 1}\n{"a": NaN}\n', 2, "JSON has no NaN."),
        ("Username\na\n", 1, "A value is missing or misspelled."),
        (b'{"a": 1}\n{"a": "\xff"}', 2, "Line 2 contains bytes that are not valid UTF-8."),
        ("[" * 30_000 + "\n", 1, "Values are nested too deeply."),
    ],
)
def test_wrong_line_is_told_where_and_why(content: str | bytes, line: int, detail: str) -> None:
    if len(content) > 1000:
        with pytest.raises(UnreadableJson, match=detail):
            read(content, is_lines=True, block_bytes=262_144)
        return
    refusal = refuse(content, is_lines=True)

    assert (detail in refusal.detail, refusal.line) == (True, line), refusal.detail


def test_rows_before_a_fault_are_yielded() -> None:
    rows = open_json(io.BytesIO(b'{"learners": [{"a": 1}, {"b": 2}, oops'), is_lines=False).rows()

    assert [next(rows).line, next(rows).line] == [1, 2]
    with pytest.raises(UnreadableJson):
        next(rows)


def test_rows_can_be_read_again() -> None:
    roster = open_json(io.BytesIO(b'{"a": 1}\n'), is_lines=True)

    assert [*roster.rows()] == [*roster.rows()] != []


@pytest.mark.parametrize(
    ("content", "is_lines", "is_complete"),
    [(b"{}\n", True, True), (b"{}", True, False), (b"", True, False), (b'{"learners": []}', False, True)],
)
def test_lines_without_a_last_line_break_may_be_cut_off(
    content: bytes, is_lines: bool, is_complete: bool
) -> None:
    assert open_json(io.BytesIO(content), is_lines=is_lines).ends_with_line_break is is_complete


def test_lines_that_are_cut_off_within_a_row_are_told_from_wrong_ones() -> None:
    assert refuse('{"a": 1}\n{"a": ', is_lines=True).is_cut_off
    assert not refuse('{"a": 1}\n{"a": \n', is_lines=True).is_cut_off
