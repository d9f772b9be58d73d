"""CSV cells that no spreadsheet runs as a formula, and the way back to the original text."""

import re
from collections.abc import Iterable

# A spreadsheet runs a cell that begins with one of these, in some languages also in full width:
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_CHARACTERS = "=+-@＝＋－＠﹦﹢﹣﹫"  # noqa: RUF001
# A program that expects another delimiter sees a new cell after each of these. Quotes do not prevent that: most
# programs ignore a quote inside a cell.
_SEPARATORS = r",;|\t\r\n"
# Programs may drop these at the beginning of a cell: blanks, quotes, controls and invisible characters.
INVISIBLE_CHARACTERS = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_DROPPED = rf'(?:[^\S\t\r\n]|["\0-\x08\x0e-\x1f\x7f{INVISIBLE_CHARACTERS}])*'
_FORMULA = rf"{_DROPPED}[{re.escape(FORMULA_CHARACTERS)}]"
_AT_THE_START = re.compile(rf"'*(?:{_FORMULA}|[\t\r\n])")
_INSIDE = re.compile(rf"(?<=[{_SEPARATORS}])(?='*{_FORMULA})")
_INSIDE_WITH_GUARD = re.compile(rf"(?<=[{_SEPARATORS}])'(?='*{_FORMULA})")
_INSIDE_WITHOUT_GUARD = re.compile(rf"(?<=[{_SEPARATORS}]){_FORMULA}")
# A formula that is only a text, as a cell has it: quotes inside the text are doubled.
_TEXT_FORMULA = re.compile(r'=\s*"([^"]*+(?:""[^"]*+)*+)"')
# The guard, and the characters that a program could take for a delimiter.
_QUOTED = re.compile(rf'\'|[^"{_SEPARATORS}]*["{_SEPARATORS}]')
_GUARDED_OR_QUOTED = re.compile(rf"{_QUOTED.pattern}|{_FORMULA}")


def guard_formula(text: str) -> str:
    """Return a cell that shows `text` and never runs, whatever delimiter a program splits it by.

    It puts `'` in front of the text, and in front of each formula inside it. A text that already looks guarded gets
    another guard, so that `unguard_formula` always returns `text`. For a cell from outside, see `guard_sent_cell`.
    """
    return f"'{break_formulas(text)}" if _has_formula(text) else text


def unguard_formula(cell: str) -> str:
    """Return the text from which `guard_formula` made `cell`. A cell without a guard is returned unchanged.

    Earlier versions guarded only the beginning of a cell. Such cells are read, too.
    """
    guarded = cell[1:]
    if not cell.startswith("'") or not _has_formula(guarded):
        return cell
    if not _INSIDE_WITHOUT_GUARD.search(guarded):
        return _INSIDE_WITH_GUARD.sub("", guarded)
    return guarded if _AT_THE_START.match(guarded) else cell


def read_cell(cell: str) -> str:
    """Return the text that a cell of a file stands for: without a guard, and without the formula ="…" around a text.

    Programs write such a formula so that Excel shows 00123 as it is.
    """
    if cell.startswith("=") and (formula := _TEXT_FORMULA.fullmatch(cell)):
        return formula[1].replace('""', '"')
    return unguard_formula(cell)


def guard_sent_cell(cell: str) -> str:
    """Return a guarded cell with the text of a cell from outside, which may have a guard already.

    A reader of such cells drops outer white space before it looks for a guard.
    """
    sent = cell.strip()
    text = read_cell(sent)
    # White space at the end is no formula. It would leave its guard behind.
    guarded = guard_formula((cell if text == sent else text).rstrip())
    return cell if guarded == cell.rstrip() else guarded


def break_formulas(text: str) -> str:
    """Put `'` in front of each formula inside a text, for texts that begin with none and that nothing reads back."""
    return _INSIDE.sub("'", text)


def write_line(cells: Iterable[str], delimiter: str = ",") -> str:
    """Return a line of CSV. Guarded cells, and cells with a character that could be a delimiter, are quoted."""
    return delimiter.join(_quote(cell) if _QUOTED.match(cell) else cell for cell in cells) + "\r\n"


def write_guarded_line(texts: Iterable[str]) -> str:
    """Return a line of CSV with the guarded cells of these texts. It is fast if most of them need no guard."""
    cells = (_quote(guard_formula(text)) if _GUARDED_OR_QUOTED.match(text) else text for text in texts)
    return ",".join(cells) + "\r\n"


def _has_formula(text: str) -> bool:
    return bool(_AT_THE_START.match(text) or _INSIDE.search(text))


def _quote(cell: str) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'
