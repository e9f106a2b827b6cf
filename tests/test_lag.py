"""How late the event loop is, as it finds out itself."""

import asyncio
import time

from gateway.lag import Lag


async def test_a_loop_that_is_held_up_is_late() -> None:
    """By about as long as it was held; one that is free is hardly late."""
    told: asyncio.Queue[float] = asyncio.Queue()
    lag = Lag(told.put_nowait)
    await lag.start()
    first = await told.get()
    # Past the next look, and nothing else runs meanwhile.
    time.sleep(0.7)  # noqa: ASYNC251
    held = await told.get()
    await lag.stop()
    assert first >= 0
    assert held >= 0.15


async def test_it_stops_unstarted_and_twice() -> None:
    """And tells nothing after that."""
    told: list[float] = []
    lag = Lag(told.append)
    await lag.stop()
    await lag.start()
    await lag.stop()
    await lag.stop()
    assert told == []
