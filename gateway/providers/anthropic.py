"""Anthropic, straight over aiohttp.

What is sent is anthropic_request.py's, what comes back anthropic_answer.py's.
"""

import time
from collections.abc import AsyncGenerator, Callable

import msgspec

from gateway.messages import Request
from gateway.providers import Output
from gateway.providers.anthropic_answer import Translator
from gateway.providers.anthropic_request import body
from gateway.providers.connections import Connections, read

# Not the one of 2026-10-21: that takes no `temperature`, from no model.
_VERSION = "2023-06-01"

_encode = msgspec.json.Encoder().encode


class Anthropic:
    """The models of Anthropic, or of a server that speaks its wire."""

    name = "anthropic"

    def __init__(
        self,
        api_key: str,
        base_url: str = "https://api.anthropic.com",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep what is needed to connect; nothing is opened before `start`.

        Args:
            base_url: with or without /v1.
            clock: UTC, seconds since the epoch.
        """
        headers = {"x-api-key": api_key, "anthropic-version": _VERSION}
        self._connections = Connections(self.name, base_url, api_key, headers, clock=clock)

    async def start(self) -> None:
        """Open the connection pool. Connections are made as they are needed."""
        await self._connections.start()

    async def stop(self) -> None:
        """Close the pool and every answer under way. Works unstarted and twice."""
        await self._connections.stop()

    def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        """Ask once and yield the answer; see Provider.stream."""
        content = _encode(body(request, model))
        return read(self._connections.post("/messages", content, request.trace), Translator())

    async def check(self) -> None:
        """Ask for the list of models, which needs a good key; see Provider.check."""
        await self._connections.get("/models")
