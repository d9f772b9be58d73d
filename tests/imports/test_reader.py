import codecs
import csv
import gzip
import io
import re
import tempfile
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidValue
from app.imports.cells import Row, split_rows
from app.imports.encodings import ENCODINGS, clean_encoding
from app.imports.errors import UnreadableCsv
from app.imports.reader import Roster, open_roster
from app.learners.fields import ROSTER_COLUMNS

HEADER = "Username,Email,First Name\n"
XLSX_PARTS = ("[Content_Types].xml", "xl/workbook.xml")


def read(content: str | bytes, **options: Any) -> Any:
    data = content if isinstance(content, bytes) else content.encode()
    return open_roster(io.BytesIO(data), **options)


def rows(content: str | bytes, **options: Any) -> list[Any]:
    return list(read(content, **options).rows())


def refusal(content: str | bytes, **options: Any) -> Any:
    with pytest.raises(UnreadableCsv) as caught:
        rows(content, **options)
    assert str(caught.value) == caught.value.detail
    return caught.value


def codes(roster: Roster) -> list[Any]:
    return [warning.code for warning in roster.warnings]


def make_zip(*names: str) -> Any:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.spreadsheet")
    return file.getvalue()


# What is a roster, and what is none


def test_a_plain_roster_gives_its_rows_with_their_lines() -> None:
    roster = read("Username,Active\na,Yes\nb,No\n")

    assert roster.header == ("Username", "Active")
    assert roster.header_line == 1
    assert roster.columns == {"username": 0, "active": 1}
    assert (roster.encoding, roster.delimiter, roster.warnings) == ("utf-8", ",", ())
    assert list(roster.rows()) == [Row(2, ["a", "Yes"]), Row(3, ["b", "No"])]


def test_header_without_rows_is_a_roster_without_rows() -> None:
    assert rows("Username") == []
    assert rows("Username,Email\r\n") == []


def test_rows_can_be_read_again_and_an_abandoned_reading_does_no_harm() -> None:
    roster = read(f"{HEADER}a,,\nb,,\n")

    assert next(roster.rows()).line == 2
    assert [row.line for row in roster.rows()] == [2, 3]
    assert [row.line for row in roster.rows()] == [2, 3]


def test_file_stays_open_after_every_reading() -> None:
    file = io.BytesIO(f"{HEADER}a,,\nb,,\n".encode())
    unfinished = open_roster(file).rows()
    next(unfinished)
    del unfinished
    assert not file.closed

    broken = io.BytesIO(f'{HEADER}"a'.encode())
    with pytest.raises(UnreadableCsv):
        list(open_roster(broken).rows())
    assert not broken.closed


def test_closing_the_file_first_does_no_harm() -> None:
    file = io.BytesIO(f"{HEADER}a,,\nb,,\n".encode())
    unfinished = open_roster(file).rows()
    next(unfinished)
    file.close()
    del unfinished  # would warn, and so fail, if the reader touched the file


def test_files_on_disk_and_spooled_uploads_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(f"{HEADER}a,,\n".encode())
    with path.open("rb") as file:
        assert list(open_roster(file).rows()) == [Row(2, ["a", "", ""])]
    with tempfile.SpooledTemporaryFile(max_size=8) as spooled:
        spooled.write(f"{HEADER}a,,\n".encode())
        assert list(open_roster(cast("BinaryIO", spooled)).rows()) == [Row(2, ["a", "", ""])]


