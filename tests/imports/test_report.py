"""The outcome of each row: as pages of JSON, and as a CSV to correct and send back."""

import codecs
import csv
import io
import re
from typing import Any

import httpx
import pytest

from app.platform.csv_cells import unguard_formula
from tests.support.answers import pointers, problem
from tests.support.service import Api, Service
from tests.support.stored import all_learners, all_outcomes, another, ended

pytestmark = pytest.mark.anyio

ADDED = ["Line", "Outcome", "Problem"]
MIXED = (
    "Username,Active,Note\r\n"
    "a,Yes,\r\n"
    'b,Maybe,"two\nlines, and ""quotes"""\r\n'
    "c,No,\r\n"
    "d,perhaps,\r\n"
    "a,No,again\r\n"
)


@pytest.fixture
def small_chunks(service: Service) -> None:
    """Two rows a chunk, so that a short file is a large operation."""
    service.limit(chunk_rows=2)


async def report_text(api: Api, operation: dict[str, Any], **params: Any) -> str:
    # A fault after the answer has begun can only break it off: here it is raised.
    transport = httpx.ASGITransport(app=api.service.app)
    headers = {"Accept": "text/csv", "Authorization": api.client.headers["Authorization"]}
    async with httpx.AsyncClient(transport=transport, base_url=api.client.base_url) as client:
        answer = await client.get(f"/operations/{operation['id']}/outcomes", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return answer.content.decode()


async def report(api: Api, operation: dict[str, Any], delimiter: str = ",", **params: Any) -> list[Any]:
    """The report's rows, the header first."""
    text = await report_text(api, operation, **params)
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter))


async def import_back(api: Api, text: str) -> tuple[Any, Any]:
    operation = await api.import_csv(text)
    return operation["counts"], operation["warnings"]


# JSON


@pytest.mark.usefixtures("small_chunks")
async def test_outcomes_come_in_pages_in_the_order_of_the_file(api: Api) -> None:
    operation = await api.import_csv(MIXED)
    path = f"/operations/{operation['id']}/outcomes"

    first = await api.client.get(path, params={"limit": 2})
    second = await api.client.get(first.links["next"]["url"])
    third = await api.client.get(path, params={"limit": 2, "cursor": second.json()["next_cursor"]})

    pages = [page.json() for page in (first, second, third)]
    assert [[each["line"] for each in page["items"]] for page in pages] == [[2, 3], [5, 6], [7]]
    assert pages[2]["next_cursor"] is None
    assert "Link" not in third.headers
    assert await all_outcomes(api, operation, limit=1) == [each for page in pages for each in page["items"]]


async def test_outcomes_can_be_filtered(api: Api) -> None:
    operation = await api.import_csv(MIXED)

    for wanted, lines in (("created", [2, 5]), ("invalid", [3, 6, 7]), ("refused", []), ("not_found", [])):
        outcomes = await all_outcomes(api, operation, outcome=wanted, limit=1)
        assert [each["line"] for each in outcomes] == lines
        assert {each["outcome"] for each in outcomes} <= {wanted}
    rejected = await all_outcomes(api, operation, outcome=["refused", "invalid", "created"], limit=2)
    assert [each["line"] for each in rejected] == [2, 3, 5, 6, 7]


async def test_cursor_of_another_list_is_refused(api: Api) -> None:
    operation, other = await api.import_csv(MIXED), await api.import_csv(MIXED)
    path = f"/operations/{operation['id']}/outcomes"
    cursor = (await api.client.get(path, params={"limit": 1})).json()["next_cursor"]

    for foreign, params in (
        (f"/operations/{other['id']}/outcomes", {}),
        (path, {"outcome": "invalid"}),
        (path, {"outcome": ["invalid", "refused"]}),
        ("/operations", {}),
    ):
        answer = await api.client.get(foreign, params={**params, "cursor": cursor})
        problem(answer, 400, "invalid-cursor")


async def test_an_unknown_outcome_or_parameter_is_refused(api: Api) -> None:
    path = f"/operations/{(await api.import_csv(MIXED))['id']}/outcomes"

    for params, pointer in (
        ({"outcome": "failed"}, "?outcome"),
        ({"outcomes": "invalid"}, "?outcomes"),
        ({"limit": "0"}, "?limit"),
        ({"limit": "1001"}, "?limit"),
    ):
        answer = await api.client.get(path, params=params)
        assert pointers(problem(answer, 422, "invalid-request")) == [pointer]


