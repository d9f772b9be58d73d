import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.wording import describe_unreadable_file
from app.imports.errors import UnclearColumns, UnreadableCsv
from app.imports.headers import SYNONYMS, find_access_column, read_header, recognize
from app.imports.problems import TRANSLATIONS
from app.learners.fields import ROSTER_COLUMNS

TITLES = {column.name: column.title for column in ROSTER_COLUMNS}
SPELLINGS = [(spelling, column) for column, spellings in SYNONYMS.items() for spelling in spellings]
DOCS = Path(__file__).parents[2] / "docs" / "csv.md"


def read(*names: str, ignore: Any = (), others: str = ";\t|") -> Any:
    return read_header(names, 1, others, ignore)


def refusal(*names: str, ignore: Any = (), others: str = ";\t|") -> Any:
    with pytest.raises(UnreadableCsv) as caught:
        read(*names, ignore=ignore, others=others)
    assert caught.value.line == 1
    return caught.value


# Spellings


@pytest.mark.parametrize(
    ("spelling", "column"), [*((title, name) for name, title in TITLES.items()), *SPELLINGS]
)
def test_every_spelling_is_recognized_however_it_is_written(spelling: str, column: str) -> None:
    plain = re.sub(r"[ -]", "", spelling)
    for name in (
        spelling,
        spelling.upper(),
        spelling.replace(" ", "_"),
        spelling.replace(" ", "-") + "?",
        f" * {plain.lower()} ",
        f"is_{spelling}",
        f"Account {spelling}",
        f"{spelling} (required)",
        f'="{spelling}"',
        f"\ufeff\u200b{spelling}",
    ):
        found = recognize(name)
        assert found is not None, name
        assert found.column == column


def test_docs_have_every_spelling() -> None:
    section = (
        DOCS.read_text(encoding="utf-8").partition("## Spellings of the columns")[2].partition("\n## ")[0]
    )
    table = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)[1:]

    assert {title: spellings.split(", ") for title, spellings in table} == {
        TITLES[column]: list(spellings) for column, spellings in SYNONYMS.items()
    }


@pytest.mark.parametrize(
    "name",
    [
        "Not Active",
        "Inactive",
        "!Active",
        "Active (Yes = suspended)",
        "Active (0 = active)",
        "Expiration Date (Visa)",
    ],
)
def test_a_name_that_may_turn_a_value_around_is_not_recognized(name: str) -> None:
    assert recognize(name) is None
    assert find_access_column(name) is not None


def test_a_title_wins_over_another_spelling_of_its_column() -> None:
    header = read("Employee Number", "External ID", "Username", "Login", "Aktiv", "Active")

    assert header.columns == {"external_id": 1, "username": 2, "active": 5}
    assert header.unknown == ("Employee Number", "Login", "Aktiv")


@pytest.mark.parametrize(
    "names",
    [
        ("Employee ID", "Employee Number"),
        ("E-Mail", "email"),
        ("Expires", "End Date"),
        ("Email (work)", "Email (home)"),
    ],
)
def test_two_spellings_of_one_column_are_refused(names: tuple[str, str]) -> None:
    problem = refusal("Username", *names)

    assert all(repr(name) in problem.detail for name in names)
    assert problem.names == names[1:]
    assert read("Username", *names, ignore=problem.names).columns.keys() > {"username"}


def test_the_same_name_twice_cannot_be_mended_by_ignoring_it() -> None:
    problem = refusal("Username", "Email", " email ")

    assert "twice" in problem.detail
    assert not isinstance(problem, UnclearColumns)


# Columns about access

