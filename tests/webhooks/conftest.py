"""A receiver, and a dispatcher that works when a test says so. Each test removes its webhooks."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.limits import Limits
from app.webhooks.dependencies import SENDER
from app.webhooks.dispatcher import Dispatcher
from app.webhooks.sender import Sender
from tests.support.receiver import receiving
from tests.support.service import Api
from tests.support.webhooks import Webhooks


@pytest.fixture
def limits() -> Limits:
    """The dispatcher's limits. A test that needs others overrides this fixture."""
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
