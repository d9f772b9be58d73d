"""Reads the learners in a JSON document or in NDJSON, each with the place at which it is.

Pure: bytes in, JSON values out. A file of any size needs only a bounded part of memory. `json_rows` says what the
values mean.

The standard library's scanner is the parser: it can start within a text, so no other library is needed to find where
an element ends. It hands over the members of an object one by one, so that a repeated one is seen, and numbers as
they are written, so that a long one costs nothing.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, NoReturn

from app.imports.errors import UnreadableJson
from app.platform.wording import describe_json_fault

# In characters. The longest values of a learner fit, with every character escaped.
LONGEST_ROW = 65_536
_LONGEST_LINE = LONGEST_ROW + len("\r\n")
_BLOCK_BYTES = 262_144
_LONGEST_QUOTE = 40
LEARNERS = "learners"
_SHAPE = f'{{"{LEARNERS}": [{{"username": "…"}}, …]}}'
_NO_BLANK = re.compile(r"[^ \t\n\r]")
# What can be left of a value or an escape at the end of a file that is cut off.
_CUT_OFF = re.compile(r"[\\.+0-9A-Za-z-]{0,9}\s*")
_NO_END = "Unterminated string"


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class JsonRow(NamedTuple):
    """A learner: its place, its value, and its text as it was sent.

    The place is the line of NDJSON or the number of the element in a document, counted from 1. An object is a tuple
    of its members, which are tuples of a name and a value. An array is a list.
    """

    line: int
    value: object
    text: str


class _Constant(ValueError):
    """The text has NaN or Infinity, which JSON has not."""


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)


_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)


class _Text:
    """The part of a file that is being read. `at` is where to go on in `buffer`."""

    def __init__(self, file: BinaryIO, block_bytes: int) -> None:
        self.buffer = ""
        self.at = 0
        self._is_over = False
        self._file = file
        self._block_bytes = block_bytes
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        # The place of the buffer's first character: its line, and the characters before it on that line.
        self._line = 1
        self._before = 0

    def read_more(self) -> bool:
        """Drop what has been read and append a block. Return False, and change nothing, after the end."""
        if self._is_over:
            return False
        block = self._file.read(self._block_bytes)
        try:
            text = self._decode(block, not block)
        except UnicodeDecodeError as error:
            line = self._line + self.buffer.count("\n") + error.object[: error.start].count(b"\n")
            raise UnreadableJson(
                f"Line {line} contains bytes that are not valid UTF-8. Save the file as UTF-8.",
                line,
                is_cut_off=not block,
            ) from None
        self._line, self._before = self._line_of(self.at), self._column_of(self.at) - 1
        self.buffer = self.buffer[self.at :] + text
        self.at = 0
        self._is_over = not block
        return True

    def _line_of(self, at: int) -> int:
        return self._line + self.buffer.count("\n", 0, at)

    def _column_of(self, at: int) -> int:
        line_break = self.buffer.rfind("\n", 0, at)
        return at - line_break if line_break >= 0 else self._before + at + 1

    def peek(self) -> str:
        """Skip blanks, and return the next character without reading it, empty at the end."""
        while True:
            found = _NO_BLANK.search(self.buffer, self.at)
            if found is not None:
                self.at = found.start()
                return found[0]
            self.at = len(self.buffer)
            if not self.read_more():
                return ""

    def expect(self, character: str, otherwise: str) -> None:
        """Read this character, after blanks. Raises UnreadableJson."""
        if self.peek() != character:
            raise self.fault(otherwise)
        self.at += 1

    def read_value(self) -> tuple[object, str]:
        """Read a value, and return it with its text. Raises UnreadableJson."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.at)
            except (ValueError, RecursionError) as error:
                if len(self.buffer) - self.at <= LONGEST_ROW and self.read_more():
                    continue
                raise self._explain(error) from None
            # A number may go on in the next block, even after a dot or an exponent's sign.
            if end + len(".e-") <= len(self.buffer) or not self.read_more():
                break
        if end - self.at > LONGEST_ROW:
            raise self._too_long()
        text = self.buffer[self.at : end]
        self.at = end
        return value, text

    def read_line(self) -> str:
        """Read a line, and return it with its line break, which only the last may lack. Raises UnreadableJson."""
        searched = 0
        while (end := self.buffer.find("\n", self.at + searched) + 1) == 0:
            searched = len(self.buffer) - self.at
            if searched > _LONGEST_LINE or not self.read_more():
                end = len(self.buffer)
                break
        if end - self.at > _LONGEST_LINE:
            raise self._too_long()
        line = self.buffer[self.at : end]
        self.at = end
        return line

    @property
    def has_more(self) -> bool:
        """Whether any characters follow."""
        while self.at >= len(self.buffer):
            if not self.read_more():
                return False
        return True

    def fault(self, detail: str) -> UnreadableJson:
        """Return that the next character is wrong."""
        is_cut_off = not self.peek()
        return self._fault_at(
            self.at, "The file ends too early." if is_cut_off else detail, is_cut_off=is_cut_off
        )

    def _fault_at(self, at: int, detail: str, *, is_cut_off: bool = False) -> UnreadableJson:
        line = self._line_of(at)
        place = f"line {line}, column {self._column_of(at)}"
        return UnreadableJson(f"The JSON is not valid at {place}. {detail}", line, is_cut_off=is_cut_off)

    def _too_long(self) -> UnreadableJson:
        return self._fault_at(self.at, f"A learner must have at most {LONGEST_ROW:,} characters.")

    def _explain(self, error: ValueError | RecursionError) -> UnreadableJson:
        if isinstance(error, RecursionError):
            return self._fault_at(self.at, "Values are nested too deeply.")
        if not isinstance(error, json.JSONDecodeError):
            return self._fault_at(self.at, f"JSON has no {error}. Use null.")
        is_open = error.msg.startswith(_NO_END)
        if len(self.buffer) - self.at > LONGEST_ROW and (is_open or error.pos - self.at > LONGEST_ROW):
            return self._too_long()
        is_cut_off = is_open or _CUT_OFF.fullmatch(self.buffer, error.pos) is not None
        detail = "The file ends too early" if is_cut_off else describe_json_fault(error.msg)
        return self._fault_at(error.pos, f"{detail}.", is_cut_off=is_cut_off)