@pytest.mark.parametrize("content", [b"", b" \r\n\t\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, b",,\n, ,\n"])
def test_an_empty_file_is_called_empty(content: bytes) -> None:
    assert "is empty" in refusal(content).detail


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html><body>Username,Email</body></html>", "a web page"),
        (b"\n\n  <HTML lang=en>\nUsername\n", "a web page"),
        (b'<?xml version="1.0"?><!-- x --><html xmlns="a">', "a web page"),
        ("\ufeff<html>".encode("utf-16-le"), "a web page"),
        ("<html>".encode("utf-16-be"), "a web page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook>', "an XML document"),
        (b"<users><user>a</user></users>", "an XML document"),
        (b'{"username": "a"}', "JSON"),
        (b'\xef\xbb\xbf [\n {"username": "a"}]', "JSON"),
        (b"[]", "JSON"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture"),
        (b"GIF89a\x01\0", "a picture"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "a picture"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (make_zip(*XLSX_PARTS), "an Excel workbook (XLSX)"),
        (make_zip("mimetype", "content.xml"), "an OpenDocument spreadsheet"),
        (make_zip("roster.csv.txt")[:4] + b"roster", "a ZIP archive"),
        (make_zip(), "a ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old Excel workbook (XLS)"),
        (gzip.compress(HEADER.encode(), mtime=0), "compressed with gzip"),
        (b"\x7fELF\x02\x01\x01" + bytes(60), "binary data"),
        (bytes(100), "binary data"),
        (b"Username,Email\na\x02\0b,\n", "binary data"),
        (b"Username\n" + bytes(20), "binary data"),
    ],
)
def test_other_file_formats_are_named(content: bytes, found: str) -> None:
    assert found in refusal(content).detail


@pytest.mark.parametrize("content", [make_zip(*XLSX_PARTS), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_workbook_is_refused_with_advice_to_save_it_as_csv(content: bytes) -> None:
    assert "save it as CSV" in refusal(content).detail


@pytest.mark.parametrize("nuls", ["\0", "\0\0"])
@pytest.mark.parametrize("rest", ["", "José\r\n", "Á\r\n", "a\r\n" * 5_000])
def test_a_nul_in_what_is_otherwise_text_is_refused_with_its_line(nuls: str, rest: str) -> None:
    problem = refusal(f"Username,Email\r\na,\r\nÁ\r\nb{nuls},\r\n{rest}")

    assert problem.line == 4
    assert problem.detail.startswith("Line 4 contains bytes that are not valid")


def test_a_nul_in_a_very_short_text_does_not_make_it_utf_16() -> None:
    assert refusal("Username\na\0\n").line == 2


def test_a_nul_far_into_the_file_is_refused_with_its_line() -> None:
    problem = refusal(HEADER + "a,b,c\n" * 100_000 + "a,\0,c\n")

    assert problem.line == 100_002
    assert "Line 100002" in problem.detail


# Encoding


@pytest.mark.parametrize(
    ("data", "encoding", "warnings"),
    [
        ("Username,Löwe\nJosé,ł\n".encode(), "utf-8", []),
        (codecs.BOM_UTF8 + "Username,Löwe\nJosé,ł\n".encode(), "utf-8", []),
        (codecs.BOM_UTF16_LE + "Username,Löwe\nJosé,ł\n".encode("utf-16-le"), "utf-16-le", []),
        (codecs.BOM_UTF16_BE + "Username,Löwe\nJosé,ł\n".encode("utf-16-be"), "utf-16-be", []),
        (codecs.BOM_UTF32_LE + "Username,Löwe\nJosé,ł\n".encode("utf-32-le"), "utf-32-le", []),
        ("Username,Löwe\nJosé,ł\n".encode("utf-16-le"), "utf-16-le", ["guessed-encoding"]),
        ("Username,Löwe\nJosé,ł\n".encode("utf-16-be"), "utf-16-be", ["guessed-encoding"]),
        ("Username,Löwe\nJosé,€\n".encode("cp1252"), "cp1252", ["guessed-encoding"]),
    ],
)
def test_encoding_is_detected(data: bytes, encoding: str, warnings: list[str]) -> None:
    roster = read(data)

    assert roster.encoding == encoding
    assert codes(roster) == [*warnings, "ignored-column"]
    assert roster.header == ("Username", "Löwe")
    assert [row.cells[0] for row in roster.rows()] == ["José"]


def test_a_guessed_encoding_is_named_in_the_warning() -> None:
    assert "Windows-1252" in read("Username\nJosé\n".encode("cp1252")).warnings[0].detail


def test_utf_16_without_a_mark_is_detected_with_non_latin_names() -> None:
    text = "Username,First Name\n" + "".join(f"u{i},一郎Āria\n" for i in range(1000))

    roster = read(text.encode("utf-16-le"))

    assert roster.encoding == "utf-16-le"
    assert next(roster.rows()).cells == ["u0", "一郎Āria"]


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        ("utf-8", "Username\nJosé\n".encode()),
        ("UTF8", "\ufeffUsername\nJosé\n".encode()),
        ("utf-8-sig", "Username\nJosé\n".encode()),
        ("utf-8-sig", "\ufeffUsername\nJosé\n".encode()),
        ("utf-16", "\ufeffUsername\nJosé\n".encode("utf-16-be")),
        ("utf-16", "Username\nJosé\n".encode("utf-16-le")),
        ("utf-16", "Username\nJosé\n".encode("utf-16-be")),
        ("utf-16", "Username\nJosé\n字字字字字字字字".encode("utf-16-le")),
        ("UTF-16LE", "Username\nJosé\n".encode("utf-16-le")),
        ("utf-16-le", "\ufeffUsername\nJosé\n".encode("utf-16-le")),
        ("utf-16-be", "\ufeffUsername\nJosé\n".encode("utf-16-be")),
        ("windows-1252", "Username\nJosé\n".encode("cp1252")),
        ("iso-8859-1", "Username\nJosé\n".encode("latin-1")),
        ("latin-1", "Username\nJosé\n".encode("latin-1")),
        ("mac-roman", "Username\nJosé\n".encode("mac-roman")),
        ("cp037", "Username\nJosé\n".encode("cp037")),
    ],
)
def test_a_named_encoding_is_used_without_a_warning(asked: str, data: bytes) -> None:
    roster = read(data, encoding=asked)

    assert roster.warnings == ()
    assert roster.header == ("Username",)
    assert next(roster.rows()) == Row(2, ["José"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "klingon",
        "utf-8\0",
        "base64",
        "rot13",
        "idna",
        "punycode",
        "unicode_escape",
        "utf-7",
        "undefined",
        "mbcs",
        "raw_unicode_escape",
        "bz2",
        "uu",
        "utf-8/../x",
        "\uff55\uff54\uff46-8",
        "x" * 999,
    ],
)
def test_an_unknown_encoding_is_an_invalid_value(name: str) -> None:
    with pytest.raises(InvalidValue, match="encoding"):
        read("Username\n", encoding=name)


def test_every_encoding_has_a_decoder_and_names_itself() -> None:
    for name in ENCODINGS:
        codec = clean_encoding(name)
        assert clean_encoding(codec) == codec == clean_encoding(codec.upper().replace("_", "-"))
        assert codecs.getincrementaldecoder(codec)


@pytest.mark.parametrize("accents", ["é", "字", "🎓", "\u00a0", "Ã"])
@pytest.mark.parametrize("broken", [b"\xe9", b"\xff", b"\xc3", b"\xe2\x82", b"\x81"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_wrong_byte_in_a_utf_8_file_is_refused_with_its_line(
    accents: str, broken: bytes, is_first: bool
) -> None:
    right, wrong = [accents.encode(), b"b" * 300_000, b""], [b"J" + broken]
    lines = [b"Username", *(wrong + right if is_first else right + wrong), b""]

    problem = refusal(b"\n".join(lines))

    assert problem.line == (2 if is_first else 5)
    assert "not valid UTF-8." in problem.detail


@pytest.mark.parametrize("hidden", ["\u200b", "\ufeff", "\ufeff\u200b\u00ad", "\u2060\u3164"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("block", [1, 262_144])
def test_characters_that_no_one_sees_are_removed_before_the_first_name(
    hidden: str, encoding: str, block: int
) -> None:
    data = f'{hidden}"Username",Email\na,b\n'.encode(encoding)

    roster = read(data, encoding=None if encoding != "utf-16-be" else encoding, block_bytes=block)

    assert roster.header == ("Username", "Email")
    assert roster.has_mark is (encoding in ("utf-8-sig", "utf-16") or hidden.startswith("\ufeff"))
    assert list(roster.rows()) == [Row(2, ["a", "b"])]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [1, 2, 3, 7, 262_144])
def test_undecodable_bytes_are_refused_with_their_line(line_end: str, block: int) -> None:
    data = line_end.join(["Username", "José", "b", "J?", "d"]).encode().replace(b"?", b"\xe9")

    problem = refusal(data, encoding="utf-8", block_bytes=block)

    assert problem.line == 4
    assert "Line 4" in problem.detail
    assert "UTF-8" in problem.detail


@pytest.mark.parametrize("asked", ["utf-32", "utf-7", "utf-16", "utf-8-sig", "ascii", "cp037", "gb18030"])
@pytest.mark.parametrize(
    "data", [b"Username\na\n", b"\xff\xffU\x00s\x00", b"Username\n\x81\x00\xd8\n", b"+", b"\x00"]
)
def test_no_encoding_that_can_be_asked_for_fails_on_other_bytes(asked: str, data: bytes) -> None:
    with suppress(UnreadableCsv, InvalidValue):
        read(data, encoding=asked)


def test_utf_32_without_a_mark_is_refused_with_its_line() -> None:
    assert refusal("Username\na\n".encode("utf-32-le"), encoding="utf-32").line == 1


@pytest.mark.parametrize("byte", [0x81, 0x8D, 0x8F, 0x90, 0x9D])
def test_bytes_of_no_known_encoding_are_refused_with_their_line(byte: int) -> None:
    problem = refusal(b"Username\r\na\r\nb" + bytes([byte]) + b"\r\n")

    assert problem.line == 3
    assert "UTF-8 or Windows-1252" in problem.detail


def test_a_character_cut_off_at_the_end_of_the_file_is_refused() -> None:
    assert refusal("Username\nJosé".encode()[:-1], encoding="utf-8").line == 2
    assert refusal("\ufeffUsername\nJ".encode("utf-16-le") + b"\0").line == 2


@pytest.mark.parametrize("block", range(1, 12))
def test_a_character_may_lie_across_two_blocks(block: int) -> None:
    roster = read("Username\nJosé 🎓 €\r\nÖzil\r\n".encode(), block_bytes=block)

    assert roster.encoding == "utf-8"
    assert [row.cells for row in roster.rows()] == [["José 🎓 €"], ["Özil"]]


def test_a_long_utf_8_file_with_its_first_accent_late_is_not_guessed() -> None:
    roster = read("Username\n" + "a\n" * 300_000 + "é\n")

    assert roster.encoding == "utf-8"
    assert roster.warnings == ()


@pytest.mark.parametrize(("mark", "asked"), [("utf-8-sig", "windows-1252"), ("utf-16", "utf-8")])
def test_an_encoding_that_the_files_mark_contradicts_is_refused(mark: str, asked: str) -> None:
    assert "begins with the byte order mark" in refusal("Username\n".encode(mark), encoding=asked).detail


# Delimiter


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(delimiter: str) -> None:
    roster = read(f'Username{delimiter}Email{delimiter}"Teams, each; with\tits | mark"\n')

    assert roster.delimiter == delimiter
    assert roster.columns == {"username": 0, "email": 1}


def test_a_delimiter_within_quotes_does_not_count() -> None:
    assert read('"Username";"a,b,c";"Email"\n').delimiter == ";"


def test_a_header_of_one_column_reads_with_any_delimiter() -> None:
    assert read("Username\na\n").delimiter == ","


@pytest.mark.parametrize(
    ("asked", "used"), [(",", ","), (";", ";"), ("|", "|"), ("\t", "\t"), ("tab", "\t"), ("TAB", "\t")]
)
def test_a_named_delimiter_is_used(asked: str, used: str) -> None:
    roster = read(f"Username{used}Email\na{used}b\n", delimiter=asked)

    assert roster.delimiter == used
    assert next(roster.rows()).cells == ["a", "b"]


@pytest.mark.parametrize("name", ["", ":", " ", "comma", ",,", "\n", '"'])
def test_any_other_delimiter_is_an_invalid_value(name: str) -> None:
    with pytest.raises(InvalidValue, match="delimiter"):
        read("Username\n", delimiter=name)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_excel_sep_line_names_the_delimiter_and_counts_as_a_line(delimiter: str, mark: str) -> None:
    roster = read(f"{mark}sep={delimiter}\r\nUsername{delimiter}Email\r\na{delimiter}b\r\n")

    assert roster.delimiter == delimiter
    assert roster.header_line == 2
    assert list(roster.rows()) == [Row(3, ["a", "b"])]


def test_a_named_delimiter_wins_over_the_sep_line() -> None:
    assert rows("sep=;\nUsername,Email\na,b\n", delimiter=",") == [Row(3, ["a", "b"])]


def test_a_sep_line_with_an_unusual_delimiter_is_refused() -> None:
    problem = refusal("sep=#\nUsername#Email\n")

    assert problem.line == 1
    assert "'#'" in problem.detail


# Header


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("Username", "username"),
        ("user_name", "username"),
        (" USER NAME ", "username"),
        ("External-ID", "external_id"),
        ("externalid", "external_id"),
    ],
)
def test_case_spaces_underscores_and_hyphens_of_a_column_do_not_matter(name: str, column: str) -> None:
    assert read(f"{name}\n").columns == {column: 0}


def test_every_column_is_known_in_any_order() -> None:
    roster = read("Expiration Date,active,LAST_NAME,first-name,E-Mail,External ID,Username\n")

    assert roster.columns == {column.name: 6 - index for index, column in enumerate(ROSTER_COLUMNS)}
    assert roster.warnings == ()


def test_a_header_cell_may_have_quotes_and_line_breaks() -> None:
    roster = read('Username,"Expiration\nDate","Say ""when"""\na,2026-10-31,\n')

    assert roster.columns == {"username": 0, "expiration_date": 1}
    assert roster.header[2] == 'Say "when"'
    assert [row.line for row in roster.rows()] == [3]


def test_blank_lines_before_the_header_are_skipped_and_counted() -> None:
    roster = read("\n  \r\n,,\nUsername,Email,\na,b,\n")

    assert roster.header_line == 4
    assert roster.header == ("Username", "Email")
    assert [row.line for row in roster.rows()] == [5]


def test_duplicate_column_is_refused_with_both_names() -> None:
    problem = refusal("\nUsername,Email,user_name\n")

    assert problem.line == 2
    assert "'Username'" in problem.detail
    assert "'user_name'" in problem.detail


def test_a_header_without_a_key_is_refused_with_what_was_found() -> None:
    problem = refusal("Name;Email;Phone\n")

    assert problem.line == 1
    assert "no column Username" in problem.detail
    assert "'Name', 'Email', 'Phone'" in problem.detail


def test_long_wrong_header_is_shortened_in_the_message() -> None:
    detail = refusal(",".join(["x" * 150] * 100)).detail

    assert len(detail) < 1200
    assert "and 80 more" in detail


def test_unknown_columns_are_ignored_with_a_warning_that_lists_them() -> None:
    roster = read("Username,Department,Email,,Cost Center\n")

    assert codes(roster) == ["ignored-column"]
    assert "'Department', '', 'Cost Center'" in roster.warnings[0].detail


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        (["active"], ["username", "email"]),
        (["  ACTIVE "], ["username", "email"]),
        (["E-Mail", "Active"], ["username"]),
        (["e-mail, active"], ["username"]),
        (["Phone"], ["username", "email", "active"]),
        (["Email"], ["username", "email", "active"]),
        (["Team"], ["username", "email", "active"]),
    ],
)
def test_columns_that_are_named_are_ignored_without_a_warning(asked: list[str], columns: list[str]) -> None:
    roster = read('Username,E-Mail,Active,"Team, Office"\n', ignore_columns=[*asked, "team, office"])

    assert list(roster.columns) == columns
    assert roster.warnings == ()


def test_the_reports_own_columns_are_ignored_silently() -> None:
    assert read("Username,Email,Line,Outcome,Problem\n").warnings == ()


def test_unnamed_columns_at_the_end_of_the_header_are_dropped() -> None:
    roster = read("Username,Email" + ", " * 100_000)

    assert roster.header == ("Username", "Email")
    assert roster.warnings == ()


@pytest.mark.parametrize(
    ("ids", "has_whole_ids"),
    [
        (["123.0", "456"], True),
        (["HR-1", "", "123.00"], True),
        (["1.5E+10", "HR-1", "123.0"], True),
        (['="123.0"', '"456"'], True),
        (["123.0", "456.0"], False),
        (["123.0"], False),
        (["123", "456"], False),
        (["123.0", "456", "1.2"], False),
        (["123.0", "456", "HR.1"], False),
        (["123.05", "456"], False),
    ],
)
@pytest.mark.parametrize("block", [1, 262_144])
def test_decimals_among_whole_ids_are_found(ids: list[str], has_whole_ids: bool, block: int) -> None:
    text = "Username,Employee Number\n" + "".join(f"u{index},{id_}\n" for index, id_ in enumerate(ids))

    assert read(text, block_bytes=block).has_whole_ids is has_whole_ids


def test_decimals_outside_the_external_ids_do_not_matter() -> None:
    assert not read("Username,External ID,Hours\na,HR-1,8.0\nb,HR-2,\n").has_whole_ids
    assert not read("Username,Hours\n1.0,8.0\n2,\n").has_whole_ids


# Rows and lines


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_line_ending_ends_a_line(line_end: str) -> None:
    text = line_end.join(["Username,Email", "a,b", "", '"c', 'd",e', " , ", "f,g"])

    assert rows(text) == [Row(2, ["a", "b"]), Row(4, [f"c{line_end}d", "e"]), Row(7, ["f", "g"])]


def test_mixed_line_endings_are_read_as_in_an_editor() -> None:
    assert [row.line for row in rows("Username\na\r\nb\rc\n\rd\r\r\ne")] == [2, 3, 4, 6, 8]


def test_other_unicode_separators_do_not_end_a_line() -> None:
    cell = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"

    assert rows(f"Username\n{cell}\nz\n") == [Row(2, [cell]), Row(3, ["z"])]


def test_rows_whose_cells_are_all_empty_are_left_out_but_counted() -> None:
    assert [row.line for row in rows(f'{HEADER}\n,,\n  ,\t,""\n"",\n,,c\n')] == [6]


def test_cells_come_as_they_are_written() -> None:
    assert rows(f'{HEADER} a ,"b ""c""",d"e\n') == [Row(2, [" a ", 'b "c"', 'd"e'])]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'{HEADER}a,b,c\n"d,e,f\ng,h,i\n', 3),
        (f'{HEADER}a,b,c\n"d\n\n\ne"x,f\ng,h,i\n', 3),
        (f'{HEADER}"a\nb",c,d\ne,"f"g ,h\n', 4),
        (f"{HEADER}\n\na,b,{'c' * 2_000_000}\n", 4),
        (f'{HEADER}a,"{"b" * 700_000}\n{"c" * 700_000}\n', 2),
        (f'{HEADER}a,"b\n' + '""\n' * 500_000, 2),
        (f"{HEADER}a,b,c{',d' * 1_001}\n", 2),
        (f'{HEADER}"a",b,c{",d" * 1_001}\n', 2),
        (f'{HEADER}"a\n",b,c{",d" * 1_001}\n', 2),
        (f'{HEADER}a, "b\nc,d\n', 2),
        (f'{HEADER}a,"b"x,c\n', 2),
        (f"{HEADER}a,b,c\n{',' * 2_000_000}\n", 3),
        (f"{HEADER}a,b,c\n" + '"d\n",' * 500_000, 3),
        ('\n\n"Username,Email\na,b\n', 3),
        ('Username,"Email"x\n', 1),
    ],
)
def test_a_row_that_breaks_the_rules_of_csv_is_refused_with_the_line_it_begins_on(
    text: str, line: int
) -> None:
    problem = refusal(text)

    assert problem.line == line
    assert f"line {line} " in problem.detail
    assert "quote" in problem.detail


