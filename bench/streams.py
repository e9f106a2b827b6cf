"""Streams of their own: many at a token's pace, some at full speed, one alone."""

import asyncio

from bench.proof import Proof
from bench.reader import Reader, Tally
from bench.row import Figures, Line, Reading, Row, percentile
from bench.size import Size
from bench.target import Direct, Target
from bench.upstream import GATED

# After the last stream has begun, what the ramp left behind is done.
_CALM_S = 0.5
_LONE_FIRST_S = 0.03


async def paced(target: Target | Direct, size: Size) -> Figures:
    """Streams that begin one after the other, then flow at the same time."""
    model = f"lorem?tokens={size.tokens}&first={size.gap_s}&gap={size.gap_s}"
    tally = Tally()
    before = Reading.of(target)
    readers = await _ramp(target, model, tally, size)
    await tally.begun.reach(size.streams)
    await asyncio.sleep(_CALM_S * min(1.0, size.window_s))
    start, frames = Reading.of(target), tally.frames.value
    await asyncio.sleep(size.window_s)
    window, frames = Reading.of(target).since(start), tally.frames.value - frames
    await tally.ended.reach(size.streams)
    await target.settle()
    whole = Reading.of(target).since(before)
    prove(model, readers)
    return {
        "flow": window.us_per(frames),
        "whole": whole.us_per(size.streams * size.tokens),
        "first": percentile([reader.first_s * 1e3 for reader in readers], 99),
        "median": percentile([reader.first_s * 1e3 for reader in readers], 50),
        "rate": frames / window.wall / 1e3,
        **window.busy(),
    }


async def _ramp(target: Target | Direct, model: str, tally: Tally, size: Size) -> list[Reader]:
    async def one(place: int) -> Reader:
        await asyncio.sleep(place * size.ramp_s / size.streams)
        return await target.stream(model, tally)

    return await asyncio.gather(*(one(i) for i in range(size.streams)))


def prove(model: str, readers: list[Reader]) -> None:
    """See that every reader has the whole text.

    Raises:
        Incomplete: one has not.
    """
    proof = Proof(model)
    for reader in readers:
        proof.check(reader.pieces)


async def bulk(target: Target, size: Size) -> Figures:
    """Streams that are all open, then let go at once."""
    model = f"{GATED}lorem?tokens={size.bulk_tokens}&first=0&gap=0"
    tally = Tally()
    readers = await asyncio.gather(*(target.stream(model, tally) for _ in range(size.bulk_streams)))
    await tally.opened.reach(size.bulk_streams)
    await target.provider.until("gated", size.bulk_streams)
    before = Reading.of(target)
    await target.release()
    await tally.ended.reach(size.bulk_streams)
    flow = Reading.of(target).since(before)
    await target.settle()
    whole = Reading.of(target).since(before)
    prove(model, readers)
    chunks = size.bulk_streams * size.bulk_tokens
    return {"bulk": whole.us_per(chunks), "rate": chunks / flow.wall / 1e3, **flow.busy()}


async def lone(target: Target | Direct, size: Size) -> Figures:
    """Streams one after the other, on a machine that has nothing else to do."""
    model = f"lorem?tokens=3&first={_LONE_FIRST_S}&gap=0.001"
    firsts = []
    for _ in range(size.lone):
        tally = Tally()
        reader = await target.stream(model, tally)
        await tally.ended.reach(1)
        prove(model, [reader])
        firsts.append(reader.first_s * 1e3)
    await target.settle()
    return {"lone": percentile(firsts, 50)}


PACED = Row(
    "paced",
    (
        Line("flow", "1,000 streams, a chunk each 20 ms", "µs/chunk", "≤ 1.5 ×"),
        Line("whole", "  with opening, end and callback", "µs/chunk"),
        Line("first", "  first token added, p99", "ms", "< 100 ms", added=True),
        Line("median", "  first token added, p50", "ms", added=True),
        Line("rate", "  chunks delivered, thousands, of 50", "/s", compared=False),
    ),
    paced,
    paced,
)
BULK = Row(
    "bulk",
    (
        Line("bulk", "100 streams at full speed", "µs/chunk", "≤ 1.5 ×"),
        Line("rate", "  chunks delivered, thousands", "/s", compared=False),
    ),
    bulk,
)
LONE = Row(
    "lone",
    (Line("lone", "one stream alone: first token added, p50", "ms", "≤ 2 ms", added=True),),
    lone,
    lone,
)
