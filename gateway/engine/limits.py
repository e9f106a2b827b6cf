"""How often somebody may come: limits in words, counted over a moving window.

A burst at the limit lets exactly the limit through: counting and deciding are one step.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from limits import RateLimitItem, parse

from gateway.engine.window import Window
from gateway.errors import RateLimited

# Windows in which nobody counts any more are looked for once in so many that are asked for.
_TIDY_EVERY = 10_000

_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))

_parsed = lru_cache(maxsize=1024)(parse)


class Standing(NamedTuple):
    """What is left of a limit: how many of how many, and the seconds until there are more."""

    limit: int
    remaining: int
    reset_s: int


class Limits:
    """Counters of one process. A key is whatever is limited: a tenant, a user, an address."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Count nothing yet.

        Args:
            now: seconds on a clock that is never set back.
        """
        self._now = now
        self._windows: dict[tuple[str, ...], Window] = {}
        self._asked = 0

    def spend(self, limit: str, *key: str) -> None:
        """Count one more against `limit`, such as `100/hour`; a refused one is not counted.

        Raises:
            RateLimited: with the time after which one more fits.
        """
        self.spend_each([(limit, *key)])

    def spend_each(self, rates: Iterable[tuple[str, ...]]) -> None:
        """Count one more against several limits, each with its key behind it.

        What one of them refuses counts against none.

        Raises:
            RateLimited: as `spend`.
        """
        now = self._now()
        windows = [(limit, self._window(limit, key)) for limit, *key in rates]
        for limit, window in windows:
            _refuse_full(limit, _standing(limit, window, now))
        for _, window in windows:
            window.add(now)

    def standing(self, limit: str, *key: str) -> Standing:
        """What is left of `limit`; counts nothing."""
        return _standing(limit, self._window(limit, key), self._now())

    def _window(self, limit: str, key: Sequence[str]) -> Window:
        self._asked += 1
        if self._asked % _TIDY_EVERY == 0:
            self._tidy()
        window = self._windows.get((limit, *key))
        if window is None:
            item: RateLimitItem = _parsed(limit)
            window = self._windows[(limit, *key)] = Window(item.get_expiry())
        return window

    def _tidy(self) -> None:
        now = self._now()
        self._windows = {key: each for key, each in self._windows.items() if each.count(now)}


def _standing(limit: str, window: Window, now: float) -> Standing:
    most = _parsed(limit).amount
    return Standing(most, max(0, most - window.count(now)), ceil(window.frees_s(now)))


def _refuse_full(limit: str, standing: Standing) -> None:
    if not standing.remaining:
        wait_s = max(1, standing.reset_s)
        raise RateLimited(
            f"The limit of {limit} is reached. Try again in {_in_words(wait_s)}.",
            limit=standing.limit,
            retry_after_s=wait_s,
        )


def _in_words(wait_s: int) -> str:
    """A time that is not too short, in the largest unit of which it is two."""
    for unit, unit_s in _UNITS:
        if wait_s >= 2 * unit_s:
            return f"{ceil(wait_s / unit_s)} {unit}"
    return "1 second"
