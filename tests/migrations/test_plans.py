"""The migration to plans, with operations on both sides: what readers see, reverts undo and processes continue."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.organizations.repository import list_organizations
from app.platform.database import Database
from app.platform.ids import new_id
from tests.support.schemas import ask, migrate, new_url, opened
from tests.support.service import NOON, Api, run_service
from tests.support.stored import all_learners, all_outcomes, ended, follow

pytestmark = pytest.mark.anyio

BEFORE, AFTER = "0006", "0007"
ROSTER = """\
Username,External ID,Email,First Name,Last Name,Active,Expiration Date
ada,HR-1,ada@example.org,Ada,Okafor,,2026-12-01
grace,HR-2,,Grace,"Zoë ""Z"", Dr.",No,
kim,,,,,Yes,
late,,,,,Yes,2026-10-01
bad,,not an address,,,,
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return new_url(request.param, request)


async def do(api: Api, path: str, body: Any, **options: Any) -> dict[str, Any]:
    answer = await api.client.post(path, json=body, **options)
    assert answer.status_code in {200, 202}, answer.text
    return await ended(api, answer.json())


async def act(api: Api, action: str, selection: Any, **members: Any) -> dict[str, Any]:
    return await do(api, "/learners/bulk-actions", {"action": action, "selection": selection, **members})


async def make_operations(api: Api) -> None:
    """Do what an earlier version could do, too: import, deactivate, revert, each also as a dry run."""
    await api.import_csv(ROSTER, dry_run="true")
    await api.import_csv(ROSTER, reason="hired")
    api.service.clock.advance(minutes=1)
    await api.import_csv(
        "External ID,Username,Active,Expiration Date\nHR-1,ada.okafor,No,never\nHR-2,,Yes,\n"
    )
    api.service.clock.advance(minutes=1)
    learners = await all_learners(api)
    ids = [learners["grace"]["id"], new_id(NOON)]
    await act(api, "deactivate", {"ids": ids}, dry_run=True)
    operation = await act(api, "deactivate", {"filter": {"q": "a"}})
    assert operation["deactivated"] == 1
    api.service.clock.advance(minutes=1)
    await do(api, f"/operations/{operation['id']}/revert", {})
    await api.import_csv("Username,Active\nkim,No\n", max_deactivations="0")


async def read_operations(api: Api) -> list[dict[str, Any]]:
    """Return all operations, each with its outcomes."""
    operations = await follow(api.client, "/operations")
    return [{**each, "outcomes": await all_outcomes(api, each)} for each in operations]


@pytest.fixture
async def api(url: str) -> AsyncIterator[Api]:
    async with run_service(url) as service:
        service.limit(chunk_rows=2)
        organization = await service.found_organization()
        async with service.client(await service.issue_key(organization)) as client:
            yield Api(service, organization, client)


async def go_back_and_forth(api: Api) -> None:
    database = api.service.database
    await migrate(database, BEFORE)
    await migrate(database, AFTER)
    # Statements that the driver has prepared are for the tables as they were.
    await database.engine.dispose()


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


async def test_operations_and_outcomes_stay_what_they_were(api: Api) -> None:
    await make_operations(api)
    stored = await read_operations(api)
    assert len(stored) == 7
    await go_back_and_forth(api)
    found = await read_operations(api)
    for before, after in zip(stored, found, strict=True):
        assert without(after, "outcomes", "request", "effects", *COUNTS) == without(
            before, "outcomes", "request", "effects", *COUNTS
        )
        changes_nothing = before["dry_run"] or before["state"] == "refused"
        if not changes_nothing:
            assert after["outcomes"] == before["outcomes"]
            assert {name: after[name] for name in COUNTS} == {name: before[name] for name in COUNTS}
            continue
        # The earlier version does not store what a plan would change, except who would lose access.
        assert after["deactivated"] == before["deactivated"]
        assert [(each["outcome"], each["problems"]) for each in after["outcomes"]] == [
            (each["outcome"], each["problems"]) for each in before["outcomes"]
        ]
        assert not any(each["changes"] for each in after["outcomes"])


COUNTS = ("deactivated", "activated", "renamed", "rekeyed", "expiration_changed")


