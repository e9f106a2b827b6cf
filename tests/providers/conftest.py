"""An upstream for providers: the simulator over HTTP, in the test's own process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.simulate import STATS, Stats, build


class Upstream(NamedTuple):
    """A simulator that listens: where, what it counted, and the sockets requests came by."""

    url: str
    stats: Stats
    connections: set[str]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A simulator on a free port of the loopback."""
    connections: set[str] = set()

    @web.middleware
    async def remember(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        assert request.transport is not None
        connections.add(str(request.transport.get_extra_info("peername")))
        return await handler(request)

    app = build()
    app.middlewares.append(remember)
    async with TestServer(app) as server:
        yield Upstream(str(server.make_url("")).rstrip("/"), app[STATS], connections)
