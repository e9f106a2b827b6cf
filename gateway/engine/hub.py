"""Live logs, and the wake-up of those who read them.

A reader is a position in a log, not a queue: replay and live are the same line of code, and
nothing can overflow. Publishing appends and marks the channel; once a turn of the loop, every
reader of a marked channel is woken, and takes what there is from its own position on.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from gateway.errors import CursorConflict
from gateway.events import Delta, Event, ToolCall
from gateway.jobs import Job
from gateway.log import START, Cursor, EventLog


class Framer(Protocol):
    """Turns the events of one log, in order from its first, into frames of one wire format.

    It may hold state: it sees every event of the log exactly once.
    """

    def __call__(self, cursor: Cursor, event: Event) -> bytes: ...


class View:
    """A log in one wire format: each frame encoded once, whoever reads it."""

    __slots__ = ("_cached", "_ends", "_framer", "_frames", "_log", "_range", "_wrap")

    def __init__(
        self, log: EventLog, framer: Framer, wrap: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Show `log` through `framer`.

        Args:
            wrap: applied to each joined slice, for a transport's own framing.
        """
        self._log = log
        self._framer = framer
        self._wrap = wrap
        self._frames: list[bytes] = []
        # Bytes before each position: one more than there are frames.
        self._ends = [0]
        self._range = (0, 0)
        self._cached = b""

    def slice(self, start: int, end: int) -> bytes:
        """The frames between two positions as one piece of bytes; may be empty."""
        if self._range != (start, end):
            self._grow(end)
            self._cached = self.wrapped(b"".join(self._frames[start:end]))
            # Readers who keep up all ask for the same range: it is joined once.
            self._range = (start, end)
        return self._cached

    def reach(self, start: int, end: int, most_bytes: int) -> int:
        """How far from `start` towards `end` a slice of `most_bytes` goes; at least one frame."""
        self._grow(end)
        fits = bisect_right(self._ends, self._ends[start] + most_bytes, start, end + 1) - 1
        return max(start + 1, fits)

    def _grow(self, end: int) -> None:
        for cursor, event in self._log.entries(len(self._frames), end):
            frame = self._framer(cursor, event)
            self._frames.append(frame)
            self._ends.append(self._ends[-1] + len(frame))

    def wrapped(self, data: bytes) -> bytes:
        """Some bytes of the wire format in the transport's framing."""
        return self._wrap(data) if self._wrap and data else data


class Subscriber:
    """One reader's place in a channel.

    Attributes:
        position: events read so far; the reader moves it.
        stop: a position this reader must not pass, because what follows belongs to another
            text than the one it began; None almost always.
    """

    __slots__ = ("_exact", "channel", "position", "stop", "wake")

    def __init__(
        self, channel: "Channel", position: int, *, exact: bool, wake: Callable[[], None]
    ) -> None:
        self.channel = channel
        self.position = position
        self.stop: int | None = None
        self.wake = wake
        self._exact = exact

    @property
    def end(self) -> int:
        """Up to where this reader may read now."""
        return len(self.channel.log.events) if self.stop is None else self.stop

    @property
    def finished(self) -> bool:
        """Everything has been read, and nothing will follow for this reader."""
        return self.position >= self.end and (
            self.stop is not None or self.channel.closed or self.channel.log.closed
        )

    @property
    def void(self) -> bool:
        """The text that this reader began was given up, and all that there was of it is read."""
        return self.stop is not None and self.position >= self.stop

    def _restarted(self, at: int) -> None:
        if self._exact and self.stop is None:
            self.stop = at


