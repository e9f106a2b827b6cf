"""How often a stream is read: at once while there are few, less often the more there are.

Waking a reader, parsing and writing cost much the same for one chunk as for several. So with
many streams a worker lets some chunks gather in the socket before it looks again.
"""

import asyncio
from collections import deque

# The rest after each read: this much for each stream there is, and no more than the most.
_REST_PER_STREAM_S = 0.0001
_REST_MOST_S = 0.1
# A rest shorter than this is none: a timer costs as much as it would save.
_REST_LEAST_S = 0.002
# Rests that end within this of each other end together.
_GRAIN_S = 0.001
# Rests that end in one turn of the loop. What begins meanwhile waits for a turn or two, and not
# for all that were to be read: those rest a little longer, and have more to say.
_MOST_IN_A_TURN = 32


class Pace:
    """The rests of all streams of one process, on one timer.

    Attributes:
        streams: how many there are now; the workers keep it.
    """

    def __init__(self) -> None:
        self.streams = 0
        self._resting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.Handle | None = None

    async def rest(self) -> None:
        """Return when it is time to read again. Cancelling it disturbs no other."""
        rest_s = min(_REST_MOST_S, self.streams * _REST_PER_STREAM_S)
        if rest_s < _REST_LEAST_S:
            return
        loop = asyncio.get_running_loop()
        # No future for all: cancelling one who waits would cancel the others.
        woken = loop.create_future()
        self._resting.append((loop.time() + rest_s, woken))
        if self._timer is None:
            self._timer = loop.call_later(rest_s, self._wake)
        await woken

    def _wake(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time() + _GRAIN_S
        for _ in range(_MOST_IN_A_TURN):
            if not self._resting or self._resting[0][0] > now:
                break
            _, woken = self._resting.popleft()
            if not woken.done():
                woken.set_result(None)
        if not self._resting:
            self._timer = None
        elif self._resting[0][0] > now:
            self._timer = loop.call_at(self._resting[0][0], self._wake)
        else:
            self._timer = loop.call_soon(self._wake)
