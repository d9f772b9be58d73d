"""The example roster: its script makes it, and it holds what the script says of it.

The rows are judged here by the law alone and not by the importer, which has to come to the same.
"""

import csv
import runpy
import unicodedata
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from app.domain.profile import clean_email, clean_external_id, clean_name, clean_username, fold
from app.domain.status import Account, has_expired, resolve_status

EXAMPLES = Path(__file__).parents[2] / "examples"
# Dates are before 2025 or after 2030, so that any day between gives the same counts.
TODAY = date(2026, 3, 16)
NOW = datetime(2026, 3, 16, tzinfo=UTC)

PROBLEMS = {
    214: "Active",
    371: "Expiration Date",
    523: "Email",
    655: "no key",
    844: "cells",
    988: "Expiration Date",
    1121: "Expiration Date",
    1291: "the learner of line 403",
    1377: "Email",
    1502: "Active",
    1612: "the learner of line 777",
    1668: "cells",
    1733: "Expiration Date",
    1846: "no key",
    1955: "the learner of line 1043",
}


@pytest.fixture(scope="module")
def text() -> str:
    return (EXAMPLES / "roster.csv").read_bytes().decode()


@pytest.fixture(scope="module")
def rows(text: str) -> dict[int, list[str]]:
    """The data rows by line: no cell spans lines, so each line is a row."""
    return dict(enumerate(csv.reader(text.splitlines()[1:], strict=True), start=2))


@pytest.fixture(scope="module")
def good_rows(rows: dict[int, list[str]]) -> list[list[str]]:
    return [row for line, row in rows.items() if line not in PROBLEMS]


def to_date(cell: str) -> date | None:
    return date.fromisoformat(cell) if cell not in {"", "never"} else None


def find_problem(row: list[str]) -> str | None:
    if len(row) != 7:
        return "cells"
    username, external_id, email, _, _, active, expires_on = row
    if not username and not external_id:
        return "no key"
    if "@" not in email:
        return "Email"
    if active.strip().lower() not in {"yes", "no", ""}:
        return "Active"
    try:
        to_date(expires_on)
    except ValueError:
        return "Expiration Date"
    return None


def test_the_script_makes_the_file_byte_for_byte() -> None:
    made: str = runpy.run_path(str(EXAMPLES / "make_roster.py"))["make_roster"]()
    assert made.encode() == (EXAMPLES / "roster.csv").read_bytes()


def test_the_file_is_plain_utf8_with_a_header_and_2000_rows_of_a_line_each(text: str) -> None:
    header, *lines = text.removesuffix("\n").split("\n")
    assert header == "Username,External ID,Email,First Name,Last Name,Active,Expiration Date"
    assert lines == text.splitlines()[1:]
    assert len(lines) == 2000
    assert unicodedata.is_normalized("NFC", text)


def test_the_rows_with_mistakes_are_those_that_the_script_names(rows: dict[int, list[str]]) -> None:
    problems = {}
    first_lines: dict[str, int] = {}
    for line, row in rows.items():
        problem = find_problem(row)
        for key in (row[1], fold(row[0])):
            if key and first_lines.setdefault(key, line) != line:
                problem = f"the learner of line {first_lines[key]}"
        if problem is not None:
            problems[line] = problem
    assert problems == PROBLEMS


def test_the_counts_are_those_that_the_script_states(good_rows: list[list[str]]) -> None:
    found: Counter[str] = Counter(invalid=len(PROBLEMS))
    cells: Counter[tuple[str, str]] = Counter()
    for *_, active, expires_on in good_rows:
        wish = active.strip().lower()
        account = Account(deactivated_at=NOW if wish == "no" else None, expires_on=to_date(expires_on))
        expired = has_expired(account, TODAY)
        if expired and wish == "yes":
            found["refused"] += 1
            continue
        found["created"] += 1
        found[resolve_status(account, TODAY).value] += 1
        cells[wish, "past" if expired else "future" if account.expires_on else expires_on] += 1

    assert found == {
        "created": 1977,
        "refused": 8,
        "invalid": 15,
        "activated": 1805,
        "deactivated": 120,
        "expired": 52,
    }
    assert cells == {
        ("yes", ""): 1338,
        ("yes", "future"): 210,
        ("yes", "never"): 10,
        ("no", ""): 110,
        ("no", "future"): 10,
        ("no", "past"): 14,
        ("", ""): 227,
        ("", "future"): 20,
        ("", "past"): 38,
    }


def test_no_count_changes_before_the_year_2031(good_rows: list[list[str]]) -> None:
    years = {day.year for row in good_rows if (day := to_date(row[6]))}
    assert years == {*range(2020, 2025), *range(2031, 2036)}


def test_every_good_cell_is_one_that_the_fields_take(good_rows: list[list[str]]) -> None:
    for username, external_id, email, first_name, last_name, *_ in good_rows:
        assert clean_username(username) == username
        assert external_id == "" or clean_external_id(external_id) == external_id
        assert clean_email(email) == email
        assert clean_name(first_name) == first_name
        assert clean_name(last_name) == last_name


def test_addresses_belong_to_no_one(text: str) -> None:
    domains = {cell.partition("@")[2] for cell in text.replace("\n", ",").split(",") if "@" in cell}
    assert domains == {"example.org", "example.com"}


def test_names_come_in_many_scripts(good_rows: list[list[str]]) -> None:
    scripts = {unicodedata.name(row[3][0]).split()[0] for row in good_rows}
    assert scripts >= {
        *("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "ETHIOPIC"),
        *(
            "DEVANAGARI",
            "BENGALI",
            "TAMIL",
            "SINHALA",
            "THAI",
            "KHMER",
            "CJK",
            "HIRAGANA",
            "KATAKANA",
            "HANGUL",
        ),
    }
