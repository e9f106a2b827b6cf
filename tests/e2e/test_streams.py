"""A thousand answers at once, each read as it is written."""

import asyncio
import time

from tests.e2e import calls, wire
from tests.e2e.calls import Inbox
from tests.e2e.servers import Server, counters

STREAMS = 1000
WORDS = 50
MODEL = "together/echo?first=0.1&gap=0.02"


async def one(gateway: Server, inbox: Inbox, number: int) -> tuple[str, list[str], float]:
    """Ask for an answer and read it: the text, the ids, and the seconds to its first word."""
    asked_at = time.monotonic()
    name = f"s{number}"
    url = await calls.init(gateway.origin, inbox, MODEL, calls.words(name, WORDS), name)
    stream = await wire.stream(url)
    first_at = 0.0
    frames = []
    async for frame in stream.frames():
        first_at = first_at or time.monotonic()
        frames.append(frame)
    await stream.close()
    assert stream.ended
    assert frames[-1].data == "[DONE]"
    text = "".join(frame.data for frame in frames[:-1])
    return text, [frame.id for frame in frames], first_at - asked_at


async def test_a_thousand_streams_at_once_are_whole(gateway: Server, inbox: Inbox) -> None:
    """Every text is complete and in order, every id follows the last, every callback comes once."""
    got = await asyncio.gather(*(one(gateway, inbox, number) for number in range(STREAMS)))
    texts = [calls.words(f"s{number}", WORDS) for number in range(STREAMS)]
    assert [text for text, _, _ in got] == texts
    for _, ids, _ in got:
        # Dense from the first word on; the events before it have no text.
        assert len(calls.rising(ids[:-1])) == WORDS
    first = [first_s for _, _, first_s in got]
    print(f"first token: p50 {calls.percentile(first, 0.5):.3f} s, "
          f"p99 {calls.percentile(first, 0.99):.3f} s")  # fmt: skip
    await inbox.arrived(STREAMS)
    assert inbox.posts == {f"s{number}": 1 for number in range(STREAMS)}
    answers = {name: body["answer"] for name, body in inbox.bodies.items()}
    assert answers == {f"s{number}": text for number, text in enumerate(texts)}
    await wire.eventually(lambda: counters(gateway), (0, 0))