async def test_requests_are_described_as_far_as_they_are_known(api: Api) -> None:
    await api.import_csv(
        ROSTER, create="false", missing="deactivate", max_deactivations="7", file_name="a.csv"
    )
    await act(api, "deactivate", {"filter": {"status": ["active"]}})
    await act(api, "deactivate", {"usernames": ["ada"]})
    await go_back_and_forth(api)
    listed = await follow(api.client, "/operations")
    assert [each["request"] for each in listed] == [
        {"selection": {}},
        {"selection": {"filter": {"status": ["active"]}}},
        {
            "file_name": None,
            "options": {"create": False, "missing": "deactivate", "max_deactivations": "7"},
        },
    ]


async def test_outcomes_can_be_filtered_by_their_changes(api: Api) -> None:
    await make_operations(api)
    operation = (await follow(api.client, "/operations"))[4]
    await go_back_and_forth(api)
    found = {
        kind: [each["username"] for each in await all_outcomes(api, operation, changes=kind)]
        for kind in ("deactivated", "activated", "renamed", "rekeyed", "expiration")
    }
    assert found == await filtered(api, operation)


async def filtered(api: Api, operation: dict[str, Any]) -> dict[str, list[str]]:
    outcomes = await all_outcomes(api, operation)
    names: dict[str, Callable[[Any], bool]] = {
        "deactivated": lambda changes: (changes.get("deactivated_at") or [0, None])[1] is not None,
        "activated": lambda changes: (changes.get("deactivated_at") or [None, 0])[1] is None,
        "renamed": lambda changes: "username" in changes,
        "rekeyed": lambda changes: bool(changes.get("external_id", [None])[0]),
        "expiration": lambda changes: "expires_on" in changes,
    }
    return {
        kind: [
            each["username"] for each in outcomes if each["outcome"] == "changed" and is_one(each["changes"])
        ]
        for kind, is_one in names.items()
    }


async def test_operation_of_an_earlier_version_can_be_reverted(api: Api) -> None:
    await api.import_csv(ROSTER)
    before = await all_learners(api)
    api.service.clock.advance(minutes=1)
    operation = await api.import_csv(
        "External ID,Username,Last Name,Active\nHR-1,ada.okafor,Smith,No\nHR-2,grace.h,,Yes\n"
    )
    await go_back_and_forth(api)
    (learner,) = (await api.client.get("/learners", params={"external_id": "HR-1"})).json()["items"]
    await api.client.patch(f"/learners/{learner['id']}", json={"last_name": "Lovelace"})
    revert = await do(api, f"/operations/{operation['id']}/revert", {})
    assert {name: count for name, count in revert["counts"].items() if count} == {"changed": 1, "kept": 1}
    after = await all_learners(api)
    assert after.keys() == before.keys()
    assert after["ada"]["last_name"] == "Lovelace"
    assert {name: each["status"] for name, each in after.items()} == {
        name: each["status"] for name, each in before.items()
    }
    assert (await api.client.get(f"/operations/{operation['id']}")).json()["revertible"] == 1


async def test_earlier_version_gets_rows_that_it_can_read(api: Api) -> None:
    """Also of kinds that it does not know: they become the nearest kind that it can show and revert."""
    await make_operations(api)
    await act(api, "set-expiration", {"external_ids": ["HR-1", "HR-9"]}, expires_on="2027-01-01")
    await do(
        api, "/imports/json", {"learners": [{"username": "json", "active": True}, {"external_id": "HR-8"}]}
    )
    async with opened_again(api) as database:
        await migrate(database, BEFORE)
        assert set(await ask(database, "SELECT kind FROM operations")) == {
            "bulk-action",
            "csv-import",
            "revert",
        }
        actions = await ask(database, "SELECT action FROM operations WHERE action IS NOT NULL")
        assert set(actions) == {"deactivate"}
        done = await ask(database, "SELECT sum(done) FROM operations")
        assert await ask(database, "SELECT count(*) FROM operation_outcomes") == done
        lost = "SELECT count(*) FROM operation_outcomes WHERE deactivated"
        assert await ask(database, lost) == await ask(database, "SELECT sum(deactivated) FROM operations")
        await check_contents(database)
        await migrate(database, AFTER)


async def check_contents(database: Database) -> None:
    """The contents of chunks are as the earlier version stored them: JSON that is not compressed."""
    statement = (
        "SELECT kind, content, items FROM operation_chunks JOIN operations ON operations.id = operation_id"
    )
    async with database.read() as connection:
        rows = (await connection.execute(text(statement))).all()
    shapes = set()
    for kind, content, items in rows:
        asked = json.loads(content)
        if kind == "revert":
            assert all(isinstance(each, str) for each in asked)
        elif isinstance(asked, dict):
            assert len(asked["external_ids" if kind == "csv-import" else "ids"]) <= items
            assert "unknown" in asked or kind == "csv-import"
        else:
            assert all(isinstance(cell, str) for _, cells in asked for cell in cells)
        shapes.add((kind, type(asked)))
    assert shapes == {
        ("revert", list),
        ("csv-import", list),
        ("csv-import", dict),
        ("bulk-action", dict),
    }


