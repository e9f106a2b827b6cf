"""What clients of the two doors do, and where callbacks arrive."""

import asyncio
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Self

from aiohttp import web

from tests.e2e import wire
from tests.e2e.servers import CODE
from tests.until import PATIENCE_S

# Set FAULTS=long for the whole of it: it takes minutes. `make faults` does.
LONG = os.environ.get("FAULTS") == "long"


class Inbox:
    """Takes callbacks, and counts them by the path they were posted to.

    Attributes:
        answers: what a post is answered with, by its path, in place of being taken; None takes it.
        names: the paths, by the ids of their deliveries.
    """

    def __init__(self) -> None:
        self.answers: Callable[[str], web.Response | None] = lambda _: None
        self.bodies: dict[str, Any] = {}
        self.posts: Counter[str] = Counter()
        self.names: dict[str, str] = {}
        self.origin = ""
        self._changed = asyncio.Condition()
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/{name}", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=4096).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        body = json.loads(await request.read())
        refusal = self.answers(name)
        if refusal is not None:
            return refusal
        async with self._changed:
            self.bodies[name] = body
            self.posts[name] += 1
            self.names[request.headers["webhook-id"]] = name
            self._changed.notify_all()
        return web.json_response({"message": "Workflow was started"})

    async def arrived(self, count: int) -> None:
        """Wait until so many have been called back."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._changed:
                await self._changed.wait_for(lambda: len(self.posts) >= count)
        except TimeoutError:
            raise AssertionError(f"{len(self.posts)} of {count} callbacks came") from None

    async def told(self, names: set[str]) -> None:
        """Wait until all of these have been called back, among whomever else."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._changed:
                await self._changed.wait_for(lambda: names <= self.posts.keys())
        except TimeoutError:
            raise AssertionError(f"no callback came to {names - self.posts.keys()}") from None


def asking(model: str, prompt: str, resume_url: str) -> dict[str, Any]:
    """A body of /init-stream, for as long an answer as the model gives."""
    return {
        "app_code": CODE,
        "model": model,
        "prompt": prompt,
        "resumeUrl": resume_url,
        "max_tokens": 100_000,
    }


async def init(origin: str, inbox: Inbox, model: str, prompt: str = "hi", name: str = "") -> str:
    """Start an answer; the address of its stream."""
    resume_url = f"{inbox.origin}/{name or uuid.uuid4()}"
    answer = await wire.post(origin, "/init-stream", asking(model, prompt, resume_url))
    assert answer.status == 200, answer
    url: str = answer.json()["streamUrl"]
    return url


async def queue(origin: str, model: str, prompt: str = "hi") -> str:
    """Ask at the job queue's door; the request id."""
    body = {"app_code": CODE, "request_type": "ask", "request": prompt, "model": model}
    answer = await wire.post(origin, "/ai_request", body)
    assert answer.status == 200, answer
    job_id: str = answer.json()["request_id"]
    return job_id


async def polled(origin: str, job_id: str, within_s: float = PATIENCE_S) -> Any:
    """What the job queue's door says of a job once it is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while True:
        said = (await wire.get(origin, f"/get_request/{job_id}")).json()
        if said["status"] not in ("queued", "processing"):
            return said
        assert loop.time() < until, f"after {within_s} s it is still {said}"
        # The wire has no other way to wait at this door.
        await asyncio.sleep(0.05)


def job_id_of(url: str) -> str:
    """The request id in the address of a stream."""
    return url.partition("/stream/")[2].partition("?")[0]


def words(name: object, count: int) -> str:
    """A text of so many words that no other name has."""
    return " ".join(f"{name}.{number}" for number in range(count))


def rising(ids: list[str]) -> list[str]:
    """The event ids, which must rise by one within one attempt; a gap is a lost event."""
    pairs = [each.split("-") for each in ids]
    for (attempt, number), (later, following) in pairwise(pairs):
        assert (later, int(following)) == (attempt, int(number) + 1), ids
    return ids


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