async def test_another_organizations_outcomes_are_not_found(api: Api) -> None:
    other = await another(api)
    operation = await other.import_csv(MIXED)

    for accept in ("application/json", "text/csv"):
        answer = await api.client.get(f"/operations/{operation['id']}/outcomes", headers={"Accept": accept})
        problem(answer, 404, "not-found")
    await other.client.aclose()


# CSV


@pytest.mark.usefixtures("small_chunks")
async def test_the_report_is_the_rows_as_they_were_sent_plus_three_columns(api: Api) -> None:
    operation = await api.import_csv(MIXED)

    rows = await report(api, operation)

    told = [
        "; ".join(f"{one['code']}: {one['detail']}" for one in each["problems"])
        for each in await api.outcomes(operation)
    ]
    assert rows == [
        ["Username", "Active", "Note", *ADDED],
        ["a", "Yes", "", "2", "created", ""],
        ["b", "Maybe", 'two\nlines, and "quotes"', "3", "invalid", told[1]],
        ["c", "No", "", "5", "created", ""],
        ["d", "perhaps", "", "6", "invalid", told[3]],
        ["a", "No", "again", "7", "invalid", told[4]],
    ]
    assert "'Maybe'" in told[1]
    assert told[4] == "duplicate-row: Line 2 already has this learner. Only the first row is used."


@pytest.mark.usefixtures("small_chunks")
async def test_the_report_can_be_of_some_outcomes_only(api: Api) -> None:
    operation = await api.import_csv(MIXED)

    rows = await report(api, operation, outcome="created")

    assert [row[0] for row in rows] == ["Username", "a", "c"]
    rejected = await report(api, operation, outcome=["refused", "invalid"])
    assert [row[0] for row in rejected] == ["Username", "b", "d", "a"]


