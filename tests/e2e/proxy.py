"""A TCP proxy that cuts, refuses, or leads elsewhere."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on, for as long as it is told to.

    Attributes:
        origin: where it listens; the same for all its life.
        target: the origin that connections are led to; "" refuses them.
        cuts: connections it has cut.
        connections: those it has seen.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.origin = ""
        self.cuts = self.connections = 0
        self._rng: Random | None = None
        self._least = self._most = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    def cut_at_random(self, rng: Random, most: int, least: int = 1) -> None:
        """Cut each connection after so many bytes of its answer."""
        self._rng, self._least, self._most = rng, least, most

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):
            # Both ways end with the connection; nobody waits for this task's result.
            pass
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.target:
            return
        url = urlsplit(self.target)
        to_reader, to_writer = await asyncio.open_connection(url.hostname, url.port)
        asking = asyncio.create_task(_copy(reader, to_writer, None))
        left = self._rng.randrange(self._least, self._most) if self._rng else None
        try:
            if await _copy(to_reader, writer, left):
                self.cuts += 1
        finally:
            asking.cancel()
            to_writer.transport.abort()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None
) -> bool:
    """Pass bytes on until the end, or until none are `left`; true if it was that."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536 if left is None else min(left, 65_536)):
            writer.write(data)
            await writer.drain()
            if left is not None:
                left -= len(data)
                if not left:
                    return True
        if writer.can_write_eof():
            writer.write_eof()
    return False
