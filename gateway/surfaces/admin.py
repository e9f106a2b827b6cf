"""For operators: how the gateway is, and a copy of all it keeps."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import BinaryIO

from aiohttp import web

from gateway.errors import Conflict
from gateway.surfaces.door import Desk, Door, answer
from gateway.surfaces.overview import Overview, Overviews
from gateway.surfaces.record import shape
from gateway.surfaces.route import Access, Events, Reply, Route
from gateway.surfaces.sending import send

_EXAMPLE = """\
event: overview
data: {"uptime_s":12.5,"draining":false,"version":"1.0.0",\
"queue":{"size":0,"capacity":1000,"oldest_wait_s":null,"apps":[]},\
"workers":{"count":200,"busy":3},"readers":3,"providers":[],"breakers":[],\
"callbacks":{"pending":0,"dead":0,"delivered":0,"oldest_pending_s":null},\
"conversations":0,"disk":{"durable":true,"low":false}}

"""
_EVENTS = Events(_EXAMPLE, (("overview", Overview),))
_CHUNK_BYTES = 256 * 1024

# A copy of the database as it is now, open, and gone when it is closed.
Snapshot = Callable[[], Awaitable[BinaryIO]]


class Admin:
    """`/admin/overview`, `/admin/events` and `/admin/backup`."""

    def __init__(
        self,
        desk: Desk,
        overviews: Overviews,
        snapshot: Snapshot | None,
        *,
        now: Callable[[], float],
        stall_s: float,
    ) -> None:
        """Tell of the gateway.

        Args:
            snapshot: None where everything is in memory.
            stall_s: one who takes nothing of a backup for so long is cut.
        """
        self._desk = desk
        self._overviews = overviews
        self._snapshot = snapshot
        self._now = now
        self._stall_s = stall_s
        self._copying = asyncio.Lock()
        self.door = Door(
            "admin",
            shape,
            [
                Route(
                    "GET",
                    "/admin/overview",
                    self.overview,
                    Access.ADMIN,
                    (Reply(200, "How the gateway is.", (Overview,)),),
                ),
                Route(
                    "GET",
                    "/admin/events",
                    self._overviews_forever,
                    Access.ADMIN,
                    (Reply(200, "The same, about every second.", events=_EVENTS),),
                ),
                Route(
                    "GET",
                    "/admin/backup",
                    self.backup,
                    Access.ADMIN,
                    (Reply(200, "A SQLite database.", media="application/octet-stream"),),
                    refuses=(Conflict,),
                ),
            ],
        )

    async def overview(self, request: web.Request) -> web.Response:
        """How the gateway is now."""
        return answer(await self._overviews.look())

    async def _overviews_forever(self, request: web.Request) -> web.StreamResponse:
        """How the gateway is, again and again, as server-sent events."""
        return await self._overviews.watch(request, self._desk.admit)

    async def backup(self, request: web.Request) -> web.StreamResponse:
        """A copy of the database, of one moment, while it is in use.

        It holds what the database does, prompts and answers included. One is made at a time;
        who asks meanwhile waits.
        """
        if self._snapshot is None:
            raise Conflict("Everything is in memory: without DATA_DIR there is nothing to copy.")
        async with self._copying:
            file = await self._snapshot()
        try:
            return await self._sent(request, file)
        finally:
            file.close()

    async def _sent(self, request: web.Request, file: BinaryIO) -> web.StreamResponse:
        name = datetime.fromtimestamp(self._now(), UTC).strftime("gateway-%Y%m%dT%H%M%SZ.db")
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
        )
        response.content_length = await asyncio.to_thread(file.seek, 0, 2)
        await asyncio.to_thread(file.seek, 0)
        await response.prepare(request)
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            await send(request, response, chunk, self._stall_s)
        await response.write_eof()
        return response
