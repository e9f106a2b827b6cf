"""Conversations in which nothing was said for long are forgotten."""

import asyncio
from collections.abc import Callable

import structlog

from gateway.conversations import Conversations
from gateway.errors import StoreUnavailable

log = structlog.get_logger(__name__)

# How often it is looked, seconds: in time for a short retention too.
_MOST_S = 60.0
_LEAST_S = 0.5


class Resting:
    """Forgets the conversations of one store when they have rested for so long."""

    def __init__(
        self, conversations: Conversations, keep_s: float, now: Callable[[], float]
    ) -> None:
        self._conversations = conversations
        self._keep_s = keep_s
        self._now = now
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more. Works unstarted and twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(min(_MOST_S, max(_LEAST_S, self._keep_s / 4)))
            try:
                await self.prune()
            except StoreUnavailable:
                log.warning("prune_failed")

    async def prune(self) -> None:
        """Forget what has rested for too long.

        Raises:
            StoreUnavailable: some are forgotten, perhaps none.
        """
        gone = await self._conversations.prune(self._now() - self._keep_s)
        if gone:
            log.info("conversations_forgotten", conversations=gone)
