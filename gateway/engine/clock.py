"""Time as an argument: what waits asks a clock, so that a test can let hours pass at once."""

import asyncio
import time
from contextlib import suppress
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and lets it pass."""

    def now(self) -> float:
        """UTC, seconds since the epoch."""
        ...

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        """Return when the event is set, or when so much time has passed."""
        ...


class WallClock:
    """The time of this machine."""

    def now(self) -> float:
        return time.time()

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()
