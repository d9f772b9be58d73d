"""A receiver, a dispatcher that works when a test says so, and no webhooks left for the next test."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.platform.limits import Limits
from app.webhooks.dependencies import SENDER
from app.webhooks.dispatcher import Dispatcher
from app.webhooks.sender import Sender
from tests.conftest import Api
from tests.webhooks.receiver import Receiver, receiving


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
        await self.dispatcher.look()
        await self.dispatcher.finish()


@pytest.fixture
def limits() -> Limits:
    """The dispatcher's limits; a test that needs others overrides this fixture."""
    return Limits()


@pytest.fixture
async def webhooks(api: Api, limits: Limits) -> AsyncIterator[Webhooks]:
    sender = SENDER.of(api.service.app)
    sender.to_private_networks = True
    dispatcher = Dispatcher(
        api.service.database,
        api.service.clock,
        Sender(to_private_networks=True),
        timedelta(days=30),
        limits,
    )
    async with receiving() as receiver:
        yield Webhooks(api, dispatcher, receiver)
        await dispatcher.stop()
    sender.to_private_networks = False

    async def remove(connection: Any) -> None:
        await connection.execute(text("DELETE FROM webhooks"))
        await connection.execute(text("DELETE FROM webhook_deliveries"))

    await api.service.database.write(remove)
