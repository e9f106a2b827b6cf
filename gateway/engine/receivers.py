"""The lines that callbacks wait in: one for each app at each origin.

Where something failed, a line is remembered for a while after nothing waits in it. There may be
very many of these, so the others are kept apart, and only they are looked at with every step.
"""

from collections import Counter
from math import inf

from gateway.engine.receiver import Receiver
from gateway.webhooks import Delivery

# Between two looks for lines that need not be remembered any more.
_TIDY_EVERY_S = 30.0


class Receivers:
    """All of them, by app and origin. Pure, as each of them is."""

    def __init__(self, most_per_origin: int) -> None:
        """There is none yet.

        Args:
            most_per_origin: POSTs of one app on the way to one origin, as long as they are quick.
        """
        self._most_per_origin = most_per_origin
        # What a POST is on the way to.
        self._calling: set[str] = set()
        self._all: dict[tuple[str, str], Receiver] = {}
        # Those where something waits, in the order of their turns.
        self._busy: dict[tuple[str, str], Receiver] = {}
        self._tidy_at = 0.0

    def __len__(self) -> int:
        """How many are known, those included where nothing waits."""
        return len(self._all)

    def of(self, app: str, origin: str) -> Receiver:
        """The line of an app at an origin."""
        receiver = self._all.get((app, origin))
        if receiver is None:
            receiver = self._all[app, origin] = Receiver(self._most_per_origin, self._calling)
        return receiver

    def add(self, delivery: Delivery, origin: str) -> None:
        """Let one more wait."""
        line = delivery.tenant, origin
        receiver = self._busy[line] = self.of(*line)
        receiver.add(delivery)

    def waiting(self) -> Counter[str]:
        """How many wait, by app."""
        waiting: Counter[str] = Counter()
        for (app, _), receiver in self._busy.items():
            waiting[app] += len(receiver)
        return waiting

    def ready_at(self, now: float) -> float:
        """When one that waits may go at the earliest, as time alone lets it."""
        return min((receiver.ready_at(now) for receiver in self._busy.values()), default=inf)

    def in_turn(self, now: float) -> list[tuple[str, str]]:
        """App and origin where something waits, in the order of their turns."""
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY_EVERY_S
            for line in [line for line, receiver in self._all.items() if receiver.idle(now)]:
                del self._all[line]
        for line in [line for line, receiver in self._busy.items() if not len(receiver)]:
            del self._busy[line]
        return list(self._busy)

    def served(self, app: str, origin: str) -> None:
        """One of those where something waits had its turn; the next is after all others."""
        self._busy[app, origin] = self._busy.pop((app, origin))
