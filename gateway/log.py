"""A job's events in order, and the cursor that names a place between two of them.

Nothing here waits or wakes: a log only grows. A place is a position (how many events lie
before it); on the wire it is a cursor, the id of the last event read.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from gateway.errors import BadCursor, CursorConflict
from gateway.events import TERMINAL, Event, Usage

# Ten digits a number: no 5,000-digit cursor is ever turned into an integer.
_CURSOR = re.compile(r"(\d{1,10})-(\d{1,10})", re.ASCII)
# With these an attempt begins that no worker made.
_ENDING = TERMINAL | {Usage}


class Cursor(NamedTuple):
    """The id of an event: `<attempt>-<seq>`, seq dense from 1 within an attempt.

    `0-0` comes before everything. Cursors compare as pairs of integers.
    """

    attempt: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor that `str` wrote.

        Raises:
            BadCursor: anything else.
        """
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise BadCursor
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.attempt}-{self.seq}"


START = Cursor(0, 0)


class EventLog:
    """All events of one job so far. Append-only; closed by its one terminal event."""

    __slots__ = ("_attempts", "_starts", "closed", "events")

    def __init__(self) -> None:
        self.events: list[Event] = []
        # The terminal event is in; nothing can follow.
        self.closed = False
        # Parallel: the attempts begun, and the position of the first event of each. Tuples: most
        # logs have one, and what holds nothing but numbers costs the collector nothing.
        self._attempts: tuple[int, ...] = ()
        self._starts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.events)

    @property
    def attempt(self) -> int:
        """The attempt being written; 0 before the first."""
        return self._attempts[-1] if self._attempts else 0

    @property
    def end(self) -> Cursor:
        """The id of the newest event; `0-0` of an empty log."""
        return self.cursor(len(self.events))

    @property
    def next(self) -> Cursor:
        """The id that the next event will have."""
        if not self._attempts:
            raise AssertionError("an event belongs to an attempt")
        return Cursor(self._attempts[-1], len(self.events) - self._starts[-1] + 1)

    def begin(self, attempt: int) -> None:
        """Let all that follows belong to `attempt`, which must be newer than the last."""
        if self.closed:
            raise AssertionError("a finished job has no further attempt")
        if attempt <= self.attempt:
            raise AssertionError(f"attempt {attempt} does not follow {self.attempt}")
        self._attempts += (attempt,)
        self._starts += (len(self.events),)

    def append(self, event: Event) -> None:
        """Add one event of the current attempt."""
        if self.closed:
            raise AssertionError("a terminal event is the last")
        if not self._attempts:
            raise AssertionError("an event belongs to an attempt")
        self.events.append(event)
        self.closed = type(event) in TERMINAL

    def extend(self, attempt: int, events: Sequence[Event]) -> None:
        """Add several events of `attempt`, which begins with them if it has not begun."""
        if attempt != self.attempt or not attempt:
            self.begin(attempt)
        if self.closed or not TERMINAL.isdisjoint(map(type, events[:-1])):
            raise AssertionError("a terminal event is the last")
        self.events += events
        self.closed = not TERMINAL.isdisjoint(map(type, events[-1:]))

    def cursor(self, position: int) -> Cursor:
        """The id of the event just before `position`: what a reader who read so far holds."""
        index = bisect_right(self._starts, position - 1) - 1
        if index < 0:
            return START
        return Cursor(self._attempts[index], position - self._starts[index])

    def entries(self, start: int, end: int) -> Iterator[tuple[Cursor, Event]]:
        """The events between two positions, each with its id."""
        while start < end:
            index = bisect_right(self._starts, start) - 1
            attempt, first = self._attempts[index], self._starts[index]
            stop = min(end, self.attempt_end(attempt))
            for position in range(start, stop):
                yield Cursor(attempt, position - first + 1), self.events[position]
            start = stop

    def position(self, cursor: Cursor) -> int:
        """How many events a reader who holds `cursor` has read.

        Raises:
            CursorConflict: no event of that id has been written (it comes from another
                log, or from one that was lost).
        """
        if cursor == START:
            return 0
        try:
            index = self._attempts.index(cursor.attempt)
        except ValueError:
            raise CursorConflict from None
        position = self._starts[index] + cursor.seq
        if position > self.attempt_end(cursor.attempt):
            raise CursorConflict
        return position

    def resumption(self, cursor: Cursor) -> int:
        """Where a reader goes on who holds `cursor`, and can be told that an attempt is void.

        As `position`; but of an attempt that was lost with its process a reader may hold more
        than was stored. It goes on where the next attempt begins.

        Raises:
            CursorConflict: no such event, and no newer attempt.
        """
        if not 0 < cursor.attempt < self.attempt:
            return self.position(cursor)
        index = bisect_right(self._attempts, cursor.attempt)
        began = self._starts[index - 1] if cursor.attempt in self._attempts else self._starts[index]
        return min(began + cursor.seq, self._starts[index])

    def text_start(self) -> int:
        """The position at which the newest text begins: with the current attempt.

        Or with the one before, where the current one is nothing but the end of a job whose run
        was lost, and what that cost: that voids no text.
        """
        begins = self.attempt_start()
        only_ends = self.closed and type(self.events[begins]) in _ENDING
        return self._starts[-2] if only_ends and len(self._starts) > 1 else begins

    def attempt_end(self, attempt: int) -> int:
        """The position after the newest event of `attempt`."""
        index = self._attempts.index(attempt) + 1
        return self._starts[index] if index < len(self._starts) else len(self.events)

    def attempt_start(self) -> int:
        """The position at which the current attempt begins."""
        return self._starts[-1] if self._starts else 0
