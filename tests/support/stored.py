"""What an organization has stored, and the parts of it that two runs of the same work must agree on."""

from typing import Any

import httpx
from sqlalchemy import func, select

from app.learners.tables import learner_search, learners, plan_rows
from app.operations import outcomes
from app.operations.tables import operation_chunks, operations
from app.platform.database import Database
from app.platform.instants import instant_text
from tests.support.learner_rows import all_events
from tests.support.service import Api

StoredState = dict[str, list[dict[str, Any]]]

FACTS = (
    "username",
    "external_id",
    "email",
    "first_name",
    "last_name",
    "deactivated_at",
    "first_accessed_at",
    "expires_on",
    "sessions_valid_from",
    "version",
)
# Those of the facts and of the events that a change sets to the instant at which it is made.
INSTANTS = ("deactivated_at", "first_accessed_at", "sessions_valid_from", "occurred_at")


async def another(api: Api) -> Api:
    """An administrator of another organization."""
    organization = await api.service.found_organization()
    return Api(api.service, organization, api.service.client(await api.service.issue_key(organization)))


async def stored_state(database: Database, organization_id: int) -> StoredState:
    """Every row of the organization's learners, of what finds them, of their events, and of all operations."""
    numbers = select(operations.c.number).where(operations.c.organization_id == organization_id)
    ids = select(operations.c.id).where(operations.c.organization_id == organization_id)
    statements = {
        # Without what the database itself makes of the facts.
        "learners": select(*(column for column in learners.c if column.computed is None))
        .where(learners.c.organization_id == organization_id)
        .order_by(learners.c.id),
        "texts": select(learner_search.c.learner_id, learner_search.c.text)
        .where(learner_search.c.organization_id == organization_id)
        .order_by(learner_search.c.learner_id),
        "operations": select(operations)
        .where(operations.c.organization_id == organization_id)
        .order_by(operations.c.number),
        "chunks": select(operation_chunks)
        .where(operation_chunks.c.operation_id.in_(ids))
        .order_by(operation_chunks.c.operation_id, operation_chunks.c.number),
        "plan": select(plan_rows)
        .where(plan_rows.c.plan.in_(numbers))
        .order_by(plan_rows.c.plan, plan_rows.c.item),
    }
    async with database.read() as connection:
        return {
            name: [dict(row) for row in (await connection.execute(statement)).mappings()]
            for name, statement in statements.items()
        } | {"events": await all_events(connection, organization_id)}


def comparable(state: StoredState) -> dict[str, Any]:
    """The state without ids and positions: equal where the same work was done, wherever and in whatever pieces."""
    names = {row["id"]: row["username"] for row in state["learners"]}
    places = {row["id"]: place for place, row in enumerate(state["operations"])}
    return {
        "learners": {row["username"]: [row[name] for name in FACTS] for row in state["learners"]},
        "texts": {names[row["learner_id"]]: row["text"] for row in state["texts"]},
        "events": {
            (names[row["learner_id"]], row["version"]): [
                row[name] for name in ("type", "occurred_at", "reason", "before", "after")
            ]
            + [places.get(row["operation_id"], row["operation_id"]), row["actor"]["kind"]]
            for row in state["events"]
        },
        "operations": [
            [
                row[name]
                for name in (
                    "kind",
                    "state",
                    "cursor",
                    "done",
                    "total",
                    "counts",
                    "effects",
                    "revertible",
                    "problem",
                )
            ]
            + [places.get(row[name], row[name]) for name in ("reverts", "reverted_by")]
            for row in state["operations"]
        ],
        "outcomes": sorted(
            (
                places[row["operation_id"]],
                each.line or 0,
                each.username or "",
                names.get(str(each.learner_id)) or "",
                each.outcome.value,
                int(each.effects),
                str(each.problems),
            )
            for row in state["chunks"]
            if row["outcomes"] is not None
            for each in outcomes.unpack(row["outcomes"])
        ),
        "plan": len(state["plan"]),
    }


def timeless(state: StoredState) -> StoredState:
    """The state of a run whose clock went on, with each instant told by the version that its learner had from then.

    An instant at which no event of the learner occurred stays what it is.
    """
    versions = {
        (row["learner_id"], instant_text(row["occurred_at"])): row["version"] for row in state["events"]
    }

    def told(learner_id: str, facts: dict[str, Any]) -> dict[str, Any]:
        instants = {name: facts[name] for name in INSTANTS if facts.get(name) is not None}
        return facts | {
            name: versions.get((learner_id, each if isinstance(each, str) else instant_text(each)), each)
            for name, each in instants.items()
        }

    return state | {
        "learners": [told(row["id"], row) for row in state["learners"]],
        "events": [
            told(row["learner_id"], row)
            | {name: told(row["learner_id"], row[name]) for name in ("before", "after")}
            for row in state["events"]
        ],
    }


async def count_stages(database: Database) -> int:
    """How many chunks there are whose operation never came."""
    known = select(operations.c.id).where(operations.c.id == operation_chunks.c.operation_id)
    statement = select(func.count()).select_from(operation_chunks).where(~known.exists())
    async with database.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def follow(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """The items of every page of a list."""
    items: list[dict[str, Any]] = []
    while True:
        answer = await client.get(path, params={"limit": 1000, **params})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        params["cursor"] = page["next_cursor"]


async def all_outcomes(api: Api, operation: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    """What became of each learner or row, of all pages."""
    return await follow(api.client, f"/operations/{operation['id']}/outcomes", **params)


async def all_learners(api: Api) -> dict[str, dict[str, Any]]:
    """Every learner as the API shows them, by username."""
    return {each["username"]: each for each in await follow(api.client, "/learners")}


async def ended(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation once it has ended: its client asks again and again."""
    for _ in range(10_000):
        answer = await api.client.get(f"/operations/{operation['id']}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        if document["finished_at"] is not None:
            return document
    raise AssertionError("the operation does not end")
