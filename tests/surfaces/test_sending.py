"""Whoever stops reading is cut, and whoever reads slowly is not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.surfaces.sending import send

_PART = b"x" * 65_536
_GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Endless:
    """A server whose one answer has no end.

    Attributes:
        cut: set when a caller was given up.
        sent: parts written so far.
    """

    def __init__(self, stall_s: float) -> None:
        self.cut = asyncio.Event()
        self.sent = 0
        self._stall_s = stall_s

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await send(request, response, _PART, self._stall_s)
                self.sent += 1
        except ConnectionResetError:
            self.cut.set()
            raise

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[socket.socket]:
        """The socket of somebody who has asked, and reads nothing by itself."""
        app = web.Application()
        app.router.add_get("/", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        loop = asyncio.get_running_loop()
        caller = socket.socket()
        caller.setblocking(False)
        try:
            await loop.sock_connect(caller, runner.addresses[0])
            await loop.sock_sendall(caller, _GET)
            yield caller
        finally:
            caller.close()
            await runner.cleanup()


async def test_one_who_takes_nothing_is_cut() -> None:
    """After a while, with nothing left open."""
    endless = Endless(stall_s=0.1)
    async with endless.asked(), asyncio.timeout(30):
        await endless.cut.wait()
    assert endless.sent < 1000


async def test_one_who_takes_little_is_served() -> None:
    """As long as something goes out now and then; and one who leaves ends it."""
    endless = Endless(stall_s=30.0)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30):
        async with endless.asked() as caller:
            taken = 0
            while taken < 20_000_000:
                taken += len(await loop.sock_recv(caller, 1 << 16))
        await endless.cut.wait()
    assert endless.sent > 250