def test_the_rows_before_a_broken_one_are_given() -> None:
    read_rows = read(f'{HEADER}a,b,c\n"d').rows()

    assert next(read_rows).line == 2
    with pytest.raises(UnreadableCsv):
        next(read_rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("blanks", [" ", "   ", "\t", " \t\u00a0"])
def test_blanks_around_a_quoted_cell_are_left_out(delimiter: str, blanks: str) -> None:
    blanks = blanks.replace(delimiter, "")
    text = f"""{blanks}"Username",{blanks}"Email"{blanks},"First Name"{blanks}
"a",{blanks}"b, ""c""\r\nd"{blanks},{blanks}"e"
{blanks}"f" ,{blanks}g {blanks},{blanks}""
""".replace(",", delimiter)

    assert rows(text, delimiter=delimiter) == [
        Row(2, ["a", f'b{delimiter} "c"\r\nd', "e"]),
        Row(4, ["f", f"{blanks}g {blanks}", ""]),
    ]


@pytest.mark.parametrize("cell", ['d"e', ' "Ada" Okafor', ' 6" pipe', 'x "y"', '="00123"', '\'="a"'])
def test_quotes_inside_a_cell_are_a_part_of_it(cell: str) -> None:
    assert rows(f'{HEADER}a,{cell},"b"\n') == [Row(2, ["a", cell, "b"])]


@pytest.mark.parametrize("cell", ["c" * 200_000, '"' + "c\n" * 100_000 + '"'])
def test_a_cell_may_be_as_long_as_a_row(cell: str) -> None:
    assert rows(f"{HEADER}a,b,{cell}\n") == [Row(2, ["a", "b", cell.strip('"')])]


@pytest.mark.parametrize("start", ["a,b,c", '"a",b,c', '"a","b","c"', 'a,"b",c'])
def test_empty_cells_at_the_end_of_a_row_are_not_counted(start: str) -> None:
    (row,) = rows(f"{HEADER}{start}{', ' * 100_000}\n")

    assert row.cells[:3] == ["a", "b", "c"]
    assert len(row.cells) <= 1_003


def test_a_row_of_delimiters_is_refused_before_it_costs_memory() -> None:
    file = io.BytesIO(HEADER.encode() + b"a" + b"," * 1_000_000 + b"b\n")
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableCsv, match="too many for its columns"):
            list(open_roster(file).rows())
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@given(text=st.text(alphabet='ab"\r\n,;|', max_size=40), block=st.integers(1, 7))
def test_rows_without_blanks_are_read_as_python_reads_them(delimiter: str, text: str, block: int) -> None:
    text = text.replace("|", delimiter)
    blocks = [text[index : index + block] for index in range(0, len(text), block)]
    found: list[Any] = []
    try:
        found.extend(split_rows(blocks, delimiter, 3))
    except UnreadableCsv as error:
        found.append(error.line)

    lines = io.StringIO(text, newline="")
    reader = csv.reader(iter(lines.readline, ""), delimiter=delimiter, strict=True)
    expected: list[Any] = []
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                expected.append(Row(line, cells))
            line = reader.line_num + 1
    except csv.Error:
        expected.append(line)
    assert found == expected


