"""Looking at operations over HTTP: lists, one, and what another organization sees of them."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app.organizations.api_keys import Scope
from app.platform.ids import new_id
from tests.support.answers import pointers, problem
from tests.support.service import NOON, Api
from tests.support.stored import another, ended, follow

pytestmark = pytest.mark.anyio

IMPORT = "Username\na\nb\n"
BULK = {"action": "deactivate", "selection": {"filter": {}}, "reason": "end of term"}


async def bulk(api: Api, **members: Any) -> dict[str, Any]:
    answer = await api.client.post("/learners/bulk-actions", json={**BULK, **members})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def make_some(api: Api) -> list[dict[str, Any]]:
    """An import, a bulk action, a dry run of each; a second apart."""
    made = []
    calls: tuple[Callable[[], Awaitable[dict[str, Any]]], ...] = (
        lambda: api.import_csv(IMPORT),
        lambda: bulk(api),
        lambda: api.import_csv(IMPORT, dry_run=True),
        lambda: bulk(api, dry_run=True),
    )
    for make in calls:
        made.append(await make())
        api.service.clock.advance(seconds=1)
    return made


async def test_operation_shows_its_kind_and_counts(api: Api) -> None:
    await api.import_csv(IMPORT)
    api.service.clock.advance(minutes=1)

    operation = await bulk(api)

    assert operation == {
        "id": operation["id"],
        "kind": "bulk-action",
        "state": "succeeded",
        "dry_run": False,
        "action": "deactivate",
        "reason": "end of term",
        "request": {"selection": {"filter": {}}},
        "progress": {"done": 2, "total": 2},
        "counts": {"changed": 2, "unchanged": 0, "refused": 0, "not_found": 0},
        "deactivated": 2,
        "activated": 0,
        "renamed": 0,
        "rekeyed": 0,
        "expiration_changed": 0,
        "warnings": [],
        "problem": None,
        "reverts": None,
        "reverted_by": None,
        "revertible": 2,
        "created_by": {"kind": "api-key", "id": operation["created_by"]["id"], "name": "test"},
        "created_at": "2026-11-02T12:01:00Z",
        "started_at": "2026-11-02T12:01:00Z",
        "finished_at": "2026-11-02T12:01:00Z",
    }
    me = (await api.client.get("/me")).json()
    assert operation["created_by"] == me["actor"]
    answer = await api.client.get(f"/operations/{operation['id'].upper()}")
    assert answer.json() == operation


async def test_operations_are_listed_the_newest_first(api: Api) -> None:
    made = await make_some(api)

    answer = await api.client.get("/operations")

    assert answer.json()["items"] == made[::-1]
    assert answer.json()["next_cursor"] is None
    assert "Link" not in answer.headers


async def test_pages_of_operations_stay_stable_while_new_ones_are_made(api: Api) -> None:
    made = await make_some(api)

    first = await api.client.get("/operations", params={"limit": 3})
    await api.import_csv(IMPORT)
    second = await api.client.get(first.links["next"]["url"])

    assert [*first.json()["items"], *second.json()["items"]] == made[::-1]
    assert second.json()["next_cursor"] is None
    assert [each["id"] for each in await follow(api.client, "/operations", limit=1)][1:] == [
        each["id"] for each in made[::-1]
    ]


async def test_operations_can_be_filtered(api: Api) -> None:
    made = await make_some(api)
    api.service.limit(chunk_rows=1)
    async with api.service.runner.turn(api.organization.id):
        answer = await api.client.post(
            "/imports/csv", content=IMPORT, headers={"Content-Type": "text/csv", "Prefer": "wait=0"}
        )
        pending = answer.json()
        for params, expected in (
            ({"kind": "csv-import"}, [pending, made[2], made[0]]),
            ({"kind": "bulk-action"}, [made[3], made[1]]),
            ({"state": "succeeded"}, made[::-1]),
            ({"state": "pending"}, [pending]),
            ({"state": "failed"}, []),
            ({"kind": "bulk-action", "state": "pending"}, []),
            ({"kind": "csv-import", "state": "succeeded"}, [made[2], made[0]]),
            ({"dry_run": "true"}, [made[3], made[2]]),
            ({"dry_run": "false"}, [pending, made[1], made[0]]),
            ({"kind": "csv-import", "dry_run": "false"}, [pending, made[0]]),
        ):
            assert await follow(api.client, "/operations", limit=1, **params) == expected, params
    await ended(api, pending)


async def test_cursor_of_another_filter_or_organization_is_refused(api: Api) -> None:
    await make_some(api)
    other = await another(api)
    page = (await api.client.get("/operations", params={"limit": 1, "kind": "csv-import"})).json()
    cursor = page["next_cursor"]

    for client, params in (
        (api.client, {}),
        (api.client, {"kind": "bulk-action"}),
        (api.client, {"kind": "csv-import", "state": "succeeded"}),
        (api.client, {"kind": "csv-import", "dry_run": "false"}),
        (other.client, {"kind": "csv-import"}),
    ):
        problem(await client.get("/operations", params={**params, "cursor": cursor}), 400, "invalid-cursor")
    await other.client.aclose()


async def test_wrong_parameters_are_refused(api: Api) -> None:
    for params, pointer in (
        ({"kind": "import"}, "?kind"),
        ({"state": "done"}, "?state"),
        ({"dry_run": "perhaps"}, "?dry_run"),
        ({"limit": "0"}, "?limit"),
        ({"limit": "1001"}, "?limit"),
        ({"status": "succeeded"}, "?status"),
    ):
        answer = await api.client.get("/operations", params=params)
        assert pointers(problem(answer, 422, "invalid-request")) == [pointer]


async def test_unknown_operation_or_that_of_others_is_404(api: Api) -> None:
    other = await another(api)
    theirs = await other.import_csv(IMPORT)

    for an_id in (theirs["id"], new_id(NOON), "42", "%00", "x" * 300):
        for path in (f"/operations/{an_id}", f"/operations/{an_id}/outcomes"):
            problem(await api.client.get(path), 404, "not-found")
    assert await follow(api.client, "/operations") == []
    await other.client.aclose()


async def test_reading_operations_needs_a_reading_or_bulk_scope(api: Api) -> None:
    operation = await api.import_csv(IMPORT)
    paths = ["/operations", f"/operations/{operation['id']}", f"/operations/{operation['id']}/outcomes"]

    async with AsyncExitStack() as stack:
        for scope in Scope:
            client = await stack.enter_async_context(await api.client_with(scope))
            answers = [await client.get(path) for path in paths]
            if scope in (Scope.LEARNERS_READ, Scope.LEARNERS_BULK, Scope.ADMIN):
                assert [answer.status_code for answer in answers] == [200] * 3
                continue
            for answer in answers:
                assert problem(answer, 403, "not-permitted")["required_scope"] == "learners:read"
        nobody = await stack.enter_async_context(api.service.client())
        for path in paths:
            problem(await nobody.get(path), 401, "not-authenticated")
