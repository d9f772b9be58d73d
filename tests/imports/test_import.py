"""Importing a roster over HTTP: what is answered, what is stored, what is recorded."""

import asyncio
import codecs
import io
import random
import re
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.operations.outcomes import unpack
from app.organizations.api_keys import Scope
from tests.examples.test_roster import PROBLEMS
from tests.support.answers import pointers, problem
from tests.support.service import NOON, Api, Service
from tests.support.stored import (
    all_learners,
    all_outcomes,
    another,
    comparable,
    count_stages,
    ended,
    follow,
    stored_state,
)

pytestmark = pytest.mark.anyio

ROSTER = Path(__file__).parents[2] / "examples" / "roster.csv"
HEADER = "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\n"
NOTHING_DONE = {"created": 0, "changed": 0, "unchanged": 0, "refused": 0, "invalid": 0, "not_found": 0}
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def small_chunks(service: Service) -> None:
    """Three rows a chunk, so that a short file is a large operation."""
    service.limit(chunk_rows=3)


def counts(**given: int) -> dict[str, int]:
    return NOTHING_DONE | given


def codes(outcomes: Any) -> dict[int, Any]:
    """The problem of each line, or its outcome where it has none."""
    return {
        each["line"]: each["problems"][0]["code"] if each["problems"] else each["outcome"]
        for each in outcomes
    }


async def post(api: Api, content: str | bytes, headers: Any = None, **params: Any) -> httpx.Response:
    return await api.client.post(
        "/imports/csv", content=content, params=params, headers=CSV | (headers or {})
    )


# Columns


async def test_a_row_becomes_a_learner_with_every_field(api: Api) -> None:
    operation = await api.import_csv(
        HEADER + "a.okafor,HR-1003,a.okafor@example.org,Adaeze,Okafor,No,2027-12-31\n", reason="start of term"
    )

    assert operation["counts"] == counts(created=1)
    learner = (await all_learners(api))["a.okafor"]
    assert {name: learner[name] for name in ("external_id", "email", "first_name", "last_name")} == {
        "external_id": "HR-1003",
        "email": "a.okafor@example.org",
        "first_name": "Adaeze",
        "last_name": "Okafor",
    }
    assert (learner["status"], learner["expires_on"], learner["version"]) == ("deactivated", "2027-12-31", 1)
    (event,) = await api.events(learner)
    assert event["type"] == "learner.created"
    assert event["operation_id"] == operation["id"]
    assert event["reason"] == "start of term"
    assert event["actor"] == operation["created_by"]
    assert event["before"] == {}
    assert event["after"] == {
        "username": "a.okafor",
        "external_id": "HR-1003",
        "email": "a.okafor@example.org",
        "first_name": "Adaeze",
        "last_name": "Okafor",
        "expires_on": "2027-12-31",
        "deactivated_at": "2026-11-02T12:00:00.000000Z",
        "status": "deactivated",
    }


async def test_empty_cells_clear_fields_if_the_import_says_so(api: Api) -> None:
    learner = await api.create(
        username="a",
        external_id="HR-1",
        email="a@example.org",
        first_name="Ada",
        last_name="Okafor",
        expires_on="2027-01-31",
    )

    operation = await api.import_csv(HEADER + "a,,,,,,\n", empty="clear")

    assert operation["counts"] == counts(changed=1)
    now = await api.get(learner)
    cleared = ("external_id", "email", "first_name", "last_name", "expires_on")
    assert (now["username"], now["status"]) == ("a", "activated")
    assert [now[name] for name in cleared] == [None] * 5
    assert (await api.events(learner))[0]["after"] == dict.fromkeys(cleared) | {"status": "activated"}


async def test_a_column_that_the_request_names_is_ignored(api: Api) -> None:
    operation = await api.import_csv("Username,Active\na,No\n", ignore_columns="active")

    assert (operation["counts"], operation["warnings"]) == (counts(created=1), [])
    assert (await all_learners(api))["a"]["status"] == "activated"


async def test_a_known_learner_is_changed_with_one_event_of_what_changed(api: Api) -> None:
    learner = await api.create(
        username="a", email="old@example.org", first_name="Ada", expires_on="2027-01-31"
    )
    api.service.clock.advance(hours=1)

    operation = await api.import_csv(HEADER + "a,HR-1,new@example.org,,Okafor,No,never\n", reason="left")

    assert operation["counts"] == counts(changed=1)
    now = await api.get(learner)
    assert (now["email"], now["first_name"], now["last_name"]) == ("new@example.org", "Ada", "Okafor")
    assert (now["status"], now["expires_on"], now["external_id"]) == ("deactivated", None, "HR-1")
    assert (now["version"], now["updated_at"]) == (2, "2026-11-02T13:00:00Z")
    event = (await api.events(learner))[0]
    assert (event["type"], event["operation_id"], event["reason"]) == (
        "learner.deactivated",
        operation["id"],
        "left",
    )
    assert event["before"] == {
        "email": "old@example.org",
        "last_name": None,
        "external_id": None,
        "expires_on": "2027-01-31",
        "deactivated_at": None,
        "status": "activated",
    }
    assert event["after"] == {
        "email": "new@example.org",
        "last_name": "Okafor",
        "external_id": "HR-1",
        "expires_on": None,
        "deactivated_at": "2026-11-02T13:00:00.000000Z",
        "status": "deactivated",
    }


async def test_columns_come_in_any_order_and_spelling(api: Api) -> None:
    await api.import_csv("EXPIRATION_DATE,first-name, user name ,ActIve\n2027-12-31,Ada,a,nO\n")

    learner = (await all_learners(api))["a"]
    assert (learner["first_name"], learner["expires_on"]) == ("Ada", "2027-12-31")
    assert learner["status"] == "deactivated"


