"""An upstream for providers: the simulator over HTTP, in the test's own process."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiohttp.test_utils import TestServer

from gateway.simulate import STATS, Stats, build


class Upstream(NamedTuple):
    """A simulator that listens: where, what it counted, and who is connected."""

    url: str
    stats: Stats
    server: TestServer

    @property
    def connections(self) -> int:
        """How many sockets are open to it."""
        runner = self.server.runner
        assert runner is not None
        assert runner.server is not None
        return len(runner.server.connections)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A simulator on a free port of the loopback."""
    app = build()
    server = TestServer(app)
    await server.start_server()
    yield Upstream(str(server.make_url("")).rstrip("/"), app[STATS], server)
    await server.close()