def test_limit_of_the_csv_module_is_unchanged() -> None:
    limit = csv.field_size_limit()
    rows(f"{HEADER}a,b,c\n")

    assert csv.field_size_limit() == limit


def test_memory_does_not_grow_with_the_file() -> None:
    file = io.BytesIO(HEADER.encode() + 40_000 * (b"a,b@example.org," + b"c" * 100 + b"\n"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in open_roster(file).rows()) == 40_000
        assert tracemalloc.get_traced_memory()[1] < len(file.getvalue()) // 2
    finally:
        tracemalloc.stop()


CELLS = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("\"'\r\n,;\t| "),
    max_size=12,
)
WRITTEN = [
    (None, "utf-8"),
    (None, "utf-8-sig"),
    (None, "utf-16"),
    ("utf-16-be", "utf-16-be"),
    ("cp1252", "cp1252"),
]


@given(
    table=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encodings=st.sampled_from(WRITTEN),
    quote_all=st.booleans(),
)
def test_written_rows_are_read_back_with_their_lines(
    table: Any, delimiter: str, line_end: str, encodings: Any, quote_all: Any
) -> None:
    asked, written = encodings
    text, expected = f"Username{delimiter}Email{line_end}", []
    for row in table:
        cells = [cell.encode(written, "ignore").decode(written) for cell in row]
        if any(map(str.strip, cells)):
            expected.append(Row(1 + len(re.findall(r"\r\n|\r|\n", text)), cells))
        needs_quotes = re.compile(f'[{re.escape(delimiter)}"\r\n]').search
        text += delimiter.join(
            '"' + cell.replace('"', '""') + '"' if quote_all or needs_quotes(cell) else cell for cell in cells
        )
        text += line_end

    roster = read(text.encode(written), encoding=asked)

    assert roster.delimiter == delimiter
    assert list(roster.rows()) == expected
