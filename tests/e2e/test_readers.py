"""One answer and many readers, some of whom never read.

FAULTS=long compares the others' gaps with and without a frozen one over ten rounds.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from statistics import median

import pytest

from tests.e2e import calls, wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.servers import Server

READERS = 1000
FROZEN = 200
# Next to the least that the kernel gives: the sender notices soon that nobody reads.
SMALL = 4096


@asynccontextmanager
async def frozen(url: str, count: int) -> AsyncIterator[list[wire.Stream]]:
    """Readers that have got their headers, and take nothing more."""
    streams = await asyncio.gather(*(wire.stream(url, receive_buffer=SMALL) for _ in range(count)))
    for stream in streams:
        stream.freeze()
    try:
        yield list(streams)
    finally:
        for stream in streams:
            stream.abort()


async def arrivals(stream: wire.Stream) -> tuple[str, dict[str, float]]:
    """The whole text, and when each event arrived."""
    came: dict[str, float] = {}
    text = []
    async for frame in stream.frames():
        came[frame.id] = time.monotonic()
        text.append(frame.data)
    await stream.close()
    assert (stream.ended, text.pop()) == (True, "[DONE]")
    return "".join(text), came


def gaps_ms(readers: list[dict[str, float]], since: float) -> list[float]:
    """How long each reader waited for each event after the one before."""
    return [
        (later - earlier) * 1000
        for came in readers
        for earlier, later in pairwise(came.values())
        if earlier > since
    ]


@pytest.mark.timeout(300 if LONG else 180)
async def test_nobody_waits_for_a_reader_that_is_frozen(gateway: Server, inbox: Inbox) -> None:
    """A thousand readers have the whole answer before one that froze has gone on."""
    prompt = "x" * 2999
    text = " ".join([prompt] * 100)
    model = f"together/echo?first=2&gap={0.1 if LONG else 0.02}&tokens=100"
    gaps: dict[int, list[float]] = {0: [], 1: []}
    for stuck in [0, 1] * (5 if LONG else 1):
        url = await calls.init(gateway.origin, inbox, model, prompt)
        async with frozen(url, stuck) as stalled:
            readers = await asyncio.gather(*(wire.stream(url) for _ in range(READERS - stuck)))
            since = time.monotonic()
            got = await asyncio.gather(*map(arrivals, readers))
            for stream in stalled:
                stream.thaw()
                assert await stream.text() == text
        assert {said for said, _ in got} == {text}
        gaps[stuck].append(calls.percentile(gaps_ms([came for _, came in got], since), 0.99))
    for stuck, values in gaps.items():
        each = ", ".join(f"{value:.1f}" for value in values)
        print(f"{stuck} frozen: p99 of the others' gaps {median(values):.1f} ms ({each})")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_not_read_is_not_kept_for_each(
    gateway: Server, inbox: Inbox, when: str
) -> None:
    """Two hundred frozen readers of two megabytes, come before or after, cost next to nothing."""
    prompt = "y" * 99
    pace = "first=1&gap=0.002" if when == "before" else "first=0&gap=0"
    model = f"together/echo?{pace}&chunk=100&tokens=20000"
    url = await calls.init(gateway.origin, inbox, model, prompt)
    if when == "after":
        await (await wire.stream(url)).text()
    _, before = gateway.resources()
    async with frozen(url, FROZEN):
        reader = await wire.stream(url)
        assert len(await reader.text()) == 20_000 * 100 - 1
        _, after = gateway.resources()
    print(f"{FROZEN} frozen readers that came {when}: {after - before:.1f} MB")
    # The answer is there a few times: as events, frames and for the callback. For each reader,
    # a write may be under way.
    assert after - before < 20 + FROZEN * 0.1