class Channel:
    """The log of one job in memory, and its readers."""

    def __init__(self, job_id: str, hub: "Hub", log: EventLog | None = None) -> None:
        self.job_id = job_id
        self.log = EventLog() if log is None else log
        self.closed = False
        # The job as it ended, with all that its log does not tell; set when the log is closed.
        self.ended: Job | None = None
        # Position up to which the store holds the log; the recorder moves it.
        self.saved = len(self.log)
        self._hub = hub
        self._marked = False
        self._readers: set[Subscriber] = set()
        self._views: dict[str, View] = {}

    @property
    def readers(self) -> int:
        return len(self._readers)

    def begin(self, attempt: int) -> None:
        """Start a new attempt. Readers of an exact text stop before it if it voids any."""
        if any(isinstance(event, Delta | ToolCall) for event in self._attempt_events()):
            for reader in self._readers:
                reader._restarted(len(self.log))
        self.log.begin(attempt)

    def _attempt_events(self) -> list[Event]:
        return self.log.events[self.log.attempt_start() :]

    def publish(self, event: Event) -> None:
        """Append one event, and have the readers woken at the loop's next turn."""
        self.log.append(event)
        if not self._marked and self._readers:
            self._marked = True
            self._hub.mark(self)

    def view(
        self, form: str, framer: Callable[[], Framer], wrap: Callable[[bytes], bytes] | None = None
    ) -> View:
        """The log in one wire format, shared by all who ask for the same `form`."""
        view = self._views.get(form)
        if view is None:
            view = self._views[form] = View(self.log, framer(), wrap)
        return view

    def subscribe(
        self, cursor: Cursor, wake: Callable[[], None], *, exact: bool = False
    ) -> Subscriber:
        """Join after the event that `cursor` names. `wake` is called whenever there is more.

        Args:
            exact: the reader's wire cannot say that a text begins anew: it is never led from
                one attempt into the next.

        Raises:
            CursorConflict: no such event; with `exact`, also one of an older text.
        """
        begins = self.log.text_start()
        if exact and cursor == START:
            position = begins
        elif exact and cursor.attempt < self.log.cursor(begins + 1).attempt:
            raise CursorConflict
        else:
            position = self.log.resumption(cursor)
        subscriber = Subscriber(self, position, exact=exact, wake=wake)
        self._readers.add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a reader. Works twice."""
        if subscriber in self._readers:
            self._readers.remove(subscriber)
            self._hub.left(self)

    def wake(self) -> None:
        """Tell every reader to look at the log."""
        self._marked = False
        for reader in tuple(self._readers):
            reader.wake()

    def close(self) -> None:
        """End all reading without a terminal event: readers drop, and may resume elsewhere."""
        self.closed = True
        self.wake()


class Hub:
    """The channels of one process. A channel stays while its job lives or somebody reads it."""

    def __init__(self, on_empty: Callable[[Channel], None] | None = None) -> None:
        """Make an empty hub.

        Args:
            on_empty: called when the last reader of a channel has left.
        """
        self._channels: dict[str, Channel] = {}
        self._live: set[str] = set()
        self._marked: list[Channel] = []
        self._turn: asyncio.Handle | None = None
        self._on_empty = on_empty
        self._closed = False

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def readers(self) -> int:
        return sum(channel.readers for channel in self._channels.values())

    def open(self, job_id: str, log: EventLog | None = None) -> Channel:
        """The channel of a live job, made on first call."""
        self._live.add(job_id)
        return self.join(job_id, log)

    def join(self, job_id: str, log: EventLog | None = None) -> Channel:
        """The channel of a job; made from `log` if there is none. Forgotten when it is empty."""
        channel = self._channels.get(job_id)
        if channel is None:
            channel = self._channels[job_id] = Channel(job_id, self, log)
            channel.closed = self._closed
        return channel

    def get(self, job_id: str) -> Channel | None:
        return self._channels.get(job_id)

    def retire(self, job_id: str) -> None:
        """The job is over: its channel stays only for those who read it now."""
        self._live.discard(job_id)
        channel = self._channels.get(job_id)
        if channel is not None and not channel.readers:
            del self._channels[job_id]

    def left(self, channel: Channel) -> None:
        """A reader left `channel`, or could not join it."""
        if channel.readers:
            return
        if channel.job_id not in self._live:
            self._channels.pop(channel.job_id, None)
        elif self._on_empty is not None:
            self._on_empty(channel)

    def mark(self, channel: Channel) -> None:
        """Have the readers of `channel` woken at the loop's next turn."""
        self._marked.append(channel)
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        # Taken before the wake-ups: a publish while a reader writes must mark anew.
        marked, self._marked = self._marked, []
        self._turn = None
        for channel in marked:
            channel.wake()

    def close(self) -> None:
        """End all reading: the process stops. Readers drop and resume later."""
        self._closed = True
        for channel in tuple(self._channels.values()):
            channel.close()


async def over(channel: Channel) -> None:
    """Wait until nothing will follow, without reading what comes until then.

    Cancelling it leaves the channel.
    """
    nothing_follows = asyncio.Event()

    def look() -> None:
        if subscriber.channel.closed or subscriber.channel.log.closed:
            nothing_follows.set()

    subscriber = channel.subscribe(channel.log.end, look)
    try:
        look()
        await nothing_follows.wait()
    finally:
        channel.leave(subscriber)


async def read(
    channel: Channel, cursor: Cursor = START
) -> AsyncGenerator[tuple[Cursor, Event], None]:
    """Every event after `cursor` with its id, as they come, up to the terminal one.

    Ends without a terminal event if the channel was closed. Cancelling it, or closing the
    generator, leaves the channel.

    Raises:
        CursorConflict: see `Channel.subscribe`.
    """
    grown = asyncio.Event()
    subscriber = channel.subscribe(cursor, grown.set)
    log = channel.log
    try:
        while not subscriber.finished:
            # Cleared before looking: what is published while we look must wake us.
            grown.clear()
            while subscriber.position < subscriber.end:
                subscriber.position += 1
                yield log.cursor(subscriber.position), log.events[subscriber.position - 1]
            if not subscriber.finished:
                await grown.wait()
    finally:
        channel.leave(subscriber)
