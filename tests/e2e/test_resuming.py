"""Readers behind a line that is cut at any byte, who come back as EventSource does."""

import asyncio
import os
import time
from random import Random

from tests.e2e import calls, wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.proxy import Proxy
from tests.e2e.servers import Server

READERS = 200 if LONG else 40
SEED = int(os.environ.get("CUTS_SEED", "0")) or time.time_ns() % 1_000_000
# No reader needs nearly so many; a bound, so that one who gets nowhere is noticed.
_MOST_CONNECTIONS = 300
PROMPT = " ".join(f"wört{number}\n🙂" for number in range(60))


async def read(url: str) -> tuple[str, int]:
    """The text, read over as many connections as it takes, and their number."""
    words: list[str] = []
    last_id = ""
    for connection in range(1, _MOST_CONNECTIONS):
        try:
            stream = await wire.stream(url, after=last_id)
        except ConnectionError:
            continue
        if stream.status == 204:
            await stream.close()
            return "".join(words), connection
        assert stream.status == 200
        async for frame in stream.frames():
            words.append(frame.data)
            last_id = frame.id
        await stream.close()
    raise AssertionError(f"no end after {_MOST_CONNECTIONS} connections: {words[-3:]}")


async def test_a_text_survives_every_cut(gateway: Server, inbox: Inbox) -> None:
    """Cut at random bytes and resumed, every text is what it would have been; then comes 204."""
    print(f"CUTS_SEED={SEED}")
    async with Proxy(gateway.origin) as proxy:
        model = "together/echo?first=0.1&gap=0.01"
        url = await calls.init(gateway.origin, inbox, model, PROMPT)
        proxy.cut_at_random(Random(SEED), 1500)
        cut_url = url.replace(gateway.origin, proxy.origin)
        got = await asyncio.gather(*(read(cut_url) for _ in range(READERS)))
        print(f"{proxy.cuts} cuts in {proxy.connections} connections")
        assert proxy.cuts > READERS
    assert {text for text, _ in got} == {PROMPT + "[DONE]"}


async def test_a_text_that_is_whole_survives_too(gateway: Server, inbox: Inbox) -> None:
    """The same for readers who come when the answer is over."""
    print(f"CUTS_SEED={SEED}")
    async with Proxy(gateway.origin) as proxy:
        url = await calls.init(gateway.origin, inbox, "together/echo?first=0&gap=0", PROMPT)
        await inbox.arrived(1)
        proxy.cut_at_random(Random(SEED), 1500)
        cut_url = url.replace(gateway.origin, proxy.origin)
        got = await asyncio.gather(*(read(cut_url) for _ in range(READERS)))
        assert proxy.cuts > READERS
    assert {text for text, _ in got} == {PROMPT + "[DONE]"}
