"""Time as an argument: what waits asks a clock, so that a test can let hours pass at once.

A machine's wall clock can be set. What the gateway keeps until some time must not be over because
of that, so this clock never jumps; what others say of a time is judged by the wall.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and lets it pass."""

    def now(self) -> float:
        """UTC, seconds since the epoch. It never goes back, and no faster than time passes."""
        ...

    def wall(self) -> float:
        """What this machine shows now, for others to compare with theirs; it may jump."""
        ...

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        """Return when the event is set, or when so much time has passed."""
        ...


# Of the time that passes, so much is used to come nearer to a wall clock that was set.
_CATCH_UP = 0.1
# What is further off was never set before: it is believed at once. A month, in seconds.
_NEVER_SET_S = 30 * 86_400.0


# Seconds that no setting of a clock changes; where possible, sleep counts.
_elapsed = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SteadyClock:
    """The time of this machine, without the jumps."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = _elapsed,
    ) -> None:
        """Begin at what the wall shows.

        Args:
            elapsed: seconds from any beginning.
        """
        self.wall = wall
        self._elapsed = elapsed
        self._at = elapsed()
        self._now = wall()

    def now(self) -> float:
        at = self._elapsed()
        passed_s, self._at = at - self._at, at
        self._now += passed_s
        off_s = self.wall() - self._now
        most_s = passed_s * _CATCH_UP
        if most_s < off_s < _NEVER_SET_S:
            off_s = most_s
        elif -_NEVER_SET_S < off_s < -most_s:
            off_s = -most_s
        self._now += off_s
        return self._now

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()
