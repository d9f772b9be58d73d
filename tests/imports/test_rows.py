import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.errors import (
    MissingKey,
    RepeatedHeader,
    ReportedDuplicate,
    WrongNumberOfCells,
)
from app.imports.problems import describe_row
from app.imports.rows import _QUICK_CHECKS, DateFormat, EmptyCells, InvalidRow, compile_parser
from app.learners.fields import PROFILE, ROSTER_COLUMNS, ProfileField
from app.learners.wish import Wish
from app.platform.csv_cells import guard_formula, read_cell
from tests.support.wishes import wish

HEADER = ("User_Name", "External ID", "Email", "First Name", "Last Name", "ACTIVE", "Expiration Date")
COLUMNS = {column.name: index for index, column in enumerate(ROSTER_COLUMNS)}
parse_row = compile_parser(HEADER, COLUMNS, DateFormat.ISO)


def parse(date_format: DateFormat = DateFormat.ISO, **cells: Any) -> Any:
    parse_cells = compile_parser(HEADER, COLUMNS, date_format)
    return parse_cells([{"username": "a", **cells}.get(name, "") for name in COLUMNS])


def test_a_full_row_becomes_typed_values() -> None:
    row = parse_row(["a.okafor", "HR-1", "a@example.org", "Ada", "Okafor", "Yes", "2026-10-31"])

    assert row == wish(
        username="a.okafor",
        external_id="HR-1",
        email="a@example.org",
        first_name="Ada",
        last_name="Okafor",
        is_active=True,
        expires_on=date(2026, 10, 31),
    )


def test_empty_cell_leaves_its_field_unchanged() -> None:
    assert parse_row(["a", "", "  ", "\t", "", " ", ""]) == wish(username="a")


def test_missing_column_leaves_its_field_unchanged() -> None:
    parse_cells = compile_parser(
        ("Email", "Team", "External ID"), {"email": 0, "external_id": 2}, DateFormat.ISO
    )

    assert parse_cells(["a@b", "=x", "HR-1"]) == wish(external_id="HR-1", email="a@b")


def test_outer_spaces_are_removed_and_inner_ones_folded() -> None:
    row = parse_row([" a ", "\u00a0HR-1", "\ta@b ", " Ada\n Grace ", " O ", " No ", " 2026-10-31 "])

    assert row == wish(
        username="a",
        external_id="HR-1",
        email="a@b",
        first_name="Ada Grace",
        last_name="O",
        is_active=False,
        expires_on=date(2026, 10, 31),
    )


# Number of cells


@pytest.mark.parametrize(
    "cells", [["a"], ["a"] * 6, ["a", "", "", "", "", "", "", "x"], ["a"] + [""] * 8 + ["x"]]
)
def test_a_row_of_another_width_than_the_header_is_invalid(cells: list[str]) -> None:
    assert parse_row(cells) == InvalidRow((WrongNumberOfCells(len(cells), 7),))


@pytest.mark.parametrize("extra", [[""], ["", ""], [" ", "\t"]])
def test_extra_empty_cells_at_the_end_are_ignored(extra: list[str]) -> None:
    assert parse_row(["a", "", "", "", "", "", "", *extra]) == wish(username="a")


# Keys


def test_either_key_is_enough() -> None:
    assert parse(username="a").username == "a"
    assert parse(username="", external_id="HR-1").external_id == "HR-1"


def test_a_row_without_a_key_is_invalid() -> None:
    assert parse(username=" ", email="a@b") == InvalidRow((MissingKey(),))


# Reports that are sent back

REPORT = ("Username", "External ID", "Active", "Line", "Outcome", "Problem")
parse_reported = compile_parser(REPORT, {"username": 0, "external_id": 1, "active": 2}, DateFormat.ISO)


@pytest.mark.parametrize("told", ["duplicate-row: Line 3 already has this learner.", " duplicate-row"])
@pytest.mark.parametrize("active", ["Yes", "Maybe"])
def test_reported_duplicate_stays_invalid_and_says_what_to_do(told: str, active: str) -> None:
    row = parse_reported(["a", "HR-1", active, "7", "invalid", told])

    external_id = "HR-1"
    assert row == InvalidRow((ReportedDuplicate("Problem"),), "a", external_id)
    assert isinstance(row, InvalidRow)
    assert (
        "Delete this row. To apply it, empty its cell in the column Problem"
        in describe_row(row.reasons[0])["detail"]
    )


def test_an_invalid_username_leaves_the_external_id_to_be_read() -> None:
    for cell, external_id in (("HR-1", "HR-1"), ("'=HR", "=HR"), ("", None), ("HR\x07", None)):
        row = parse(username="a\x07", external_id=cell)
        assert (row.reasons[0].field, row.username, row.external_id) == ("username", None, external_id)


