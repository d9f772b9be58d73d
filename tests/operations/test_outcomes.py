"""What an operation tells of each learner: the changes, and the counts and filters of their kinds."""

from typing import Any

import pytest

from tests.support.answers import pointers, problem
from tests.support.service import Api
from tests.support.stored import all_outcomes, another

pytestmark = pytest.mark.anyio

# The counts of an operation, and the filter that finds the learners of each.
FILTERS = {
    "deactivated": "deactivated",
    "activated": "activated",
    "renamed": "renamed",
    "rekeyed": "rekeyed",
    "expiration_changed": "expiration",
}
FILE = (
    "External ID,Username,Active,Expiration Date,Email\n"
    "HR-0,quits,No,,\n"
    "HR-1,returns,Yes,,\n"
    "HR-2,renamed,,,\n"
    "HR-33,rekeyed,,,\n"
    "HR-4,dated,,2026-12-31,\n"
    "HR-5,cleared,,never,\n"
    "HR-6,everything,No,2030-01-31,new@example.org\n"
    "HR-7,email,,,new@example.org\n"
    "HR-8,first-id,,,\n"
    "HR-9,same,,,\n"
    "HR-10,created,No,2030-01-31,\n"
    "HR-11,lapsed,Yes,,\n"
    "HR-12,gone,No,,\n"
)
# The lines of FILE with each kind of change.
LINES = {
    "deactivated": [2, 8, 14],
    "activated": [3],
    "renamed": [4, 8],
    "rekeyed": [5],
    "expiration": [6, 7, 8],
}
DEACTIVATED_AT = "2026-11-02T13:00:00.000000Z"
CHANGES: dict[int, dict[str, list[Any]]] = {
    2: {"deactivated_at": [None, DEACTIVATED_AT], "status": ["activated", "deactivated"]},
    3: {"deactivated_at": ["2026-11-02T12:00:00.000000Z", None], "status": ["deactivated", "activated"]},
    4: {"username": ["old", "renamed"]},
    5: {"external_id": ["HR-3", "HR-33"]},
    6: {"expires_on": [None, "2026-12-31"]},
    7: {"expires_on": ["2027-01-31", None]},
    8: {
        "username": ["nothing", "everything"],
        "email": ["old@example.org", "new@example.org"],
        "expires_on": [None, "2030-01-31"],
        "deactivated_at": [None, DEACTIVATED_AT],
        "status": ["activated", "deactivated"],
    },
    9: {"email": [None, "new@example.org"]},
    10: {"external_id": [None, "HR-8"]},
    11: {},
    12: {
        "username": [None, "created"],
        "external_id": [None, "HR-10"],
        "expires_on": [None, "2030-01-31"],
        "deactivated_at": [None, DEACTIVATED_AT],
        "status": [None, "deactivated"],
    },
    13: {},
    # The status of an expired learner stays what it is.
    14: {"deactivated_at": [None, DEACTIVATED_AT]},
}


async def create_learners(api: Api) -> None:
    known: dict[str, dict[str, Any]] = {
        "quits": {},
        "returns": {},
        "old": {},
        "rekeyed": {},
        "dated": {},
        "cleared": {"expires_on": "2027-01-31"},
        "nothing": {"email": "old@example.org"},
        "email": {},
        "first-id": {"external_id": None},
        "same": {},
    }
    for number, (username, members) in enumerate(known.items()):
        learner = await api.create(**{"username": username, "external_id": f"HR-{number}", **members})
        if username == "returns":
            await api.client.post(f"/learners/{learner['id']}/deactivate")
    await api.create(username="lapsed", external_id="HR-11", expires_on="2026-11-01")
    await api.create(username="gone", external_id="HR-12", expires_on="2026-11-01")
    api.service.clock.advance(hours=1)


@pytest.mark.parametrize("chunk", [3, 5000])
async def test_import_counts_each_kind_of_change_and_filters_by_it(api: Api, chunk: int) -> None:
    await create_learners(api)
    api.service.limit(chunk_rows=chunk)

    dry = await api.import_csv(FILE, rekey=True, dry_run=True)
    foretold = await all_outcomes(api, dry)
    operation = await api.import_csv(FILE, rekey=True)

    assert (dry["state"], operation["state"]) == ("succeeded", "succeeded")
    assert dry["counts"] == operation["counts"]
    assert (dry["revertible"], operation["revertible"]) == (0, 11)
    for each in (dry, operation):
        assert {name: each[name] for name in FILTERS} == {
            name: len(LINES[kind]) for name, kind in FILTERS.items()
        }
        for kind, lines in LINES.items():
            found = await all_outcomes(api, each, changes=kind, limit=2)
            assert [outcome["line"] for outcome in found] == lines, kind
    told = await all_outcomes(api, operation)
    assert {each["line"]: each["changes"] for each in told} == CHANGES
    created = [each["line"] for each in told if each["outcome"] == "created"]
    assert created == [12]
    assert [each | {"learner_id": None} if each["line"] in created else each for each in told] == foretold


