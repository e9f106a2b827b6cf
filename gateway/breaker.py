"""When a model that keeps failing is asked again. Pure: the caller brings the time.

A burst of failures is one piece of news, so a model is spared only when it has failed several
times over some seconds, without an answer between. Then nobody who can ask another asks it for
a pause; after that one call, the probe, finds out whether it is back, and if not the next pause
is longer.
"""

from typing import Literal

from gateway.errors import ProviderError, ProviderSpared

FAILURES = 5
# Longer than one job's own tries take: a job alone meets all of its failures itself. Seconds.
SPAN_S = 4.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 10.0

Standing = Literal["failing", "open", "probing"]


class Breaker:
    """The failures of one model since it last answered. An answer makes it worth forgetting."""

    __slots__ = ("_failures", "_pause_s", "_probe", "_since", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._since = 0.0
        self._pause_s = 0.0
        self._until = 0.0
        self._probe: object | None = None

    @property
    def open(self) -> bool:
        """The model is spared."""
        return self._pause_s > 0

    @property
    def standing(self) -> Standing:
        """Asked as ever, spared, or being asked whether it is back."""
        if not self.open:
            return "failing"
        return "open" if self._probe is None else "probing"

    def admit(self, now: float) -> object | None:
        """Let a call through: None, or the mark that makes it the probe.

        Raises:
            ProviderSpared: the model is not to be asked.
        """
        if not self.open:
            return None
        if now < self._until or self._probe is not None:
            raise ProviderSpared
        self._probe = object()
        return self._probe

    def failed(self, now: float, mark: object | None) -> bool:
        """A call with that mark failed; True if a pause begins with it."""
        if self.open:
            # Of calls from before the pause nothing new is learned.
            return mark is not None and mark is self._probe and self._pause(now)
        if not self._failures:
            self._since = now
        self._failures += 1
        return self._failures >= FAILURES and now - self._since >= SPAN_S and self._pause(now)

    def left(self, mark: object | None) -> None:
        """A call ended without news; if it was the probe, another may be."""
        if mark is not None and mark is self._probe:
            self._probe = None

    def _pause(self, now: float) -> bool:
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2 or FIRST_PAUSE_S)
        self._until = now + self._pause_s
        self._probe = None
        return True


def tells_of_trouble(error: ProviderError) -> bool:
    """The model, or who serves it, is out of order: not the request, the key or the pace."""
    return error.retryable and not error.rate_limited