async def test_a_changed_name_is_found_by_its_new_form_only(api: Api) -> None:
    await api.create(username="a", last_name="Before")
    await api.import_csv("Username,Last Name\na,After\n")

    for wanted, found in (("before", 0), ("after", 1)):
        page = (await api.client.get("/learners", params={"q": wanted})).json()
        assert len(page["items"]) == found


# Outcomes and counts

MIXED = """\
Username,External ID,Email,Active,Expiration Date
new,HR-1,new@example.org,Yes,
same,,,Yes,
gone,,,No,
expired,,x@example.org,Yes,
expired2,,,Yes,2027-01-31
b,HR-a,,,
,,nobody@example.org,,
u1,,,Ja,
u2,,,,31.12.2026
u3,,nobody,,
u4
u5,,,,,,more
,HR-unknown,,,
NEW,,,No,
u1,,,Yes,
same,,,No,
"""
MIXED_CODES = {
    2: "created",
    3: "unchanged",
    4: "changed",
    5: "learner-expired",
    6: "changed",
    7: "identity-conflict",
    8: "missing-key",
    9: "invalid-active",
    10: "invalid-date",
    11: "invalid-email",
    12: "wrong-number-of-cells",
    13: "wrong-number-of-cells",
    14: "missing-username",
    15: "duplicate-row",
    16: "duplicate-row",
    17: "duplicate-row",
}
MIXED_COUNTS = counts(created=1, changed=2, unchanged=1, refused=1, invalid=11)


async def prepare_mixed(api: Api) -> None:
    for username, external_id, expires_on in (
        ("same", None, None),
        ("gone", None, None),
        ("expired", None, "2026-11-01"),
        ("expired2", None, "2026-11-01"),
        ("a", "HR-a", None),
        ("b", "HR-b", None),
    ):
        await api.create(username=username, external_id=external_id, expires_on=expires_on)


@pytest.mark.parametrize("chunk_rows", [5000, 3])
async def test_every_row_has_an_outcome_and_the_counts_add_up(api: Api, chunk_rows: int) -> None:
    api.service.limit(chunk_rows=chunk_rows)
    await prepare_mixed(api)

    operation = await api.import_csv(MIXED)

    assert operation["kind"] == "csv-import"
    assert operation["state"] == "succeeded"
    assert operation["counts"] == MIXED_COUNTS
    assert operation["progress"] == {"done": 16, "total": 16}
    assert sum(operation["counts"].values()) == 16
    outcomes = await api.outcomes(operation)
    assert codes(outcomes) == MIXED_CODES
    by_line = {each["line"]: each for each in outcomes}
    learners = await all_learners(api)
    assert set(learners) == {"new", "same", "gone", "expired", "expired2", "a", "b"}
    for line, username in (
        (2, "new"),
        (3, "same"),
        (4, "gone"),
        (5, "expired"),
        (6, "expired2"),
    ):
        assert by_line[line]["username"] == username
        assert by_line[line]["learner_id"] == learners[username]["id"]
    assert [by_line[line]["learner_id"] for line in (8, 9, 12, 14, 15, 16)] == [None] * 6
    # The row has the external id of one learner and the username of another. The outcome is about the first.
    assert by_line[7]["learner_id"] == learners["a"]["id"]
    assert by_line[5]["outcome"] == "refused"
    assert {each["outcome"] for each in outcomes if each["line"] >= 7} == {"invalid"}
    columns = {line: by_line[line]["problems"][0].get("column") for line in (5, 7, 9, 10, 11, 12)}
    assert columns == {5: "Active", 7: None, 9: "Active", 10: "Expiration Date", 11: "Email", 12: None}
    assert [by_line[line]["problems"][0]["first_line"] for line in (15, 16, 17)] == [2, 9, 3]
    assert all(each["problems"][0]["detail"].endswith(".") for each in outcomes if each["problems"])
    assert learners["expired"]["email"] is None
    assert learners["expired2"]["status"] == "activated"


async def test_row_of_an_unknown_learner_without_create_is_not_found(api: Api) -> None:
    learner = await api.create(username="known")

    operation = await api.import_csv("Username,Active\nunknown,Yes\nKNOWN,No\n", create=False)

    assert operation["counts"] == counts(not_found=1, changed=1)
    outcome = (await api.outcomes(operation, outcome="not_found"))[0]
    assert (outcome["line"], outcome["username"], outcome["learner_id"]) == (2, "unknown", None)
    assert outcome["problems"][0]["code"] == "not-found"
    # Another spelling of the username that finds a learner does not rename them.
    assert set(await all_learners(api)) == {"known"}
    assert (await api.get(learner))["status"] == "deactivated"


async def test_file_with_only_a_header_succeeds_without_outcomes(api: Api) -> None:
    operation = await api.import_csv(HEADER)

    assert (operation["state"], operation["counts"]) == ("succeeded", NOTHING_DONE)
    assert operation["progress"] == {"done": 0, "total": 0}
    assert await api.outcomes(operation) == []


@pytest.mark.usefixtures("small_chunks")
async def test_importing_the_same_file_twice_changes_nothing_the_second_time(api: Api) -> None:
    text = HEADER + "".join(
        f"u{number},HR-{number},u{number}@example.org,F,L,{active},{day}\n"
        for number, (active, day) in enumerate(
            [("Yes", ""), ("No", "2020-01-01"), ("", "2020-01-01"), ("No", "never"), ("Yes", "2099-12-31")]
        )
    )
    assert (await api.import_csv(text))["counts"] == counts(created=5)
    before = await stored_state(api.service.database, api.organization.id)
    api.service.clock.advance(days=1)

    assert (await api.import_csv(text))["counts"] == counts(unchanged=5)

    after = await stored_state(api.service.database, api.organization.id)
    assert after["learners"] == before["learners"]
    assert after["events"] == before["events"]


