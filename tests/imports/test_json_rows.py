"""What a learner in JSON means, and all that can be wrong with one."""

import io
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.errors import InvalidCell, MissingKey, NotAnObject, UnknownMember
from app.imports.json_reader import open_json
from app.imports.json_rows import MOST_REASONS, compile_json_parser
from app.imports.problems import describe_row
from app.imports.rows import DateFormat, InvalidRow, compile_parser
from app.learners.fields import ROSTER_COLUMNS
from app.learners.wish import NO_CHANGE, Wish
from tests.support.wishes import wish

MEMBERS = ("username", "external_id", "email", "first_name", "last_name", "active", "expires_on")
parse_row = compile_json_parser()
COLUMNS = {column.name: index for index, column in enumerate(ROSTER_COLUMNS)}
parse_cells = compile_parser(MEMBERS, COLUMNS, DateFormat.ISO)


def parse_text(text: str) -> Wish | InvalidRow:
    (row,) = open_json(io.BytesIO(text.encode()), is_lines=True).rows()
    return parse_row(row.value)


def parse(**members: Any) -> Any:
    return parse_text(json.dumps({"username": "a", **members}))


def details(row: Any) -> list[str]:
    assert isinstance(row, InvalidRow)
    return [describe_row(reason)["detail"] for reason in row.reasons]


def test_full_row_becomes_typed_values() -> None:
    row = parse(
        username=" a.okafor ",
        external_id="HR-1",
        email="a@example.org",
        first_name="Ada",
        last_name="Okafor",
        active=True,
        expires_on="2026-10-31",
    )

    assert row == wish(
        username="a.okafor",
        external_id="HR-1",
        email="a@example.org",
        first_name="Ada",
        last_name="Okafor",
        is_active=True,
        expires_on=date(2026, 10, 31),
    )


def test_missing_member_leaves_its_field_unchanged() -> None:
    assert parse() == Wish({"username": "a"}, NO_CHANGE, None)
    assert parse_text('{"external_id": "HR-1", "active": false}') == Wish(
        {"external_id": "HR-1"}, NO_CHANGE, is_active=False
    )


def test_null_clears_its_field() -> None:
    row = parse(external_id=None, email=None, first_name=None, last_name=None, expires_on=None)

    cleared = dict.fromkeys(("external_id", "email", "first_name", "last_name"))
    assert row == Wish({"username": "a", **cleared}, None, None)


@pytest.mark.parametrize(
    ("member", "value", "code", "detail"),
    [
        ("username", None, "invalid-username", "This member cannot be null. Leave it out to keep the value."),
        ("username", 7, "invalid-username", 'This is a number. Write it as text: "7".'),
        ("username", "", "invalid-username", "A username must not be empty."),
        ("username", "a\u0000b", "invalid-username", "control character"),
        ("username", "a\ud800b", "invalid-username", "half of a surrogate pair"),
        ("external_id", 1.5, "invalid-external-id", 'This is a number. Write it as text: "1.5".'),
        ("external_id", 10**50, "invalid-external-id", f'Write it as text: "1{"0" * 39}…".'),
        ("email", "nobody", "invalid-email", "name@example.org"),
        ("email", True, "invalid-email", "This must be text."),
        ("first_name", ["Ada"], "invalid-name", "This must be text."),
        ("last_name", {"family": "Okafor"}, "invalid-name", "This must be text."),
        ("last_name", "x" * 256, "invalid-name", "at most 255 characters"),
        ("active", "Yes", "invalid-active", "Use true or false, without quotes."),
        ("active", None, "invalid-active", "Leave the member out to keep the status."),
        ("active", 1, "invalid-active", "Use true or false"),
        (
            "expires_on",
            "never",
            "invalid-date",
            '"never" is not a valid date. Write YYYY-MM-DD, or null for never.',
        ),
        ("expires_on", "31.10.2026", "invalid-date", "Write YYYY-MM-DD"),
        ("expires_on", "20261031", "invalid-date", "Write YYYY-MM-DD"),
        ("expires_on", "2026-10-31T00:00:00Z", "invalid-date", "Write YYYY-MM-DD"),
        ("expires_on", "\uff12\uff10\uff12\uff16-10-31", "invalid-date", "Write YYYY-MM-DD"),
        ("expires_on", "2026-02-30", "invalid-date", "does not exist in the calendar"),
        ("expires_on", 20261031, "invalid-date", "Write it as text, YYYY-MM-DD, or null for never."),
        ("expires_on", False, "invalid-date", "This is not a date."),
    ],
)
def test_wrong_value_is_told_with_its_member(member: str, value: object, code: str, detail: str) -> None:
    row = parse(**{member: value})

    assert isinstance(row, InvalidRow)
    (problem,) = map(describe_row, row.reasons)
    assert (problem["code"], problem["column"]) == (code, member)
    assert detail in problem["detail"]


