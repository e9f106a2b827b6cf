"""Cancelled at any moment of its life, a job ends once, and nothing of it goes on."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tests.e2e import calls, wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.servers import CODE, Server, counters, open_streams
from tests.faults.callers import end_of
from tests.faults.chance import rng_of
from tests.faults.lives import Lives

CANCELS = 5000 if LONG else 500
AT_ONCE = 100
# Fewer than ask at once, so that some are cancelled in the queue; a third end by themselves.
WORKERS = "60"
ENDLESS = "together/lorem?first=0.1&gap=0.02&tokens=100000"
BRIEF = "together/echo?first=0.05&gap=0.005"
ALONE = 20
# What is answered to a cancel, by how the job has ended.
TOLD = {
    "CANCELLED": {"Request cancelled", "Request is already over: cancelled"},
    "complete": {"Request is already over: completed"},
}
# The provider's connection, after the answer that says that the job is cancelled.
CLOSED_S = 1.0 if LONG else 10.0


@pytest.fixture
async def lives(provider: Server, tmp_path: Path) -> AsyncIterator[Lives]:
    async with Lives(tmp_path, provider.origin, WORKERS=WORKERS) as lives:
        yield lives


async def cancel(origin: str, job_id: str) -> str:
    """What is answered to a cancel."""
    key = {"Authorization": f"Bearer {CODE}"}
    answer = await wire.post(origin, f"/cancel_request/{job_id}", {"x": 1}, **key)
    assert answer.status == 200, answer
    message: str = answer.json()["message"]
    return message


async def ask(origin: str, inbox: Inbox, name: str, model: str) -> str:
    """The id of a new job that owes a callback."""
    prompt = calls.words("w", 20)
    return calls.job_id_of(await calls.init(origin, inbox, model, prompt, name))


async def moment(origin: str, job_id: str, model: str, rng: Random) -> None:
    """Wait for the moment at which a job is cancelled: any of its life, or its end.

    Only whoever waits for an end is sure to meet one: on a busy machine no job of a hundred at
    once ends within a second.
    """
    if model == BRIEF and rng.random() < 0.25:
        await end_of(origin, job_id)
    else:
        await asyncio.sleep(rng.choice([0, rng.uniform(0, 0.2), rng.uniform(0, 1.0)]))


@pytest.mark.timeout(600 if LONG else 180)
async def test_five_hundred_cancels(provider: Server, inbox: Inbox, lives: Lives) -> None:
    """In the queue, at its claim, before its first word, in mid-stream, as it ends, twice at once:
    one terminal event, one callback, and every counter is back at zero."""
    server = await lives.begin()
    rng = rng_of("five hundred cancels")
    turns = iter(range(CANCELS))
    asked: dict[str, str] = {}
    told: dict[str, set[str]] = {}

    async def take_turns() -> None:
        for turn in turns:
            mine = Random(rng.random())
            model = mine.choice([ENDLESS, ENDLESS, BRIEF])
            job_id = asked[f"n{turn}"] = await ask(lives.origin, inbox, f"n{turn}", model)
            await moment(lives.origin, job_id, model, mine)
            times = mine.choice([1, 1, 2])
            cancels = (cancel(lives.origin, job_id) for _ in range(times))
            told[f"n{turn}"] = set(await asyncio.gather(*cancels))

    async with asyncio.TaskGroup() as callers:
        for _ in range(AT_ONCE):
            callers.create_task(take_turns())
    began = time.monotonic()
    await wire.eventually(lambda: open_streams(provider), 0)
    print(f"the provider was left {time.monotonic() - began:.2f} s after the last of them")
    await lives.idle(server)
    await inbox.arrived(CANCELS)
    ends: Counter[str] = Counter()
    for name, job_id in asked.items():
        frame = await end_of(lives.origin, job_id)
        said = json.loads(frame.data)
        end = said.get("code", "complete")
        ends[end] += 1
        assert told[name] <= TOLD[end], f"{name} ended as {end}"
        body = inbox.bodies[name]
        assert body.get("error", {}).get("code", "complete") == end, (body, said)
    print(dict(ends))
    assert set(ends) == {"CANCELLED", "complete"}, "it has to be tried while jobs end, too"
    assert inbox.posts == Counter(asked.keys())
    assert await counters(server) == (0, 0)
    assert await open_streams(provider) == 0


async def test_a_cancel_leaves_the_provider_at_once(
    provider: Server, inbox: Inbox, lives: Lives
) -> None:
    """Whoever is told that it is cancelled pays for not much more."""
    await lives.begin()
    took_s = []
    for number in range(ALONE):
        url = await calls.init(lives.origin, inbox, ENDLESS, "hi", f"alone{number}")
        await wire.eventually(lambda: open_streams(provider), 1, every_s=0.01)
        told = await cancel(lives.origin, calls.job_id_of(url))
        assert told == "Request cancelled"
        began = time.monotonic()
        await wire.eventually(lambda: open_streams(provider), 0, every_s=0.01)
        took_s.append(time.monotonic() - began)
    print(f"after a cancel the provider was left within {max(took_s):.3f} s")
    assert calls.percentile(took_s, 0.5) <= CLOSED_S
