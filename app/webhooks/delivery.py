"""What a delivery is, and what becomes of it by an attempt: received, tried again, given up."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.webhooks.webhook import DisabledReason, Webhook

# The waits after each failed attempt, as Standard Webhooks has them: some three days in all.
_WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# A wait is longer by up to this share, so that not everything is tried again at once.
_JITTER = 0.1
_GONE = 410


class DeliveryState(StrEnum):
    """What has become of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event (or test) on its way to one webhook."""

    id: str
    webhook_id: str
    event_position: int | None
    event_id: str | None
    event_type: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    response_status: int | None
    error: str | None
    duration_ms: int | None

    @property
    def message_id(self) -> str:
        """What the receiver knows it by: the same in every attempt, so that one that comes twice counts once."""
        return self.event_id or self.id


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended: with this HTTP status, or with none; `error` where it failed, as a sentence."""

    status: int | None
    error: str | None
    duration_ms: int

    @property
    def was_received(self) -> bool:
        """Whether the endpoint has it, which only a 2xx says."""
        return self.error is None

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint wants no more (410)."""
        return self.status == _GONE


def wait_after(attempts: int) -> timedelta | None:
    """How long to wait after so many failed attempts (1 or more); None = no further one."""
    return _WAITS[attempts - 1] if attempts <= len(_WAITS) else None


def after(delivery: Delivery, attempt: Attempt, now: datetime) -> Delivery:
    """The delivery after the attempt that it counts last, which ended at the aware instant `now`."""
    state, next_attempt_at = DeliveryState.DELIVERED, None
    if not attempt.was_received:
        wait = wait_after(delivery.attempts)
        state = DeliveryState.FAILED if wait is None else DeliveryState.PENDING
        if wait is not None:
            next_attempt_at = now + wait * random.uniform(1, 1 + _JITTER)  # noqa: S311
    return replace(
        delivery,
        state=state,
        next_attempt_at=next_attempt_at,
        response_status=attempt.status,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
    )


def reason_to_disable(
    last_delivered_at: datetime | None, attempted: Sequence[tuple[Delivery, Attempt]]
) -> DisabledReason | None:
    """Why nothing more is to be sent after these attempts, if so.

    The endpoint has said that it is gone, or a delivery is given up and none has come through since it was made.
    """
    if any(attempt.is_gone for _, attempt in attempted):
        return DisabledReason.GONE
    for delivery, _ in attempted:
        if delivery.state is DeliveryState.FAILED and (
            last_delivered_at is None or last_delivered_at < delivery.created_at
        ):
            return DisabledReason.FAILING
    return None


def tested(identifier: str, webhook: Webhook, event_type: str, attempt: Attempt, now: datetime) -> Delivery:
    """The delivery of a test, which began at the aware instant `now` and is sent once."""
    return Delivery(
        id=identifier,
        webhook_id=webhook.id,
        event_position=None,
        event_id=None,
        event_type=event_type,
        state=DeliveryState.DELIVERED if attempt.was_received else DeliveryState.FAILED,
        attempts=1,
        created_at=now,
        last_attempt_at=now,
        next_attempt_at=None,
        response_status=attempt.status,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
    )
