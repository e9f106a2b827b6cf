"""What is done beside everything else, as long as the server lives."""

import asyncio
from abc import ABC, abstractmethod

import structlog

from gateway.errors import StoreUnavailable

log = structlog.get_logger(__name__)

# How often it is looked whether something is to be forgotten, seconds: in time for a short
# retention too.
_MOST_S = 30.0
_LEAST_S = 0.5


class Chore(ABC):
    """Something that is done now and then."""

    _doing: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        """Begin. Call once, inside the loop."""
        self._doing = asyncio.create_task(self.run())

    async def stop(self) -> None:
        """Do it no more. Works unstarted and twice."""
        task, self._doing = self._doing, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    @abstractmethod
    async def run(self) -> None:
        """Do it, again and again, until cancelled."""


class Forgetting(Chore):
    """Forgets what has been kept for so long."""

    def __init__(self, keep_s: float) -> None:
        self.keep_s = keep_s

    async def run(self) -> None:
        """Forget what is due, again and again, until cancelled."""
        while True:
            await asyncio.sleep(min(_MOST_S, max(_LEAST_S, self.keep_s / 4)))
            try:
                await self.prune()
            except StoreUnavailable:
                log.warning("prune_failed")

    @abstractmethod
    async def prune(self) -> None:
        """Forget what is due.

        Raises:
            StoreUnavailable: some is forgotten, perhaps nothing.
        """
