"""A gateway that keeps its jobs in a folder is killed, and another goes on in its place."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import calls, servers, wire
from tests.e2e.calls import Inbox
from tests.e2e.front import Front
from tests.e2e.servers import CODE, Server
from tests.until import PATIENCE_S, until

SLOW = "together/echo?first=0.2&gap=0.02"
PROMPT = calls.words("w", 40)
RUNNING = 4
# Of an answer, by whoever reads it, before the process is killed.
READ = 20


@pytest.fixture
async def front(provider: Server) -> AsyncIterator[Front]:
    """The provider, at a gate behind which no answer ends before the process does."""
    async with Front(provider.origin, beginning=READ + 1) as front:
        yield front


def settings(tmp_path: Path) -> dict[str, str]:
    """Links to streams outlive the process, and few jobs run at a time."""
    return {"DATA_DIR": str(tmp_path / "data"), "JWT_SECRET": "s" * 40, "WORKERS": str(RUNNING)}


async def test_what_was_accepted_is_answered(front: Front, inbox: Inbox, tmp_path: Path) -> None:
    """Waiting or running when the process is killed: each job has its one answer, its callback
    and its stream, from the process that comes next."""
    kept = settings(tmp_path)
    with servers.gateway(tmp_path, front.origin, **kept) as gateway:
        over = await calls.queue(gateway.origin, "together/echo?first=0&gap=0", PROMPT)
        first = await calls.polled(gateway.origin, over)
        front.gate.clear()
        polled = [await calls.queue(gateway.origin, SLOW, PROMPT) for _ in range(12)]
        urls = [
            await calls.init(gateway.origin, inbox, SLOW, PROMPT, f"waits{n}") for n in range(4)
        ]
        await until(lambda: front.held == RUNNING, lambda: front.held, every_s=0.01)
        gateway.send(signal.SIGKILL)
        gateway.process.wait()
    front.gate.set()
    with servers.gateway(tmp_path, front.origin, **kept) as again:
        for job_id in polled:
            said = await calls.polled(again.origin, job_id)
            assert said["status"] == "completed", said
            assert said["response"]["ai_response"] == PROMPT
        assert await calls.polled(again.origin, over) == first
        await inbox.arrived(4)
        assert inbox.posts == {f"waits{n}": 1 for n in range(4)}
        assert {body["answer"] for body in inbox.bodies.values()} == {PROMPT}
        for url in urls:
            stream = await wire.stream(f"{again.origin}/stream/{url.partition('/stream/')[2]}")
            text = "".join([frame.data async for frame in stream.frames()])
            await stream.close()
            assert text == PROMPT + "[DONE]"


async def test_two_texts_are_never_spliced(front: Front, inbox: Inbox, tmp_path: Path) -> None:
    """An answer that is made again is whole for its workflow; who has read some of the lost one
    is told to begin anew, and may."""
    kept = settings(tmp_path)
    front.gate.clear()
    with servers.gateway(tmp_path, front.origin, **kept) as gateway:
        url = await calls.init(gateway.origin, inbox, SLOW, PROMPT, name="cut")
        stream = await wire.stream(url)
        frames = stream.frames()
        seen = [await anext(frames) for _ in range(READ)]
        gateway.send(signal.SIGKILL)
        gateway.process.wait()
        await stream.close()
    front.gate.set()
    with servers.gateway(tmp_path, front.origin, **kept) as again:
        place = f"/stream/{url.partition('/stream/')[2]}"
        late = await wire.get(again.origin, f"{place}&last_event_id={seen[-1].id}")
        assert late.status == 409
        stream = await wire.stream(again.origin + place)
        text = "".join([frame.data async for frame in stream.frames()])
        await stream.close()
        assert text == PROMPT + "[DONE]"
        await inbox.arrived(1)
        assert (inbox.posts, inbox.bodies["cut"]["answer"]) == ({"cut": 1}, PROMPT)


async def test_a_background_response_is_made_again(front: Front, tmp_path: Path) -> None:
    """Who polls it finds it complete; who has read some of the lost one is refused, rather than
    told the rest of another."""
    kept = settings(tmp_path)
    front.gate.clear()
    asked = {"app_code": CODE, "model": SLOW, "input": PROMPT, "background": True}
    with servers.gateway(tmp_path, front.origin, **kept) as gateway:
        made = (await wire.post(gateway.origin, "/v1/responses", asked)).json()
        path = f"/v1/responses/{made['id']}"
        stream = await wire.stream(f"{gateway.origin}{path}?stream=true", key=CODE)
        frames = stream.frames()
        seen = [json.loads((await anext(frames)).data) for _ in range(READ)]
        gateway.send(signal.SIGKILL)
        gateway.process.wait()
        await stream.close()
    front.gate.set()
    with servers.gateway(tmp_path, front.origin, **kept) as again:
        said = await _response(again.origin, path)
        (message,) = said["output"]
        assert (said["status"], message["content"][0]["text"]) == ("completed", PROMPT)
        after = f"{path}?stream=true&starting_after={seen[-1]['sequence_number']}"
        late = await wire.stream(again.origin + after, key=CODE)
        await late.close()
        assert late.status == 409


async def _response(origin: str, path: str) -> Any:
    """A response, once it is over."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said = (await wire.get(origin, path, Authorization=f"Bearer {CODE}")).json()
            if said["status"] not in ("queued", "in_progress"):
                return said
            # Its wire has no other way to wait.
            await asyncio.sleep(0.05)


async def test_a_folder_in_use_is_said_in_words(provider: Server, tmp_path: Path) -> None:
    """A second gateway on it does not start, and says why without a traceback."""
    kept = settings(tmp_path)
    with servers.gateway(tmp_path, provider.origin, **kept):
        environ = servers.environ(tmp_path, provider.origin) | kept
        second = Server(["serve", "--conf", str(tmp_path)], environ)
        code, said = second.ended(), "\n".join(second.lines)
        second.close()
    assert code == 1
    assert "in use by another gateway" in said
    assert "Traceback" not in said
