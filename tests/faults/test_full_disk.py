"""The disk fills while the gateway works: what is new is refused, what runs comes to its end."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import calls, servers, wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.front import Front
from tests.e2e.servers import CODE, Server, counters, open_streams
from tests.faults import small_disk
from tests.faults.callers import end_of
from tests.faults.small_disk import SmallDisk
from tests.until import PATIENCE_S, until

JOBS = 200 if LONG else 40
SLOW = "together/echo?first=0.05&gap=0.05"
QUICK = "together/echo?first=0&gap=0"
PROMPT = calls.words("w", 50)

pytestmark = pytest.mark.skipif(
    not small_disk.may_be_had(), reason="nobody here may mount a small disk"
)


async def refused(origin: str, inbox: Inbox) -> list[int]:
    """The statuses with which the doors refuse what is new."""
    key = {"Authorization": f"Bearer {CODE}"}
    asks: dict[str, dict[str, Any]] = {
        "/ai_request": {"request_type": "ask", "request": "hi", "app_code": CODE},
        "/init-stream": calls.asking(QUICK, "hi", f"{inbox.origin}/late"),
        "/assistant/request": {"prompt": "hi"},
        "/api/chat/stream": {"user_prompt": "hi"},
        "/v1/ask": {"question": "hi"},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    }
    answers = [
        await wire.post(origin, path, {"model": QUICK, **body}, **key)
        for path, body in asks.items()
    ]
    assert all(int(answer.headers.get("retry-after", 0)) > 0 for answer in answers), answers
    return [answer.status for answer in answers]


async def test_what_runs_ends_and_what_is_new_waits_for_room(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """Filled in mid-stream: every door says so and makes no job; each answer is whole, its end
    kept and its callback sent. With room again the same process takes what comes."""
    folder = tmp_path / "data"
    async with Front(provider.origin) as front:
        with servers.gateway(
            tmp_path, front.origin, small_disk.within(folder), DATA_DIR=str(folder)
        ) as gateway:
            await check_a_full_disk(gateway, front, inbox, SmallDisk(gateway, folder))


async def check_a_full_disk(gateway: Server, front: Front, inbox: Inbox, disk: SmallDisk) -> None:
    """Filled when every answer has begun, and emptied when every answer has ended."""
    front.gate.clear()
    urls = [await calls.init(gateway.origin, inbox, SLOW, PROMPT, f"j{n}") for n in range(JOBS)]
    reading = [asyncio.create_task((await wire.stream(url)).text()) for url in urls]
    await until(lambda: front.held == JOBS, lambda: front.held, every_s=0.05)
    disk.fill()
    front.gate.set()
    assert await refused(gateway.origin, inbox) == [507] * 6
    assert (await wire.get(gateway.origin, "/health/ready")).status == 503
    assert set(await asyncio.gather(*reading)) == {PROMPT}
    await inbox.arrived(JOBS)
    assert inbox.posts == {f"j{n}": 1 for n in range(JOBS)}
    assert {body["answer"] for body in inbox.bodies.values()} == {PROMPT}
    assert "disk_full" in str(gateway.lines), "nothing was written to the full disk"
    for url in urls:
        end = await end_of(gateway.origin, calls.job_id_of(url))
        assert end.event == "complete"
    await wire.eventually(lambda: counters(gateway), (0, 0))
    disk.empty()
    assert (await wire.get(gateway.origin, "/health/ready")).status == 200
    job_id = await calls.queue(gateway.origin, QUICK, PROMPT)
    said = await calls.polled(gateway.origin, job_id)
    assert (said["status"], said["response"]["ai_response"]) == ("completed", PROMPT)


async def test_it_ends_where_nothing_can_be_kept(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """Told to stop while there is no room at all, not even what was held back: it does not wait
    for some: what it cannot keep is as if the power had gone."""
    folder = tmp_path / "data"
    with servers.gateway(
        tmp_path, provider.origin, small_disk.within(folder),
        DATA_DIR=str(folder), DRAIN_TIMEOUT="1",
    ) as gateway:  # fmt: skip
        disk = SmallDisk(gateway, folder)
        asked = {"app_code": CODE, "prompt": PROMPT, "model": f"{SLOW}&first=0&tokens=1000"}
        for _ in range(JOBS):
            assert (await wire.post(gateway.origin, "/assistant/request", asked)).status == 201
        await wire.eventually(lambda: open_streams(provider), JOBS)
        disk.fill()
        # What runs makes room for itself, once.
        await gateway.printed("disk_full")
        disk.fill()
        gateway.send(signal.SIGTERM)
        assert await asyncio.to_thread(gateway.ended, PATIENCE_S) == 0
