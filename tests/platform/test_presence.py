"""A process is present only while it holds its lock."""

import asyncio

import asyncpg
import pytest

from app.platform import presence
from app.platform.database import Database
from app.platform.presence import AdvisoryLocks
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.anyio


async def test_process_without_its_lock_tries_again(postgres: PostgresServer) -> None:
    database = Database(postgres.create_database("presence"))
    entering, observing = AdvisoryLocks(database), AdvisoryLocks(database)
    in_its_way = await asyncpg.connect(database.libpq_url)
    try:
        await in_its_way.execute("SELECT pg_advisory_lock($1, $2)", presence.LOCK_CLASS, int(entering.name))
        attempt = asyncio.create_task(entering.enter())
        while not await in_its_way.fetchval(
            "SELECT count(pg_cancel_backend(pid)) FROM pg_locks WHERE NOT granted AND classid = $1",
            presence.LOCK_CLASS,
        ):
            pass
        with pytest.raises(asyncpg.QueryCanceledError):
            await attempt
        await in_its_way.close()

        assert await entering.enter()
        assert await observing.living() == {entering.name, observing.name}
    finally:
        in_its_way.terminate()
        await entering.leave()
        await observing.leave()
        await database.close()