def opened_again(api: Api) -> Any:
    return opened(api.service.url)


class Waiting:
    """An organization whose operations wait, as a process leaves them that was killed with an earlier version."""

    def __init__(self, database: Database, organization_id: int = 1) -> None:
        self._database, self._organization_id = database, organization_id

    async def store(self, kind: str, parameters: Any, contents: Sequence[Any], **values: Any) -> str:
        """Store an operation of revision 0006 with these chunks, each of which has one item for each entry."""
        operation_id = new_id(NOON)
        sizes = [
            len(each["ids"]) + len(each.get("unknown", ())) if isinstance(each, dict) else len(each)
            for each in contents
        ]
        columns = {
            "id": operation_id,
            "organization_id": self._organization_id,
            "kind": kind,
            "state": "running",
            "dry_run": False,
            "created_by": {"kind": "api-key", "id": None, "name": "feed"},
            "parameters": parameters,
            "warnings": [],
            "cursor": 0,
            "chunks": len(contents),
            "done": 0,
            "total": sum(sizes),
            "counts": {},
            "created_at": NOON,
            "started_at": NOON,
            "tidied": 0,
            "is_rehearsal": False,
            "rehearsed": {},
            **values,
        }
        await self._insert("operations", [columns])
        await self._insert(
            "operation_chunks",
            [
                {
                    "operation_id": operation_id,
                    "number": number,
                    "first_item": sum(sizes[:number]),
                    "items": sizes[number],
                    "content": json.dumps(content).encode(),
                }
                for number, content in enumerate(contents)
            ],
        )
        return operation_id

    async def store_outcomes(self, operation_id: str, outcomes: Sequence[tuple[str, str, str]]) -> None:
        """Store the outcomes of the first items, each with a learner's username and id."""
        (number,) = await ask(
            self._database,
            f"SELECT number FROM operations WHERE id = '{operation_id}'",
        )
        await self._insert(
            "operation_outcomes",
            [
                {
                    "operation_number": number,
                    "item": item,
                    "outcome": outcome,
                    "username": username,
                    "learner_id": learner_id,
                    "deactivated": False,
                }
                for item, (outcome, username, learner_id) in enumerate(outcomes)
            ],
        )

    async def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        async def insert(connection: AsyncConnection) -> None:
            for row in rows:
                names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
                statement = text(f"INSERT INTO {table} ({names}) VALUES ({marks})")
                await connection.execute(statement, {name: self._bind(value) for name, value in row.items()})

        await self._database.write(insert)

    def _bind(self, value: Any) -> Any:
        if isinstance(value, dict | list):
            return json.dumps(value)
        return (
            value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if value == NOON and self._database.is_sqlite else value
        )


COLUMNS = {"header": ["Username", "Active"], "columns": {"username": 0, "active": 1}}


@pytest.fixture
async def learners(url: str) -> dict[str, str]:
    """Return the ids of learners a to f by username, in a database of the revision before."""
    async with run_service(url) as service:
        organization = await service.found_organization()
        async with service.client(await service.issue_key(organization)) as client:
            api = Api(service, organization, client)
            ids = {name: (await api.create(username=name))["id"] for name in "abcdef"}
            await migrate(service.database, BEFORE)
    return ids


@asynccontextmanager
async def continued(url: str) -> AsyncIterator[Api]:
    """The service after the migration, which does what waits."""
    async with opened(url) as database:
        await migrate(database, AFTER)
    async with run_service(url) as service:
        async with service.database.read() as connection:
            (organization,) = await list_organizations(connection)
        async with service.client(await service.issue_key(organization)) as client:
            yield Api(service, organization, client)


async def list_statuses(api: Api) -> dict[str, str]:
    return {name: each["status"] for name, each in (await all_learners(api)).items()}