async def test_an_export_imports_back_with_every_row_unchanged(api: Api) -> None:
    await api.import_csv(
        HEADER + '=1+1,+HR,a@example.org,-Ada,@Okafor,No,2020-01-01\n\'=x,,,"O,""k""",\'\'t,Yes,\n'
    )
    export = await api.client.get("/learners", headers={"Accept": "text/csv"})

    operation = await api.import_csv(export.content)

    assert operation["counts"] == counts(unchanged=2)
    assert operation["warnings"] == []


# Dry runs


async def test_dry_run_answers_like_the_real_action_and_changes_nothing(api: Api) -> None:
    await prepare_mixed(api)
    before = await stored_state(api.service.database, api.organization.id)

    dry = await api.import_csv(MIXED, dry_run=True)

    assert (dry["dry_run"], dry["counts"]) == (True, MIXED_COUNTS)
    after = await stored_state(api.service.database, api.organization.id)
    assert after["learners"] == before["learners"]
    assert after["events"] == before["events"]
    real = await api.import_csv(MIXED)
    assert real["counts"] == dry["counts"]
    assert codes(await api.outcomes(real)) == codes(await api.outcomes(dry))


@pytest.mark.usefixtures("small_chunks")
async def test_learner_that_a_dry_run_would_create_has_no_id(api: Api) -> None:
    text = "Username\na\nA\nb\nc\na\n"

    outcomes = await api.outcomes(await api.import_csv(text, dry_run=True))

    assert codes(outcomes) == {
        2: "created",
        3: "duplicate-row",
        4: "created",
        5: "created",
        6: "duplicate-row",
    }
    assert [each["learner_id"] for each in outcomes] == [None] * 5
    assert [each["username"] for each in outcomes] == ["a", "A", "b", "c", "a"]


def make_stories(chooser: Any, number: int) -> tuple[Any, list[Any]]:
    """Rosters of few learners whose keys, spellings and mistakes meet in every way, shuffled into one file."""
    known, rows = [], []
    for story in range(number):
        names = [f"s{story}.{letter}" for letter in "abcde"]
        ids = [f"HR-{story}-{digit}" for digit in "12345"]
        known += [(name, chooser.choice([an_id, ""])) for name, an_id in zip(names[:3], ids[:3], strict=True)]
        rows.append(
            [
                (
                    chooser.choice([*names, names[0].upper(), ""]),
                    chooser.choice([*ids, "", "", ""]),
                    chooser.choice(["Yes", "No", "", "", "Maybe"]),
                    chooser.choice(["", "", "2020-01-01", "2099-01-01"]),
                )
                for _ in range(8)
            ]
        )
    # Each story keeps its order; their rows lie far apart, in different chunks.
    turns = [story for story in range(number) for _ in range(8)]
    chooser.shuffle(turns)
    told = [iter(story) for story in rows]
    return known, [next(told[turn]) for turn in turns]


@pytest.mark.parametrize("create", [True, False])
async def test_chunks_and_dry_runs_do_not_change_outcomes(api: Api, create: bool) -> None:
    known, rows = make_stories(random.Random(2), 30)
    header = "Username,External ID,Active,Expiration Date\n"
    text = header + "".join(",".join(row) + "\n" for row in rows)
    told: dict[tuple[int, bool | str], Any] = {}
    for chunk_rows, dry_run in ((5000, False), (30, False), (5000, True), (30, True)):
        other = await another(api)
        api.service.limit(chunk_rows=5000)
        await other.import_csv(
            "Username,External ID\n" + "".join(f"{name},{an_id}\n" for name, an_id in known)
        )
        api.service.limit(chunk_rows=chunk_rows)
        operation = await other.import_csv(text, create=create, dry_run=dry_run)
        told[chunk_rows, dry_run] = (
            operation["counts"],
            [
                (each["line"], each["outcome"], [one["detail"] for one in each["problems"]])
                for each in await all_outcomes(other, operation)
            ],
        )
        if not dry_run:
            state = comparable(await stored_state(api.service.database, other.organization.id))
            told[chunk_rows, "stored"] = state["learners"], state["events"]
        await other.client.aclose()

    assert told[30, False] == told[5000, False]
    assert told[30, "stored"] == told[5000, "stored"]
    assert told[5000, True] == told[5000, False]
    assert told[30, True] == told[5000, False]
    happened = Counter(outcome for _, outcome, _ in told[5000, False][1])
    assert len(happened) == 5, happened  # created or not_found, changed, unchanged, refused, invalid


async def test_more_rows_than_one_chunk_holds(api: Api) -> None:
    rows = [f"u{number},HR-{number},{'No' if number % 7 == 0 else 'Yes'}\n" for number in range(5200)]
    # The first and the last chunk name the same learners, by either key, in another spelling.
    rows += ["U3,,No\n", ",HR-4,No\n", "x,HR-5,No\n", "u6,HR-x,No\n"]
    text = "Username,External ID,Active\n" + "".join(rows)

    dry = await api.import_csv(text, dry_run=True)
    assert await all_learners(api) == {}
    real = await api.import_csv(text)

    assert dry["counts"] == real["counts"] == counts(created=5200, invalid=4)
    assert real["progress"] == {"done": 5204, "total": 5204}
    state = await stored_state(api.service.database, api.organization.id)
    told = [
        [(each["line"], each["outcome"], each["problems"]) for each in await all_outcomes(api, operation)]
        for operation in (dry, real)
    ]
    assert told[0] == told[1]
    assert [problems[0]["first_line"] for *_, problems in told[0][5200:]] == [5, 6, 7, 8]
    assert [(row["first_item"], row["items"]) for row in state["chunks"]] == [(0, 5000), (5000, 204)] * 2
    assert len(state["learners"]) == 5200
    assert Counter(event["type"] for event in state["events"]) == {"learner.created": 5200}
    statuses = (await api.client.get("/learners/status-counts")).json()
    assert (statuses["activated"], statuses["deactivated"]) == (4457, 743)