@pytest.mark.parametrize("told", ["", "invalid-active: Active is Yes or No.", "See the duplicate-row above."])
def test_other_rows_of_a_report_are_read_normally(told: str) -> None:
    assert parse_reported(["a", "", "Yes", "7", "invalid", told]) == wish(username="a", is_active=True)


def test_row_of_a_report_with_too_few_cells_is_invalid() -> None:
    assert parse_reported(["a", "HR-1", "Yes"]) == InvalidRow((WrongNumberOfCells(3, 6),))


# Active


@pytest.mark.parametrize(
    ("cell", "active"),
    [("Yes", True), ("yes", True), ("YES", True), (" No ", False), ("nO", False), ("", None)],
)
def test_active_is_yes_or_no_in_any_case(cell: str, active: bool | None) -> None:
    assert parse(active=cell).is_active is active


@pytest.mark.parametrize("cell", ["Y", "true", "1", "0", "ja", "yes!", "ye s", "active", "'Yes", "x" * 500])
def test_active_is_never_guessed(cell: str) -> None:
    problem = describe_row(parse(active=cell).reasons[0])

    assert (problem["code"], problem["column"]) == ("invalid-active", "ACTIVE")
    assert cell[:40] in problem["detail"]
    assert len(problem["detail"]) < 150


# Dates


@pytest.mark.parametrize(
    ("date_format", "cell"),
    [
        ("iso", "2026-03-04"),
        ("mdy", "03/04/2026"),
        ("mdy", "3/4/2026"),
        ("mdy", "3.4.2026"),
        ("mdy", "03-4-2026"),
        ("dmy", "04/03/2026"),
        ("dmy", "4/3/2026"),
        ("dmy", "4.3.2026"),
        ("dmy", "4-03-2026"),
    ],
)
def test_a_date_is_read_in_the_format_that_was_named(date_format: str, cell: str) -> None:
    row = parse(DateFormat(date_format), expiration_date=cell)

    assert row.expires_on == date(2026, 3, 4)


@pytest.mark.parametrize("date_format", DateFormat)
@pytest.mark.parametrize("cell", ["never", "Never", " NEVER "])
def test_never_clears_the_date(date_format: DateFormat, cell: str) -> None:
    row = parse(date_format, expiration_date=cell)

    assert row.expires_on is None


def test_the_last_day_of_the_calendar_is_a_date_and_not_never() -> None:
    row = parse(expiration_date="9999-12-31")

    assert row.expires_on == date.max


@pytest.mark.parametrize(
    ("date_format", "cell"),
    [
        ("iso", "2026-02-30"),
        ("iso", "2025-02-29"),
        ("iso", "0000-01-01"),
        ("iso", "20260304"),
        ("iso", "2026-3-4"),
        ("iso", "2026-W01-1"),
        ("iso", "2026/03/04"),
        ("iso", "03/04/2026"),
        ("iso", "2026-03-04T00:00:00"),
        ("iso", "٢٠٢٦-٠٣-٠٤"),
        ("iso", "46000"),
        ("iso", "none"),
        ("iso", "x" * 500),
        ("mdy", "13/01/2026"),
        ("mdy", "02/30/2026"),
        ("mdy", "03/04/26"),
        ("mdy", "03/04-2026"),
        ("mdy", "2026-03-04"),
        ("dmy", "01/13/2026"),
        ("dmy", "31.4.2026"),
        ("dmy", "003/04/2026"),
        ("dmy", "4 3 2026"),
        ("dmy", "4.3.2026 12:00"),
    ],
)
def test_any_other_date_is_invalid_and_the_format_is_named(date_format: str, cell: str) -> None:
    problem = describe_row(parse(DateFormat(date_format), expiration_date=cell).reasons[0])

    assert (problem["code"], problem["column"]) == ("invalid-date", "Expiration Date")
    assert {"iso": "YYYY-MM-DD", "mdy": "MM/DD/YYYY", "dmy": "DD/MM/YYYY"}[date_format] in problem["detail"]
    assert cell[:40] in problem["detail"]
    assert len(problem["detail"]) < 150


@given(day=st.dates(), separator=st.sampled_from("/.-"))
def test_every_day_reads_back_in_every_format(day: date, separator: str) -> None:
    year = f"{day.year:04}"

    assert parse(DateFormat.ISO, expiration_date=day.isoformat()).expires_on == day
    mdy, dmy = (day.month, day.day, year), (day.day, day.month, year)
    assert parse(DateFormat.MDY, expiration_date=separator.join(map(str, mdy))).expires_on == day
    assert parse(DateFormat.DMY, expiration_date=separator.join(map(str, dmy))).expires_on == day


