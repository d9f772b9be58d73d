"""Cells that no spreadsheet runs as a formula, and the way back.

Here, below every slice, because the export and the report write what the import reads.
"""

import re

# What makes a spreadsheet compute or run a cell: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_CHARACTERS = "=+-@\t\r"
_FORMULA = re.compile(f"'*[{re.escape(FORMULA_CHARACTERS)}]")


def guard_formula(text: str) -> str:
    """The cell that shows `text` and never runs: one `'` more in front of what looks like a formula.

    What already begins with `'` and then a formula gets one too, so that `unguard_formula` always
    gives back `text`. A cell as somebody sent it is made safe by unguarding it first.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguard_formula(cell: str) -> str:
    """The text that `guard_formula` turned into `cell`; a cell without a guard stays as it is."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