@dataclass(frozen=True, slots=True)
class JsonRoster:
    """The learners in a complete, seekable file. The caller closes the file."""

    is_lines: bool
    ends_with_line_break: bool
    _file: BinaryIO = field(repr=False)
    _block_bytes: int = field(repr=False)

    def rows(self) -> Iterator[JsonRow]:
        """Yield the learners.

        Every call starts again and moves the one file, so use one iterator at a time. Raises UnreadableJson at the
        first text that is not JSON, after the learners before it have been yielded.
        """
        self._file.seek(0)
        text = _Text(self._file, self._block_bytes)
        return _read_lines(text) if self.is_lines else _read_document(text)


def open_json(file: BinaryIO, *, is_lines: bool, block_bytes: int = _BLOCK_BYTES) -> JsonRoster:
    """Return the learners in NDJSON (`is_lines`), or in a document with the member `learners`.

    Only reading its rows shows whether a file is valid. Like a CSV file, NDJSON that is cut off between two lines is
    valid; a document that is cut off is not, so it counts as complete.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 1))
    return JsonRoster(is_lines, not is_lines or file.read(1) == b"\n", file, block_bytes)


def read_text(text: str) -> object:
    """Return the value of a JsonRow, by its text as it was sent."""
    return _DECODER.decode(text)


def _read_document(text: _Text) -> Iterator[JsonRow]:
    text.expect("{", f"Send an object: {_SHAPE}.")
    if text.peek() != '"':
        raise text.fault(f"Send an object with one member: {_SHAPE}.")
    name, _ = text.read_value()
    if name != LEARNERS:
        raise text.fault(
            f"Unknown member {_quote(str(name))}. Send one object: {_SHAPE}. For one object on each line, use "
            "`Content-Type: application/x-ndjson`. Send options as query parameters."
        )
    text.expect(":", "A colon is missing.")
    text.expect("[", f"`{LEARNERS}` must be a list: {_SHAPE}.")
    number = 0
    following = text.peek()
    while following != "]":
        value, sent = text.read_value()
        number += 1
        yield JsonRow(number, value, sent)
        following = text.peek()
        if following == ",":
            text.at += 1
            if text.peek() == "]":
                raise text.fault("Remove the comma before it.")
        elif following != "]":
            raise text.fault("A comma or the end of the list is missing.")
    text.at += 1
    text.expect("}", f"`{LEARNERS}` must be the only member. Send options as query parameters.")
    if text.peek():
        raise text.fault("More text follows after the end. Remove it.")


def _read_lines(text: _Text) -> Iterator[JsonRow]:
    number = 0
    while text.has_more:
        number += 1
        line = text.read_line()
        content = line.strip(" \t\r\n")
        if content:
            yield JsonRow(number, _read_one(content, number, is_whole=line.endswith("\n")), content)


def _read_one(content: str, line: int, *, is_whole: bool) -> object:
    try:
        value, end = _DECODER.raw_decode(content)
    except RecursionError:
        detail = "Values are nested too deeply"
    except json.JSONDecodeError as error:
        detail = describe_json_fault(error.msg)
    except ValueError as error:
        detail = f"JSON has no {error}. Use null"
    else:
        if end == len(content):
            return value
        detail = "More text follows after the object"
    raise UnreadableJson(
        f"Line {line} is not valid JSON. {detail}. Each line must hold one object.",
        line,
        is_cut_off=not is_whole,
    )


def _quote(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_QUOTE else f"{name[:_LONGEST_QUOTE]}…")
