"""How often each provider is asked: so many times in a minute, evenly, in the order of coming."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from aiolimiter import AsyncLimiter


class Turns:
    """The turns at the providers that have a pace; at the others it is always one's turn."""

    def __init__(self, requests_per_minute: Mapping[str, int]) -> None:
        """Keep the pace of each provider.

        Args:
            requests_per_minute: by the provider's name; 0 for as many as there are.
        """
        self._limiters = {
            # No more at once than one second's worth: a minute's worth would be a burst.
            name: AsyncLimiter(max(1.0, pace / 60), max(1.0, 60 / pace))
            for name, pace in requests_per_minute.items()
            if pace
        }

    async def take(self, provider: str) -> bool:
        """Take a turn if it can be had now. Does not wait."""
        limiter = self._limiters.get(provider)
        if limiter is None:
            return True
        if not limiter.has_capacity():
            return False
        await limiter.acquire()
        return True

    def later(
        self, provider: str, latest: float, come: Callable[[str | None], None]
    ) -> "asyncio.Task[None]":
        """Take a turn as soon as it can be had, and call `come` with the provider's name.

        At `latest` (loop time) `come` is called with None instead. Cancelling the task gives up
        the place in the line.
        """

        async def wait() -> None:
            taken = None
            with suppress(TimeoutError):
                async with asyncio.timeout_at(latest):
                    await self._limiters[provider].acquire()
                    taken = provider
            come(taken)

        return asyncio.create_task(wait())
