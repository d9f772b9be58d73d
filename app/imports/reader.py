"""Finds out how a roster is written and reads its rows, each with the line on which it begins.

Pure: bytes in, cells out. A roster of any size needs only a bounded part of memory. `rows` says what the cells mean.
"""

import codecs
import csv
import io
import re
from collections.abc import Container, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import BinaryIO, NamedTuple

from app.domain.errors import InvalidValue
from app.imports.errors import UnreadableCsv
from app.learners.fields import ROSTER_COLUMNS
from app.platform.csv_cells import unguard_formula

DELIMITERS = (",", ";", "\t", "|")
# In characters. Far more than a roster needs; without it one endless row would fill the memory.
LONGEST_ROW = 1_048_576
_BLOCK_BYTES = 262_144
_HEAD = 4_096
# How many names, and how much of each, a sentence shows.
_MOST_NAMES = 20
_LONGEST_NAME = 40
# Bounds of `ignore_columns`, which is stored with the operation.
MOST_IGNORED = 50
LONGEST_NAME = 255


_TITLES = {column.name: column.title for column in ROSTER_COLUMNS}
# The columns that a report adds. An import knows them, because a corrected report can be sent back.
_PROBLEM_COLUMN = "problem"
_REPORT_COLUMNS = {"line", "outcome", _PROBLEM_COLUMN}

# The longer marks come first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Python counts these among its text encodings, but no roster is written in them.
_NOT_FOR_ROSTERS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"}
_ENCODING_TITLES = {"cp1252": "Windows-1252", "iso8859-1": "ISO-8859-1"}

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
# Bytes that no text contains. NUL is not among them, since a text may contain it by accident.
_BINARY = re.compile(rb"[\x01-\x08\x0e-\x1f]")
# Replaces bytes that are not text in the encoding. A text that really contains NUL is treated the same.
_NO_TEXT = "\0"
_MARK_NO_TEXT = "rollcall.no-text"


