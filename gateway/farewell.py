"""The end of a gateway: jobs come to theirs, and their callbacks leave."""

from contextlib import suppress

from aiohttp import web

from gateway.engine.clock import Clock
from gateway.engine.core import Core
from gateway.engine.notifier import Notifier
from gateway.errors import StoreUnavailable

# After the drain, for the callbacks of what it ended.
_FLUSH_S = 5.0


class Farewell:
    """Ends a core and its notifier in their order, in bounded time."""

    def __init__(
        self, core: Core, notifier: Notifier, clock: Clock, *, drain_s: float, post_s: float
    ) -> None:
        """Nothing ends yet.

        Args:
            drain_s: for what runs, and then for what is owed.
            post_s: of these, for what is owed at most: what one POST may take.
        """
        self._core = core
        self._notifier = notifier
        self._clock = clock
        self._drain_s = drain_s
        self._post_s = post_s

    async def drain(self) -> None:
        """Take nothing new; let what runs end, and what is due then leave.

        Safe to cancel: `close` ends what is left.
        """
        until = self._clock.now() + self._drain_s
        await self._core.drain()
        await self._flush(min(until - self._clock.now(), self._post_s))

    async def close(self, _: web.Application) -> None:
        """End what is left, and send what that owes.

        Before the server waits for its handlers: open streams end with their logs.
        """
        await self._core.stop()
        await self._flush(_FLUSH_S)

    async def _flush(self, within_s: float) -> None:
        # Without the store nobody knows what is owed; it stays owed.
        with suppress(StoreUnavailable):
            await self._notifier.flush(within_s)
