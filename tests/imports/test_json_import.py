"""`POST /imports/json`: JSON documents and NDJSON by the rules of a CSV import."""

import json
from typing import Any

import httpx
import pytest

from tests.support.service import Api
from tests.support.stored import all_learners

pytestmark = pytest.mark.anyio

ROWS: list[dict[str, Any]] = [
    {"username": "a.okafor", "external_id": "HR-1", "first_name": "Adaeze", "expires_on": "2030-12-31"},
    {"username": "b.novak", "external_id": "HR-2", "active": False},
    {"external_id": "HR-3"},
    {"username": "c.ng", "active": "Maybe", "email": "nobody"},
]
MEDIA_TYPES = {False: "application/json", True: "application/x-ndjson"}


def write(rows: list[dict[str, Any]], *, is_lines: bool) -> str:
    if is_lines:
        return "".join(json.dumps(row) + "\n" for row in rows)
    return json.dumps({"learners": rows})


async def send(
    api: Api, rows: list[dict[str, Any]], *, is_lines: bool = False, **params: Any
) -> httpx.Response:
    return await api.client.post(
        "/imports/json",
        params=params,
        content=write(rows, is_lines=is_lines),
        headers={"Content-Type": MEDIA_TYPES[is_lines]},
    )


async def import_json(api: Api, rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    answer = await send(api, rows, **options)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize("is_lines", [False, True])
async def test_rows_create_and_change_learners(api: Api, is_lines: bool) -> None:
    operation = await import_json(api, ROWS, is_lines=is_lines)
    assert (operation["kind"], operation["state"]) == ("json-import", "succeeded")
    assert operation["counts"] == {
        "created": 2, "changed": 0, "unchanged": 0, "refused": 0, "invalid": 2, "not_found": 0,
    }  # fmt: skip
    outcomes = await api.outcomes(operation)
    assert [each["line"] for each in outcomes] == [1, 2, 3, 4]
    assert [problem["code"] for problem in outcomes[3]["problems"]] == ["invalid-active", "invalid-email"]
    found = await all_learners(api)
    assert (found["a.okafor"]["expires_on"], found["b.novak"]["status"]) == ("2030-12-31", "deactivated")


async def test_row_without_a_key_is_told_whatever_its_other_members(api: Api) -> None:
    await import_json(api, ROWS[:1])
    nameless = {**{f"field{number}": "x" for number in range(30)}, "username": 1001}
    answer = await send(api, [nameless], missing="deactivate", max_deactivations="100%")
    document = answer.json()
    assert (document["state"], document["problem"]["code"]) == ("refused", "incomplete-feed")


async def test_lone_surrogates_are_invalid_and_reported(api: Api) -> None:
    content = '{"username": "s", "expires_on": "\\ud800", "first_name": "\\udfff"}\n'
    answer = await api.client.post(
        "/imports/json", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.json()["counts"]["invalid"] == 1, answer.text
    report = await api.client.get(
        f"/operations/{answer.json()['id']}/outcomes", headers={"Accept": "text/csv"}
    )
    assert "\ufffd" in report.text


async def test_invalid_row_that_deactivates_warns(api: Api) -> None:
    operation = await import_json(api, [{"username": "a", "active": False, "email": "bad"}])
    assert [warning["code"] for warning in operation["warnings"]] == ["deactivations-not-applied"]


async def test_external_id_that_a_spreadsheet_shortened_is_invalid(api: Api) -> None:
    operation = await import_json(api, [{"username": "j", "external_id": "1.23457E+11"}])
    (outcome,) = await api.outcomes(operation)
    assert [problem["code"] for problem in outcome["problems"]] == ["invalid-external-id"]


async def test_null_clears_and_an_absent_member_keeps(api: Api) -> None:
    await import_json(api, ROWS[:1])
    operation = await import_json(api, [{"external_id": "HR-1", "expires_on": None}])
    (outcome,) = await api.outcomes(operation, changes="expiration")
    assert outcome["changes"]["expires_on"] == ["2030-12-31", None]
    assert (await all_learners(api))["a.okafor"]["first_name"] == "Adaeze"


async def test_the_same_rows_again_change_nothing(api: Api) -> None:
    await import_json(api, ROWS[:2])
    assert (await import_json(api, ROWS[:2]))["counts"]["unchanged"] == 2


async def test_missing_learners_are_deactivated(api: Api) -> None:
    await import_json(api, [*ROWS[:1], {"username": "c.ng"}])
    options = {"missing": "deactivate", "max_deactivations": "100%"}
    assert (await import_json(api, ROWS[:1], **options))["deactivated"] == 1
    assert (await all_learners(api))["c.ng"]["status"] == "deactivated"


async def test_lines_that_may_be_cut_off_deactivate_nobody(api: Api) -> None:
    await import_json(api, ROWS[:1])
    answer = await api.client.post(
        "/imports/json",
        params={"missing": "deactivate"},
        content='{"username": "c.ng"}\n{"username": "d.li"}',
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "incomplete-feed")


async def test_broken_json_is_refused_with_its_place(api: Api) -> None:
    answer = await api.client.post(
        "/imports/json", content='{"learners": [{]}', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable-json")


async def test_other_media_types_are_refused(api: Api) -> None:
    answer = await api.client.post(
        "/imports/json", content="Username\na\n", headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 415


async def test_report_can_be_mended_and_sent_as_csv(api: Api) -> None:
    operation = await import_json(api, ROWS)
    report = await api.client.get(
        f"/operations/{operation['id']}/outcomes",
        params={"outcome": "invalid"},
        headers={"Accept": "text/csv"},
    )
    mended = (
        report.text.replace("Maybe", "No")
        .replace("nobody", "nobody@example.org")
        .replace(",HR-3,", "d.li,HR-3,")
    )
    again = await api.import_csv(mended)
    assert again["counts"]["created"] == 2
