"""A receiver on loopback that answers a callback as n8n's Wait node does."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Self

from aiohttp import web

from tests.until import PATIENCE_S

SIGNATURE = "a%2Fb+c=~0123456789abcdef"


class Post(NamedTuple):
    """One POST as it arrived."""

    target: str
    headers: dict[str, str]
    body: bytes


class Execution:
    """One workflow run: running up to each of its Wait nodes, then over.

    Attributes:
        races: POSTs that come before a Wait node is reached.
        waits: Wait nodes still ahead.
        resumed: POSTs that made it go on.
        lost: its answers never reach the caller.
        failed: it ends with an error.
    """

    def __init__(self, *, races: int = 0, waits: int = 1) -> None:
        self.races = races
        self.waits = waits
        self.resumed = 0
        self.lost = 0
        self.failed = False


class N8n:
    """An n8n with some executions.

    Attributes:
        posts: all that arrived, in order.
        most_at_once: requests that were open at the same time.
        starting: it is coming up, and knows no path yet.
        broken: it answers `trouble` to everything.
        trouble: 500 is its own word; 503 is what is said in its place while it is away.
        script: answers given before anything else, the first first.
        on_post: called for each that arrives.
        gate: a POST is answered when this is set.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.executions: dict[str, Execution] = {}
        self.most_at_once = 0
        self.starting = False
        self.broken = False
        self.trouble = 500
        self.script: list[web.Response] = []
        self.on_post: Callable[[], None] = lambda: None
        self.gate = asyncio.Event()
        self.gate.set()
        self._open = 0
        self._arrived = asyncio.Condition()
        app = web.Application()
        app.router.add_post("/{path:.*}", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self.origin = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self._runner.cleanup()

    def wait_for(self, execution: Execution) -> str:
        """The resumeUrl of one more execution."""
        name = str(len(self.executions) + 1)
        self.executions[name] = execution
        return f"{self.origin}/webhook-waiting/{name}?signature={SIGNATURE}"

    async def arrived(self, count: int) -> None:
        """Return when so many POSTs have arrived in all."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._arrived:
                await self._arrived.wait_for(lambda: len(self.posts) >= count)
        except TimeoutError:
            raise AssertionError(f"{len(self.posts)} of {count} POSTs came") from None

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            async with self._arrived:
                self.posts.append(Post(request.path_qs, dict(request.headers), body))
                self._arrived.notify_all()
            self.on_post()
            await self.gate.wait()
            return self._answer(request)
        finally:
            self._open -= 1

    def _answer(self, request: web.Request) -> web.Response:
        if self.script:
            return self.script.pop(0)
        if self.broken:
            return web.Response(status=self.trouble, text="Out of order")
        if self.starting:
            text = f"<pre>Cannot POST {request.path}</pre>"
            return web.Response(status=404, text=text, content_type="text/html")
        if request.headers["User-Agent"].startswith("Python/"):
            return web.json_response({"message": "Authorization data is wrong!"}, status=403)
        if request.raw_path.partition("?")[2] != f"signature={SIGNATURE}":
            return web.json_response({"error": "Invalid token"}, status=401)
        execution = self.executions.get(request.path.rpartition("/")[2])
        if execution is None:
            text = "The execution does not exist."
            return web.json_response({"code": 404, "message": text}, status=404)
        answer = self._resume(execution)
        if execution.lost:
            execution.lost -= 1
            if request.transport is not None:
                request.transport.abort()
        return answer

    def _resume(self, execution: Execution) -> web.Response:
        if execution.races:
            execution.races -= 1
            text = 'The execution "1" is running already.'
            return web.json_response({"code": 409, "message": text}, status=409)
        if not execution.waits:
            how = "with error" if execution.failed else "already"
            text = f'The execution "1" has finished {how}.'
            return web.json_response({"code": 409, "message": text}, status=409)
        execution.waits -= 1
        execution.resumed += 1
        return web.json_response({"message": "Workflow was started"})
