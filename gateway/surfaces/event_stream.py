"""Server-sent events to many readers: each a position in a log, written when it has grown.

A reader is woken by the hub and writes what there is, at once, without a task of its own. Its
handler only waits: for the end, or, after a write that did not go out, until the socket takes
more. So a slow reader holds nothing but its own place.
"""

import asyncio

from aiohttp.abc import AbstractStreamWriter

from gateway.engine.core import Channel, View
from gateway.log import Cursor
from gateway.surfaces.format import Format

# Most of one write to a reader who lags, in frames and in bytes.
_FRAMES_AT_ONCE = 256
_BYTES_AT_ONCE = 64 * 1024


class EventStream:
    """One reader's connection."""

    __slots__ = (
        "_format",
        "_left_s",
        "_quiet_s",
        "_stalled",
        "_transport",
        "_turn",
        "_view",
        "subscriber",
    )

    def __init__(self, channel: Channel, cursor: Cursor, format: Format, max_age_s: float) -> None:
        """Take a place in the channel; nothing is written before `follow`.

        Args:
            max_age_s: how long the connection may last.

        Raises:
            CursorConflict: see `Channel.subscribe`.
        """
        self.subscriber = channel.subscribe(cursor, self._pump, exact=format.exact)
        self._format = format
        self._left_s = max_age_s
        self._quiet_s = 0.0
        self._transport: asyncio.Transport | None = None
        self._view: View | None = None
        self._turn: asyncio.Future[None] | None = None
        self._stalled = False

    @property
    def whole(self) -> bool:
        """The reader has been given everything, and nothing will follow in this log."""
        return self.subscriber.finished and self.subscriber.channel.log.closed

    async def follow(
        self, transport: asyncio.Transport, writer: AbstractStreamWriter, *, chunked: bool = False
    ) -> None:
        """Write everything up to the terminal event, or until cut. Ends with the reader.

        Where the text was given up, the last that is written says so.

        Raises:
            ConnectionResetError: the reader has gone.
        """
        if transport.is_closing():
            raise ConnectionResetError
        # The writer is told of every byte that the socket did not take at once.
        transport.set_write_buffer_limits(high=0)
        self._view = self._format.view(self.subscriber.channel, chunked=chunked)
        self._transport = transport
        loop = asyncio.get_running_loop()
        try:
            while True:
                # Before the pump: a wake-up between the two must find it.
                self._turn = loop.create_future()
                self._say_aside()
                self._pump()
                await self._turn
                if not self._stalled:
                    if self.subscriber.void:
                        self._say(self._format.void)
                    return
                await writer.drain()
                self._stalled = False
        finally:
            self._transport = None
            # uvloop takes no settings for a connection that is gone.
            if not transport.is_closing():
                transport.set_write_buffer_limits()

    def _pump(self) -> None:
        """Write what there is; called on the loop, never blocks, never raises."""
        subscriber = self.subscriber
        if self._transport is None or self._view is None or self._stalled:
            if self._stalled and subscriber.channel.closed:
                # The process ends: it does not wait for one who takes nothing.
                self.cut()
            return
        start = subscriber.position
        end = subscriber.end
        if end > start:
            if end - start > 1:
                end = self._bounded(self._view, start, end)
            subscriber.position = end
            self._stalled = self._write(self._transport, self._view.slice(start, end))
        if self._stalled or subscriber.finished:
            self._end_turn()

    def _bounded(self, view: View, start: int, end: int) -> int:
        """How far to write now: a reader who lags must not hold up the others."""
        near = view.reach(start, min(end, start + _FRAMES_AT_ONCE), _BYTES_AT_ONCE)
        if near < end:
            asyncio.get_running_loop().call_soon(self._pump)
        return near

    def _write(self, transport: asyncio.Transport, data: bytes) -> bool:
        """Write to the socket; True if it did not take all of it at once."""
        if not data or transport.is_closing():
            return False
        transport.write(data)
        self._quiet_s = 0.0
        return transport.get_write_buffer_size() > 0

    def _end_turn(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def tick(self, passed_s: float, heartbeat_s: float, stall_s: float) -> None:
        """Some time has passed: say that the stream lives, or end what is too old or stuck."""
        self._quiet_s += passed_s
        self._left_s -= passed_s
        if self._left_s <= 0 or (self._stalled and self._quiet_s >= stall_s):
            self.cut()
        else:
            self._say_aside()
            if 0 < heartbeat_s <= self._quiet_s:
                self._say(self._format.beat)

    def _say_aside(self) -> None:
        if self._format.aside is not None and not self._stalled:
            place = self.subscriber
            self._say(self._format.aside(place.channel.log.cursor(place.position)))

    def _say(self, frames: bytes) -> None:
        """Write something beside the log, unless the reader is behind."""
        if self._transport is not None and self._view is not None and not self._stalled:
            self._stalled = self._write(self._transport, self._view.wrapped(frames))
            if self._stalled:
                self._end_turn()

    def cut(self) -> None:
        """End the connection without a terminal event: the reader resumes on another."""
        if self._stalled and self._transport is not None:
            self._transport.abort()
        self._end_turn()

    def leave(self) -> None:
        """Give the place up."""
        self.subscriber.channel.leave(self.subscriber)
