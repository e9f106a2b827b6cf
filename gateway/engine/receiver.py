"""Who takes the callbacks of one origin: what waits, what is on the way, and whether any may go.

Pure: it never waits and reads no clock. At most one POST of a URL is on the way, at most
`most` of the origin. After a row of failures it is closed for a pause that doubles, and
whoever uses it drains it and adds nothing until `closed_until`; then one probe goes, and its
success opens it again, also for those that knocked in vain meanwhile.
"""

from collections import deque
from math import ceil
from random import Random

from gateway.webhooks import Delivery

_FAILURES = 10
_PAUSE_LEAST_S = 2.0
_PAUSE_MOST_S = 300.0
# Failures are remembered so long: more than the longest pause.
_MEMORY_S = 600.0
# How long a POST takes is averaged over about so many; what is assumed before the first.
_AVERAGED = 10
_TOOK_S = 0.01
# Times given to those who come later: together in steps, and never further away than this.
_STEP_S = 0.25
_BOOKED_MOST_S = 60.0


class Receiver:
    """One origin, and the deliveries to it."""

    __slots__ = (
        "_booked_until",
        "_failed_at",
        "_failures",
        "_most",
        "_pause_s",
        "_refused",
        "_took_s",
        "_urls",
        "_waiting",
        "closed_until",
    )

    def __init__(self, most: int) -> None:
        """Open, and empty.

        Args:
            most: POSTs on the way at the same time.
        """
        self.closed_until = 0.0
        self._most = most
        self._waiting: deque[Delivery] = deque()
        self._urls: set[str] = set()
        # The jobs whose deliveries have failed since the receiver last answered.
        self._refused: set[str] = set()
        self._failures = 0
        self._failed_at = 0.0
        self._pause_s = 0.0
        self._took_s = _TOOK_S
        self._booked_until = 0.0

    def __len__(self) -> int:
        """How many wait; those on the way are not among them."""
        return len(self._waiting)

    def idle(self, now: float) -> bool:
        """Nothing waits, nothing is on the way, and no failure is worth remembering."""
        remembers = self._failures and now < self._failed_at + _MEMORY_S
        return not (self._waiting or self._urls or remembers)

    def add(self, delivery: Delivery) -> None:
        """Let one more wait."""
        self._waiting.append(delivery)

    def book(self, now: float) -> float:
        """When to come again for whoever finds the line too long: about when it is their turn.

        Each gets a turn of their own, so that a crowd does not come again together.
        """
        each_s = self._took_s / self._most
        turn = max(self._booked_until, now + len(self._waiting) * each_s) + each_s
        self._booked_until = min(turn, now + _BOOKED_MOST_S)
        return ceil(self._booked_until / _STEP_S) * _STEP_S

    def next(self) -> Delivery | None:
        """Send the first on its way that may go; None if none may now."""
        most = 1 if self._pause_s else self._most
        if len(self._urls) >= most:
            return None
        for index, delivery in enumerate(self._waiting):
            if delivery.url not in self._urls:
                del self._waiting[index]
                self._urls.add(delivery.url)
                return delivery
        return None

    def drain(self) -> list[Delivery]:
        """All that wait; none is left."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def arrived(self, url: str, took_s: float) -> set[str]:
        """The receiver took a POST, or refused it in its senses.

        The jobs whose deliveries may go again now, however late they were to: they had failed
        before it opened.
        """
        self._urls.discard(url)
        knocked = self._refused if self._pause_s else set()
        self._refused = set()
        self._took_s += (took_s - self._took_s) / _AVERAGED
        self._failures = 0
        self._pause_s = 0.0
        return knocked

    def failed(self, delivery: Delivery, now: float, rng: Random) -> None:
        """There was no answer, or one that says the receiver is broken."""
        self._urls.discard(delivery.url)
        self._refused.add(delivery.job_id)
        self._failures += 1
        self._failed_at = now
        if self._failures >= _FAILURES and now >= self.closed_until:
            self._pause_s = min(max(self._pause_s * 2, _PAUSE_LEAST_S), _PAUSE_MOST_S)
            self.closed_until = now + self._pause_s * rng.uniform(0.8, 1.2)

    def released(self, url: str) -> None:
        """A POST was not made after all: nothing is learned from it."""
        self._urls.discard(url)
