"""A clock that jumps: hours pass as soon as there is nothing left to do."""

import asyncio
import time
from collections.abc import Callable


class JumpingClock:
    """Starts at the real time, and goes on only where everybody waits.

    Attributes:
        busy: something real is under way (a POST over a socket): time stands still meanwhile.
    """

    def __init__(self) -> None:
        self.busy: Callable[[], bool] = lambda: False
        self._now = time.time()
        self._targets: list[float] = []
        self._alarms: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self._now

    def alarm(self, after_s: float) -> asyncio.Event:
        """An event that is set when so much of this clock's time has passed."""
        event = asyncio.Event()
        self._alarms.append((self._now + after_s, event))
        return event

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        target = self._now + timeout_s
        self._targets.append(target)
        try:
            while not event.is_set() and self._now < target:
                await self._settle()
                if not self.busy() and not event.is_set() and target == min(self._targets):
                    self._jump(target)
        finally:
            self._targets.remove(target)

    async def _settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def _jump(self, target: float) -> None:
        self._now = target
        for at, event in self._alarms:
            if at <= target:
                event.set()
