"""Brings events to webhooks: finds what is new, sends it, tries again, and gives up at last.

Everything stands in the database, so that any number of processes can do it, and one that dies leaves nothing
undone: what it had taken on is due again half a minute later. So a message can come twice, with the same id.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import feed
from app.limits import Limits
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.ids import new_id
from app.platform.logging import get_logger
from app.webhooks import repository
from app.webhooks.delivery import Attempt, Delivery, DeliveryState, after, reason_to_disable
from app.webhooks.messages import event_message, send
from app.webhooks.sender import Sender
from app.webhooks.webhook import DisabledReason, Webhook

logger = get_logger("rollcall.webhooks")


class Dispatcher:
    """Sends events in this process, along with every other process that has a dispatcher on this database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sender: Sender,
        keep: timedelta,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        """`keep`: for how long deliveries that have ended are kept."""
        self._limits = limits
        # A process that has claimed a delivery and says nothing for this long has died.
        self._lease = timedelta(seconds=2 * limits.webhook_timeout_seconds)
        self._database = database
        self._clock = clock
        self._sender = sender
        self._keep = keep
        self._safe = feed.SafePosition()
        self._loops: list[asyncio.Task[None]] = []
        # One for each webhook, so that a slow endpoint holds up nobody else's.
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._is_stopping = False

    def start(self) -> None:
        """Begin to send what there is, and what will come."""
        limits = self._limits
        self._loops = [
            asyncio.create_task(
                self._again_and_again(self.look, limits.webhook_look_seconds), name="webhooks"
            ),
            asyncio.create_task(
                self._again_and_again(self.tidy, limits.housekeeping_seconds), name="webhooks' housekeeping"
            ),
        ]

    async def stop(self) -> None:
        """Let what is being sent end, within its timeout. The rest, another process or the next start sends."""
        self._is_stopping = True
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.finish()
        await self._sender.close()

    async def finish(self) -> None:
        """Wait until what the last look began is done."""
        await asyncio.gather(*self._serving.values())

    async def look(self) -> None:
        """Begin to serve each webhook that is not being served."""
        async with self._database.read() as connection:
            enabled = await repository.list_enabled(connection)
            until = await self._safe.find(connection) if enabled else 0
        self._serving = {key: task for key, task in self._serving.items() if not task.done()}
        for webhook in enabled:
            if webhook.id not in self._serving:
                self._serving[webhook.id] = asyncio.create_task(self._serve(webhook, until))

    async def tidy(self) -> None:
        """Remove deliveries that have had their time, and those of webhooks that are gone."""
        rows = self._limits.removed_rows
        older_than = new_id(self._clock.now() - self._keep)
        async with self._database.read() as connection:
            removed = await repository.list_removed(connection)
        for delete in (
            partial(repository.delete_ended_deliveries, older_than=older_than, limit=rows),
            *(partial(repository.delete_remains, webhook_id=each, limit=rows) for each in removed),
        ):
            while await self._database.write(delete):
                pass

    async def _again_and_again(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await work()
            except Exception:
                # Mostly the database, away for a while.
                logger.exception("webhooks will be looked at again")
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))  # noqa: S311

    async def _serve(self, webhook: Webhook, until: int) -> None:
        try:
            while not self._is_stopping:
                has_more = await self._stage(webhook, until)
                sent = await self._send_due(webhook)
                if not (has_more or sent):
                    return
                async with self._database.read() as connection:
                    current = await repository.find(connection, webhook.organization_id, webhook.id)
                if current is None or not current.is_enabled:
                    return
                webhook = current
        except Exception:
            logger.exception("a webhook will be served again", webhook=webhook.id)

    async def _stage(self, webhook: Webhook, until: int) -> bool:
        """Make deliveries of what is new, as many as may wait; whether there may be more that is new."""
        if webhook.position >= until:
            return False
        end = min(until, webhook.position + self._limits.webhook_window)
        async with self._database.read() as connection:
            most = self._limits.webhook_pending
            room = most - await repository.count_pending(connection, webhook.id, most)
            if room <= 0:
                return False
            found = await feed.list_after(
                connection, webhook.organization_id, webhook.position, end, webhook.event_types, room
            )
        if len(found) == room:
            end = found[-1].position
        elif not found and end - webhook.position < self._limits.webhook_window:
            return False  # the events of others, which can be passed over together with more of them
        now = self._clock.now()

        async def transaction(connection: AsyncConnection) -> None:
            current = await repository.find(connection, webhook.organization_id, webhook.id, lock=True)
            # Another process may have done it, or somebody may have changed what is wanted.
            if current is None or not current.is_enabled or current.position != webhook.position:
                return
            if current.event_types != webhook.event_types:
                return
            if found:
                await repository.insert_deliveries(
                    connection, [new_delivery(webhook.id, each, now) for each in found]
                )
            await repository.update_webhook(connection, webhook.id, {"position": end})

        await self._database.write(transaction)
        return end < until

    async def _send_due(self, webhook: Webhook) -> int:
        """Send what is due, up to some at once; how many there were."""
        now = self._clock.now()
        async with self._database.read() as connection:
            if not await repository.is_due(connection, webhook.id, now):
                return 0  # without a transaction that writes, for which others would have to wait
        claimed = await self._database.write(
            repository.claim_due, webhook.id, now, now + self._lease, self._limits.webhook_messages_at_once
        )
        if not claimed:
            return 0
        positions = [each.event_position for each in claimed if each.event_position is not None]
        async with self._database.read() as connection:
            events = await feed.get_events(connection, positions)
        sending = (
            send(
                self._sender,
                self._clock,
                webhook,
                each.message_id,
                event_message(events[each.event_position]),
            )
            for each in claimed
            if each.event_position is not None
        )
        attempts = await asyncio.gather(*sending)
        await self._record(webhook, list(zip(claimed, attempts, strict=True)))
        return len(claimed)

    async def _record(self, webhook: Webhook, attempted: list[tuple[Delivery, Attempt]]) -> None:
        now = self._clock.now()
        ended = [(after(delivery, attempt, now), attempt) for delivery, attempt in attempted]

        async def transaction(connection: AsyncConnection) -> DisabledReason | None:
            current = await repository.find(connection, webhook.organization_id, webhook.id, lock=True)
            for delivery, _ in ended:
                await repository.store_attempt(connection, delivery)
            if current is None:
                return None
            values: dict[str, Any] = {}
            if any(attempt.was_received for _, attempt in ended):
                values["last_delivered_at"] = now
            reason = reason_to_disable(values.get("last_delivered_at", current.last_delivered_at), ended)
            # Unless somebody has given it another address meanwhile.
            disables = reason is not None and current.is_enabled and current.url == webhook.url
            if disables:
                values |= {"is_enabled": False, "disabled_reason": reason, "updated_at": now}
            if values:
                await repository.update_webhook(connection, webhook.id, values)
            return reason if disables else None

        disabled = await self._database.write(transaction)
        if disabled is not None:
            logger.warning("webhook disabled", webhook=webhook.id, reason=disabled.value)


def new_delivery(webhook_id: str, entry: feed.FeedEntry, now: datetime) -> Delivery:
    """The delivery of an event, due at once."""
    return Delivery(
        id=new_id(now),
        webhook_id=webhook_id,
        event_position=entry.position,
        event_id=entry.id,
        event_type=entry.type,
        state=DeliveryState.PENDING,
        attempts=0,
        created_at=now,
        last_attempt_at=None,
        next_attempt_at=now,
        response_status=None,
        error=None,
        duration_ms=None,
    )
