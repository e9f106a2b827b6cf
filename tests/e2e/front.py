"""A provider in front of the simulator that refuses, hurries, or holds its answers back."""

import asyncio
import json
from collections.abc import Callable
from typing import Self

from aiohttp import ClientError, ClientSession, TCPConnector, web

# The beginning of an answer: the role, and two words.
_BEGINNING = 3


class Front:
    """Passes on what the provider behind it says, event by event.

    Attributes:
        origin: where it listens.
        gate: while it is closed, no answer goes on past its beginning.
        beginning: so many events.
        held: answers that wait at the gate.
        script: parameters that beat those of each model's name, such as "&gap=0".
        refuses: whether a request with that body has to slow down.
        refused: how many had to.
    """

    def __init__(self, behind: str, beginning: int = _BEGINNING) -> None:
        self.origin = ""
        self.gate = asyncio.Event()
        self.gate.set()
        self.beginning = beginning
        self.held = 0
        self.script = ""
        self.refuses: Callable[[bytes], bool] = lambda _: False
        self.refused = 0
        self._behind = behind
        self._session = ClientSession(connector=TCPConnector(limit=0))
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/v1/chat/completions", self._ask)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=4096).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self._runner.cleanup()
        await self._session.close()

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.refuses(body):
            self.refused += 1
            return web.json_response({"error": {"message": "Slow down."}}, status=429)
        asked = json.loads(body)
        asked["model"] += self.script
        headers = {"Authorization": "Bearer x"}
        async with self._session.post(
            self._behind + request.path, json=asked, headers=headers
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.content_type}
            )
            await response.prepare(request)
            try:
                passed = 0
                while event := await answer.content.readuntil(b"\n\n"):
                    if passed == self.beginning:
                        await self._opened()
                    await response.write(event)
                    passed += 1
            except (ClientError, ConnectionError):
                # Whoever asked has left; or who answers, and then the answer breaks off here too.
                if request.transport is not None:
                    request.transport.abort()
        return response

    async def _opened(self) -> None:
        self.held += 1
        try:
            await self.gate.wait()
        finally:
            self.held -= 1
