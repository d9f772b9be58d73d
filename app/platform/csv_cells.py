"""CSV cells that no spreadsheet runs as a formula, and the way back to the original text."""

import re

# A spreadsheet runs a cell that starts with one of these: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_CHARACTERS = "=+-@\t\r"
_FORMULA = re.compile(f"'*[{re.escape(FORMULA_CHARACTERS)}]")


def guard_formula(text: str) -> str:
    """Return a cell that shows `text` and never runs: it adds `'` in front of what looks like a formula.

    A text that already begins with `'` and a formula gets another one, so that `unguard_formula` always returns
    `text`. To make a cell from outside safe, unguard it first.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguard_formula(cell: str) -> str:
    """Return the text from which `guard_formula` made `cell`. A cell without a guard is returned unchanged."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
