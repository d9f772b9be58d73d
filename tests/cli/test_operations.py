"""`rollcall operations`: lists, shows, cancels and reverts, and says why it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import large_roster, run
from tests.support.processes import Finished, rollcall
from tests.support.service import Api

pytestmark = pytest.mark.anyio

MIXED = "Username,Active,Department\na,Yes,x\nb,No,x\nc,Maybe,x\nd,Perhaps,x\n"
NOWHERE = "019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f"


def table(finished: Finished) -> list[dict[str, str]]:
    """The rows of a table by the titles of its columns."""
    assert finished.status == 0, finished
    header, *lines = [line.split("\t") for line in finished.stdout.splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def documents(finished: Finished) -> list[dict[str, Any]]:
    """The JSON objects, one a line."""
    return [json.loads(line) for line in finished.stdout.splitlines()]


async def test_list_shows_the_newest_first_with_kind_state_counts_and_actor(api: Api) -> None:
    imported = await api.import_csv(MIXED)
    learner = await api.create(username="z")
    api.service.clock.advance(seconds=1)
    body = {"action": "deactivate", "selection": {"ids": [learner["id"]]}, "dry_run": True}
    bulk = (await api.client.post("/learners/bulk-actions", json=body)).json()

    rows = table(await run(api, "operations", "list"))

    assert [row["id"] for row in rows] == [bulk["id"], imported["id"]]
    assert [row["kind"] for row in rows] == ["bulk-action: deactivate (dry run)", "csv-import"]
    assert [row["outcomes"] for row in rows] == ["1 changed", "2 created, 2 invalid"]
    assert {row["created by"] for row in rows} == {"test (api-key)"}
    assert [row["request"] for row in rows] == ["ids: 1", ""]
    assert [row["revertible"] for row in rows] == ["0", "2"]
    assert rows[1]["done"] == "4 of 4"
    assert rows[1]["created"] == "2026-11-02 12:00:00Z"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), ["revert", "csv-import", "csv-import"]),
        (("--kind", "revert"), ["revert"]),
        (("--state", "refused"), []),
        (("--state", "succeeded", "--limit", "2"), ["revert", "csv-import"]),
    ],
)
async def test_list_filters_and_prints_json(api: Api, options: tuple[str, ...], found: list[str]) -> None:
    await api.import_csv("Username\na\n")
    api.service.clock.advance(seconds=1)
    second = await api.import_csv("Username\nb\n")
    api.service.clock.advance(seconds=1)
    assert (await api.client.post(f"/operations/{second['id']}/revert")).status_code == 200

    listed = documents(await run(api, "operations", "list", "--json", *options))

    assert [each["kind"] for each in listed] == found
    answered = (await api.client.get("/operations")).json()["items"]
    assert all(each in answered for each in listed)


async def test_show_prints_an_operation_with_warnings_and_problem(api: Api) -> None:
    await api.import_csv("Username\n" + "".join(f"known{number}\n" for number in range(10)))
    refused = await api.import_csv(
        MIXED.replace("Maybe", "No").replace("Perhaps", "No"), missing="deactivate"
    )
    assert refused["state"] == "refused"

    shown = await run(api, "operations", "show", refused["id"])

    assert shown.status == 0
    assert shown.stdout.startswith(f"Operation {refused['id']}: refused\n")
    for part in (
        "csv-import",
        "test (api-key)",
        "14 of 14 rows",
        "'Department'",
        "The import would deactivate ",
    ):
        assert part in shown.stdout
    assert documents(await run(api, "operations", "show", refused["id"], "--json")) == [
        (await api.client.get(f"/operations/{refused['id']}")).json()
    ]


@pytest.mark.parametrize(
    ("selection", "members", "shown"),
    [
        ({"filter": {}}, {}, "all learners"),
        (
            {"filter": {"status": ["active", "expired"], "q": "a"}, "except_ids": [NOWHERE]},
            {},
            "status: active expired, q: a, all except ids: 1",
        ),
        ({"usernames": ["a", "b"]}, {}, "usernames: 2"),
        (
            {"external_ids": ["E1"]},
            {"action": "set-expiration", "expires_on": "2027-12-31"},
            "external ids: 1, expires on: 2027-12-31",
        ),
        ({"ids": []}, {"action": "set-expiration", "expires_on": None}, "ids: 0, expires on: never"),
    ],
)
async def test_show_says_which_learners_were_selected(
    api: Api, selection: dict[str, Any], members: dict[str, Any], shown: str
) -> None:
    body = {"action": "activate", "selection": selection, **members}
    operation = (await api.client.post("/learners/bulk-actions", json=body)).json()

    printed = (await run(api, "operations", "show", operation["id"])).stdout

    assert f"  request            {shown}\n" in printed


async def test_show_says_which_file_was_imported_and_what_changed(api: Api) -> None:
    await api.import_csv("Username,External ID,Active\na,E1,\nb,E2,No\n")
    imported = await api.import_csv(
        "Username,External ID,Active,Expiration Date\nb,E1,No,2027-12-31\na,E2,Yes,\n",
        file_name="hr.csv",
        missing="deactivate",
        max_deactivations="100%",
    )
    show = ("operations", "show", imported["id"])

    printed = (await run(api, *show)).stdout
    assert "  request            hr.csv, missing: deactivate, max_deactivations: 100%\n" in printed
    assert "  changes            1 deactivated, 1 activated, 2 renamed, 1 expiration changed\n" in printed
    assert "  revertible         2\n" in printed
    [renamed, _] = table(await run(api, *show, "--changes", "renamed"))
    assert renamed["external id"] == "E1"
    assert renamed["changes"].startswith("username: a -> b, expires_on: none -> 2027-12-31, deactivated_at: ")
    assert [row["username"] for row in table(await run(api, *show, "--changes", "activated"))] == ["a"]
    both = ("--changes", "expiration", "--changes", "activated", "--outcome", "changed")
    assert [row["username"] for row in table(await run(api, *show, *both))] == ["b", "a"]
    assert table(await run(api, *show, "--changes", "rekeyed")) == []


async def test_show_says_how_much_can_still_be_reverted(api: Api) -> None:
    imported = await api.import_csv("Username\na\nb\n")
    listed = (await api.client.get("/learners")).json()["items"]
    await api.client.post(f"/learners/{listed[0]['id']}/deactivate")
    show = ("operations", "show", imported["id"])

    assert "  revertible         2\n" in (await run(api, *show)).stdout
    assert (await run(api, "operations", "revert", imported["id"])).status == 1
    assert "  revertible         1\n" in (await run(api, *show)).stdout
    await api.client.post(f"/learners/{listed[0]['id']}/activate")
    again = await run(api, "operations", "revert", imported["id"])
    assert "cannot be reverted" not in again.stderr


async def test_show_prints_outcomes_and_filters_them(api: Api) -> None:
    imported = await api.import_csv(MIXED)
    answered = await api.outcomes(imported)
    show = ("operations", "show", imported["id"])

    rows = table(await run(api, *show, "--outcomes"))
    assert [(row["line"], row["username"], row["outcome"]) for row in rows] == [
        ("2", "a", "created"),
        ("3", "b", "created"),
        ("4", "c", "invalid"),
        ("5", "d", "invalid"),
    ]
    assert "'Maybe'" in rows[2]["problem"]
    assert [row["line"] for row in table(await run(api, *show, "--outcome", "invalid"))] == ["4", "5"]
    assert table(await run(api, *show, "--outcome", "refused")) == []
    assert documents(await run(api, *show, "--outcomes", "--json")) == answered
    assert documents(await run(api, *show, "--outcome", "created", "--json")) == answered[:2]


async def test_show_prints_more_outcomes_than_a_page_once_each(api: Api) -> None:
    imported = await api.import_csv(large_roster(2_000))

    rows = table(await run(api, "operations", "show", imported["id"], "--outcomes"))

    assert [row["line"] for row in rows] == [str(line) for line in range(2, 2_002)]


def test_cancel_stops_a_stored_import_and_can_be_repeated(new_database: str, tmp_path: Path) -> None:
    rollcall("keys", "create", "first", "--scope", "admin", database_url=new_database)
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(6_000))
    detached = rollcall("import", file, "--detach", database_url=new_database)
    assert detached.status == 0
    operation_id = detached.stdout.split()[1].removesuffix(":")

    for options in ((), ("--json",)):
        cancelled = rollcall("operations", "cancel", operation_id, *options, database_url=new_database)
        assert cancelled.status == 0, cancelled
        assert "cancelled" in cancelled.stdout
        assert "Cancelled before the first of 6,000 rows. Nothing was changed." in cancelled.stderr
        assert "revert" not in cancelled.stderr
    listed = rollcall("operations", "list", "--state", "cancelled", "--json", database_url=new_database)
    assert [each["id"] for each in documents(listed)] == [operation_id]


async def test_cancel_of_an_ended_operation_names_the_command_that_reverts_it(api: Api) -> None:
    imported = await api.import_csv("Username\na\n")

    assert (await run(api, "operations", "cancel", imported["id"])).complaint == (
        "the operation has already ended (succeeded), so it cannot be cancelled. To revert what it has changed, run: "
        f"rollcall operations revert {imported['id']} --organization {api.organization.slug}"
    )


async def test_revert_restores_and_records_the_reason(api: Api) -> None:
    learner = await api.create(username="a")
    imported = await api.import_csv("Username,Active\na,No\n")

    tried = await run(api, "operations", "revert", imported["id"], "--dry-run")
    assert tried.status == 0, tried
    assert tried.stdout.startswith("Dry run ")
    assert (await api.get(learner))["status"] == "deactivated"
    reverted = await run(api, "operations", "revert", imported["id"], "--reason", "wrong file", "--json")

    assert (reverted.status, reverted.stderr) == (0, "")
    [document] = documents(reverted)
    assert document == (await api.client.get(f"/operations/{document['id']}")).json()
    assert (document["reverts"], document["reason"]) == (imported["id"], "wrong file")
    assert (await api.get(learner))["status"] == "activated"
    [event, *_] = await api.events(learner)
    assert (event["reason"], event["operation_id"]) == ("wrong file", document["id"])
    assert event["actor"]["kind"] == "command-line"


def test_detached_revert_is_stored_and_left_to_the_service(new_database: str, tmp_path: Path) -> None:
    rollcall("keys", "create", "first", "--scope", "admin", database_url=new_database)
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(6_000))
    assert rollcall("import", file, database_url=new_database).status == 0
    [imported] = documents(rollcall("operations", "list", "--json", database_url=new_database))

    detached = rollcall(
        "operations", "revert", imported["id"], "--detach", "--json", database_url=new_database
    )

    assert detached.status == 0, detached
    [document] = documents(detached)
    assert (document["state"], document["progress"]) == ("pending", {"done": 0, "total": 6_000})
    assert f"To follow it, run: rollcall operations show {document['id']}\n" in detached.stderr


async def test_revert_that_keeps_a_learner_exits_1_and_says_why(api: Api) -> None:
    imported = await api.import_csv("Username\na\nb\n")
    [learner, _] = (await api.client.get("/learners")).json()["items"]
    await api.client.patch(f"/learners/{learner['id']}", json={"email": "a@example.org", "username": "new"})
    await api.client.post(f"/learners/{learner['id']}/deactivate")

    reverted = await run(api, "operations", "revert", imported["id"])

    assert reverted.status == 1, reverted
    assert "  kept                1\n" in reverted.stdout
    assert "  new: kept: Changed again after the operation: deactivated_at." in reverted.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [({"dry_run": True}, "it was a dry run"), ({"create": False}, "it changed no learner")],
)
async def test_revert_of_what_changed_nothing_is_refused(
    api: Api, options: dict[str, Any], said: str
) -> None:
    imported = await api.import_csv("Username\na\n", **options)

    complaint = (await run(api, "operations", "revert", imported["id"])).complaint

    assert complaint.startswith("the operation cannot be reverted: ")
    assert said in complaint


@pytest.mark.parametrize("command", ["show", "cancel", "revert"])
@pytest.mark.parametrize("operation_id", [NOWHERE, "roster.csv"])
async def test_unknown_operation_is_one_line(api: Api, command: str, operation_id: str) -> None:
    complaint = (await run(api, "operations", command, operation_id)).complaint

    assert complaint == (
        f"the organization {api.organization.slug} has no operation with the id {operation_id}. List its operations "
        "with `rollcall operations list`."
    )


async def test_operation_of_another_organization_is_unknown(api: Api) -> None:
    imported = await api.import_csv("Username\na\n")
    other = await api.service.found_organization()

    for command in ("show", "cancel", "revert"):
        call = ("operations", command, imported["id"], "--organization", other.slug)
        assert "has no operation" in (await run(Api(api.service, other, api.client), *call)).complaint
