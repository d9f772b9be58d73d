"""Finds out in which encoding a file is written. Pure: bytes in, the encoding or a sentence out."""

import codecs
import re
from dataclasses import dataclass
from encodings import normalize_encoding
from encodings.aliases import aliases
from itertools import takewhile
from typing import BinaryIO

from app.domain.characters import find_hidden
from app.domain.errors import InvalidValue
from app.imports.errors import UnreadableCsv

# How much of the name of an unknown encoding a sentence shows.
_LONGEST_SHOWN = 40
_HEAD = 4_096

# Encodings of rosters, by the names of Python's modules. Each turns bytes into text in linear time. Others,
# such as punycode, do not.
_ENCODINGS = """
ascii utf_8 utf_16 utf_16_le utf_16_be utf_32 utf_32_le utf_32_be
cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258
latin_1 iso8859_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 iso8859_10
iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16
mac_roman mac_latin2 mac_cyrillic mac_greek mac_iceland mac_turkish mac_croatian mac_romanian
cp437 cp737 cp775 cp850 cp852 cp855 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp1125
koi8_r koi8_u koi8_t kz1048 ptcp154 tis_620
cp037 cp273 cp500 cp1026 cp1140
shift_jis shift_jis_2004 shift_jisx0213 cp932 euc_jp euc_jis_2004 euc_jisx0213 iso2022_jp
gb2312 gbk gb18030 big5 big5hkscs cp950 euc_kr cp949 johab iso2022_kr
"""
ENCODINGS = frozenset(_ENCODINGS.split())
_NAME = re.compile(r"[\w.: -]{1,40}", re.ASCII)
# The byte order mark is no part of the encoding's name here.
_WITHOUT_MARK = {"utf_8_sig": "utf_8"}
_TITLES = {"cp1252": "Windows-1252", "iso8859-1": "ISO-8859-1"}

# The longer marks come first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Bytes that no text contains. NUL is not among them, since a text may contain it by accident.
_BINARY = re.compile(rb"[\x01-\x08\x0e-\x1f]")
# Replaces bytes that are not text in the encoding. A text that really contains NUL is treated the same.
_NO_TEXT = "\0"
_MARK_NO_TEXT = "rollcall.no-text"
# A number as spreadsheets write it, such as 123.0.
_DECIMAL = re.compile(r"\.0+(?!\w)")


