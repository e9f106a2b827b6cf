"""A whole gateway in the test's own process, on a free port, and the ways to ask it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

import jwt
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDictProxy

from gateway.app import CORE, build
from gateway.config import parse
from gateway.doors import Patience
from gateway.engine.core import Core, read
from gateway.jobs import Job
from gateway.serving import KEEPALIVE_S, runner
from tests.e2e import wire
from tests.until import PATIENCE_S, until

CODE = "gw_code-of-the-shop-0123456789abcdef"
OTHER_CODE = "gw_code-of-the-bank-0123456789abcdef"
JWT_SECRET = "jwt-secret-of-the-tests-0123456789abcdef-0123456789abcdef-0123456789"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# Answers at once; never answers; answers one word and then nothing.
QUICK = "simulator/echo?first=0&gap=0"
SILENT = "simulator/echo?first=0&stall=0"
STUCK = "simulator/echo?first=0&gap=0&stall=1"
_MODELS = """
[models."meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"]
provider = "together"
"""


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json", self
        return json.loads(self.body)


def apps(**shop: Any) -> dict[str, Any]:
    """Two apps, the first with these settings beside its name and request type."""
    types = ["ask"]
    return {
        CODE: {"name": "shop", "allowed_request_types": types, "max_tokens": 100_000, **shop},
        OTHER_CODE: {"name": "bank", "allowed_request_types": types, "max_tokens": 100_000},
    }


class Gateway:
    """A gateway that is started and stopped with the block.

    Leaving it finds every counter back at zero.
    """

    def __init__(
        self,
        *,
        patience: Patience = Patience(),  # noqa: B008
        keepalive_s: float = KEEPALIVE_S,
        app_codes: Mapping[str, Any] | None = None,
        models: str = _MODELS,
        modes: str | None = None,
        **settings: Any,
    ) -> None:
        """Configure it as its owner would; a setting is an environment variable."""
        environ = {
            "JWT_SECRET": JWT_SECRET,
            "DEFAULT_MODEL": QUICK,
            "CALLBACK_SECRET": WEBHOOK_SECRET,
            "RETENTION": "3600",
            **{name: str(value) for name, value in settings.items()},
        }
        self.config = parse(
            toml=None,
            env={"DATA_DIR": ""} | {name: value for name, value in environ.items() if value},
            apps=json.dumps({"app_codes": apps() if app_codes is None else app_codes}),
            models=models,
            modes=modes,
        )
        self.app = build(self.config, patience)
        self.origin = ""
        self._runner = runner(self.app, keepalive_s)

    @property
    def core(self) -> Core:
        return self.app[CORE]

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        connector = TCPConnector(limit=0)
        self.session = ClientSession(connector=connector, cookie_jar=DummyCookieJar())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.session.close()
        await self._runner.cleanup()
        if error is None:
            assert self.busy() == {}

    def busy(self) -> dict[str, int]:
        """Everything that is counted and is not at zero. Only a test looks this deep inside."""
        core = self.core
        found = {
            "running": core.active_workers,
            "waiting": core.queue_size,
            "reserved": core._queue._reserved,
            "readers": core.readers,
            "channels": len(core._hub),
            "runs": len(core._workers.runs),
            "jobs": len(core._jobs),
        }
        return {name: count for name, count in found.items() if count}

    async def quiet(self) -> None:
        """Wait until every counter is back at zero."""
        # There is no event for it: what counts is that all has been told to leave.
        await until(lambda: not self.busy(), self.busy)

    # -- asking -------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, **how: Any) -> Reply:
        """Send one request, and read the whole answer."""
        async with self.session.request(method, self.origin + path, **how) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, value: Any = None, **headers: str) -> Reply:
        return await self.ask("POST", path, json=value, headers=headers)

    async def queue(self, model: str = QUICK, text: str = "one two", **more: Any) -> str:
        """Ask at the job queue's door; the request id."""
        body = {"app_code": CODE, "request_type": "ask", "request": text, "model": model, **more}
        reply = await self.post("/ai_request", body)
        assert reply.status == 200, reply
        job_id: str = reply.json()["request_id"]
        return job_id

    async def poll(self, job_id: str, **headers: str) -> Any:
        return (await self.get(f"/get_request/{job_id}", **headers)).json()

    async def begun(self, path: str, value: Any, **headers: str) -> tuple[str, asyncio.Task[Reply]]:
        """Ask where one waits for the answer; the job that a worker has, and the answer to come."""
        before = set(self.core._jobs)
        reply = asyncio.create_task(self.post(path, value, **headers))
        await self.read_by(1)
        (job_id,) = set(self.core._jobs) - before
        await self.published(job_id, 1)
        return job_id, reply

    async def left(self, path: str, value: Any, **headers: str) -> str:
        """Ask where one waits for the answer, and leave; the id of the job."""
        job_id, reply = await self.begun(path, value, **headers)
        reply.cancel()
        await asyncio.wait({reply})
        return job_id

    # -- waiting ------------------------------------------------------------------------------

    async def job(self, job_id: str) -> Job:
        job = await self.core.job(job_id)
        assert job is not None
        return job

    async def stream(self, job_id: str) -> str:
        """The URL of a job's stream, with a token."""
        token = self.core.auth.stream_token(await self.job(job_id), 3600)
        return f"{self.origin}/stream/{job_id}?access_token={token}"

    async def unread(self) -> None:
        """Wait until nobody reads anything."""
        # The gateway hears of it by its sockets, and tells nobody.
        await until(lambda: not self.core.readers, lambda: self.core.readers, every_s=0.01)

    async def over(self, job_id: str) -> Job:
        """Wait until a job has ended."""
        async with (
            asyncio.timeout(PATIENCE_S),
            self.core.channel(await self.job(job_id)) as channel,
        ):
            async for _ in read(channel):
                pass
        return await self.job(job_id)

    async def forget(self) -> None:
        """Forget what is over, as when its time has passed."""
        retention = self.core._retention
        kept_s, retention.keep_s = retention.keep_s, -1.0
        await retention.prune()
        retention.keep_s = kept_s

    async def read_by(self, count: int) -> None:
        """Wait until so many readers are there."""
        await until(lambda: self.core.readers == count, lambda: self.core.readers)

    async def storing(self) -> None:
        """Wait until a job is being stored."""
        await until(lambda: self.core._queue._reserved)

    async def published(self, job_id: str, count: int) -> None:
        """Wait until a job has so many events: `Started` is the first, `Routed` the second."""
        async with (
            asyncio.timeout(PATIENCE_S),
            self.core.channel(await self.job(job_id)) as channel,
        ):
            async for cursor, _ in read(channel):
                if cursor.seq >= count:
                    return


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def user_token(secret: str = JWT_SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A user JWT; a claim that is None is left out."""
    good = {"app": "shop", "sub": "ann", "exp": int(time.time()) + 3600}
    told = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode(told, secret, algorithm=algorithm)


@asynccontextmanager
async def raw(gateway: Gateway) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to a gateway."""
    reader, writer = await wire.connect(gateway.origin)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield reader, writer
    finally:
        await wire.shut(writer)