@pytest.mark.parametrize(
    ("member", "detail"),
    [
        ("user_name", "Unknown member 'user_name'. Check the spelling, or leave it out."),
        ("Username", "Unknown member 'Username'. Check the spelling, or leave it out."),
        ("", "Unknown member ''. Check the spelling, or leave it out."),
        ("x" * 300, f"Unknown member '{'x' * 40}…'. Check the spelling, or leave it out."),
        ("status", "You cannot set the status. Send active or expires_on instead."),
    ],
)
def test_unknown_member_is_named(member: str, detail: str) -> None:
    row = parse(**{member: "active"})

    assert details(row) == [detail]
    assert describe_row(row.reasons[0])["code"] == "unknown-member"
    assert row.username == "a"


def test_invalid_row_has_all_its_problems_and_names_its_learner() -> None:
    row = parse(external_id=" HR-1 ", email="x", active="no", expires_on="soon", team=1)

    assert isinstance(row, InvalidRow)
    assert [type(reason) for reason in row.reasons] == [InvalidCell, InvalidCell, InvalidCell, UnknownMember]
    assert (row.username, row.external_id) == ("a", "HR-1")


def test_repeated_member_is_invalid_and_the_first_one_names_the_learner() -> None:
    row = parse_text('{"username": "a", "active": false, "username": "b", "active": true}')

    assert row == InvalidRow(
        (
            InvalidCell("username", "username", "The object has this member twice. Keep one of them."),
            InvalidCell("active", "active", "The object has this member twice. Keep one of them."),
        ),
        "a",
        asks_to_deactivate=True,
    )


@pytest.mark.parametrize("text", ["{}", '{"email": "a@b"}', '{"external_id": null}', '{"user": "a"}'])
def test_row_without_a_key_is_told_so(text: str) -> None:
    row = parse_text(text)

    assert isinstance(row, InvalidRow)
    assert row.reasons[-1] == MissingKey()


def test_row_with_an_invalid_key_is_not_told_that_it_has_none() -> None:
    row = parse_text('{"username": "", "email": "x"}')

    assert isinstance(row, InvalidRow)
    assert MissingKey() not in row.reasons


@pytest.mark.parametrize("text", ["[]", '"a"', "null", "true", "1", '[["username", "a"]]'])
def test_row_that_is_not_an_object_is_invalid(text: str) -> None:
    assert parse_text(text) == InvalidRow((NotAnObject(), MissingKey()))


def test_row_with_very_many_problems_reports_some() -> None:
    row = parse_text(json.dumps({f"m{number}": 1 for number in range(1000)}))

    assert isinstance(row, InvalidRow)
    assert len(row.reasons) == MOST_REASONS + 1
    assert row.reasons[-1] == MissingKey()


# No formulas, quotes or shortened numbers, which only CSV has.
TEXTS = st.text("aZé@.,- \u0301\u00a0\u0007\u200b\u2028李", max_size=12).map(str.strip).filter(bool)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS[:5], TEXTS)))
def test_text_is_cleaned_as_a_cell_is(members: dict[str, str]) -> None:
    cells = [members.get(name, "") for name in MEMBERS]

    from_json, from_csv = parse_text(json.dumps(members)), parse_cells(cells)

    assert from_json == from_csv or (
        # In JSON the problems are in the order of the members.
        isinstance(from_json, InvalidRow)
        and isinstance(from_csv, InvalidRow)
        and {*from_json.reasons} == {*from_csv.reasons}
        and (from_json.username, from_json.external_id) == (from_csv.username, from_csv.external_id)
    )


@given(st.dates(), st.booleans())
def test_dates_and_switches_mean_what_they_mean_in_csv(day: date, is_active: bool) -> None:
    from_csv = parse_cells(["a", "", "", "", "", "Yes" if is_active else "No", day.isoformat()])

    assert parse(active=is_active, expires_on=day.isoformat()) == from_csv
