"""The webhooks of a test's organization, with a dispatcher that works when the test says so."""

import asyncio
from typing import Any

from sqlalchemy import text

from app.webhooks.dispatcher import Dispatcher
from tests.support.receiver import Receiver
from tests.support.service import Api


class Webhooks:
    """The webhooks of an organization, and what sends to them."""

    def __init__(self, api: Api, dispatcher: Dispatcher, receiver: Receiver) -> None:
        self.api = api
        self.dispatcher = dispatcher
        self.receiver = receiver

    async def create(self, **members: Any) -> dict[str, Any]:
        """A new webhook, to the receiver unless `url` says otherwise; with its secret."""
        answer = await self.api.client.post("/webhooks", json={"url": self.receiver.url, **members})
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def change(self, webhook: dict[str, Any], **members: Any) -> dict[str, Any]:
        answer = await self.api.client.patch(f"/webhooks/{webhook['id']}", json=members)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def get(self, webhook: dict[str, Any]) -> dict[str, Any]:
        answer = await self.api.client.get(f"/webhooks/{webhook['id']}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def deliveries(self, webhook: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
        """Newest first."""
        answer = await self.api.client.get(
            f"/webhooks/{webhook['id']}/deliveries", params={"limit": 1000, **params}
        )
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def send(self) -> None:
        """Send everything that is due now."""
        await self._wait_for_transactions()
        await self.dispatcher.look()
        await self.dispatcher.finish()

    async def _wait_for_transactions(self) -> None:
        """Wait until no transaction runs on the server: each one, autovacuum's too, holds the feed back."""
        database = self.api.service.database
        if database.is_sqlite:
            return
        idle = text("SELECT pg_snapshot_xmin(now) = pg_snapshot_xmax(now) FROM pg_current_snapshot() AS now")
        for _ in range(3000):
            async with database.read() as connection:
                if (await connection.execute(idle)).scalar_one():
                    return
            await asyncio.sleep(0.01)
        raise AssertionError("a transaction runs all the time")
