"""OpenAI, and every server that speaks its wire, straight over aiohttp.

Groq and local servers are this file with another base URL. The dialect is dialect.py's.
"""

import time
from collections.abc import AsyncGenerator, Callable

import msgspec

from gateway.messages import Request
from gateway.providers import Output
from gateway.providers.connections import Connections, read
from gateway.providers.dialect import Translator, body

_encode = msgspec.json.Encoder().encode


class OpenAI:
    """The models of one server that speaks OpenAI's wire."""

    def __init__(
        self,
        api_key: str,
        base_url: str = "https://api.openai.com/v1",
        *,
        name: str = "openai",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep what is needed to connect; nothing is opened before `start`.

        Args:
            base_url: with or without /v1.
            name: what the catalog calls this server.
            clock: UTC, seconds since the epoch.
        """
        self.name = name
        headers = {"Authorization": f"Bearer {api_key}"}
        self._connections = Connections(name, base_url, api_key, headers, clock=clock)

    async def start(self) -> None:
        """Open the connection pool. Connections are made as they are needed."""
        await self._connections.start()

    async def stop(self) -> None:
        """Close the pool and every answer under way. Works unstarted and twice."""
        await self._connections.stop()

    def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        """Ask once and yield the answer; see Provider.stream."""
        content = _encode(body(request, model))
        answer = self._connections.post("/chat/completions", content, request.trace)
        return read(answer, Translator())

    async def check(self) -> None:
        """Ask for the list of models, which needs a good key; see Provider.check."""
        await self._connections.get("/models")
