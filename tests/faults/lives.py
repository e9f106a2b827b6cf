"""A gateway that dies and comes back: at the same address, on the same folder."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Self

from tests.e2e import servers, wire
from tests.e2e.servers import Server, counters
from tests.ports import quiet_port
from tests.until import PATIENCE_S


class Lives:
    """The processes that follow each other.

    Attributes:
        origin: where each of them listens.
        folder: what each of them finds.
        boots: how long each took from its first instruction to its first request, in seconds.
    """

    def __init__(self, conf: Path, upstream: str, **settings: str) -> None:
        """Nothing lives before `begin`."""
        port = quiet_port()
        self.origin = f"http://127.0.0.1:{port}"
        self.folder = conf / "data"
        self.boots: list[float] = []
        self._conf = conf
        self._upstream = upstream
        self._settings = {
            "SERVER_PORT": str(port),
            "DATA_DIR": str(self.folder),
            # Links to streams outlive the process.
            "JWT_SECRET": "s" * 40,
            **settings,
        }
        self._life = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def begin(self, **settings: str) -> Server:
        """Let the next one live, with settings of its own; it listens."""
        return await asyncio.to_thread(self._begin, self._settings | settings)

    def _begin(self, settings: dict[str, str]) -> Server:
        began = time.monotonic()
        server = self._life.enter_context(servers.gateway(self._conf, self._upstream, **settings))
        self.boots.append(time.monotonic() - began)
        return server

    async def kill(self) -> None:
        """End it as kill -9 does, wherever it is. What it wrote holds no traceback."""
        await asyncio.to_thread(self._life.close)

    async def idle(self, server: Server, within_s: float = PATIENCE_S) -> None:
        """Wait until nothing waits and nothing runs."""
        await wire.eventually(lambda: counters(server), (0, 0), within_s)
