"""How late the event loop comes to its timers: what a busy process makes everybody wait."""

import asyncio
from collections.abc import Callable

_EVERY_S = 0.5


class Lag:
    """Looks at the loop, now and then, and tells how late it was."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        """Tell `tell`, in seconds."""
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to look. Call once, inside the loop."""
        self._arm(asyncio.get_running_loop())

    async def stop(self) -> None:
        """Look no more. Works unstarted and twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_EVERY_S, self._look, loop, loop.time() + _EVERY_S)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._tell(max(0.0, loop.time() - due))
        self._arm(loop)
