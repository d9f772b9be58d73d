"""Sends events to webhooks: stages new events as deliveries, sends them, and retries those that fail.

All state is in the database, so any number of processes can do this. If a process dies, what it had claimed is due
again after its lease. So a message can be sent twice, with the same id.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import feed
from app.limits import Limits
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.ids import new_id
from app.platform.logging import get_logger
from app.webhooks import repository
from app.webhooks.delivery import Attempt, Delivery, DeliveryState, apply_attempt, find_disabled_reason
from app.webhooks.errors import WebhookNotFound
from app.webhooks.messages import build_event_message, send_message
from app.webhooks.sender import Sender
from app.webhooks.webhook import DisabledReason, Webhook

logger = get_logger("rollcall.webhooks")


class Dispatcher:
    """Sends events in this process. Several processes can share one database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sender: Sender,
        keep: timedelta,
        limits: Limits = Limits(),
    ) -> None:
        """Create a dispatcher that has not started. `keep`: how long ended deliveries are kept."""
        self._limits = limits
        # A process that has claimed a delivery and stored no result for this long counts as dead.
        self._lease = timedelta(seconds=2 * limits.webhook_timeout_seconds)
        self._database = database
        self._clock = clock
        self._sender = sender
        self._keep = keep
        self._safe = feed.SafePosition()
        self._loops: list[asyncio.Task[None]] = []
        # One task for each webhook, so that a slow endpoint does not delay the others.
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._is_stopping = False

    def start(self) -> None:
        """Start to send events and to delete old deliveries, until stop()."""
        limits = self._limits
        self._loops = [
            asyncio.create_task(self._repeat(self.look, limits.webhook_look_seconds), name="webhooks"),
            asyncio.create_task(
                self._repeat(self.tidy, limits.housekeeping_seconds), name="webhook housekeeping"
            ),
        ]

    async def stop(self) -> None:
        """Wait for the messages that are being sent, and stop. Another process, or the next start, sends the rest."""
        self._is_stopping = True
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.finish()
        await self._sender.close()

    async def finish(self) -> None:
        """Wait until everything that the last look() began is done."""
        await asyncio.gather(*self._serving.values())

    async def look(self) -> None:
        """Begin to serve each enabled webhook that is not being served."""
        async with self._database.read() as connection:
            enabled = await repository.list_enabled(connection)
            until = await self._safe.advance(connection) if enabled else 0
        self._serving = {key: task for key, task in self._serving.items() if not task.done()}
        for webhook in enabled:
            if webhook.id not in self._serving:
                self._serving[webhook.id] = asyncio.create_task(self._serve(webhook, until))

    async def tidy(self) -> None:
        """Delete deliveries that ended long ago, and everything of removed webhooks."""
        rows = self._limits.removed_rows
        older_than = new_id(self._clock.now() - self._keep)
        while await self._database.write(repository.delete_ended_deliveries, older_than, rows):
            pass
        async with self._database.read() as connection:
            removed = await repository.list_removed(connection)
        for webhook_id in removed:
            while await self._database.write(repository.delete_remains, webhook_id, rows):
                pass

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await work()
            except Exception:
                # Usually the database, which is unavailable for a while.
                logger.exception("webhook round failed; the next one follows")
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))  # noqa: S311

    async def _serve(self, webhook: Webhook, until: int) -> None:
        try:
            while not self._is_stopping:
                has_more = await self._stage(webhook, until)
                sent = await self._send_due(webhook)
                if not (has_more or sent):
                    return
                async with self._database.read() as connection:
                    webhook = await repository.get_webhook(connection, webhook.organization_id, webhook.id)
                if not webhook.is_enabled:
                    return
        except WebhookNotFound:  # removed meanwhile
            return
        except Exception:
            logger.exception("serving a webhook failed; the next round tries again", webhook=webhook.id)

    async def _stage(self, webhook: Webhook, until: int) -> bool:
        """Create deliveries for new events, as many as may wait. Return whether there may be more new events."""
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
            return False  # nothing for this webhook yet: skip these events later, together with more
        now = self._clock.now()
        deliveries = [new_delivery(webhook.id, each, now) for each in found]
        await self._database.write(_store_staged, webhook, deliveries, end)
        return end < until

    async def _send_due(self, webhook: Webhook) -> int:
        """Send deliveries that are due, several at once. Return how many."""
        now = self._clock.now()
        async with self._database.read() as connection:
            if not await repository.has_due(connection, webhook.id, now):
                return 0  # without a write transaction, which others would have to wait for
        claimed = await self._database.write(
            repository.claim_due, webhook.id, now, now + self._lease, self._limits.webhook_messages_at_once
        )
        if not claimed:
            return 0
        positions = [each.event_position for each in claimed if each.event_position is not None]
        async with self._database.read() as connection:
            events = await feed.find_events(connection, positions)
        sending = (
            send_message(
                self._sender,
                self._clock,
                webhook,
                each.message_id,
                build_event_message(events[each.event_position]),
            )
            for each in claimed
            if each.event_position is not None
        )
        attempts = await asyncio.gather(*sending)
        await self._record(webhook, list(zip(claimed, attempts, strict=True)))
        return len(claimed)

    async def _record(self, webhook: Webhook, attempted: Sequence[tuple[Delivery, Attempt]]) -> None:
        now = self._clock.now()
        ended = [(apply_attempt(delivery, attempt, now), attempt) for delivery, attempt in attempted]
        reason = await self._database.write(_store_attempts, webhook, ended, now)
        if reason is not None:
            logger.warning("webhook disabled", webhook=webhook.id, reason=reason.value)


