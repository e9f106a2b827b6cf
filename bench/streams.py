"""Streams of their own: many at a token's pace, some at full speed, one alone."""

import asyncio

from bench.proof import Incomplete, Proof
from bench.reader import Reader, Tally
from bench.row import Figures, Line, Reading, Row, percentile
from bench.size import Size
from bench.target import Direct, Target
from bench.upstream import GATED

# Between two phases, what the one before left behind is done.
_CALM_S = 0.5
_AT_ONCE = 50
_LONE_FIRST_S = 0.03
_PROBE_TOKENS = 3


async def paced(target: Target | Direct, size: Size) -> Figures:
    """Streams that all flow at the same time, and some more that come while they do."""
    streams = size.streams
    model = f"{GATED}lorem?tokens={size.tokens}&first={size.gap_s}&gap={size.gap_s}"
    tally = Tally()
    before = Reading.of(target)
    readers = await gather(target, model, tally, streams)
    opened = Reading.of(target).since(before)
    await target.release(over_s=size.ramp_s)
    await tally.begun.reach(streams)
    await asyncio.sleep(_CALM_S * size.ramp_s)
    start, frames = Reading.of(target), tally.frames.value
    await asyncio.sleep(size.window_s)
    window, frames = Reading.of(target).since(start), tally.frames.value - frames
    if tally.ended.value:
        raise Incomplete(f"{tally.ended.value} streams were over before they were measured")
    firsts = await _probe(target, size)
    await tally.ended.reach(streams)
    await target.settle()
    whole = Reading.of(target).since(before)
    prove(model, readers)
    return {
        "flow": window.us_per(frames),
        "whole": whole.us_per(streams * size.tokens + size.probes * _PROBE_TOKENS),
        "open": opened.us_per(streams) / 1e3,
        "first": percentile(firsts, 99),
        "median": percentile(firsts, 50),
        "rate": frames / window.wall / 1e3,
        **window.busy(),
    }


async def gather(target: Target | Direct, model: str, tally: Tally, streams: int) -> list[Reader]:
    """So many open streams of a gated model, and all of them waiting at the gate."""
    readers: list[Reader] = []
    while len(readers) < streams:
        some = min(_AT_ONCE, streams - len(readers))
        readers += await asyncio.gather(*(target.stream(model, tally) for _ in range(some)))
        await tally.opened.reach(len(readers))
    await target.provider.until("gated", streams)
    return readers


async def _probe(target: Target | Direct, size: Size) -> list[float]:
    """Short streams, one each so often: milliseconds until the first token of each."""
    model = f"lorem?tokens={_PROBE_TOKENS}&first={size.gap_s}&gap={size.gap_s}"
    tally = Tally()

    async def one(place: int) -> Reader:
        await asyncio.sleep(place * size.probe_each_s)
        return await target.stream(model, tally)

    readers = await asyncio.gather(*(one(i) for i in range(size.probes)))
    await tally.ended.reach(size.probes)
    prove(model, readers)
    return [reader.first_s * 1e3 for reader in readers]


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
    readers = await gather(target, model, tally, size.bulk_streams)
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
        Line("open", "  opening of a stream", "ms"),
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
