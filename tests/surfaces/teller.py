"""A provider on loopback that says exactly what the prompt lists, chunk by chunk."""

import asyncio
import json
from typing import Any, Self

from aiohttp import web

MODEL = "together/teller"


def told(*chunks: str | dict[str, str]) -> str:
    """The prompt to which a teller answers with these chunks: of text, or of another delta."""
    return json.dumps(chunks)


def logprobs(*tokens: str) -> dict[str, Any]:
    """What OpenAI tells of these tokens."""
    likely: dict[str, Any] = {"logprob": -0.5, "bytes": None, "top_logprobs": []}
    return {"content": [{"token": token, **likely} for token in tokens], "refusal": None}


class Teller:
    """OpenAI's wire: one `data:` event for each text of the JSON array that the prompt is.

    Each is a token, and as likely as any other, where somebody asks.

    Attributes:
        bodies: what was asked for, as it came.
        parents: the span that each was asked in, as its header names it.
        gate: what follows the first chunk is said when this is set.
        left: set when somebody left before the end.
        cuts: so many answers break off after their first chunk.
        usage: what it says that an answer took; None where it says nothing.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.parents: list[str | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.left = asyncio.Event()
        self.cuts = 0
        self.usage: dict[str, Any] | None = None
        self.origin = ""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._tell)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self._runner.cleanup()

    @property
    def settings(self) -> dict[str, Any]:
        """What a gateway must be told to ask this one."""
        return {
            "TOGETHER_AI_API_KEY": "tgp_key-of-nobody-0123456789",
            "TOGETHER_BASE_URL": self.origin,
        }

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response([])

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.parents.append(request.headers.get("traceparent"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for said in json.loads(body["messages"][-1]["content"]):
                delta = {"content": said} if isinstance(said, str) else said
                likely = {"logprobs": logprobs(said)} if body.get("logprobs") else {}
                await self._write(response, {"delta": delta, "index": 0, **likely})
                await self.gate.wait()
                if self.cuts and request.transport is not None:
                    self.cuts -= 1
                    request.transport.abort()
                    return response
            last = {"delta": {}, "index": 0, "finish_reason": "stop"}
            await self._write(response, last, usage=self.usage)
            await response.write(b"data: [DONE]\n\n")
        except (asyncio.CancelledError, ConnectionResetError):
            self.left.set()
            raise
        return response

    async def _write(
        self, response: web.StreamResponse, choice: dict[str, Any], **more: Any
    ) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "choices": [choice]}
        chunk = {**chunk, "model": "teller", **more}
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
