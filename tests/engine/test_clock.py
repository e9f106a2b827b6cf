"""The clock of this machine."""

import asyncio
import time

from gateway.engine.clock import WallClock


async def test_a_wait_ends_with_its_event() -> None:
    """Long before its time is over."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)
    async with asyncio.timeout(5):
        await WallClock().wait(event, 60)
    assert event.is_set()


async def test_a_wait_ends_with_its_time() -> None:
    """Quietly, whether or not the event came."""
    clock, event = WallClock(), asyncio.Event()
    before = clock.now()
    await clock.wait(event, 0.02)
    assert clock.now() - before >= 0.015
    assert abs(clock.now() - time.time()) < 1
