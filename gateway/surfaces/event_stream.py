"""Server-sent events to many readers: each a position in a log, written when it has grown.

A reader is woken by the hub and writes what there is, at once, without a task of its own. Its
handler only waits: for the end, or, after a write that did not go out, until the socket takes
more. So a slow reader holds nothing but its own place.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf
from random import Random

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp_sse import EventSourceResponse

from gateway import sse
from gateway.engine.core import Channel, Core, Principal, View
from gateway.errors import Unavailable
from gateway.jobs import Job
from gateway.log import START, Cursor
from gateway.surfaces.format import Format

__all__ = ["EventStream", "Format", "Streams", "cursor_of"]

# Most of one write to a reader who lags, in frames and in bytes.
_FRAMES_AT_ONCE = 256
_BYTES_AT_ONCE = 64 * 1024
# Kernel memory for one reader: enough for any answer's pace, little for a reader that stalls.
_SEND_BUFFER_BYTES = 64 * 1024

_HEADERS = {
    "Cache-Control": "no-cache, no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class EventStream:
    """One reader's connection."""

    def __init__(self, channel: Channel, cursor: Cursor, format: Format, max_age_s: float) -> None:
        """Take a place in the channel; nothing is written before `run`.

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

    async def run(self, request: web.Request, response: EventSourceResponse, hello: bytes) -> None:
        """Write everything up to the terminal event, or until cut. Ends with the reader.

        Raises:
            ConnectionResetError: the reader has gone.
        """
        writer = await response.prepare(request)
        # Heartbeats come from one timer for all; the response's own would be a task each.
        response.stop_streaming()
        transport = request.transport
        if writer is None or transport is None:
            raise ConnectionResetError
        await response.write(hello)
        await self.follow(transport, writer, chunked=request.version >= HttpVersion11)

    async def follow(
        self, transport: asyncio.Transport, writer: AbstractStreamWriter, *, chunked: bool = False
    ) -> None:
        """Write as `run` does, to a connection whose greeting is over.

        Raises:
            ConnectionResetError: the reader has gone.
        """
        if transport.is_closing():
            raise ConnectionResetError
        # The writer is told of every byte that the socket did not take at once.
        transport.set_write_buffer_limits(high=0)
        self._view = self._format.view(self.subscriber.channel, chunked=chunked)
        self._transport = transport
        try:
            await self._follow(writer)
        finally:
            self._transport = None
            # uvloop takes no settings for a connection that is gone.
            if not transport.is_closing():
                transport.set_write_buffer_limits()

    async def _follow(self, writer: AbstractStreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # Before the pump: a wake-up between the two must find it.
            self._turn = loop.create_future()
            self._say_aside()
            self._pump()
            await self._turn
            if not self._stalled:
                return
            await writer.drain()
            self._stalled = False

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


class Streams:
    """All open streams of this process: their number, heartbeats and ages."""

    def __init__(
        self,
        core: Core,
        *,
        heartbeat_s: float,
        stall_s: float,
        tick_s: float,
        max_age_s: float,
        most: int,
        most_per_tenant: int,
        rng: Random,
    ) -> None:
        """Have no stream open yet.

        Args:
            stall_s: a reader that takes nothing for so long is cut; it may resume.
            tick_s: how often streams are looked at for heartbeats, age and stalls.
            max_age_s: how long one connection lasts, give or take a fifth.
        """
        self._core = core
        self._heartbeat_s = heartbeat_s
        self._stall_s = stall_s
        self._tick_s = tick_s
        self._max_age_s = max_age_s
        self._most = most
        self._most_per_tenant = most_per_tenant
        self._rng = rng
        self._open: set[EventStream] = set()
        self._by_tenant: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def serve(
        self, request: web.Request, principal: Principal, job: Job, format: Format
    ) -> web.StreamResponse:
        """Answer with the job's events, from the reader's cursor on.

        204 where everything has been read. Ends with the job, the reader, or the stream's age.

        Raises:
            BadCursor: the cursor has no such form.
            CursorConflict: the stream cannot go on from there.
            Unavailable: too many streams are open.
        """
        cursor = cursor_of(request)
        with self._room(principal.tenant.name):
            return await self._serve(request, job, format, cursor)

    async def begin(
        self,
        request: web.Request,
        principal: Principal,
        submit: Callable[[], Awaitable[Job]],
        format_of: Callable[[Job], Format],
    ) -> web.StreamResponse:
        """Make a job and answer with its events from the first on, whatever cursor is brought.

        Raises:
            Unavailable: too many streams are open; no job was made.
            GatewayError: what `submit` raises.
        """
        with self._room(principal.tenant.name):
            job = await submit()
            return await self._serve(request, job, format_of(job), None)

    async def go_on(
        self,
        request: web.Request,
        principal: Principal,
        job: Job,
        format: Format,
        cursor: Cursor = START,
    ) -> web.StreamResponse:
        """Answer with the format's hello and what follows `cursor`, whatever cursor is brought.

        204 where that is nothing.

        Raises:
            CursorConflict: the stream cannot go on from there.
            Unavailable: too many streams are open.
        """
        with self._room(principal.tenant.name):
            return await self._serve(request, job, format, cursor)

    async def _serve(
        self, request: web.Request, job: Job, format: Format, cursor: Cursor | None
    ) -> web.StreamResponse:
        hello = format.hello
        if format.resumable:
            hello += sse.retry(self._rng.randint(1000, 2000))
        if cursor is None:
            hello += format.first
        async with self._place(job, format, cursor or START) as stream:
            read = stream.subscriber.finished and not stream.subscriber.channel.closed
            if read and (format.resumable or not hello):
                return web.Response(status=204, headers=_HEADERS)
            return await self._run(stream, request, job, hello)

    async def _run(
        self, stream: EventStream, request: web.Request, job: Job, hello: bytes
    ) -> web.StreamResponse:
        response = EventSourceResponse(
            sep="\n", allow_all_methods=True, ping_interval=3600, send_timeout=self._stall_s
        )
        response.headers.update(_HEADERS)
        if request.version < HttpVersion11:
            # It has no chunks: only the connection's end says that the stream is over.
            response.headers["Connection"] = "close"
            response.force_close()
        response.headers["X-Request-Id"] = job.id
        self._watch(stream, request)
        await stream.run(request, response, hello)
        return response

    @asynccontextmanager
    async def place(
        self,
        request: web.Request,
        principal: Principal,
        job: Job,
        format: Format,
        cursor: Cursor = START,
    ) -> AsyncIterator[EventStream]:
        """A reader's place, for a connection that is not EventSource's; looked after as all are.

        Raises:
            CursorConflict: the stream cannot go on from there.
            Unavailable: too many streams are open.
        """
        with self._room(principal.tenant.name):
            async with self._place(job, format, cursor) as stream:
                self._watch(stream, request)
                yield stream

    @asynccontextmanager
    async def _place(self, job: Job, format: Format, cursor: Cursor) -> AsyncIterator[EventStream]:
        async with self._core.channel(job) as channel:
            max_age_s = self._max_age_s * self._rng.uniform(0.8, 1.2) if format.resumable else inf
            stream = EventStream(channel, cursor, format, max_age_s)
            try:
                yield stream
            finally:
                self._open.discard(stream)
                stream.leave()

    @contextmanager
    def _room(self, tenant: str) -> Iterator[None]:
        if (
            self._by_tenant.total() >= self._most
            or self._by_tenant[tenant] >= self._most_per_tenant
        ):
            raise Unavailable("Too many streams are open.", retryable=True, retry_after_s=5)
        self._by_tenant[tenant] += 1
        try:
            yield
        finally:
            self._by_tenant[tenant] -= 1

    def _watch(self, stream: EventStream, request: web.Request) -> None:
        """Give a stream heartbeats, an age, and an end where it gets stuck."""
        _bound_send_buffer(request)
        self._open.add(stream)
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._open:
            self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for stream in tuple(self._open):
            stream.tick(self._tick_s, self._heartbeat_s, self._stall_s)
        self._arm()


def cursor_of(request: web.Request) -> Cursor | None:
    """Where the reader is: the header beats the query, which EventSource repeats for ever.

    None for one who has read nothing yet.

    Raises:
        BadCursor: it has no such form.
    """
    text = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    return Cursor.parse(text) if text else None


def _bound_send_buffer(request: web.Request) -> None:
    transport = request.transport
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