async def test_the_report_is_a_download_for_those_who_prefer_csv(api: Api) -> None:
    operation = await api.import_csv(MIXED)
    path = f"/operations/{operation['id']}/outcomes"

    for accept, content_type in (
        ("text/csv, application/json;q=0.5", "text/csv; charset=utf-8"),
        ("text/*", "text/csv; charset=utf-8"),
        ("application/json, text/csv;q=0.5", "application/json"),
        ("*/*", "application/json"),
    ):
        answer = await api.client.get(path, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == content_type, accept
        assert ("outcomes.csv" in answer.headers.get("Content-Disposition", "")) == ("csv" in content_type)
    problem(await api.client.get(path, headers={"Accept": "text/html"}), 406, "not-acceptable")


async def test_a_dry_runs_report_is_that_of_the_real_run(api: Api) -> None:
    dry = await report_text(api, await api.import_csv(MIXED, dry_run=True))

    assert await report_text(api, await api.import_csv(MIXED)) == dry


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
async def test_the_report_has_the_delimiter_of_the_file(api: Api, delimiter: str) -> None:
    operation = await api.import_csv(f"Username{delimiter}Active\na{delimiter}Maybe\n")

    rows = await report(api, operation, delimiter)

    assert rows[0] == ["Username", "Active", *ADDED]
    assert rows[1][:4] == ["a", "Maybe", "2", "invalid"]


async def test_the_report_has_a_byte_order_mark_unless_the_file_came_as_plain_utf_8(api: Api) -> None:
    text = "Username,First Name,Active\na,Zoë,Maybe\n"
    for content, is_marked in (
        (text.encode(), False),
        (codecs.BOM_UTF8 + text.encode(), True),
        (("\ufeff" + text).encode("utf-16-le"), True),
        (text.encode("cp1252"), True),
    ):
        found = await report_text(api, await api.import_csv(content))
        assert found.startswith("\ufeff") == is_marked
        assert found.removeprefix("\ufeff").startswith("Username,First Name,Active,Line")
        assert "Zoë" in found
        assert (await import_back(api, found.replace("Maybe", "")))[1] == []


async def test_rows_of_another_width_do_not_shift_the_reports_columns(api: Api) -> None:
    operation = await api.import_csv("Username,Active,Last Name\na\nb,Yes,Ashcroft, PhD\nc,Yes,x,y,z\n")

    rows = await report(api, operation)

    assert {len(row) for row in rows} == {6}
    assert [row[:5] for row in rows[1:]] == [
        ["a", "", "", "2", "invalid"],
        ["b", "Yes", "Ashcroft, PhD", "3", "invalid"],
        ["c", "Yes", "x,y,z", "4", "invalid"],
    ]


async def test_extra_empty_cells_are_left_out(api: Api) -> None:
    operation = await api.import_csv("Username,Active\na,Yes,,\n")

    assert (await report(api, operation))[1] == ["a", "Yes", "2", "created", ""]


async def test_a_file_without_rows_has_a_report_without_rows(api: Api) -> None:
    operation = await api.import_csv("Username,Active\n")

    assert await report(api, operation) == [["Username", "Active", *ADDED]]


@pytest.mark.usefixtures("small_chunks")
async def test_the_report_of_a_running_operation_is_as_far_as_it_is(api: Api) -> None:
    async with api.service.runner.turn(api.organization.id):
        answer = await api.client.post(
            "/imports/csv", content=MIXED, headers={"Content-Type": "text/csv", "Prefer": "respond-async"}
        )
        operation = answer.json()
        assert await report(api, operation) == [["Username", "Active", "Note", *ADDED]]
        assert await api.outcomes(operation) == []
    await ended(api, operation)
    assert len(await report(api, operation)) == 6


# Formulas


async def test_no_cell_of_the_report_runs_as_a_formula_and_each_means_the_same_when_sent_back(
    api: Api,
) -> None:
    cells = ["=1+1", "+1", "-1", "@x", "'=1+1", "''=1", "'t Hooft", "plain", "a=b"]
    sent = io.StringIO()
    csv.writer(sent).writerows(
        [["Username", "First Name", "Active", "=cmd()"]]
        + [[f"u{number}", cell, "Maybe", cell] for number, cell in enumerate(cells)]
    )
    operation = await api.import_csv(sent.getvalue())

    text = await report_text(api, operation)

    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["Username", "First Name", "Active", "'=cmd()", *ADDED]
    shown = [row[1] for row in rows[1:]]
    assert shown == ["'=1+1", "'+1", "'-1", "'@x", "'=1+1", "''=1", "'t Hooft", "plain", "a=b"]
    assert [row[3] for row in rows[1:]] == shown
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
    mended = text.replace("Maybe", "Yes")
    assert (await import_back(api, mended))[0]["created"] == len(cells)
    names = [each["first_name"] for _, each in sorted((await all_learners(api)).items())]
    assert names == ["=1+1", "+1", "-1", "@x", "=1+1", "'=1", "'t Hooft", "plain", "a=b"]


async def test_quoted_cell_in_a_problem_does_not_run_as_a_formula(api: Api) -> None:
    operation = await api.import_csv("Username,Active,Expiration Date\na,=1,\nb,,=1\n=,x,\n")

    for row in await report(api, operation):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row), row


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_no_cell_of_the_report_runs_whatever_delimiter_it_is_split_by(api: Api, delimiter: str) -> None:
    cells = ["x;=1+1", "x,=1+1;", "x\t@a", "x|-1", "\n=1", "x\r\n+1", "＝1", 'x;"=1', "x; ＠a"]  # noqa: RUF001
    sent = io.StringIO()
    csv.writer(sent, delimiter=delimiter).writerows(
        [["Username", "First Name", "Active", "Note"]]
        + [[f"u{number}", "Ada", f"Maybe {cell}", cell] for number, cell in enumerate(cells)]
    )
    operation = await api.import_csv(sent.getvalue())

    text = await report_text(api, operation)

    for other in ",;\t|":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=other):
            assert not any(re.match(r"\s*[=+\-@＝＠]", cell) for cell in row), (other, row)  # noqa: RUF001
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert [unguard_formula(row[3]) for row in rows[1:]] == cells


# Sent back


