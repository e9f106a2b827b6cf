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

    def wall(self) -> float:
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
                if await self._settled(event) and target == min(self._targets):
                    self._jump(target)
        finally:
            self._targets.remove(target)

    async def _settled(self, event: asyncio.Event) -> bool:
        # Between two POSTs the loop needs some turns: idle is who stays idle for a while.
        for _ in range(10):
            if self.busy() or event.is_set():
                await asyncio.sleep(0)
                return False
            await asyncio.sleep(0)
        return not self.busy() and not event.is_set()

    def _jump(self, target: float) -> None:
        self._now = target
        for at, event in self._alarms:
            if at <= target:
                event.set()
