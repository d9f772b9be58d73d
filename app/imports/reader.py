"""Finds out how a roster is written and reads its rows, each with the line on which it begins.

Pure: bytes in, cells out. A roster of any size needs only a bounded part of memory. `rows` says what the cells mean.
"""

import codecs
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import BinaryIO, NamedTuple

from app.domain.errors import InvalidValue
from app.domain.profile import looks_shortened
from app.imports.cells import Row, split_rows
from app.imports.encodings import FileEncoding, clean_encoding, detect_encoding, name_encoding
from app.imports.errors import UnreadableCsv
from app.imports.headers import MOST_COLUMNS, Header, list_names, quote_name, read_header, recognize
from app.imports.rows import is_decimal
from app.platform.csv_cells import read_cell

DELIMITERS = (",", ";", "\t", "|")
_BLOCK_BYTES = 262_144
# What is decoded at a time while rows are read.
_ROW_BYTES = 65_536
_HEAD = 4_096
_LONGEST_SEPARATOR_LINE = 40

_SAVE_AS_CSV = "Open it in the spreadsheet program and save it as CSV (UTF-8)."
_SEND_CSV = "Send the roster as a CSV file."
_OTHER_FORMATS = tuple(
    (re.compile(signature, re.DOTALL | re.IGNORECASE), name, advice)
    for signature, name, advice in (
        (rb"PK\x03\x04.*(?:\[Content_Types\]|xl/)", "an Excel workbook (XLSX)", _SAVE_AS_CSV),
        (rb"PK\x03\x04.*opendocument", "an OpenDocument spreadsheet (ODS)", _SAVE_AS_CSV),
        (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "a ZIP archive", _SEND_CSV),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (XLS)", _SAVE_AS_CSV),
        (rb"\x1f\x8b", "compressed with gzip", "Unpack it first."),
        (rb"%PDF-", "a PDF document", _SEND_CSV),
        (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP", "a picture", _SEND_CSV),
        (rb"<(?:.*<)?html|<!doctype html", "a web page (HTML)", _SEND_CSV),
        (rb"<[?!a-z]", "an XML document", _SEND_CSV),
        (rb'\{\s*["}]|\[\s*["{\[\]]', "JSON", _SEND_CSV),
    )
)


@dataclass(frozen=True, slots=True)
class RosterWarning:
    """What a person should check about the file; `code` is `guessed-encoding` or `ignored-column`."""

    code: str
    detail: str


class _Text(NamedTuple):
    """A file as text."""

    file: BinaryIO
    encoding: FileEncoding

    def blocks(self) -> Iterator[str]:
        """Decode the text from its beginning."""
        decode = codecs.getincrementaldecoder(self.encoding.name)().decode
        self.file.seek(self.encoding.start)
        while block := self.file.read(_ROW_BYTES):
            yield decode(block)
        yield decode(b"", final=True)

    def rows(self, delimiter: str, columns: int) -> Generator[Row]:
        """Yield all rows that are not empty, including the header. Raises UnreadableCsv."""
        return split_rows(self.blocks(), delimiter, columns)


@dataclass(frozen=True, slots=True)
class Roster:
    """A roster whose header has been read.

    `header` holds the column names as written, without outer spaces and unnamed columns at the end.
    `header_line` is the line on which it begins. `columns` says at which index of it the known ones
    are, Username or External ID among them. `encoding` is Python's name for it. `has_whole_ids` says that an
    External ID such as 123.0 is a number that a spreadsheet has written, because no other one has a dot.
    """

    header: tuple[str, ...]
    header_line: int
    columns: Mapping[str, int]
    encoding: str
    delimiter: str
    warnings: tuple[RosterWarning, ...]
    has_whole_ids: bool
    _text: _Text = field(repr=False)
    _rows_before: int = field(repr=False)

    @property
    def has_mark(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return self._text.encoding.has_mark

    @property
    def ends_with_line_break(self) -> bool:
        """Whether the last line is complete."""
        return self._text.encoding.ends_with_line_break

    def rows(self) -> Iterator[Row]:
        """Yield the data rows, without rows whose cells are all empty.

        Every call starts again and moves the one file, so use one iterator at a time. Raises UnreadableCsv at a row
        that breaks the rules of CSV, after the rows before it have been yielded.
        """
        return islice(self._text.rows(self.delimiter, len(self.header)), self._rows_before, None)


def open_roster(
    file: BinaryIO,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    ignore_columns: Sequence[str] = (),
    block_bytes: int = _BLOCK_BYTES,
) -> Roster:
    """Find out how a complete, seekable file is written; the caller closes it.

    `encoding` is a name of a character set in ENCODINGS. `delimiter` is one of , ; | a tab or the word `tab`.
    None = detect it. `ignore_columns` names columns that are not read: each entry is one name, or several with commas
    between them. The whole file is read once, in blocks of `block_bytes`, to check its encoding. If it has numbers
    such as 123.0, it is read again, to compare the External IDs. Raises InvalidValue for a wrong argument, and
    UnreadableCsv if the file is not a roster.
    """
    asked = None if encoding is None else clean_encoding(encoding)
    delimiters = DELIMITERS if delimiter is None else (clean_delimiter(delimiter),)
    file.seek(0)
    _refuse_other_formats(file.read(_HEAD))
    text = _Text(file, detect_encoding(file, asked, block_bytes))
    separator = _find_separator(text)
    if separator is not None and delimiter is None:
        if separator not in DELIMITERS:
            raise UnreadableCsv(
                f"Line 1 sets the delimiter to {separator!r}. Use one of , ; | or tab.", line=1
            )
        delimiters = (separator,)
    before = 0 if separator is None else 1
    found, (line, cells) = _find_header(text, before, delimiters)
    header = read_header(cells, line, "".join({*DELIMITERS} - {found}), ignore_columns)
    roster = Roster(
        header=header.names,
        header_line=line,
        columns=header.columns,
        encoding=text.encoding.name,
        delimiter=found,
        warnings=tuple(_warn(text.encoding, header, guessed=asked is None)),
        has_whole_ids=False,
        _text=text,
        _rows_before=before + 1,
    )
    return replace(roster, has_whole_ids=text.encoding.has_decimals and _has_whole_ids(roster))


def clean_delimiter(name: str) -> str:
    """Return the delimiter that this character, or the word `tab`, stands for. Raises InvalidValue."""
    delimiter = "\t" if name.lower() == "tab" else name
    if delimiter not in DELIMITERS:
        raise InvalidValue(f"{quote_name(name)} is not a delimiter. Use one of , ; | or tab.")
    return delimiter


def _refuse_other_formats(head: bytes) -> None:
    # Without its mark and its NULs, ASCII text in UTF-16 reads as ASCII.
    text = re.sub(rb"^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*", b"", head.replace(b"\0", b""))
    for signature, name, advice in _OTHER_FORMATS:
        if signature.match(head) or signature.match(text):
            raise UnreadableCsv(f"The file is {name}, not a CSV roster. {advice}")


def _find_separator(text: _Text) -> str | None:
    """Return the delimiter in Excel's own first line, such as `sep=;`, or None."""
    beginning = "".join(islice(text.blocks(), 1))[:_LONGEST_SEPARATOR_LINE]
    line = re.match(r"sep=([^\r\n])[^\S\r\n]*(?:[\r\n]|\Z)", beginning, re.IGNORECASE)
    return line and line[1]


def _find_header(text: _Text, before: int, delimiters: Sequence[str]) -> tuple[str, Row]:
    """Return the header, which comes after `before` other rows, and the delimiter that suits it best."""
    readings: list[tuple[str, Row]] = []
    fault = None
    for delimiter in delimiters:
        try:
            with closing(text.rows(delimiter, MOST_COLUMNS)) as rows:
                readings.extend((delimiter, row) for row in islice(rows, before, before + 1))
        except UnreadableCsv as error:
            fault = fault or error

    def count_known(reading: tuple[str, Row]) -> int:
        return len({found.column for name in reading[1].cells if (found := recognize(name)) is not None})

    if not any(map(count_known, readings)):
        if fault is not None:
            raise fault
        if len(readings) < len(delimiters):  # with one of them, all cells are empty
            raise UnreadableCsv("The file is empty. Its first row must name the columns.")
    # If no delimiter yields a known column, the one with the most cells describes the file best.
    return max(readings, key=lambda reading: (count_known(reading), len(reading[1].cells)))


def _has_whole_ids(roster: Roster) -> bool:
    """Return whether the External IDs without a dot show that one such as 123.0 was made by a spreadsheet."""
    index = roster.columns.get("external_id")
    if index is None:
        return False
    has_decimal = has_whole = False
    try:
        for row in roster.rows():
            cell = read_cell(row.cells[index].strip()) if index < len(row.cells) else ""
            if "." not in cell:
                has_whole = has_whole or bool(cell)
            elif is_decimal(cell):
                has_decimal = True
            elif not looks_shortened(cell):
                return False
    except UnreadableCsv:
        pass  # it is raised again when the rows are read
    return has_decimal and has_whole


def _warn(encoding: FileEncoding, header: Header, *, guessed: bool) -> Iterator[RosterWarning]:
    if guessed and not encoding.has_mark and encoding.name != "utf-8":
        yield RosterWarning(
            "guessed-encoding",
            f"The file does not say how it is encoded. It was read as {name_encoding(encoding.name)}. Check names with "
            "accents, or set the encoding.",
        )
    if header.unknown:
        yield RosterWarning(
            "ignored-column", f"Ignored columns: {list_names(header.unknown)}. Rollcall does not know them."
        )
