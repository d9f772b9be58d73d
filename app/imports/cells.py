"""Splits text into the rows and cells of CSV. Pure: text in, cells out.

It reads what RFC 4180 describes, and blanks around a quoted cell. Python's own reader takes such quotes for a part of
the text, and it limits cells for the whole process.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from app.imports.errors import UnreadableCsv

# In characters. Far more than a roster needs; without it one endless row would fill the memory.
LONGEST_ROW = 1_048_576
# A row may have this many cells more than the header. Otherwise a row of delimiters would fill the memory.
_MOST_EXTRA_CELLS = 1_000

_LINE = re.compile(r"([^\r\n]*+)(\r\n|\r|\n)")
# The rest of a quoted cell that began on an earlier line, with its closing quote.
_CLOSING = re.compile(r'[^"]*+(?:""[^"]*+)*+"')


class Row(NamedTuple):
    """The cells as they are written, and the line, counted from 1, on which the row begins."""

    line: int
    cells: list[str]


_make_row = partial(tuple.__new__, Row)


def split_rows(blocks: Iterable[str], delimiter: str, columns: int) -> Generator[Row]:
    """Yield the rows that are not empty. LF, CR LF and a lone CR each end a line, as in editors.

    `columns` is the number of cells of the header. Raises UnreadableCsv, with the line, for a row that breaks the
    rules of CSV or the bounds, after the rows before it have been yielded.
    """
    splitter = _Splitter(delimiter, columns)
    most = splitter.most_cells
    number = 0
    for lines, end in _split_lines(blocks):
        for text in lines:
            number += 1
            line = number
            cells: list[str] | None
            if splitter.is_open or len(text) > most:
                cells = splitter.add(text, end, number)
                line = splitter.line
            elif '"' not in text:
                cells = text.split(delimiter)
            else:
                cells = _split_quoted(text, delimiter) or splitter.add(text, end, number)
            if cells is not None and (cells[0].strip() or any(map(str.strip, cells))):
                yield _make_row((line, cells))
    splitter.finish()


def _split_quoted(text: str, delimiter: str) -> list[str] | None:
    """Split a line whose quotes are all around cells. Return None if it has other quotes, or blanks around them."""
    if text[0] == '"' == text[-1]:
        cells = text[1:-1].split(f'"{delimiter}"')
        if 2 * len(cells) == text.count('"'):
            return cells
    parts = text.split('"')
    first, last = parts[0], parts.pop()
    if len(parts) % 2 or first[-1:] not in ("", delimiter) or last[:1] not in ("", delimiter):
        return None
    cells = first[:-1].split(delimiter) if first else []
    cells.append(parts[1])
    for index in range(2, len(parts), 2):
        between = parts[index]
        if not between or between[0] != delimiter or between[-1] != delimiter:
            return None
        if len(between) > 1:
            cells.extend(between[1:-1].split(delimiter))
        cells.append(parts[index + 1])
    if last:
        cells.extend(last[1:].split(delimiter))
    return cells


def _split_lines(blocks: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    """Yield the lines, without and then with what ends each of them, many at a time."""
    rest = ""
    for block in blocks:
        text = rest + block
        # The line feed after a carriage return may be in the next block.
        cut = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r")
        feeds, returns = text.count("\n"), text.count("\r")
        if returns in (0, feeds) and returns == text.count("\r\n"):
            end = "\r\n" if returns else "\n"
            *lines, rest = text.split(end)
            yield lines, end
        else:
            done = 0
            for found in _LINE.finditer(text):
                yield [found[1]], found[2]
                done = found.end()
            rest = text[done:]
        rest += cut
        if len(rest) > LONGEST_ROW:
            yield [rest], ""  # to be refused
    if rest:
        content = rest.removesuffix("\r")
        yield [content], rest[len(content) :]


class _Splitter:
    """Splits the rows that are not simple: long ones, and those with quotes inside or on several lines."""

    def __init__(self, delimiter: str, columns: int) -> None:
        self.most_cells = columns + _MOST_EXTRA_CELLS
        # Whether the last line ended inside a quoted cell, and the line on which its row begins.
        self.is_open = False
        self.line = 0
        self._delimiter = delimiter
        self._columns = columns
        self._cells: list[str] = []
        self._unclosed: list[str] = []
        self._room = 0
        mark = re.escape(delimiter)
        blanks = rf"[^\S\r\n{mark}]*+"
        content = r'[^"]*+(?:""[^"]*+)*+'
        self._cell = re.compile(
            rf"(?:\A|{mark})(?:"
            rf'{blanks}"({content})"{blanks}(?={mark}|[\r\n]*\Z)'  # in quotes
            rf'|{blanks}("{content})\Z'  # in quotes, without the closing one
            rf'|((?!")[^{mark}\r\n]*+)'  # without quotes, or with quotes inside
            r'|(".*))',  # broken
            re.DOTALL,
        )

    def add(self, text: str, end: str, number: int) -> list[str] | None:
        """Add a line, without and then with its end. Return the cells of the row if this line completes it."""
        if not self.is_open:
            self.line, self._room, self._cells = number, LONGEST_ROW, []
        self._room -= len(text) + len(end)
        if self._room < 0:
            raise self._refuse(f"is longer than {LONGEST_ROW:,} characters")
        if self.is_open:
            self._unclosed.append(text + end)
            if not _CLOSING.match(text):
                return None
            text = "".join(self._unclosed)
        elif '"' not in text:
            return self._split_plain(text)
        else:
            text += end
        unclosed = self._split(text)
        self.is_open = unclosed is not None
        if unclosed is not None:
            self._unclosed = [unclosed]
            return None
        return self._cells

    def finish(self) -> None:
        """Refuse a row that the end of the file cuts off."""
        if self.is_open:
            raise self._refuse("cannot be read", is_cut_off=True)

    def _split_plain(self, text: str) -> list[str]:
        if text.count(self._delimiter) >= self.most_cells:
            text = text.rstrip(self._delimiter + " \t")
        if text.count(self._delimiter) >= self.most_cells:
            raise self._refuse_cells()
        cells = text.split(self._delimiter)
        return cells + [""] * (self._columns - len(cells))

    def _split(self, text: str) -> str | None:
        """Add the cells of the text to those of the row. Return the beginning of the cell that is not closed."""
        cells = self._cells
        for quoted, unclosed, plain, broken in self._find_cells(text):
            if broken:
                raise self._refuse("cannot be read")
            if unclosed:
                return unclosed
            cells.append(quoted.replace('""', '"') or plain)
        return None

    def _find_cells(self, text: str) -> Iterable[tuple[str, str, str, str]]:
        """Find what the groups of the pattern match, in every cell. Raises UnreadableCsv if there are too many."""
        room = self.most_cells - len(self._cells)
        if len(text) <= room:
            return self._cell.findall(text)
        found = list(islice(self._cell.finditer(text), room + 1))
        if len(found) > room and text[found.pop().start() :].strip(self._delimiter + " \t\r\n"):
            raise self._refuse_cells()
        return [(each[1] or "", each[2] or "", each[3] or "", each[4] or "") for each in found]

    def _refuse_cells(self) -> UnreadableCsv:
        return self._refuse(f"has more than {self.most_cells:,} cells, too many for its columns")

    def _refuse(self, fault: str, *, is_cut_off: bool = False) -> UnreadableCsv:
        return UnreadableCsv(
            f"The row that begins on line {self.line} {fault}. Check its quotes: close every quoted cell, and double "
            "every quote inside one.",
            self.line,
            is_cut_off=is_cut_off,
        )
