"""The clock of this machine."""

from datetime import UTC, datetime, timedelta

from app.platform.clock import SystemClock


def test_system_clock_returns_aware_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)
