"""A moving window: how many came within the last so many seconds. Exact, in bounded memory."""

from collections import deque

# Those that come within this part of the window's length are remembered as one, at the time of
# the latest: none is forgotten too early, and a window holds no more than so many of them.
_GRAINS = 1000


class Window:
    """The times at which somebody came, as far as they still count."""

    __slots__ = ("_came", "_count", "_grain_s", "_length_s")

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._grain_s = length_s / _GRAINS
        # Pairs of the first time and the last of a grain, and how many came in it.
        self._came: deque[tuple[float, float, int]] = deque()
        self._count = 0

    def count(self, now: float) -> int:
        """How many of those who came still count."""
        while self._came and self._came[0][1] <= now - self._length_s:
            self._count -= self._came.popleft()[2]
        return self._count

    def add(self, now: float) -> None:
        """One more came."""
        self._count += 1
        if self._came and now - self._came[-1][0] < self._grain_s:
            first, _, many = self._came.pop()
            self._came.append((first, now, many + 1))
        else:
            self._came.append((now, now, 1))

    def frees_s(self, now: float) -> float:
        """Seconds until fewer count than now; 0 where none does."""
        return self._came[0][1] + self._length_s - now if self.count(now) else 0.0
