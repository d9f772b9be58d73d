"""The feed of events: in the order of positions, and a reader misses none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import feed, recording
from app.learners.repository import get_last_event_position
from app.platform.database import Database
from tests.support.postgres import PostgresServer
from tests.support.service import Api, run_service

pytestmark = pytest.mark.anyio


async def read_safe_position(database: Database, safe: feed.SafePosition) -> int:
    async with database.read() as connection:
        return await safe.advance(connection)


async def read_newest(database: Database) -> int:
    async with database.read() as connection:
        return await get_last_event_position(connection)


async def test_stored_event_is_safe_once_nothing_else_runs(api: Api) -> None:
    safe = feed.SafePosition()
    await api.create()
    until = await read_newest(api.service.database)
    for _ in range(1000):  # operations of other tests may be running
        if await read_safe_position(api.service.database, safe) >= until:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the feed is held up")


async def test_events_are_listed_in_order_by_position_and_type(api: Api) -> None:
    before = await read_newest(api.service.database)
    learners = [await api.create() for _ in range(3)]
    await api.client.post(f"/learners/{learners[0]['id']}/deactivate")
    until = await read_newest(api.service.database)
    await api.create()
    async with api.service.database.read() as connection:

        async def listed(*types: str, limit: int = 10, after: int = before) -> list[str]:
            number = api.organization.id
            found = await feed.list_after(connection, number, after, until, types, limit)
            assert [each.position for each in found] == sorted(each.position for each in found)
            return [each.type for each in found]

        assert await listed() == ["learner.created"] * 3 + ["learner.deactivated"]
        assert await listed("learner.deactivated") == ["learner.deactivated"]
        assert await listed(limit=2) == ["learner.created"] * 2
        assert await listed(after=until) == []
        found = await feed.list_after(connection, api.organization.id, before, until, (), 10)
        documents = await feed.find_events(connection, [each.position for each in found])
        for each in found:
            event = documents[each.position]
            assert (event.id, event.type) == (each.id, each.type)
            assert event.occurred_at.tzinfo == UTC


async def test_event_committed_late_is_not_missed(
    postgres: PostgresServer,
) -> None:
    url = postgres.create_database("feed")
    async with run_service(url) as service:
        organization = await service.found_organization()
        database, safe = service.database, feed.SafePosition()
        holding, release = asyncio.Event(), asyncio.Event()

        async with service.client(await service.issue_key(organization)) as client:
            await client.post("/learners", json={"username": "before"})
            first = await read_newest(database)
            assert await read_safe_position(database, safe) == first

            # The first transaction has taken a position and is still open when the next one commits.
            record = recording.record

            async def record_and_wait(connection: AsyncConnection, *arguments: Any) -> None:
                await record(connection, *arguments)
                if not holding.is_set():
                    holding.set()
                    await release.wait()

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("app.learners.service.record", record_and_wait)
                late = asyncio.create_task(client.post("/learners", json={"username": "late"}))
                await holding.wait()
                assert (await client.post("/learners", json={"username": "early"})).status_code == 201
                for _ in range(5):
                    assert await read_safe_position(database, safe) == first
                assert await read_newest(database) == first + 2
                release.set()
                assert (await late).status_code == 201
            assert await read_safe_position(database, safe) == first + 2


async def test_endlessly_overlapping_transactions_do_not_stop_the_feed(postgres: PostgresServer) -> None:
    url = postgres.create_database("feed_overlaps")
    async with run_service(url) as service:
        organization = await service.found_organization()
        database, safe = service.database, feed.SafePosition()

        @asynccontextmanager
        async def running() -> AsyncIterator[None]:
            async with database.engine.begin() as connection:
                await connection.execute(select(func.pg_current_xact_id()))
                yield

        async with service.client(await service.issue_key(organization)) as client, AsyncExitStack() as stack:
            positions = []
            for number in range(4):
                following = AsyncExitStack()
                await following.enter_async_context(running())
                await stack.aclose()  # the previous one ends after this one has begun
                stack = following  # noqa: PLW2901
                await client.post("/learners", json={"username": f"learner{number}"})
                positions.append((await read_safe_position(database, safe), await read_newest(database)))
            await stack.aclose()
        assert [safe for safe, _ in positions] == [0, *(newest for _, newest in positions[:-1])]
