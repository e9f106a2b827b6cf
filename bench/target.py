"""What is measured: the gateway, the bare server, and the upstream by itself, asked alike."""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from bench.machine import Cores
from bench.reader import Callers, Reader, Tally, get, post
from bench.server import Server
from bench.upstream import GATED

CODE = "bench-app-code"
_APPS = {
    "app_codes": {
        CODE: {
            "name": "bench",
            "allowed_request_types": ["chat"],
            "rate_limit": "10000000/hour",
            "max_tokens": 100_000,
        }
    }
}
_QUESTION = "What is a stream?"
# The operating system knows the CPU time of a process for certain when the process waits.
_CALM_S = 0.05


class Target(Protocol):
    """A server and how its work is asked for.

    `model` is a script; one that begins with `gated/` waits until `release`.
    """

    name: str
    server: Server
    provider: "Provider"

    async def stream(self, model: str, tally: Tally) -> Reader:
        """Ask for an answer of its own; its reader."""
        ...

    async def broadcast(self, model: str) -> None:
        """Prepare one answer that many will read."""
        ...

    async def join(self, tally: Tally, receive_bytes: int | None = None) -> Reader:
        """One more reader of that answer."""
        ...

    async def release(self, over_s: float = 0.0) -> None:
        """Let the gated answers go, one after the other within `over_s` seconds."""
        ...

    async def settle(self) -> None:
        """Wait until all that follows the answers has been done."""
        ...

    def submission(self) -> bytes:
        """A request that makes a job."""
        ...

    def look(self, job_id: str) -> bytes:
        """A request for the state of a job."""
        ...