def _mark_no_text(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return _NO_TEXT, error.end
    raise error


codecs.register_error(_MARK_NO_TEXT, _mark_no_text)


@dataclass(frozen=True, slots=True)
class FileEncoding:
    """How the bytes of a file become text: from the byte `start` on, in `name`, which is Python's name.

    `ends_with_line_break` and `has_decimals` say what the whole text is like: whether its last line is complete, and
    whether a number such as 123.0 may be in it.
    """

    name: str
    start: int
    has_mark: bool
    ends_with_line_break: bool
    has_decimals: bool


def clean_encoding(name: str) -> str:
    """Return Python's name for a character set that rosters may be written in. Raises InvalidValue."""
    # Python is asked only for names that are known here, because it remembers every unknown one.
    normalized = normalize_encoding(name).lower() if _NAME.fullmatch(name) else ""
    module = aliases.get(normalized, normalized)
    module = _WITHOUT_MARK.get(module, module)
    if module in ENCODINGS:
        return codecs.lookup(module).name
    raise InvalidValue(
        f"Unknown encoding {_quote(name)}. Use utf-8, utf-16, windows-1252 or iso-8859-1, for example. If you leave it "
        "out, the encoding is detected."
    )


def name_encoding(encoding: str) -> str:
    """Return the name of an encoding for a sentence."""
    return _TITLES.get(encoding, encoding.upper())


def detect_encoding(file: BinaryIO, asked: str | None, block_bytes: int) -> FileEncoding:
    """Find out how a complete, seekable file becomes text. It is read once, in blocks of `block_bytes`.

    `asked` is the name of an encoding, or None to detect it. Without a mark it is UTF-8 or UTF-16, or else
    Windows-1252. Raises UnreadableCsv, with the line, if a part of the file is not text in the encoding.
    """
    file.seek(0)
    head = file.read(_HEAD)
    marked = next((pair for pair in _BYTE_ORDER_MARKS if head.startswith(pair[0])), None)
    if marked is not None:
        mark, encoding = marked
        if asked is not None and not encoding.startswith(asked):
            raise UnreadableCsv(
                f"The file begins with the byte order mark of {name_encoding(encoding)}, but the encoding of the "
                f"import is {name_encoding(asked)}. Change it, or leave it out.",
                line=1,
            )
        return _decode_as([encoding], file, len(mark), block_bytes)
    return _decode_as(_guess_encodings(head, asked), file, 0, block_bytes)


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
        raise UnreadableCsv("The file is binary data, not a CSV roster. Send the roster as a CSV file.")
    return ["utf-8", "cp1252"]


def _decode_as(candidates: list[str], file: BinaryIO, start: int, block_bytes: int) -> FileEncoding:
    line = 0
    for encoding in candidates:
        text = _Decoding(encoding)
        text.decode(file, start, block_bytes)
        if text.broken_line is None:
            leading = start + len(text.leading.encode(encoding))
            return FileEncoding(encoding, leading, start > 0, text.last in ("\n", "\r"), text.has_decimals)
        # The encoding that can read more of the file is more likely.
        line = max(line, text.broken_line)
        if encoding == "utf-8" and text.has_accents:
            # No other encoding has such bytes but by accident, so this is UTF-8 with a fault.
            candidates, line = [encoding], text.broken_line
            break
    titles = " or ".join(map(name_encoding, candidates))
    raise UnreadableCsv(
        f"Line {line} contains bytes that are not valid {titles}. Save the file as CSV (UTF-8), or set the encoding.",
        line,
    )


class _Decoding:
    """What is found out while a file is decoded once."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        # The line of the first bytes that are not text.
        self.broken_line: int | None = None
        # Whether a character beyond ASCII was decoded: in UTF-8, several bytes that belong together.
        self.has_accents = False
        self.has_decimals = False
        # What a program has written before the first name: a second mark, or another character that no one sees.
        self.leading = ""
        self.last = ""
        self._has_begun = False

    def decode(self, file: BinaryIO, start: int, block_bytes: int) -> None:
        """Read the whole file, unless it has a fault: then as far as an accent."""
        decode = codecs.getincrementaldecoder(self.encoding)(_MARK_NO_TEXT).decode
        file.seek(start)
        line = 1
        while True:
            block = file.read(block_bytes)
            try:
                text = decode(block, not block)
            except UnicodeError:  # a file that begins without the mark that its encoding requires
                self.broken_line = self.broken_line or line
                return
            self._look_for_accents(text)
            if self.broken_line is None:
                line = self._read(text, line)
            if not block or (self.broken_line is not None and (self.has_accents or self.encoding != "utf-8")):
                return

    def _look_for_accents(self, text: str) -> None:
        self.has_accents = self.has_accents or not text.isascii()

    def _read(self, text: str, line: int) -> int:
        """Return the line on which this part of the text ends."""
        valid, no_text, _ = text.partition(_NO_TEXT)
        line += valid.count("\n") + valid.count("\r") - valid.count("\r\n")
        if self.last == "\r" and valid.startswith("\n"):
            line -= 1
        if no_text:
            self.broken_line = line
        if not self.has_decimals and ".0" in (joined := self.last + valid):
            self.has_decimals = _DECIMAL.search(joined) is not None
        if not self._has_begun:
            hidden = "".join(takewhile(_is_hidden, valid))
            self.leading += hidden
            self._has_begun = len(hidden) < len(valid)
        self.last = valid[-1:] or self.last
        return line


def _is_hidden(character: str) -> bool:
    return not character.isascii() and not character.isspace() and find_hidden(character) is not None


def _quote(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…")