async def test_a_chunk_of_very_long_rows_ends_early(api: Api) -> None:
    api.service.limit(chunk_characters=500)
    padding = "x" * 200

    operation = await api.import_csv("Username,Note\n" + "".join(f"u{n},{padding}\n" for n in range(10)))

    assert operation["counts"] == counts(created=10)
    chunks = (await stored_state(api.service.database, api.organization.id))["chunks"]
    assert [row["items"] for row in chunks] == [3, 3, 3, 1]


# How the file is written


@pytest.mark.parametrize(
    ("date_format", "cell"),
    [
        ("iso", "2027-03-04"),
        ("mdy", "3/4/2027"),
        ("mdy", "03.04.2027"),
        ("dmy", "4/3/2027"),
        ("dmy", "04-03-2027"),
    ],
)
async def test_dates_are_read_in_the_format_that_the_request_names(
    api: Api, date_format: str, cell: str
) -> None:
    operation = await api.import_csv(f"Username,Expiration Date\na,{cell}\n", date_format=date_format)

    assert operation["counts"] == counts(created=1)
    assert (await all_learners(api))["a"]["expires_on"] == "2027-03-04"


async def test_a_date_of_another_format_is_an_invalid_row_that_names_the_format(api: Api) -> None:
    operation = await api.import_csv("Username,Expiration Date\na,31/12/2027\n", date_format="mdy")

    (outcome,) = await api.outcomes(operation)
    assert outcome["problems"][0]["code"] == "invalid-date"
    assert "MM/DD/YYYY" in outcome["problems"][0]["detail"]
    assert await all_learners(api) == {}


async def test_delimiter_is_detected_or_named(api: Api) -> None:
    for number, (delimiter, name) in enumerate([(",", ","), (";", ";"), ("\t", "tab"), ("|", "|")]):
        text = f"Username{delimiter}First Name\nu{number}{delimiter}Ada\n"

        assert (await api.import_csv(text))["counts"] == counts(created=1)
        assert (await api.import_csv(text, delimiter=name))["counts"] == counts(unchanged=1)
    assert {each["first_name"] for each in (await all_learners(api)).values()} == {"Ada"}


ENCODINGS = {
    "utf-8": (b"", "utf-8", []),
    "utf-8 with its mark": (codecs.BOM_UTF8, "utf-8", []),
    "utf-16-le": (codecs.BOM_UTF16_LE, "utf-16-le", []),
    "utf-16-be": (codecs.BOM_UTF16_BE, "utf-16-be", []),
    "utf-16 without its mark": (b"", "utf-16-le", ["guessed-encoding"]),
    "windows-1252": (b"", "cp1252", ["guessed-encoding"]),
}


async def test_encodings_and_line_endings_are_detected(api: Api) -> None:
    names = iter(range(100))
    for encoding, (mark, codec, warnings) in ENCODINGS.items():
        for line_end in ("\n", "\r\n", "\r"):
            name = f"u{next(names)}"
            lines = ["Username,First Name,Last Name", '"Zoë', '€",x,', f"{name},Ada,Ölund"]

            operation = await api.import_csv(mark + line_end.join(lines).encode(codec))

            assert codes(await api.outcomes(operation)) == {2: "invalid-username", 4: "created"}, encoding
            assert [each["code"] for each in operation["warnings"]] == warnings, encoding
            page = await api.client.get("/learners", params={"username": name})
            assert page.json()["items"][0]["last_name"] == "Ölund"


@pytest.mark.usefixtures("small_chunks")
async def test_a_line_is_counted_as_an_editor_shows_it(api: Api) -> None:
    text = '\n\nUsername,Note,Active\r\na,"1\n2\r\n3",Maybe\r\n\r\n"b",,Maybe\n,,\nc,"\r\r",Maybe\rd,,Maybe'

    operation = await api.import_csv(text)

    assert [each["line"] for each in await api.outcomes(operation)] == [4, 8, 10, 13]
    assert operation["progress"]["total"] == 4


async def test_ignored_columns_and_guessed_encoding_are_warnings(api: Api) -> None:
    operation = await api.import_csv("Username,Departement,First Name\na,Köln,Zoë\n".encode("cp1252"))

    assert [each["code"] for each in operation["warnings"]] == ["guessed-encoding", "ignored-column"]
    assert "Windows-1252" in operation["warnings"][0]["detail"]
    assert "'Departement'" in operation["warnings"][1]["detail"]
    kept = (await api.client.get(f"/operations/{operation['id']}")).json()
    assert kept["warnings"] == operation["warnings"]


async def test_a_named_encoding_is_used_without_a_warning(api: Api) -> None:
    operation = await api.import_csv(
        "Username,First Name\na,Łukasz\n".encode("iso-8859-2"), encoding="iso-8859-2"
    )

    assert (operation["counts"], operation["warnings"]) == (counts(created=1), [])
    assert (await all_learners(api))["a"]["first_name"] == "Łukasz"