async def test_a_mended_report_that_is_sent_back_is_applied(api: Api) -> None:
    first = await api.import_csv(MIXED)
    assert (first["counts"]["created"], first["counts"]["invalid"]) == (2, 3)
    mended = (
        (await report_text(api, first, outcome="invalid")).replace("Maybe", "Yes").replace("perhaps", "No")
    )

    second = await api.import_csv(mended)

    assert (second["counts"]["created"], second["counts"]["invalid"]) == (2, 1)
    learners = await all_learners(api)
    assert {name: each["status"] for name, each in learners.items()} == {
        "a": "activated",
        "b": "activated",
        "c": "deactivated",
        "d": "deactivated",
    }
    # Only the file's own column is ignored with a warning; those of the report without.
    assert [each["code"] for each in second["warnings"]] == ["ignored-column", "deactivations-not-applied"]
    assert "'Note'" in second["warnings"][0]["detail"]
    assert "Line" not in second["warnings"][0]["detail"]


@pytest.mark.usefixtures("small_chunks")
async def test_reported_duplicate_is_applied_once_its_problem_cell_is_empty(api: Api) -> None:
    rejects = await report_text(api, await api.import_csv(MIXED), outcome="invalid")

    for _ in range(2):
        again = await api.import_csv(rejects)
        duplicate = (await api.outcomes(again))[-1]
        assert (duplicate["username"], duplicate["outcome"]) == ("a", "invalid")
        assert (duplicate["problems"][0]["code"], duplicate["problems"][0]["column"]) == (
            "duplicate-row",
            "Problem",
        )
        rejects = await report_text(api, again, outcome="invalid")
    assert (await all_learners(api))["a"]["status"] == "activated"

    freed = list(csv.reader(io.StringIO(rejects)))
    freed[-1][-1] = ""
    resent = io.StringIO()
    csv.writer(resent).writerows(freed)
    counts, _ = await import_back(api, resent.getvalue())
    assert (counts["changed"], counts["invalid"]) == (1, 2)
    assert (await all_learners(api))["a"]["status"] == "deactivated"


@pytest.mark.parametrize("row", ["x,y", "x,y,Yes,1,2"])
async def test_reported_wrong_number_of_cells_is_applied_once_its_problem_cell_is_empty(
    api: Api, row: str
) -> None:
    first = await api.import_csv(f"Username,First Name,Active\n{row}\n")
    rejects = await report_text(api, first)

    for _ in range(2):
        again = await api.import_csv(rejects)
        (outcome,) = await api.outcomes(again)
        assert outcome["outcome"] == "invalid"
        assert outcome["problems"][0]["code"] == "wrong-number-of-cells"
        assert "empty the cell in the column Problem" in outcome["problems"][0]["detail"]
        rejects = await report_text(api, again)
    assert await all_learners(api) == {}

    header, cells = list(csv.reader(io.StringIO(rejects)))
    resent = io.StringIO()
    csv.writer(resent).writerows([header, ["x", "y", "Yes", *cells[3:-1], ""]])
    await api.import_csv(resent.getvalue())
    assert {name: each["first_name"] for name, each in (await all_learners(api)).items()} == {"x": "y"}


async def test_report_columns_are_ignored_anywhere_and_appear_once_in_the_next_report(
    api: Api,
) -> None:
    text = "LINE,Username, outcome ,Active,Problem\n17,a,created,Maybe,Some problem\n"
    operation = await api.import_csv(text)

    assert operation["warnings"] == []
    rows = await report(api, operation)
    assert rows[0] == ["Username", "Active", *ADDED]
    assert rows[1][:4] == ["a", "Maybe", "2", "invalid"]


async def test_a_report_that_is_sent_back_as_it_is_changes_nothing_twice(api: Api) -> None:
    first = await api.import_csv(MIXED)

    second = await api.import_csv(await report_text(api, first))
    third = await api.import_csv(await report_text(api, second))

    for again in (second, third):
        assert (again["counts"]["unchanged"], again["counts"]["invalid"]) == (2, 3)
    assert [each["line"] for each in await api.outcomes(third)] == [2, 3, 5, 6, 7]


async def test_a_row_too_wide_stays_invalid_when_the_report_is_sent_back(api: Api) -> None:
    operation = await api.import_csv("Username,First Name,Active,Line\na,A, B,Yes,2\n")

    rows = await report(api, operation)
    assert rows[1][:3] == ["a", "A", " B,Yes,2"]
    assert (await import_back(api, await report_text(api, operation)))[0]["invalid"] == 1
