"""Deliveries, and how an attempt changes them: received, waiting for the next attempt, or failed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.webhooks.failures import Failure, describe_failure
from app.webhooks.webhook import DisabledReason

# The waits after each failed attempt, as Standard Webhooks recommends: about three days in all.
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
# Each wait is longer by up to this share, so that retries spread out.
_JITTER = 0.1
_GONE = 410


class DeliveryState(StrEnum):
    """Whether a delivery is still to be sent, was received, or has failed for good."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event (or test) for one webhook. `attempts` counts the attempts that have begun."""

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
        """The `webhook-id` of its messages: the same in every attempt, so that the receiver can drop repeats."""
        return self.event_id or self.id


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one attempt. `status` is None if there was no answer, `failure` is None if it was received."""

    status: int | None
    failure: Failure | None
    duration_ms: int

    @property
    def was_received(self) -> bool:
        """Whether the endpoint returned 2xx."""
        return self.failure is None

    @property
    def error(self) -> str | None:
        """The failure as a sentence."""
        return None if self.failure is None else describe_failure(self.failure)

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint wants no more messages (410 Gone)."""
        return self.status == _GONE


def find_wait(attempts: int) -> timedelta | None:
    """Return how long to wait after this many failed attempts (1 or more). None = do not try again."""
    return _WAITS[attempts - 1] if attempts <= len(_WAITS) else None


def apply_attempt(delivery: Delivery, attempt: Attempt, now: datetime) -> Delivery:
    """Return the delivery after its latest attempt, which ended at the aware instant `now`."""
    state, next_attempt_at = DeliveryState.DELIVERED, None
    if not attempt.was_received:
        wait = find_wait(delivery.attempts)
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


def find_disabled_reason(
    last_delivered_at: datetime | None, attempted: Sequence[tuple[Delivery, Attempt]]
) -> DisabledReason | None:
    """Return why a webhook must be disabled after these attempts, or None if it stays enabled.

    It is disabled if the endpoint is gone, or if a delivery has failed for good and no message has been received
    since that delivery was created.
    """
    if any(attempt.is_gone for _, attempt in attempted):
        return DisabledReason.GONE
    for delivery, _ in attempted:
        if delivery.state is DeliveryState.FAILED and (
            last_delivered_at is None or last_delivered_at < delivery.created_at
        ):
            return DisabledReason.FAILING
    return None


def new_test_delivery(
    identifier: str, webhook_id: str, event_type: str, attempt: Attempt, now: datetime
) -> Delivery:
    """Return the delivery of a test, which is sent once. The attempt began at the aware instant `now`."""
    return Delivery(
        id=identifier,
        webhook_id=webhook_id,
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