async def test_other_spellings_of_the_columns_decide_who_has_access(api: Api) -> None:
    learner = await api.create(username="a", external_id="0042")
    text = (
        "Employee Number,Login,Vorname,Is Active?,Expiry Date (YYYY-MM-DD)\n"
        "0042,a,Ada,No,2030-01-31\n0043,b,Bea,No,\n"
    )

    operation = await api.import_csv(text)

    assert (operation["counts"], operation["warnings"]) == (counts(changed=1, created=1), [])
    stored = await all_learners(api)
    assert {name: stored[name]["status"] for name in stored} == dict.fromkeys("ab", "deactivated")
    assert (await api.get(learner))["expires_on"] == "2030-01-31"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("username,suspended\na.okafor,1\n", "suspended"),
        ("Username,Status\na.okafor,Inactive\n", "Status"),
        ("Username,Active,Termination Date\na.okafor,,2020-01-31\n", "Termination Date"),
        ("Benutzername;Vertragsende\na.okafor;31.01.2020\n", "Vertragsende"),
    ],
)
async def test_a_column_about_access_is_never_ignored_silently(api: Api, text: str, name: str) -> None:
    await api.create(username="a.okafor")
    before = await all_learners(api)

    refusal = problem(await post(api, text), 422, "unreadable-csv")

    assert refusal["line"] == 1
    assert repr(name) in refusal["detail"]
    assert f"ignore_columns={name}" in refusal["detail"]
    assert await all_learners(api) == before
    operation = await api.import_csv(text, ignore_columns=name)
    assert (operation["counts"], operation["warnings"]) == (counts(unchanged=1), [])


async def test_several_columns_are_ignored_by_repeating_the_parameter(api: Api) -> None:
    text = 'Username,State,"Exit, Date"\na,x,y\n'

    operation = await api.import_csv(text, ignore_columns=["state", "exit, date"])

    assert (operation["counts"], operation["warnings"]) == (counts(created=1), [])


@pytest.mark.parametrize("columns", [["x"] * 51, ["x" * 256], ["\x00"]])
async def test_too_many_or_wrong_ignored_columns_are_an_invalid_request(api: Api, columns: list[str]) -> None:
    problem(await post(api, "Username\n", ignore_columns=columns), 422, "invalid-request")


async def test_a_wrong_byte_in_a_utf_8_file_changes_no_name(api: Api) -> None:
    await api.import_csv("Username,First Name,Last Name\nj.mueller,Jürgen,Müller\nm.garcia,José,García\n")
    before = await all_learners(api)
    rows = "Username,First Name,Last Name\nj.mueller,Jürgen,Müller\nm.garcia,José,García\n"

    refusal = problem(await post(api, rows.encode() + b"z.nguyen,Zo\xe9,Nguyen\n"), 422, "unreadable-csv")

    assert refusal["line"] == 4
    assert await all_learners(api) == before


async def test_cells_of_spreadsheets_are_read_as_what_they_show(api: Api) -> None:
    await api.create(username="a.okafor", external_id="00123", first_name="Ada")
    text = 'Username,External ID,First Name\n="a.okafor", "00123" ,="Ada"\n"=""b.novak""",="00124",\n'

    operation = await api.import_csv(text)

    assert operation["counts"] == counts(unchanged=1, created=1)
    assert (await all_learners(api))["b.novak"]["external_id"] == "00124"


async def test_external_ids_that_a_spreadsheet_has_changed_are_invalid(api: Api) -> None:
    text = "Username,External ID\na,1.23457E+11\nb,123.0\nc,456\n"

    operation = await api.import_csv(text)

    assert operation["counts"] == counts(invalid=2, created=1)
    assert codes(await api.outcomes(operation, outcome="invalid")) == dict.fromkeys(
        (2, 3), "invalid-external-id"
    )


async def test_the_header_again_is_an_invalid_row_that_makes_no_feed_incomplete(api: Api) -> None:
    await api.create(username="left")
    text = "Username,First Name\na,Ada\n\ufeffusername,FIRST_NAME\nb,Bea\n"

    operation = await api.import_csv(text, missing="deactivate", max_deactivations="1")

    assert (operation["state"], operation["deactivated"]) == ("succeeded", 1)
    assert codes(await api.outcomes(operation, outcome="invalid")) == {3: "repeated-header"}
    assert set(await all_learners(api)) == {"a", "b", "left"}


# What is no roster, and wrong requests


def make_xlsx() -> Any:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


UNREADABLE = {
    "an empty file": (b"", "is empty", None),
    "blank lines": (b"\r\n \r\n", "is empty", None),
    "an error page": (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "web page", None),
    "xml": (b"<?xml version='1.0'?><users/>", "XML", None),
    "json": (b'{"Username": "a"}', "JSON", None),
    "a list in json": (b'[{"Username": "a"}]', "JSON", None),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "picture", None),
    "a workbook": (make_xlsx(), "XLSX", None),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64), "XLS", None),
    "a pdf": (b"%PDF-1.7\n", "PDF", None),
    "gzip": (b"\x1f\x8b\x08\x00", "gzip", None),
    "binary data": (bytes(range(256)), "binary", None),
    "no key": (b"First Name,Email\nAda,a@example.org\n", "no column Username", 1),
    "no header": (b"a.okafor,a@example.org\n", "no column Username", 1),
    "a key twice": (b"\nUsername,user_name\na,b\n", "twice", 2),
    "a column twice": (b"Username,Active,ACTIVE\na,Yes,No\n", "twice", 1),
    "an open quote": (b'Username,Email\na,\nb,"x\n', "close every quoted cell", 3),
    "a stray quote": (b'Username,Email\na,"x"y\n', "double every quote", 2),
    "a NUL": (b"Username,Email\r\na,\r\nb\0,\r\n", "not valid", 3),
    "bytes of no encoding": (b"Username\na\n\x81\n", "not valid", 3),
    "an odd sep line": (b"sep=#\nUsername#Email\n", "'#'", 1),
}