async def test_filters_of_changes_and_outcomes_narrow_each_other(api: Api) -> None:
    await create_learners(api)
    operation = await api.import_csv(FILE, rekey=True)

    for params, lines in (
        ({"changes": ["renamed", "rekeyed"]}, [4, 5, 8]),
        ({"changes": ["renamed", "renamed"]}, [4, 8]),
        ({"changes": ["deactivated"], "outcome": ["changed"]}, [2, 8, 14]),
        ({"changes": ["deactivated"], "outcome": ["created", "unchanged"]}, []),
        ({"changes": list(LINES)}, [2, 3, 4, 5, 6, 7, 8, 14]),
    ):
        assert [each["line"] for each in await all_outcomes(api, operation, **params)] == lines, params
        report = await api.client.get(
            f"/operations/{operation['id']}/outcomes", params=params, headers={"Accept": "text/csv"}
        )
        assert len(report.text.splitlines()) == 1 + len(lines)


async def test_wrong_filters_of_changes_are_422(api: Api) -> None:
    operation = await api.import_csv("Username\na\n")
    path = f"/operations/{operation['id']}/outcomes"

    for params in ({"changes": "expired"}, {"changes": ""}, {"changes": "Renamed"}):
        refusal = problem(await api.client.get(path, params=params), 422, "invalid-request")
        assert pointers(refusal) == ["?changes"]
    answer = await api.client.get(path, params={"deactivated": "true"})
    assert pointers(problem(answer, 422, "invalid-request")) == ["?deactivated"]


async def test_cursor_of_another_filter_of_changes_is_refused(api: Api) -> None:
    await create_learners(api)
    operation = await api.import_csv(FILE, rekey=True)
    path = f"/operations/{operation['id']}/outcomes"
    page = (await api.client.get(path, params={"changes": "deactivated", "limit": 1})).json()

    for changes in (["renamed"], ["deactivated", "renamed"], []):
        params = {"changes": changes, "limit": 1, "cursor": page["next_cursor"]}
        problem(await api.client.get(path, params=params), 400, "invalid-cursor")


async def test_refused_import_tells_what_it_would_have_changed(api: Api) -> None:
    await create_learners(api)

    operation = await api.import_csv(FILE, rekey=True, max_deactivations=2)

    assert operation["state"] == "refused"
    assert (operation["deactivated"], operation["renamed"], operation["revertible"]) == (3, 2, 0)
    told = await all_outcomes(api, operation)
    assert {each["line"]: each["changes"] for each in told} == CHANGES
    found = await all_outcomes(api, operation, changes="renamed")
    assert [each["line"] for each in found] == LINES["renamed"]


@pytest.mark.parametrize(("action", "counted"), [("deactivate", "deactivated"), ("activate", "activated")])
async def test_bulk_action_counts_and_tells_changes(api: Api, action: str, counted: str) -> None:
    learner = await api.create(username="a", external_id="HR-1")
    other = "activate" if action == "deactivate" else "deactivate"
    await api.client.post(f"/learners/{learner['id']}/{other}")
    was = await api.get(learner)
    body = {"action": action, "selection": {"filter": {}}}

    dry = (await api.client.post("/learners/bulk-actions", json={**body, "dry_run": True})).json()
    done = (await api.client.post("/learners/bulk-actions", json=body)).json()

    becomes = await api.get(learner)
    for operation in (dry, done):
        assert {name: operation[name] for name in FILTERS} == dict.fromkeys(FILTERS, 0) | {counted: 1}
        (outcome,) = await all_outcomes(api, operation, changes=counted)
        assert outcome["external_id"] == "HR-1"
        assert outcome["changes"]["status"] == [was["status"], becomes["status"]]
        assert [each and each.replace(".000000Z", "Z") for each in outcome["changes"]["deactivated_at"]] == [
            was["deactivated_at"],
            becomes["deactivated_at"],
        ]


async def test_outcomes_of_others_are_not_found_by_any_filter(api: Api) -> None:
    other = await another(api)
    theirs = await other.import_csv("Username,Active\na,No\n")
    for kind in LINES:
        answer = await api.client.get(f"/operations/{theirs['id']}/outcomes", params={"changes": kind})
        problem(answer, 404, "not-found")
    await other.client.aclose()
