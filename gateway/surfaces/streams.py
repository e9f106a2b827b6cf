"""All open streams of this process: their number, heartbeats and ages."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from random import Random
from typing import Annotated, NamedTuple

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp_sse import EventSourceResponse

from gateway import sse
from gateway.engine.core import Core, Principal
from gateway.errors import BadCursor, CursorConflict, Gone, JobNotFound, Unavailable
from gateway.jobs import Job
from gateway.log import START, Cursor
from gateway.surfaces.event_stream import EventStream
from gateway.surfaces.format import Format
from gateway.surfaces.route import JOB_ID, Parameter, Reply
from gateway.tenants import Tenant

# What every route says that serves a job's stream by the reader's cursor.
_SAYS = "The id of the last event that was read; what follows it is sent. {}"
_ID = Annotated[str, msgspec.Meta(pattern=r"^\d{1,9}-\d{1,9}$", examples=["1-57"])]
PARAMETERS = (
    JOB_ID,
    Parameter("Last-Event-ID", "header", _SAYS.format("It beats the one in the query."), _ID),
    Parameter("last_event_id", "query", _SAYS.format("For readers who cannot set headers."), _ID),
)
REFUSES = (BadCursor, JobNotFound, CursorConflict, Gone)
CAUGHT_UP = Reply(204, "Everything has been read: EventSource does not come again.")

# Kernel memory for one reader: enough for any answer's pace, little for a reader that stalls.
_SEND_BUFFER_BYTES = 64 * 1024

# Nothing on the way may keep, change or gather what is streamed.
HEADERS = {
    "Cache-Control": "no-cache, no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Origin",
}


class StreamBounds(NamedTuple):
    """What streams are held to: how many may be open, and how long each may be silent and last.

    Attributes:
        heartbeat_s: silence before a sign of life; 0 for none.
        max_age_s: how long one connection lasts, give or take a fifth.
    """

    heartbeat_s: float
    max_age_s: float
    most: int
    most_per_tenant: int


class Streams:
    """The streams of one process, each in the room that its tenant has.

    Attributes:
        bounds: may be replaced at any time; no open stream is ended for their sake.
    """

    def __init__(
        self, core: Core, bounds: StreamBounds, *, stall_s: float, tick_s: float, rng: Random
    ) -> None:
        """Have no stream open yet.

        Args:
            stall_s: a reader that takes nothing for so long is cut; it may resume.
            tick_s: how often streams are looked at for heartbeats, age and stalls.
        """
        self.bounds = bounds
        self._core = core
        self._stall_s = stall_s
        self._tick_s = tick_s
        self._rng = rng
        self._open: dict[EventStream, _Visit] = {}
        self._by_tenant: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def serve(
        self,
        request: web.Request,
        principal: Principal,
        job: Job,
        format: Format,
        cursor: Cursor | None,
    ) -> web.StreamResponse:
        """Answer with the format's hello and the job's events that follow `cursor`.

        204 where that is nothing. Ends with the job, the reader, or the stream's age.

        Args:
            cursor: None for a reader who has read nothing yet.

        Raises:
            CursorConflict: the stream cannot go on from there.
            Unavailable: too many streams are open.
        """
        with self._room(principal.tenant.name):
            return await self._serve(request, principal, job, format, cursor)

    async def begin(
        self,
        request: web.Request,
        principal: Principal,
        submit: Callable[[], Awaitable[Job]],
        format_of: Callable[[Job], Format],
    ) -> web.StreamResponse:
        """Make a job and answer with its events from the first on.

        Raises:
            Unavailable: too many streams are open; no job was made.
            GatewayError: what `submit` raises.
        """
        with self._room(principal.tenant.name):
            job = await submit()
            return await self._serve(request, principal, job, format_of(job), None)

    async def _serve(
        self,
        request: web.Request,
        principal: Principal,
        job: Job,
        format: Format,
        cursor: Cursor | None,
    ) -> web.StreamResponse:
        hello = format.hello
        if format.resumable:
            hello += sse.retry(self._rng.randint(1000, 2000))
        if cursor is None:
            hello += format.first
        stream = await self._take(job, format, cursor or START)
        try:
            read = stream.subscriber.finished and not stream.subscriber.channel.closed
            if read and (format.resumable or not hello):
                return web.Response(status=204, headers=HEADERS)
            response = self._response(request, job)
            self._watch(stream, request, _visit(principal, job, format, cursor))
            writer = await response.prepare(request)
            if writer is None or request.transport is None:
                raise ConnectionResetError
            await response.write(hello)
            chunked = request.version >= HttpVersion11
            # They are sent; thousands of readers who wait would keep theirs.
            response.headers.clear()
            await stream.follow(request.transport, writer, chunked=chunked)
            return response
        finally:
            self._give_back(stream)

    def _response(self, request: web.Request, job: Job) -> EventSourceResponse:
        response = _Response(
            sep="\n", allow_all_methods=True, ping_interval=3600, send_timeout=self._stall_s
        )
        response.headers.update(HEADERS)
        if request.version < HttpVersion11:
            # It has no chunks: only the connection's end says that the stream is over.
            response.headers["Connection"] = "close"
            response.force_close()
        response.headers["X-Request-Id"] = job.id
        return response

    @asynccontextmanager
    async def place(
        self,
        request: web.Request,
        principal: Principal,
        job: Job,
        format: Format,
        cursor: Cursor,
    ) -> AsyncIterator[EventStream]:
        """A reader's place, for a connection that is not EventSource's; looked after as all are.

        Raises:
            CursorConflict: the stream cannot go on from there.
            Unavailable: too many streams are open.
        """
        with self._room(principal.tenant.name):
            stream = await self._take(job, format, cursor)
            try:
                self._watch(stream, request, _visit(principal, job, format, cursor))
                yield stream
            finally:
                self._give_back(stream)

    async def _take(self, job: Job, format: Format, cursor: Cursor) -> EventStream:
        channel = await self._core.join(job)
        max_age_s = inf
        if format.resumable:
            max_age_s = self.bounds.max_age_s * self._rng.uniform(0.8, 1.2)
        try:
            return EventStream(channel, cursor, format, max_age_s)
        except CursorConflict:
            self._core.left(channel)
            raise

    def _give_back(self, stream: EventStream) -> None:
        visit = self._open.pop(stream, None)
        stream.leave()
        if visit is not None:
            lasted_s = asyncio.get_running_loop().time() - visit.since
            self._core.observer.left(visit.form, visit.job, lasted_s)

    def _room(self, tenant: str) -> "_Room":
        bounds, open_now = self.bounds, self._by_tenant
        if open_now.total() >= bounds.most or open_now[tenant] >= bounds.most_per_tenant:
            raise Unavailable("Too many streams are open.")
        return _Room(self._by_tenant, tenant)

    def _watch(self, stream: EventStream, request: web.Request, visit: "_Visit") -> None:
        """Give a stream heartbeats, an age, and an end where it is stuck or its app has left."""
        _bound_send_buffer(request)
        self._open[stream] = visit
        self._core.observer.joined(visit.form, visit.job, resumed=visit.resumed)
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._open:
            self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        knows = self._core.auth.knows
        for stream, visit in tuple(self._open.items()):
            if knows(visit.tenant):
                stream.tick(self._tick_s, self.bounds.heartbeat_s, self._stall_s)
            else:
                # Its app has left, or has another code: who holds the old one reads no more.
                stream.cut()
        self._arm()


class _Visit(NamedTuple):
    """One reader's stay: whom it was opened for, and the loop's time at which it began."""

    tenant: Tenant
    job: Job
    form: str
    resumed: bool
    since: float


def _visit(principal: Principal, job: Job, format: Format, cursor: Cursor | None) -> _Visit:
    resumed = cursor not in (None, START)
    since = asyncio.get_running_loop().time()
    return _Visit(principal.tenant, job, format.name, resumed, since)


class _Room:
    """The room that one stream takes of its tenant's."""

    __slots__ = ("_by_tenant", "_tenant")

    def __init__(self, by_tenant: Counter[str], tenant: str) -> None:
        self._by_tenant = by_tenant
        self._tenant = tenant

    def __enter__(self) -> None:
        self._by_tenant[self._tenant] += 1

    def __exit__(self, *error: object) -> None:
        self._by_tenant[self._tenant] -= 1


class _Response(EventSourceResponse):
    """Heartbeats come from one timer for all streams: a task for each would be its dearest part."""

    async def _ping(self) -> None:
        return


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