async def test_unreadable_file_is_422_with_what_was_found(api: Api) -> None:
    for kind, (content, found, line) in UNREADABLE.items():
        refusal = problem(await post(api, content), 422, "unreadable-csv")

        assert found in refusal["detail"], kind
        assert refusal["detail"].endswith("."), kind
        assert refusal["line"] == line, kind
        named = re.findall(r"\bline (\d+)", refusal["detail"], re.IGNORECASE)
        assert named == ([] if line is None else [str(line)]), kind
    assert await follow(api.client, "/operations") == []
    assert await all_learners(api) == {}
    assert await count_stages(api.service.database) == 0


@pytest.mark.usefixtures("small_chunks")
async def test_file_that_breaks_off_late_stores_nothing(api: Api) -> None:
    rows = "".join(f"u{number},\n" for number in range(8))

    refusal = problem(await post(api, f'Username,Email\n{rows}x,"open'), 422, "unreadable-csv")

    assert refusal["line"] == 10
    assert await follow(api.client, "/operations") == []
    assert await all_learners(api) == {}
    assert await count_stages(api.service.database) == 0


WRONG_OPTIONS = [
    ({"date_format": "ymd"}, ["?date_format"]),
    ({"delimiter": ":"}, ["?delimiter"]),
    ({"delimiter": ";;;;"}, ["?delimiter"]),
    ({"encoding": "klingon"}, ["?encoding"]),
    ({"encoding": "base64"}, ["?encoding"]),
    ({"encoding": "x" * 41}, ["?encoding"]),
    ({"encoding": "klingon", "delimiter": ";"}, ["?encoding"]),
    ({"encoding": "utf-8", "delimiter": ":"}, ["?delimiter"]),
    ({"dry_run": "perhaps"}, ["?dry_run"]),
    ({"create": ""}, ["?create"]),
    ({"protect_manual": "1.5"}, ["?protect_manual"]),
    ({"reason": "x" * 1001}, ["?reason"]),
    ({"dryrun": "true", "absent": "keep"}, ["?dryrun", "?absent"]),
]


async def test_a_wrong_option_is_an_invalid_request_that_points_to_it(api: Api) -> None:
    for params, expected in WRONG_OPTIONS:
        refusal = problem(await post(api, "Username\na\n", **params), 422, "invalid-request")
        assert pointers(refusal) == expected, params
    assert await all_learners(api) == {}
    assert await count_stages(api.service.database) == 0


async def test_an_encoding_that_the_file_does_not_have_is_refused_with_the_line(api: Api) -> None:
    data = "Username,First Name\na,Ada\nb,Zoë\n".encode("cp1252")

    refusal = problem(await post(api, data, encoding="utf-8"), 422, "unreadable-csv")

    assert refusal["line"] == 3
    assert await all_learners(api) == {}


async def test_wrong_delimiter_is_refused_with_the_header_as_read(api: Api) -> None:
    refusal = problem(await post(api, "Username;Email\na;\n", delimiter=","), 422, "unreadable-csv")

    assert "'Username;Email'" in refusal["detail"]


@pytest.mark.parametrize("scopes", [[Scope.LEARNERS_READ, Scope.LEARNERS_WRITE], [Scope.ACCESS_CHECK]])
async def test_imports_need_the_scope_for_bulk_work(api: Api, scopes: list[Scope]) -> None:
    async with await api.client_with(*scopes) as client:
        answer = await client.post("/imports/csv", content="Username\na\n", headers=CSV)

    assert problem(answer, 403, "not-permitted")["required_scope"] == "learners:bulk"
    assert await all_learners(api) == {}


async def test_the_scope_for_bulk_work_is_enough_to_import_and_to_look_at_the_outcomes(api: Api) -> None:
    async with await api.client_with(Scope.LEARNERS_BULK, name="hr-feed") as client:
        operation = (await client.post("/imports/csv", content="Username\na\n", headers=CSV)).json()
        outcomes = await client.get(f"/operations/{operation['id']}/outcomes")

    assert outcomes.status_code == 200
    assert operation["created_by"]["name"] == "hr-feed"
    (event,) = await api.events((await all_learners(api))["a"])
    assert event["actor"] == operation["created_by"]


# Keys that move


async def test_a_chain_of_renames_is_applied_in_the_order_of_the_file(api: Api) -> None:
    for name in "abc":
        await api.create(username=name, external_id=f"HR-{name}")
    before = await all_learners(api)

    operation = await api.import_csv("Username,External ID\nd,HR-c\nc,HR-b\nb,HR-a\na,HR-new\n")

    assert operation["counts"] == counts(changed=3, created=1)
    after = await all_learners(api)
    assert {name: each["external_id"] for name, each in after.items()} == {
        "a": "HR-new",
        "b": "HR-a",
        "c": "HR-b",
        "d": "HR-c",
    }
    for old, new in (("a", "b"), ("b", "c"), ("c", "d")):
        assert after[new]["id"] == before[old]["id"]
        (event, _) = await api.events(after[new])
        assert (event["type"], event["before"]["username"], event["after"]["username"]) == (
            "learner.updated",
            old,
            new,
        )


