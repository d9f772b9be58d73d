import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.platform.csv_cells import guard_formula, unguard_formula

TEXTS = st.text() | st.text(alphabet="'=+-@\t\r a1")


@pytest.mark.parametrize(
    "text", ["=1+2", "+49 30 1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\tx", "\rx", "'=1", "''@a"]
)
def test_formula_gets_an_apostrophe(text: str) -> None:
    assert guard_formula(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "'", "''", "a.okafor", "O'Neill", "'t Hooft", "a=b", " =1", "1-2", "İpek"]
)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert guard_formula(text) == text
    assert unguard_formula(text) == text


@pytest.mark.parametrize(("cell", "text"), [("'=1", "=1"), ("''=1", "'=1"), ("'''@a", "''@a"), ("=1", "=1")])
def test_guarded_cell_loses_one_apostrophe(cell: str, text: str) -> None:
    assert unguard_formula(cell) == text


@given(TEXTS)
def test_any_text_survives_guard_and_unguard(text: str) -> None:
    assert unguard_formula(guard_formula(text)) == text


@given(TEXTS)
def test_guarded_cell_is_never_a_formula(text: str) -> None:
    assert not guard_formula(text).startswith(("=", "+", "-", "@", "\t", "\r"))
