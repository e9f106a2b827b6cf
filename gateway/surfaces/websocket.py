"""The WebSocket: a job's events as the assistant's stream tells them, one JSON message each.

`GET /ws/{id}`. A message is `{event, id, data}`; `last_event_id` in the query goes on after that
event. A client may send `{"type": "cancel"}`; other types are no concern. Close codes:

    1000  the job is over, and everything has been sent
    1001  this connection is old, or the gateway stops: come back with the last id
    1003  a message that is no text
    1007  a message that is no JSON object
    1008  a cancel that the credential may not do
    1009  a message of more than 256 KiB
    1013  a cancel that cannot be done now

A reader is a place in the log: what it is sent is framed once for all, and it has no queue.
"""

import asyncio
from contextlib import suppress

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from gateway.engine.core import Core, Principal
from gateway.errors import InvalidRequest, StoreUnavailable
from gateway.jobs import Job
from gateway.log import Cursor
from gateway.surfaces.assistant import shape
from gateway.surfaces.assistant_events import Told, fact, format_of
from gateway.surfaces.door import Desk, Door
from gateway.surfaces.event_stream import EventStream
from gateway.surfaces.format import Format
from gateway.surfaces.route import Access, Reply, Route
from gateway.surfaces.streams import PARAMETERS, REFUSES, Streams, cursor_of

FORM = "websocket"

_MESSAGE_MOST_BYTES = 256 * 1024
# For a client to answer a goodbye, seconds.
_GOODBYE_S = 2.0

# Frames of a server: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
_TEXT = 0x81
_PING = b"\x89\x00"


def text_frame(text: bytes) -> bytes:
    """One whole message of text, as a server frames it."""
    size = len(text)
    if size < 126:
        return b"%c%c%b" % (_TEXT, size, text)
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (_TEXT, size.to_bytes(2, "big"), text)
    return b"%c\x7f%b%b" % (_TEXT, size.to_bytes(8, "big"), text)


def message(told: Told) -> bytes:
    """An event of the assistant's as a message."""
    text = b'{"event":"%b","id":"%d-%d","data":%b}' % (told.name.encode(), *told.id, told.data)
    return text_frame(text)


def messages(core: Core, job: Job, cursor: Cursor | None) -> Format:
    """The messages of one job, for a reader whose last one was `cursor`."""
    return format_of(FORM, core, job, message, cursor)._replace(hello=b"", beat=_PING)


class WebSockets:
    """The route, over the one engine."""

    def __init__(self, desk: Desk, streams: Streams) -> None:
        self._desk = desk
        self._core = desk.core
        self._streams = streams
        opened = Reply(101, "The events follow as messages `{event, id, data}`.", job=True)
        self.door = Door(
            FORM,
            shape,
            [
                Route(
                    "GET",
                    "/ws/{id}",
                    self.connect,
                    Access.READ,
                    (opened,),
                    parameters=PARAMETERS,
                    refuses=REFUSES,
                )
            ],
        )

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """A job's events from the reader's last one on. Refusals are HTTP's, before the upgrade."""
        principal = self._desk.principal(request)
        job = await self._core.own(principal, request.match_info["id"])
        cursor = cursor_of(request)
        connection = web.WebSocketResponse(
            compress=False, max_msg_size=_MESSAGE_MOST_BYTES, timeout=_GOODBYE_S
        )
        if not connection.can_prepare(request):
            raise InvalidRequest("This path takes WebSocket handshakes only.", field="Upgrade")
        connection.headers["X-Request-Id"] = job.id
        format = messages(self._core, job, cursor)
        place = self._streams.place(request, principal, job, format, fact(cursor))
        async with place as stream:
            with suppress(ConnectionError):
                await self._serve(request, connection, stream, principal, job)
        return connection

    async def _serve(
        self,
        request: web.Request,
        connection: web.WebSocketResponse,
        stream: EventStream,
        principal: Principal,
        job: Job,
    ) -> None:
        writer = await connection.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        listening = asyncio.create_task(self._listen(connection, principal, job))
        listening.add_done_callback(lambda _: stream.cut())
        code = WSCloseCode.GOING_AWAY
        try:
            await stream.follow(transport, writer)
            if listening.done():
                code = listening.result()
            elif stream.whole:
                code = WSCloseCode.OK
        finally:
            # Before the goodbye: while somebody else listens, nobody waits for its answer.
            listening.cancel()
            await asyncio.wait({listening})
        await connection.close(code=code)

    async def _listen(
        self, connection: web.WebSocketResponse, principal: Principal, job: Job
    ) -> WSCloseCode:
        """Do what the client says until it leaves; the code to close with."""
        async for said in connection:
            if said.type is WSMsgType.BINARY:
                return WSCloseCode.UNSUPPORTED_DATA
            if said.type is not WSMsgType.TEXT:
                break
            wanted = _wanted(said.data)
            if wanted is None:
                return WSCloseCode.INVALID_TEXT
            if wanted == "cancel":
                if principal.job_id is not None:
                    return WSCloseCode.POLICY_VIOLATION
                try:
                    await self._core.cancel(job)
                except StoreUnavailable:
                    return WSCloseCode.TRY_AGAIN_LATER
        return WSCloseCode.OK


class _Said(msgspec.Struct, frozen=True):
    type: str = ""


_decode = msgspec.json.Decoder(_Said).decode


def _wanted(text: str) -> str | None:
    """The type of a client's message; None where it is no message."""
    try:
        return _decode(text).type
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
