"""A signal to stop is noticed at once and still reaches its earlier handler."""

import asyncio
import os
import signal
from collections.abc import Iterator
from signal import Signals
from typing import Any

import pytest

from app.platform.stopping import watch_for_stop

pytestmark = pytest.mark.anyio


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """Return the signals that the earlier handler received."""
    numbers = []

    def handle(number: int, _frame: object) -> None:
        numbers.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    yield numbers
    for number, handler in before.items():
        assert signal.signal(number, handler) is handle


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_sets_the_event_and_reaches_its_handler(handled: list[int], number: Signals) -> None:
    with watch_for_stop() as stopping:
        assert not stopping.is_set()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stopping.wait(), 60)
    assert handled == [number]


async def test_signal_after_the_block_is_not_noticed(handled: list[int]) -> None:
    with watch_for_stop() as stopping:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    assert not stopping.is_set()
    assert handled == [signal.SIGTERM]


async def test_two_watchers_in_one_process_both_notice(handled: list[int]) -> None:
    with watch_for_stop() as first, watch_for_stop() as second:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(first.wait(), second.wait()), 60)
    assert handled == [signal.SIGTERM]


async def test_signal_without_a_handler_keeps_its_effect() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with watch_for_stop():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_watcher_in_another_thread_notices_nothing(handled: list[int]) -> None:
    async def enter() -> Any:
        with watch_for_stop() as stopping:
            return stopping.is_set()

    before = signal.getsignal(signal.SIGTERM)
    assert await asyncio.to_thread(asyncio.run, enter()) is False
    assert signal.getsignal(signal.SIGTERM) is before
    assert handled == []
