"""The floor: the same work in the fewest lines of aiohttp, with no queue, log, limits or resume.

POST /relay         a stream from the upstream, passed on
GET  /fan           waits; is written what is published
POST /publish       one task writes each frame to every waiting response
POST /jobs          JSON into a dict
GET  /jobs/{id}     JSON out of it
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from bench import machine
from gateway import sse
from gateway.events import Delta
from gateway.providers.simulator import read_script

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


class Bare:
    """The handlers, and what they share."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/v1/chat/completions"
        self._fan: list[tuple[web.StreamResponse, asyncio.Future[None]]] = []
        self._publishing: asyncio.Task[None] | None = None
        self._jobs: dict[str, Any] = {}

    async def life(self, app: web.Application) -> AsyncIterator[None]:
        """The session to the upstream, for as long as the server lives."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )
        yield
        await self._session.close()

    async def relay(self, request: web.Request) -> web.StreamResponse:
        """Pass on what the upstream answers."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        body = await request.read()
        async with self._session.post(self._url, data=body, headers=headers) as answer:
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        return response

    async def fan(self, request: web.Request) -> web.StreamResponse:
        """Wait to be written to."""
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        await response.write(sse.HEARTBEAT)
        end = asyncio.get_running_loop().create_future()
        self._fan.append((response, end))
        await end
        await response.write_eof()
        return response

    async def publish(self, request: web.Request) -> web.Response:
        """Start to write to all who wait."""
        model = (await request.json())["model"]
        self._publishing = asyncio.create_task(self._write(model))
        return web.json_response({})

    async def _write(self, model: str) -> None:
        fan, self._fan = self._fan, []
        for after_s, frame in frames(model):
            if after_s:
                await asyncio.sleep(after_s)
            for response, _ in fan:
                await response.write(frame)
        for _, end in fan:
            end.set_result(None)

    async def submit(self, request: web.Request) -> web.Response:
        """Keep what is sent."""
        job_id = str(uuid4())
        self._jobs[job_id] = await request.json()
        return web.json_response({"status": "success", "request_id": job_id})

    async def poll(self, request: web.Request) -> web.Response:
        """Show what was kept."""
        job = self._jobs[request.match_info["id"]]
        return web.json_response({"status": "completed", "response": job})


def frames(model: str) -> list[tuple[float, bytes]]:
    """The answer of a script as the gateway's text door writes it, with the time before each."""
    plan = read_script(model).plan("", None, ())
    texts = [(step.after_s, step.part.text) for step in plan if isinstance(step.part, Delta)]
    made = [(after_s, sse.frame(text, id=f"1-{i + 3}")) for i, (after_s, text) in enumerate(texts)]
    return [*made, (0.0, sse.frame(b"[DONE]", id=f"1-{len(made) + 4}"))]


async def main(upstream: str) -> None:
    """Serve until ended; prints the address."""
    bare = Bare(upstream)
    app = web.Application()
    app.cleanup_ctx.append(bare.life)
    app.router.add_post("/relay", bare.relay)
    app.router.add_get("/fan", bare.fan)
    app.router.add_post("/publish", bare.publish)
    app.router.add_post("/jobs", bare.submit)
    app.router.add_get("/jobs/{id}", bare.poll)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    machine.run(main(sys.argv[1]))