def _mark_no_text(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return _NO_TEXT, error.end
    raise error


codecs.register_error(_MARK_NO_TEXT, _mark_no_text)


@dataclass(frozen=True, slots=True)
class RosterWarning:
    """What a person should check about the file; `code` is `guessed-encoding` or `ignored-column`."""

    code: str
    detail: str


class Row(NamedTuple):
    """The cells as they are written, and the line, counted from 1, on which the row begins."""

    line: int
    cells: list[str]


class _Text(NamedTuple):
    """A file as text in `encoding`, from the byte `start` on."""

    file: BinaryIO
    start: int
    encoding: str
    ends_with_line_break: bool = False

    @contextmanager
    def lines(self) -> Iterator[io.TextIOWrapper]:
        """Read the text from its beginning; LF, CR LF and a lone CR each end a line, as in editors."""
        self.file.seek(self.start)
        wrapper = io.TextIOWrapper(self.file, self.encoding, newline="")
        try:
            yield wrapper
        finally:
            # Detach, because the wrapper would otherwise close the caller's file.
            if not self.file.closed:
                wrapper.detach()

    def rows(self, delimiter: str) -> Generator[Row]:
        """Yield all rows that are not empty, including the header. Raises UnreadableCsv."""
        with self.lines() as wrapper:
            feed = _Feed(wrapper)
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
            line = 1
            try:
                for cells in reader:
                    if any(map(str.strip, cells)):
                        yield Row(line, cells)
                    line = reader.line_num + 1
                    feed.room = LONGEST_ROW
            except csv.Error as error:
                raise UnreadableCsv(
                    f"The row that begins on line {line} {_describe_fault(error)}. Check its quotes: close every "
                    "quoted cell, and double every quote inside one.",
                    line,
                    is_cut_off=feed.is_over,
                ) from error


class _TooLong(csv.Error):
    """A row has more than LONGEST_ROW characters."""


def _describe_fault(error: csv.Error) -> str:
    if isinstance(error, _TooLong):
        return f"is longer than {LONGEST_ROW:,} characters"
    return "cannot be read"


class _Feed:
    """Lines for csv.reader, until they fill `room` characters; `room` is set again for each row."""

    def __init__(self, wrapper: io.TextIOWrapper) -> None:
        self.room = LONGEST_ROW
        self.is_over = False
        self._readline = partial(wrapper.readline, LONGEST_ROW + 1)

    def __iter__(self) -> Iterator[str]:
        for line in iter(self._readline, ""):
            self.room -= len(line)
            if self.room < 0:
                raise _TooLong
            yield line
        self.is_over = True


@dataclass(frozen=True, slots=True)
class Roster:
    """A roster whose header has been read.

    `header` holds the column names as written, without outer spaces and unnamed columns at the end.
    `header_line` is the line on which it begins. `columns` says at which index of it the known ones
    are, Username or External ID among them. `encoding` is Python's name for it.
    """

    header: tuple[str, ...]
    header_line: int
    columns: Mapping[str, int]
    encoding: str
    delimiter: str
    warnings: tuple[RosterWarning, ...]
    _text: _Text = field(repr=False)
    _rows_before: int = field(repr=False)

    @property
    def has_mark(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return self._text.start > 0

    @property
    def ends_with_line_break(self) -> bool:
        """Whether the last line is complete."""
        return self._text.ends_with_line_break

    def rows(self) -> Iterator[Row]:
        """Yield the data rows, without rows whose cells are all empty.

        Every call starts again and moves the one file, so use one iterator at a time. Raises UnreadableCsv at a row
        that breaks the rules of CSV, after the rows before it have been yielded.
        """
        return islice(self._text.rows(self.delimiter), self._rows_before, None)


def open_roster(
    file: BinaryIO,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    ignore_columns: Sequence[str] = (),
    block_bytes: int = _BLOCK_BYTES,
) -> Roster:
    """Find out how a complete, seekable file is written; the caller closes it.

    `encoding` is any name that Python knows for a character set. `delimiter` is one of , ; | a tab or the word `tab`.
    None = detect it. `ignore_columns` names columns that are not read: each entry is one name, or several with commas
    between them. The whole file is read once, in blocks of `block_bytes`, to check its encoding. Raises
    InvalidValue for a wrong argument, and UnreadableCsv if the file is not a roster.
    """
    asked = None if encoding is None else clean_encoding(encoding)
    delimiters = DELIMITERS if delimiter is None else (clean_delimiter(delimiter),)
    file.seek(0)
    head = file.read(_HEAD)
    _refuse_other_formats(head)
    text = _find_text(file, head, asked, block_bytes)
    separator = _find_separator(text)
    if separator is not None and delimiter is None:
        if separator not in DELIMITERS:
            raise UnreadableCsv(
                f"Line 1 sets the delimiter to {separator!r}. Use one of , ; | or tab.", line=1
            )
        delimiters = (separator,)
    before = 0 if separator is None else 1
    found, (line, cells) = _find_header(text, before, delimiters)
    header = [cell.strip() for cell in cells]
    while not header[-1]:
        header.pop()
    ignored = _find_ignored(header, ignore_columns)
    return Roster(
        header=tuple(header),
        header_line=line,
        columns=_find_columns(header, line, ignored),
        encoding=text.encoding,
        delimiter=found,
        warnings=tuple(_warn(text, header, ignored, guessed=asked is None)),
        _text=text,
        _rows_before=before + 1,
    )


def clean_encoding(name: str) -> str:
    """Return Python's name for a character set that rosters may be written in. Raises InvalidValue."""
    # Python remembers every unknown name for which it was asked, so the length is bounded.
    if len(name) <= _LONGEST_NAME:
        try:
            codec = codecs.lookup(name).name.removesuffix("-sig")
            b" ".decode(codec, "replace")  # refuses codecs that do not turn bytes into text, such as base64
        except (LookupError, ValueError):
            pass
        else:
            if codec not in _NOT_FOR_ROSTERS:
                return codec
    raise InvalidValue(
        f"Unknown encoding {_quote(name)}. Use utf-8, utf-16, windows-1252 or iso-8859-1, for example. If you leave it "
        "out, the encoding is detected."
    )


def clean_delimiter(name: str) -> str:
    """Return the delimiter that this character, or the word `tab`, stands for. Raises InvalidValue."""
    delimiter = "\t" if name.lower() == "tab" else name
    if delimiter not in DELIMITERS:
        raise InvalidValue(f"{_quote(name)} is not a delimiter. Use one of , ; | or tab.")
    return delimiter


def _refuse_other_formats(head: bytes) -> None:
    # Without its mark and its NULs, ASCII text in UTF-16 reads as ASCII.
    text = re.sub(rb"^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*", b"", head.replace(b"\0", b""))
    for signature, name, advice in _OTHER_FORMATS:
        if signature.match(head) or signature.match(text):
            raise UnreadableCsv(f"The file is {name}, not a CSV roster. {advice}")


def _find_text(file: BinaryIO, head: bytes, asked: str | None, block_bytes: int) -> _Text:
    marked = next((pair for pair in _BYTE_ORDER_MARKS if head.startswith(pair[0])), None)
    if marked is not None:
        mark, encoding = marked
        if asked is not None and not encoding.startswith(asked):
            raise UnreadableCsv(
                f"The file begins with the byte order mark of {_title(encoding)}, but the encoding of the import "
                f"is {_title(asked)}. Change it, or leave it out.",
                line=1,
            )
        candidates = [_Text(file, len(mark), encoding)]
    else:
        candidates = [_Text(file, 0, encoding) for encoding in _guess_encodings(head, asked)]

    line = 0
    for text in candidates:
        undecodable_line, last = _decode_all(text, block_bytes)
        if undecodable_line is None:
            return text._replace(ends_with_line_break=last in ("\n", "\r"))
        # The encoding that can read more of the file is more likely.
        line = max(line, undecodable_line)
    titles = " or ".join(_title(text.encoding) for text in candidates)
    raise UnreadableCsv(
        f"Line {line} contains bytes that are not valid {titles}. Save the file as CSV (UTF-8), or set the encoding.",
        line,
    )


def _guess_encodings(head: bytes, asked: str | None) -> list[str]:
    """Return the encodings in which a file without a mark may be written, the most likely first."""
    if asked not in (None, "utf-16"):
        return [asked]
    # In UTF-16 every other byte of ASCII text is NUL, and the key column's name alone has eight letters.
    even, odd = head[::2].count(0), head[1::2].count(0)
    most, least = max(even, odd), min(even, odd)
    if most > 3 * least and most >= max(8, len(head) // 16):
        return ["utf-16-le" if odd > even else "utf-16-be"]
    if asked is not None:
        return ["utf-16-le"]
    # With few NULs and nothing else unusual it is a damaged text, in which the line can be named.
    if most and (8 * (even + odd) > len(head) or _BINARY.search(head)):
        raise UnreadableCsv(f"The file is binary data, not a CSV roster. {_SEND_CSV}")
    return ["utf-8", "cp1252"]


def _decode_all(text: _Text, block_bytes: int) -> tuple[int | None, str]:
    """Return the line of the first bytes that are not text, or None and the last character."""
    decode = codecs.getincrementaldecoder(text.encoding)(_MARK_NO_TEXT).decode
    text.file.seek(text.start)
    line, before = 1, ""
    while True:
        block = text.file.read(block_bytes)
        try:
            decoded, no_text, _ = decode(block, not block).partition(_NO_TEXT)
        except UnicodeError:  # a file that begins without the mark that its encoding requires
            return line, ""
        line += decoded.count("\n") + decoded.count("\r") - decoded.count("\r\n")
        if before.endswith("\r") and decoded.startswith("\n"):
            line -= 1
        if no_text:
            return line, ""
        before = decoded or before
        if not block:
            return None, before[-1:]


def _find_separator(text: _Text) -> str | None:
    """Return the delimiter in Excel's own first line, such as `sep=;`, or None."""
    with text.lines() as wrapper:
        line = re.fullmatch(r"sep=([^\r\n])\s*", wrapper.readline(_LONGEST_NAME), re.IGNORECASE)
    return line and line[1]


def _find_header(text: _Text, before: int, delimiters: Sequence[str]) -> tuple[str, Row]:
    """Return the header, which comes after `before` other rows, and the delimiter that suits it best."""
    readings: list[tuple[str, Row]] = []
    fault = None
    for delimiter in delimiters:
        try:
            with closing(text.rows(delimiter)) as rows:
                readings.extend((delimiter, row) for row in islice(rows, before, before + 1))
        except UnreadableCsv as error:
            fault = fault or error

    def count_known(reading: tuple[str, Row]) -> int:
        return len({*map(_recognize, reading[1].cells)} - {None})

    if not any(map(count_known, readings)):
        if fault is not None:
            raise fault
        if len(readings) < len(delimiters):  # with one of them, all cells are empty
            raise UnreadableCsv("The file is empty. Its first row must name the columns.")
    # If no delimiter yields a known column, the one with the most cells describes the file best.
    return max(readings, key=lambda reading: (count_known(reading), len(reading[1].cells)))


def _recognize(name: str) -> str | None:
    return _COLUMNS.get(_simplify(name))


def is_report_column(name: str) -> bool:
    """Return whether the report of an earlier import added this column."""
    return _simplify(name) in _REPORT_COLUMNS


def is_problem_column(name: str) -> bool:
    """Return whether this column says what was wrong in an earlier import of the row."""
    return _simplify(name) == _PROBLEM_COLUMN


def _simplify(name: str) -> str:
    return "".join(unguard_formula(name).split()).replace("_", "").replace("-", "").lower()


# The names of the known columns by their simplified titles.
_COLUMNS = {
    _simplify(title): column.name for column in ROSTER_COLUMNS for title in (column.title, *column.synonyms)
}


def _find_ignored(header: Sequence[str], asked: Sequence[str]) -> frozenset[int]:
    """Return the indexes of the columns that the request names, without regard to case and spaces."""
    indexes: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        indexes.setdefault(_fold(name), []).append(index)
    found: set[int] = set()
    for names in asked:
        # A name may contain a comma itself, so the whole entry comes first.
        each = [names] if _fold(names) in indexes else names.split(",")
        found.update(index for name in each for index in indexes.get(_fold(name), ()))
    return frozenset(found)


def _fold(name: str) -> str:
    return " ".join(name.casefold().split())


def _find_columns(header: Sequence[str], line: int, ignored: Container[int]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for index, name in enumerate(header):
        column = None if index in ignored else _recognize(name)
        if column is None:
            continue
        if column in columns:
            raise UnreadableCsv(
                f"The header on line {line} has the column {_TITLES[column]} twice: {_quote(header[columns[column]])} "
                f"and {_quote(name)}. Keep one of them.",
                line,
            )
        columns[column] = index
    if not columns.keys() & {"username", "external_id"}:
        raise UnreadableCsv(
            f"The header on line {line} has no column Username and no column External ID. It has: "
            f"{_list(header)}. Rename one of these, or add a column.",
            line,
        )
    return columns


def _warn(
    text: _Text, header: Sequence[str], ignored: Container[int], *, guessed: bool
) -> Iterator[RosterWarning]:
    if guessed and not text.start and text.encoding != "utf-8":
        title = _title(text.encoding)
        yield RosterWarning(
            "guessed-encoding",
            f"The file does not say how it is encoded. It was read as {title}. Check names with accents, or set the "
            "encoding.",
        )
    unknown = [
        name
        for index, name in enumerate(header)
        if index not in ignored and _recognize(name) is None and not is_report_column(name)
    ]
    if unknown:
        yield RosterWarning(
            "ignored-column", f"Ignored columns: {_list(unknown)}. Rollcall does not know them."
        )


def _title(encoding: str) -> str:
    return _ENCODING_TITLES.get(encoding, encoding.upper())


def _list(names: Sequence[str]) -> str:
    listed = ", ".join(map(_quote, names[:_MOST_NAMES]))
    return listed if len(names) <= _MOST_NAMES else f"{listed} and {len(names) - _MOST_NAMES} more"


def _quote(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")