@pytest.mark.parametrize(
    ("asked", "cell", "named"),
    [
        ("iso", "12/31/2035", ["mdy"]),
        ("iso", "31.12.2035", ["dmy"]),
        ("iso", "3/4/2026", ["mdy", "dmy"]),
        ("mdy", "31/12/2035", ["dmy"]),
        ("mdy", "2026-03-04", ["iso"]),
        ("dmy", "12/31/2035", ["mdy"]),
        ("dmy", "31/31/2035", []),
        ("iso", "2026-02-30", []),
        ("iso", "soon", []),
    ],
)
def test_a_date_in_another_format_names_that_format(asked: str, cell: str, named: list[str]) -> None:
    detail = parse(DateFormat(asked), expiration_date=cell).reasons[0].detail

    assert re.findall(r"date_format=(\w+)", detail) == named


# The header again


@pytest.mark.parametrize(
    ("columns", "cells", "is_header"),
    [
        (["username", "first_name"], ["Username", "First Name"], True),
        (["username", "first_name"], ["\ufeffUSER_NAME", "Vorname"], True),
        (["username", "first_name"], ['\ufeff"Login"', "Given Name"], True),
        (["username", "first_name"], ["Username", "Ada"], False),
        (["username", "first_name"], ["Username", ""], False),
        (["username", "active", "email"], ["Username", "Is Active?", "E-Mail"], True),
        (["username", "expiration_date"], ["Username", "Expires On"], True),
        (["username", "active"], ["Username", "Yes"], False),
        (["external_id", "email"], ["Employee Number", "Email"], True),
        (["username"], ["user name"], True),
        (["username"], ["Login"], False),
    ],
)
def test_a_row_that_repeats_the_header_is_invalid(
    columns: list[str], cells: list[str], is_header: bool
) -> None:
    header = [*columns, "Team"]
    parse_cells = compile_parser(header, {name: index for index, name in enumerate(columns)}, DateFormat.ISO)

    row = parse_cells([*cells, "A"])

    assert (row == InvalidRow((RepeatedHeader(),))) is is_header
    assert describe_row(RepeatedHeader())["code"] == "repeated-header"


# Numbers that spreadsheets have changed


@pytest.mark.parametrize("cell", ["1.23457E+11", "1,23457E+11", "1E+11", "1.5e10", '="1.2E+11"', " 1.2E+11 "])
def test_a_shortened_external_id_is_invalid_and_says_how_to_mend_the_file(cell: str) -> None:
    row = parse(external_id=cell)
    problem = describe_row(row.reasons[0])

    assert (problem["code"], problem["column"]) == ("invalid-external-id", "External ID")
    assert "Format the column as text" in problem["detail"]
    assert (row.username, row.external_id) == ("a", None)


@pytest.mark.parametrize("cell", ["123.0", "00123.00", '="123.0"'])
def test_decimal_is_invalid_only_among_whole_ids(cell: str) -> None:
    cells = ["a", cell, "", "", "", "", ""]
    row = compile_parser(HEADER, COLUMNS, DateFormat.ISO, has_whole_ids=True)(cells)

    assert "without .0" in row.reasons[0].detail  # type: ignore[union-attr]
    assert parse_row(cells) == wish(username="a", external_id=cell.strip('="'))


@pytest.mark.parametrize("cell", ["123", "12E3", "HR-1E5", "1.2.3", "HR.0", "123.05", "E+1"])
def test_other_external_ids_are_read(cell: str) -> None:
    cells = ["a", cell, "", "", "", "", ""]

    assert compile_parser(HEADER, COLUMNS, DateFormat.ISO, has_whole_ids=True)(cells).external_id == cell


# Texts


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('="00123"', "00123"),
        ('= "a ""b"" c"', 'a "b" c'),
        ('\'="00123"', '="00123"'),
        ('="a"&"b"', '="a"&"b"'),
        ('=" 1 "', "1"),
        ('=""', None),
    ],
)
def test_a_formula_around_a_text_is_that_text(cell: str, text: str | None) -> None:
    row = parse(external_id=cell, last_name=cell)

    texts: dict[str, Any] = {} if text is None else {"external_id": text, "last_name": text}
    assert row == wish(username="a", **texts)


