"""The wall clock of the machine is set while the gateway runs: nothing is over early or late."""

import asyncio
import json
import sys
from pathlib import Path

from aiohttp import web

from tests.e2e import calls, servers, wire
from tests.e2e.calls import Inbox
from tests.e2e.servers import CODE, Server
from tests.faults.shifted_clock import shift

HOUR = 3600.0
JUMPS = (HOUR, -HOUR, -24 * HOUR)
SLOW = "together/echo?first=0.02&gap=0.02"
QUICK = "together/echo?first=0&gap=0"
BY_APP = {"Authorization": f"Bearer {CODE}"}
PROMPT = calls.words("w", 40)
# What is over is forgotten after so long; it is looked for four times as often.
RETENTION_S = 60.0
# An n8n that knows no such execution yet is asked for a minute.
UNKNOWN = {"code": 404, "message": "The execution does not exist."}


async def test_nothing_expires_early(provider: Server, inbox: Inbox, tmp_path: Path) -> None:
    """An hour ahead, an hour back, a day back: what ran goes on, what waits is run, what is over
    can be read with the link that was given, and callbacks are neither given up nor put off."""
    file = tmp_path / "clock"
    shift(file, 0.0)
    settings = {
        "WORKERS": "1", "RETENTION": f"{RETENTION_S:g}", "QUEUE_TIMEOUT": "600",
        "CALLBACK_DEADLINE": "1800", "DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip
    within = (sys.executable, "-m", "tests.faults.shifted_clock", str(file))
    with servers.gateway(tmp_path, provider.origin, within, **settings) as gateway:
        for jump in JUMPS:
            inbox.answers = lambda _: web.json_response(UNKNOWN, status=404)
            over = await calls.init(gateway.origin, inbox, QUICK, PROMPT, f"over{jump}")
            assert await (await wire.stream(over)).text() == PROMPT
            await gateway.printed("callback_retried", calls.job_id_of(over))
            runs = await wire.stream(
                await calls.init(gateway.origin, inbox, SLOW, PROMPT, f"runs{jump}")
            )
            waits = await calls.queue(gateway.origin, QUICK, PROMPT)
            reading = asyncio.create_task(runs.text())
            shift(file, jump)
            assert await (await wire.stream(over)).text() == PROMPT
            assert await reading == PROMPT
            said = await calls.polled(gateway.origin, waits)
            assert (said["status"], said["response"]["ai_response"]) == ("completed", PROMPT)
            inbox.answers = lambda _: None
            await inbox.arrived(2 * (JUMPS.index(jump) + 1))
            shift(file, 0.0)
        assert set(inbox.posts.values()) == {1}


async def test_what_is_over_is_kept_for_its_time(provider: Server, tmp_path: Path) -> None:
    """Also where the clock is set an hour ahead just after, and the store is asked to forget."""
    file = tmp_path / "clock"
    shift(file, 0.0)
    within = (sys.executable, "-m", "tests.faults.shifted_clock", str(file))
    settings = {"RETENTION": "20", "CONVERSATION_RETENTION": "20"}
    with servers.gateway(tmp_path, provider.origin, within, **settings) as gateway:
        loop = asyncio.get_running_loop()
        began = loop.time()
        old = await calls.queue(gateway.origin, QUICK)
        await calls.polled(gateway.origin, old)
        kept = [f"/get_request/{old}", f"/api/conversations/{await conversation(gateway)}"]
        shift(file, HOUR)
        # It is asked after five seconds, a quarter of the retention.
        until = loop.time() + 7
        while loop.time() < until:
            answers = [await wire.get(gateway.origin, path, **BY_APP) for path in kept]
            early = loop.time() - began < 20
            all_there = all(answer.status == 200 for answer in answers)
            assert all_there or not early, "it was forgotten early"
            await asyncio.sleep(0.5)


async def conversation(gateway: Server) -> str:
    """The id of a conversation in which one question has been answered."""
    asked = {"user_prompt": PROMPT, "model": QUICK, "save_conversation": True}
    request = wire.posting(gateway.origin, "/api/chat/stream", asked, **BY_APP)
    stream = await wire.streamed(gateway.origin, request)
    said = [json.loads(frame.data) async for frame in stream.frames()]
    await stream.close()
    assert said[-1]["finished"]
    made: str = said[0]["conversation_id"]
    return made