class Provider:
    """The upstream's own controls."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._callers = Callers(server.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def release(self, over_s: float) -> None:
        """Let the gated answers go, one after the other within `over_s` seconds."""
        await self._callers.ask(post("/release", _encode({"over_s": over_s})))

    async def until(self, what: str, count: int) -> None:
        """Wait until there are as many of `gated` or `callbacks`."""
        async with asyncio.timeout(60):
            # The counts are another process's: they can only be asked for.
            while await self._count(what) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def _count(self, what: str) -> int:
        counts: dict[str, int] = msgspec.json.decode(await self._callers.ask(get("/counts")))
        return counts[what]

    def close(self) -> None:
        self._callers.close()


class Direct:
    """The upstream without anything between."""

    name = "upstream"
    path = "/v1/chat/completions"

    def __init__(self, server: Server, provider: Provider) -> None:
        self.server = server
        self.provider = provider
        self.callers = Callers(server.port)
        self.model = ""

    async def stream(self, model: str, tally: Tally) -> Reader:
        reader = await Reader.connect(self.server.port, tally)
        reader.ask(post(self.path, _completion(model)))
        return reader

    async def release(self, over_s: float = 0.0) -> None:
        await self.provider.release(over_s)

    async def settle(self) -> None:
        """Nothing follows but the end of the connections."""
        await asyncio.sleep(_CALM_S)


class Bare(Direct):
    """The bare aiohttp server of bench/bare.py."""

    name = "bare"
    path = "/relay"

    async def broadcast(self, model: str) -> None:
        self.model = model

    async def join(self, tally: Tally, receive_bytes: int | None = None) -> Reader:
        reader = await Reader.connect(self.server.port, tally, receive_bytes)
        reader.ask(get("/fan"))
        return reader

    async def release(self, over_s: float = 0.0) -> None:
        if self.model:
            await self.callers.ask(post("/publish", _completion(self.model)))
            self.model = ""
        else:
            await self.provider.release(over_s)

    def submission(self) -> bytes:
        return post("/jobs", _encode({"request_type": "chat", "request": _QUESTION}))

    def look(self, job_id: str) -> bytes:
        return get(f"/jobs/{job_id}")


class Gateway:
    """The gateway: streams at n8n's door, jobs at the job queue's."""

    name = "gateway"

    def __init__(self, server: Server, provider: Provider) -> None:
        self.server = server
        self.provider = provider
        self.callers = Callers(server.port)
        self._numbers = itertools.count(1)
        self._asked = 0
        self._path = ""

    async def _init(self, model: str) -> str:
        """Make a job; the path of its stream."""
        self._asked += 1
        body = {
            "app_code": CODE,
            "prompt": _QUESTION,
            "resumeUrl": f"{self.provider.url}/callback/{next(self._numbers)}",
            "userId": "u1",
            "chatId": "c1",
            "model": f"together/{model}",
        }
        answer = msgspec.json.decode(await self.callers.ask(post("/init-stream", _encode(body))))
        url: str = answer["streamUrl"]
        return "/" + url.split("/", 3)[3]

    async def stream(self, model: str, tally: Tally) -> Reader:
        reader = await Reader.connect(self.server.port, tally)
        asked_at = time.perf_counter()
        reader.ask(get(await self._init(model)), asked_at)
        return reader

    async def broadcast(self, model: str) -> None:
        self._path = await self._init(model)
        if model.startswith(GATED):
            await self.provider.until("gated", 1)

    async def join(self, tally: Tally, receive_bytes: int | None = None) -> Reader:
        reader = await Reader.connect(self.server.port, tally, receive_bytes)
        reader.ask(get(self._path))
        return reader

    async def release(self, over_s: float = 0.0) -> None:
        await self.provider.release(over_s)

    async def settle(self) -> None:
        """Every answer is called back."""
        await self.provider.until("callbacks", self._asked)
        await asyncio.sleep(_CALM_S)

    def submission(self) -> bytes:
        model = "simulator/lorem?tokens=1&first=0&gap=0"
        body = {"app_code": CODE, "request_type": "chat", "request": _QUESTION, "model": model}
        return post("/ai_request", _encode(body))

    def look(self, job_id: str) -> bytes:
        return get(f"/get_request/{job_id}")


class Targets(NamedTuple):
    gateway: Gateway
    bare: Bare
    direct: Direct


@asynccontextmanager
async def started(cores: Cores) -> AsyncIterator[Targets]:
    """The upstream and both servers, fresh. The servers share a core, and never work at once."""
    async with AsyncExitStack() as stack:
        upstream = Server("upstream", "-m", "bench.upstream", core=cores.load)
        provider = Provider(await stack.enter_async_context(upstream))
        stack.callback(provider.close)
        conf = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (conf / "apps.json").write_text(json.dumps(_APPS))
        gateway = Server(
            "gateway", "run.py", "serve", "--conf", str(conf), core=cores.server,
            **environment(provider.url),
        )  # fmt: skip
        bare = Server("bare", "-m", "bench.bare", provider.url, core=cores.server)
        targets = Targets(
            Gateway(await stack.enter_async_context(gateway), provider),
            Bare(await stack.enter_async_context(bare), provider),
            Direct(upstream, provider),
        )
        for target in targets:
            stack.callback(target.callers.close)
        yield targets


def environment(upstream: str) -> dict[str, str]:
    """The gateway's settings: as shipped, but for who it asks, and room for all that comes."""
    return {
        "SERVER_PORT": "0",
        "DATA_DIR": "",
        "JWT_SECRET": "a-secret-of-thirty-two-bytes-or-more",
        "DEV_MODE": "true",
        "TOGETHER_AI_API_KEY": "any",
        "TOGETHER_BASE_URL": upstream,
        "CALLBACK_ALLOWED_ORIGINS": upstream,
        "DRAIN_TIMEOUT": "0",
        "FIRST_TOKEN_TIMEOUT": "300",
        "TOKEN_TIMEOUT": "300",
        "MAX_STREAMS_PER_APP": "10000",
        "WORKERS": "1200",
    }


def _completion(model: str) -> bytes:
    messages = [{"role": "user", "content": _QUESTION}]
    return _encode({"model": model, "messages": messages, "stream": True})


_encode = msgspec.json.Encoder().encode
