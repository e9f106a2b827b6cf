"""How often somebody may come: limits in words, counted over a moving window.

A burst at the limit lets exactly the limit through: counting and deciding are one step.
"""

import math
import time
from typing import NamedTuple

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from gateway.errors import RateLimited


class Standing(NamedTuple):
    """What is left of a limit: how many of how many, and the seconds until there are more."""

    limit: int
    remaining: int
    reset_s: int


class Limits:
    """Counters of one process. A key is whatever is limited: a tenant, a user, an address."""

    def __init__(self) -> None:
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._parsed: dict[str, RateLimitItem] = {}

    async def spend(self, limit: str, *key: str) -> None:
        """Count one more against `limit`, such as `100/hour`; a refused one is not counted.

        Raises:
            RateLimited: with the time after which one more fits.
        """
        item = self._item(limit)
        if not await self._window.hit(item, *key):
            raise await self._refusal(item, limit, key)

    async def check(self, limit: str, *key: str) -> None:
        """Refuse where one more would not fit; count nothing.

        Raises:
            RateLimited: as `spend`.
        """
        item = self._item(limit)
        if not await self._window.test(item, *key):
            raise await self._refusal(item, limit, key)

    async def standing(self, limit: str, *key: str) -> Standing:
        """What is left of `limit`; counts nothing."""
        item = self._item(limit)
        reset_at, remaining = await self._window.get_window_stats(item, *key)
        return Standing(item.amount, remaining, max(0, math.ceil(reset_at - time.time())))

    def _item(self, limit: str) -> RateLimitItem:
        item = self._parsed.get(limit)
        if item is None:
            item = self._parsed[limit] = parse(limit)
        return item

    async def _refusal(self, item: RateLimitItem, limit: str, key: tuple[str, ...]) -> RateLimited:
        reset_at, _ = await self._window.get_window_stats(item, *key)
        wait_s = max(1, math.ceil(reset_at - time.time()))
        return RateLimited(
            f"The limit of {limit} is reached. Try again in {wait_s} s.",
            retryable=True,
            retry_after_s=wait_s,
        )
