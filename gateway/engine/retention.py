"""What is over is kept for a while, and then forgotten."""

import asyncio
from collections.abc import Callable

import structlog

from gateway.engine.bounds import Bounds
from gateway.errors import StoreUnavailable
from gateway.stores import Ledger

log = structlog.get_logger(__name__)

# How often the store is asked to forget, seconds: in time for a short retention too.
_MOST_S = 30.0
_LEAST_S = 0.5


class Retention:
    """Forgets ended jobs of one store when their time is over."""

    def __init__(self, store: Ledger, bounds: Bounds, now: Callable[[], float]) -> None:
        self._store = store
        self._keep_s = bounds.retention
        self._keep_dead_s = bounds.dead_letter_retention
        self._now = now

    async def run(self) -> None:
        """Forget what is due, now and then, until cancelled."""
        while True:
            await asyncio.sleep(min(_MOST_S, max(_LEAST_S, self._keep_s / 4)))
            try:
                await self.prune()
            except StoreUnavailable:
                log.warning("prune_failed")

    async def prune(self) -> None:
        """Forget what is due.

        Raises:
            StoreUnavailable: nothing was forgotten.
        """
        now = self._now()
        gone = await self._store.prune(now - self._keep_s, now - self._keep_dead_s)
        if gone:
            log.info("jobs_pruned", jobs=len(gone))