async def test_half_applied_import_does_not_miss_the_learners_of_its_applied_rows(
    url: str, learners: dict[str, str]
) -> None:
    async with opened(url) as database:
        waiting = Waiting(database)
        operation_id = await waiting.store(
            "csv-import",
            {**COLUMNS, "missing": "deactivate", "created_by": 1_000_000},
            [
                [[2, ["a", ""]], [3, ["b", ""]]],
                [[4, ["c", "Yes"]], [5, ["d", "No"]]],
                {"ids": [learners["e"]], "external_ids": [None]},
            ],
            cursor=1,
            done=2,
            counts={"unchanged": 2},
        )
        await waiting.store_outcomes(operation_id, [("unchanged", name, learners[name]) for name in "ab"])
    async with continued(url) as api:
        operation = await ended(api, {"id": operation_id})
        assert operation["state"] == "succeeded"
        assert {name: count for name, count in operation["counts"].items() if count} == {
            "unchanged": 3,
            "changed": 2,
        }
        assert operation["progress"] == {"done": 5, "total": 5}
        assert [each["username"] for each in await all_outcomes(api, operation)] == list("abcde")
        assert await list_statuses(api) == dict.fromkeys("abcf", "activated") | dict.fromkeys(
            "de", "deactivated"
        )


@pytest.mark.usefixtures("learners")
@pytest.mark.parametrize(("limit", "state"), [("50%", "succeeded"), ("1", "refused")])
async def test_guards_judge_an_import_that_was_being_checked(url: str, limit: str, state: str) -> None:
    async with opened(url) as database:
        operation_id = await Waiting(database).store(
            "csv-import",
            {**COLUMNS, "missing": "deactivate", "max_deactivations": limit, "created_by": 1_000_000},
            [[[2, ["a", ""]], [3, ["b", ""]]], [[4, ["c", "Yes"]], [5, ["d", ""]]]],
            cursor=1,
            is_rehearsal=True,
            rehearsed={"deactivated_by_row": 0},
        )
    async with continued(url) as api:
        operation = await ended(api, {"id": operation_id})
        assert (operation["state"], operation["deactivated"]) == (state, 2)
        missing = "deactivated" if state == "succeeded" else "activated"
        assert await list_statuses(api) == dict.fromkeys("abcd", "activated") | dict.fromkeys("ef", missing)


async def test_waiting_bulk_action_and_dry_run_are_done(url: str, learners: dict[str, str]) -> None:
    contents = [
        {"ids": [learners["a"], learners["b"]], "unknown": []},
        {"ids": [learners["c"]], "unknown": ["nobody"]},
    ]
    async with opened(url) as database:
        waiting = Waiting(database)
        ids = [
            await waiting.store(
                "bulk-action", {"selection": {}}, contents, action="deactivate", dry_run=dry_run, total=4
            )
            for dry_run in (True, False)
        ]
    async with continued(url) as api:
        for operation_id in ids:
            operation = await ended(api, {"id": operation_id})
            assert {name: count for name, count in operation["counts"].items() if count} == {
                "changed": 3,
                "not_found": 1,
            }
        assert await list_statuses(api) == dict.fromkeys("abc", "deactivated") | dict.fromkeys(
            "def", "activated"
        )


async def test_waiting_revert_is_done(api: Api) -> None:
    ids = [(await api.create(username=name))["id"] for name in "abc"]
    original = await act(api, "deactivate", {"filter": {}})
    database = api.service.database
    await migrate(database, BEFORE)
    revert_id = await Waiting(database, api.organization.id).store(
        "revert", {}, [ids[::-1]], reverts=original["id"]
    )
    mark = f"UPDATE operations SET reverted_by = '{revert_id}' WHERE id = '{original['id']}'"
    await database.write(AsyncConnection.execute, text(mark))
    await migrate(database, AFTER)
    await database.engine.dispose()
    api.service.runner.submitted.set()
    revert = await ended(api, {"id": revert_id})
    assert (revert["state"], revert["counts"]["changed"]) == ("succeeded", 3)
    assert (await api.client.get(f"/operations/{original['id']}")).json()["revertible"] == 0
    assert await list_statuses(api) == dict.fromkeys("abc", "activated")


async def test_outcomes_of_many_learners_are_carried_over(api: Api) -> None:
    api.service.limit(chunk_rows=900)
    rows = "".join(f"learner{number},HR-{number},Zoë\n" for number in range(2000))
    operation = await api.import_csv(f"Username,External ID,First Name\n{rows}")
    api.service.clock.advance(minutes=1)
    renamed = "".join(f"HR-{number},Ada\n" for number in range(0, 2000, 3))
    await api.import_csv(f"External ID,First Name\n{renamed}")
    stored = await read_operations(api)
    assert stored[1]["id"] == operation["id"]
    await go_back_and_forth(api)
    for before, after in zip(stored, await read_operations(api), strict=True):
        assert after["outcomes"] == before["outcomes"]