ACTIVE_NAMES = """
suspended,deleted,Disabled?,is_deactivated,Inactive,Activated,Enabled,Status,Account Status,State,blocked,Locked,
IsLockedOut,Terminated,Suspended (1 = yes),SUSPENDED*,gesperrt,Gesperrt?,deaktiviert,inaktiv,gelöscht,blockiert,
Has Access,Zugang,Active User,Account\u200b Status
"""
END_NAMES = """
Valid Until,valid_to,Termination Date,TerminationDate,Leaving Date,Exit Date,Expired,Expiration Time,End,Contract End,
contractEndDate,CONTRACTENDDATE,Last Working Day,Resignation,gültig bis,Gueltig bis,Austritt,Austrittsdatum,
Vertragsende,Ende,Kündigung zum,befristet bis,Ausgeschieden am,Active until
"""


@pytest.mark.parametrize(
    ("name", "column"),
    [(name.strip(), "active") for name in ACTIVE_NAMES.split(",")]
    + [(name.strip(), "expiration_date") for name in END_NAMES.split(",")],
)
def test_a_column_about_access_is_refused_unless_its_column_is_there(name: str, column: str) -> None:
    problem = refusal("Username", name)

    assert isinstance(problem, UnclearColumns)
    assert f"{name!r}" in problem.detail
    assert f"rename it to {TITLES[column]}" in problem.detail
    assert f"ignore_columns={name}." in TRANSLATIONS[UnclearColumns](problem).detail
    assert "--ignore-columns" in describe_unreadable_file(problem)
    assert read("Username", name, ignore=[name.upper()]).unknown == ()
    assert read("Username", name, TITLES[column]).unknown == (name,)


PERSONAL_NAMES = """
Department,Phone,City,Gender,Vendor,Calendar,Attendance,Friend,Weekend,Job Title,Cost Center,Manager,Last Access,
Last Login,lastAccess,First Access,Created,Hire Date,Clock Number,Locker,Estate,Disability,Last Activity,Abteilung,
Telefon,Anrede,Studierende,Kostenstelle,Letzter Zugriff,Eintritt,Geburtsdatum,Middle Name,Accessibility,Blockchain
"""


def test_several_columns_about_access_are_named_together() -> None:
    problem = refusal("Username", "Status", "Team", "Exit, Date")

    assert problem.names == ("Status", "Exit, Date")
    assert "'Status', 'Exit, Date'" in problem.detail
    assert describe_unreadable_file(problem).endswith("--ignore-columns Status --ignore-columns 'Exit, Date'")
    assert read("Username", "Status", "Exit, Date", ignore=["status", "exit, date"]).unknown == ()


@pytest.mark.parametrize(
    "name",
    PERSONAL_NAMES.split(","),
)
def test_a_personal_column_is_only_unknown(name: str) -> None:
    assert read("Username", name.strip()).unknown == (name.strip(),)


@pytest.mark.parametrize(
    "names", [("Username", "Email;Active"), ("Active|Phone", "Username"), ("Username", "Phone;Email")]
)
def test_a_second_delimiter_in_the_header_is_refused(names: tuple[str, str]) -> None:
    assert "second delimiter" in refusal(*names).detail


@pytest.mark.parametrize("name", ["Last Name, First Name", "Team, Office"])
def test_a_quoted_column_may_contain_another_delimiter(name: str) -> None:
    assert read("Username", name, others=",\t|").unknown == (name,)


# Bounds


def test_a_header_has_at_most_two_hundred_columns() -> None:
    names = ["Username", *(f"c{index}" for index in range(199))]
    assert len(read(*names, "", " ").names) == 200

    assert "201 columns" in refusal(*names, "d").detail


def test_a_header_has_at_most_sixteen_kilobytes() -> None:
    assert read("Username", "é" * 8_188).names

    assert "16,386 bytes" in refusal("Username", "é" * 8_189).detail


@given(st.text() | st.text(alphabet="isactount([{y/n}])_ "))
def test_any_name_is_understood_or_not(name: str) -> None:
    recognize(name)
    find_access_column(name)


@pytest.mark.parametrize("part", ["is", "account", "(", "(y/", "yes ", "activ", "a-", "="])
def test_a_long_name_costs_little(part: str) -> None:
    name = part * (16_000 // len(part))

    assert recognize(name) is None
    find_access_column(name)