@pytest.mark.usefixtures("small_chunks")
async def test_a_long_chain_of_renames_across_chunks(api: Api) -> None:
    await api.import_csv("Username,External ID\n" + "".join(f"u{n},HR-{n}\n" for n in range(40)))

    operation = await api.import_csv(
        "Username,External ID\n" + "".join(f"u{n + 1},HR-{n}\n" for n in reversed(range(40)))
    )

    assert operation["counts"] == counts(changed=40)
    learners = await all_learners(api)
    assert {name: each["external_id"] for name, each in learners.items()} == {
        f"u{n + 1}": f"HR-{n}" for n in range(40)
    }


# What others did


@pytest.mark.parametrize("chunk_rows", [5000, 2])
async def test_protect_manual_keeps_learners_whom_anyone_else_deactivated(api: Api, chunk_rows: int) -> None:
    for name in ("by-call", "by-bulk", "by-other-import", "by-feed", "last-by-feed", "last-by-call"):
        await api.create(username=name)
    learners = await all_learners(api)

    async def deactivate(name: str) -> None:
        answer = await api.client.post(f"/learners/{learners[name]['id']}/deactivate")
        assert answer.status_code == 200

    await deactivate("by-call")
    await deactivate("last-by-feed")
    selection = {"ids": [learners["by-bulk"]["id"]]}
    await api.client.post("/learners/bulk-actions", json={"action": "deactivate", "selection": selection})
    await api.import_csv("Username,Active\nlast-by-feed,Yes\nby-other-import,No\n")
    nightly = replace(api, client=await api.client_with(Scope.LEARNERS_BULK, name="nightly"))
    await nightly.import_csv("Username,Active\nby-feed,No\nlast-by-feed,No\nlast-by-call,No\ncreated,No\n")
    await api.client.post(f"/learners/{learners['last-by-call']['id']}/activate")
    await deactivate("last-by-call")
    feed = "Username,Active,Email\n" + "".join(
        f"{name},Yes,{name}@example.org\n" for name in await all_learners(api)
    )
    api.service.limit(chunk_rows=chunk_rows)

    dry = await nightly.import_csv(feed, protect_manual=True, dry_run=True)
    operation = await nightly.import_csv(feed, protect_manual=True)

    assert dry["counts"] == operation["counts"] == counts(changed=3, refused=4)
    refused = {each["username"]: each for each in await api.outcomes(operation, outcome="refused")}
    assert set(refused) == {"by-call", "by-bulk", "by-other-import", "last-by-call"}
    assert {each["problems"][0]["code"] for each in refused.values()} == {"deactivated-by-hand"}
    learners = await all_learners(api)
    assert {name for name, each in learners.items() if each["status"] == "deactivated"} == set(refused)
    assert [learners[name]["email"] for name in refused] == [None] * 4
    assert (await nightly.import_csv(feed))["counts"] == counts(changed=4, unchanged=3)
    await nightly.client.aclose()


# Organizations


async def test_usernames_and_external_ids_of_another_organization_are_free(api: Api) -> None:
    other = await another(api)
    text = HEADER + "a,HR-1,a@example.org,Ada,Okafor,No,2027-12-31\n"
    await other.import_csv(text)
    theirs = await all_learners(other)

    operation = await api.import_csv(text)
    await api.import_csv("Username,External ID,Active\nrenamed,HR-1,Yes\n")

    assert operation["counts"] == counts(created=1)
    assert await all_learners(other) == theirs
    assert set(await all_learners(api)) == {"renamed"}
    problem(await other.client.get(f"/operations/{operation['id']}"), 404, "not-found")
    problem(await other.client.get(f"/operations/{operation['id']}/outcomes"), 404, "not-found")
    await other.client.aclose()


async def test_the_day_is_that_of_the_organization(service: Service) -> None:
    service.clock.instant = NOON.replace(hour=23)
    for time_zone, outcome in (("Pacific/Kiritimati", "refused"), ("Etc/GMT+12", "created")):
        organization = await service.found_organization(time_zone)
        async with service.client(await service.issue_key(organization)) as client:
            answer = await client.post(
                "/imports/csv", content="Username,Active,Expiration Date\na,Yes,2026-11-02\n", headers=CSV
            )
        assert answer.json()["counts"] == counts(**{outcome: 1})


# Idempotency and waiting