@pytest.mark.parametrize("field", PROFILE, ids=lambda field: field.name)
@given(text=st.text() | st.text(alphabet="aZ09 _.@+-'\"=;E") | st.from_regex(r"[a-z.@ -]+", fullmatch=True))
def test_quick_check_accepts_only_what_needs_no_cleaning(field: ProfileField, text: str) -> None:
    text = text.strip()
    if text and _QUICK_CHECKS[field.name](text):
        cells: dict[str, Any] = {field.name: text}
        assert parse(**cells).profile[field.name] == field.clean(text) == text
        assert read_cell(text) == text


@pytest.mark.parametrize(
    ("column", "cell", "code", "name"),
    [
        ("username", "x" * 256, "invalid-username", "User_Name"),
        ("external_id", "a\nb", "invalid-external-id", "External ID"),
        ("email", "nobody", "invalid-email", "Email"),
        ("first_name", "A\x07da", "invalid-name", "First Name"),
        ("last_name", "x" * 256, "invalid-name", "Last Name"),
    ],
)
def test_invalid_text_is_an_invalid_row_that_names_its_column(
    column: str, cell: str, code: str, name: str
) -> None:
    cells: dict[str, Any] = {column: cell}
    problem = describe_row(parse(**cells).reasons[0])

    assert (problem["code"], problem["column"]) == (code, name)
    assert problem["detail"].endswith(".")


@pytest.mark.parametrize(
    ("cells", "problems"),
    [
        ({"email": "nobody", "active": "maybe"}, ["email", "active"]),
        (
            {"active": "1", "first_name": "A\x07", "expiration_date": "x"},
            ["first_name", "active", "expiration_date"],
        ),
        ({"username": "", "email": "nobody"}, ["email", MissingKey]),
        ({"username": "a\x07", "last_name": "b\x07"}, ["username", "last_name"]),
    ],
)
def test_an_invalid_row_has_all_its_problems_in_the_order_of_the_columns(
    cells: dict[str, Any], problems: list[Any]
) -> None:
    reasons = parse(**cells).reasons

    assert [getattr(reason, "field", type(reason)) for reason in reasons] == problems


def test_an_invalid_row_keeps_the_keys_that_can_be_read() -> None:
    row = parse(username="a", external_id="HR-1", email="nobody", active="maybe")

    assert (row.username, row.external_id) == ("a", "HR-1")


# Empty cells that clear


def parse_clearing(*cells: str) -> Any:
    return compile_parser(HEADER, COLUMNS, DateFormat.ISO, EmptyCells.CLEAR)(list(cells))


def test_empty_cells_clear_every_field_but_the_username_and_the_status() -> None:
    assert parse_clearing("a", "", " ", "\t", "", "", "") == Wish(
        {"username": "a", "external_id": None, "email": None, "first_name": None, "last_name": None}, None
    )
    assert parse_clearing("", "HR-1", "a@b", "A", "B", "No", "2026-10-31") == wish(
        external_id="HR-1",
        email="a@b",
        first_name="A",
        last_name="B",
        is_active=False,
        expires_on=date(2026, 10, 31),
    )


def test_a_column_that_is_missing_is_not_cleared() -> None:
    parse_cells = compile_parser(
        ("Username", "Email"), {"username": 0, "email": 1}, DateFormat.ISO, EmptyCells.CLEAR
    )

    assert parse_cells(["a", ""]) == Wish({"username": "a", "email": None})


def test_clearing_both_keys_is_a_missing_key() -> None:
    assert parse_clearing("", "", "a@b", "", "", "", "") == InvalidRow((MissingKey(),))


def test_a_decomposed_name_is_composed() -> None:
    assert parse(first_name="Jose\u0301").profile["first_name"] == "José"


@pytest.mark.parametrize(
    ("cell", "text"), [("'=1", "=1"), ("''=1", "'=1"), ("=1", "=1"), ("'t Hooft", "'t Hooft")]
)
def test_a_guarded_formula_comes_back_as_it_was(cell: str, text: str) -> None:
    assert parse(last_name=cell).profile["last_name"] == text


@given(st.text(alphabet="'=+-@ab", min_size=1, max_size=9))
def test_guarded_text_of_an_export_is_imported_unchanged(text: str) -> None:
    assert parse_row([guard_formula(text)] * 2 + [""] * 5) == wish(username=text, external_id=text)


@given(st.lists(st.text(max_size=9), max_size=9))
def test_every_row_is_a_wish_or_an_invalid_row(cells: list[str]) -> None:
    assert isinstance(parse_row(cells), Wish | InvalidRow)


@given(st.lists(st.text(max_size=9), min_size=7, max_size=7))
def test_a_row_is_never_changed_by_parsing(cells: list[str]) -> None:
    before = cells[:]
    parse_row(cells)

    assert cells == before