async def _store_staged(
    connection: AsyncConnection, webhook: Webhook, deliveries: Sequence[Delivery], end: int
) -> None:
    try:
        current = await repository.lock_webhook(connection, webhook.organization_id, webhook.id)
    except WebhookNotFound:
        return
    # Another process may have staged these events, or an administrator may have changed the event types.
    if not current.is_enabled or current.position != webhook.position:
        return
    if current.event_types != webhook.event_types:
        return
    if deliveries:
        await repository.insert_deliveries(connection, deliveries)
    await repository.update_webhook(connection, replace(current, position=end))


async def _store_attempts(
    connection: AsyncConnection, webhook: Webhook, ended: Sequence[tuple[Delivery, Attempt]], now: datetime
) -> DisabledReason | None:
    """Store the results of attempts. Return why the webhook was disabled, or None if it was not."""
    try:
        current = await repository.lock_webhook(connection, webhook.organization_id, webhook.id)
    except WebhookNotFound:
        current = None
    for delivery, _ in ended:
        await repository.store_attempt(connection, delivery)
    if current is None:
        return None
    changed = current
    if any(attempt.was_received for _, attempt in ended):
        changed = replace(changed, last_delivered_at=now)
    reason = find_disabled_reason(changed.last_delivered_at, ended)
    # A new URL deserves its own attempts: what happened at the old one does not disable it.
    disables = reason is not None and current.is_enabled and current.url == webhook.url
    if disables:
        changed = replace(changed, is_enabled=False, disabled_reason=reason, updated_at=now)
    if changed != current:
        await repository.update_webhook(connection, changed)
    return reason if disables else None


def new_delivery(webhook_id: str, event: feed.FeedEntry, now: datetime) -> Delivery:
    """Return the delivery of an event, due at once."""
    return Delivery(
        id=new_id(now),
        webhook_id=webhook_id,
        event_position=event.position,
        event_id=event.id,
        event_type=event.type,
        state=DeliveryState.PENDING,
        attempts=0,
        created_at=now,
        last_attempt_at=None,
        next_attempt_at=now,
        response_status=None,
        error=None,
        duration_ms=None,
    )