async def test_the_same_file_with_the_same_key_is_imported_once(api: Api) -> None:
    key = {"Idempotency-Key": "roster-1"}
    first = await post(api, "Username,Active\na,No\n", key)
    learner = (await all_learners(api))["a"]
    await api.client.post(f"/learners/{learner['id']}/activate")

    again = await post(api, "Username,Active\na,No\n", key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json() == first.json()
    assert (await api.get(learner))["status"] == "activated"
    assert len(await follow(api.client, "/operations")) == 1


async def test_another_file_or_option_with_the_same_key_is_refused(api: Api) -> None:
    key = {"Idempotency-Key": "roster-1"}
    await post(api, "Username\na\n", key)

    for content, params in (("Username\nb\n", {}), ("Username\na\n", {"dry_run": True})):
        problem(await post(api, content, key, **params), 422, "idempotency-key-reused")

    assert set(await all_learners(api)) == {"a"}


async def test_an_uploaded_form_is_imported_once_too(api: Api) -> None:
    def upload(text: str) -> Any:
        return api.client.post(
            "/imports/csv",
            files={"file": ("roster.csv", text, "text/csv")},
            headers={"Idempotency-Key": "form-1"},
        )

    first, again = await upload("Username\na\n"), await upload("Username\na\n")

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    problem(await upload("Username\nb\n"), 422, "idempotency-key-reused")
    assert set(await all_learners(api)) == {"a"}


@pytest.mark.usefixtures("small_chunks")
async def test_a_large_import_with_a_key_is_one_operation(api: Api) -> None:
    text = "Username\n" + "".join(f"u{number}\n" for number in range(10))
    key = {"Idempotency-Key": "large"}

    first, again = await post(api, text, key), await post(api, text, key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert first.json()["counts"] == counts(created=10)
    assert len(await follow(api.client, "/operations")) == 1


async def test_an_unreadable_file_is_refused_again_with_the_same_key(api: Api) -> None:
    key = {"Idempotency-Key": "broken"}
    first, again = await post(api, "Email\nx\n", key), await post(api, "Email\nx\n", key)

    problem(first, 422, "unreadable-csv")
    assert (again.status_code, again.json()["code"]) == (422, "unreadable-csv")
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("prefer", ["respond-async", "wait=0", "respond-async, wait=0"])
async def test_respond_async_is_202_with_location(api: Api, prefer: str) -> None:
    text = "Username\n" + "".join(f"u{number}\n" for number in range(10))
    # Another operation of the organization runs: this one waits for its turn.
    async with api.service.runner.turn(api.organization.id):
        answer = await post(api, text, {"Prefer": prefer})
        pending = answer.json()
        seen = (await api.client.get(f"/operations/{pending['id']}")).json()

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/operations/{pending['id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert seen == pending
    assert (pending["state"], pending["started_at"], pending["finished_at"]) == ("pending", None, None)
    assert (pending["progress"], pending["counts"]) == ({"done": 0, "total": 10}, NOTHING_DONE)
    done = await ended(api, pending)
    assert (done["state"], done["counts"]) == ("succeeded", counts(created=10))
    assert len(await all_learners(api)) == 10


@pytest.mark.usefixtures("small_chunks")
async def test_waiting_request_is_answered_with_the_ended_operation(api: Api) -> None:
    text = "Username\n" + "".join(f"u{number}\n" for number in range(10))

    for prefer in ({}, {"Prefer": "wait=30"}):
        answer = await post(api, text, prefer)
        assert answer.status_code == 200
        assert answer.json()["state"] == "succeeded"
        assert answer.json()["started_at"] == answer.json()["finished_at"] == "2026-11-02T12:00:00Z"


async def test_one_chunk_is_done_with_the_answer_without_waiting(api: Api) -> None:
    answer = await post(api, "Username\na\n", {"Prefer": "respond-async, wait=0"})

    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")


# Several at once


async def test_concurrent_imports_of_the_same_new_learners_create_each_once(api: Api) -> None:
    rows = [f"u{number},HR-{number},u{number}@example.org\n" for number in range(120)]
    header = "Username,External ID,Email\n"

    answers = await asyncio.gather(
        *(post(api, header + "".join(each)) for each in (rows, rows[::-1], rows[60:] + rows[:60], rows))
    )

    assert [answer.status_code for answer in answers] == [200] * 4
    counted = [answer.json()["counts"] for answer in answers]
    assert sum(each["created"] for each in counted) == 120
    assert sum(each["unchanged"] for each in counted) == 360
    state = await stored_state(api.service.database, api.organization.id)
    assert len(state["learners"]) == len(state["events"]) == 120
    assert [len(unpack(row["outcomes"])) for row in state["chunks"]] == [120] * 4


@pytest.mark.usefixtures("small_chunks")
async def test_concurrent_large_imports_create_each_learner_once(api: Api) -> None:
    rows = [f"u{number}\n" for number in range(30)]

    answers = await asyncio.gather(*(post(api, "Username\n" + "".join(each)) for each in (rows, rows[::-1])))

    counted = sorted(answer.json()["counts"]["created"] for answer in answers)
    assert counted == [0, 30]
    assert len(await all_learners(api)) == 30


async def test_single_changes_and_an_import_of_the_same_learners_both_count(api: Api) -> None:
    await api.import_csv("Username\n" + "".join(f"u{number}\n" for number in range(100)))
    learners = await all_learners(api)
    text = "Username,First Name\n" + "".join(f"u{number},Ada\n" for number in range(100))

    imported, *deactivated = await asyncio.gather(
        post(api, text),
        *(
            api.client.post(f"/learners/{learners[f'u{number}']['id']}/deactivate")
            for number in range(0, 100, 5)
        ),
    )

    assert imported.json()["counts"] == counts(changed=100)
    assert [answer.status_code for answer in deactivated] == [200] * 20
    for name, learner in (await all_learners(api)).items():
        is_deactivated = int(name[1:]) % 5 == 0
        assert learner["first_name"] == "Ada"
        assert learner["status"] == ("deactivated" if is_deactivated else "activated")
        assert learner["version"] == (3 if is_deactivated else 2)
        assert len(await api.events(learner)) == learner["version"]


# The example


async def test_the_example_roster_imports_with_the_counts_that_it_states(api: Api) -> None:
    content = ROSTER.read_bytes()

    dry = await api.import_csv(content, dry_run=True)
    first = await api.import_csv(content)
    second = await api.import_csv(content)

    assert dry["counts"] == first["counts"] == counts(created=1977, refused=8, invalid=15)
    assert second["counts"] == counts(unchanged=1977, refused=8, invalid=15)
    assert first["warnings"] == []
    statuses = (await api.client.get("/learners/status-counts")).json()
    assert statuses == {"active": 0, "activated": 1805, "deactivated": 120, "expired": 52, "total": 1977}
    problems = await all_outcomes(api, first, outcome="invalid")
    assert {each["line"] for each in problems} == set(PROBLEMS)
    firsts = {
        each["line"]: each["problems"][0]["first_line"]
        for each in problems
        if "first_line" in each["problems"][0]
    }
    assert firsts == {1291: 403, 1612: 777, 1955: 1043}
