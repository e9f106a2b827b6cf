"""One job, many readers: frames as fast as they come, at a token's pace, and to those who lag."""

import asyncio

from bench.reader import Reader, Tally
from bench.row import Figures, Line, Reading, Row
from bench.size import Size
from bench.streams import prove
from bench.target import Target
from bench.upstream import GATED

# Little enough that readers who stop reading are soon felt by the server.
_LAGGARD_BYTES = 4096
_AT_ONCE = 50


async def fast(target: Target, size: Size) -> Figures:
    """Everything the job says, as fast as it comes."""
    model = f"{GATED}lorem?tokens={size.fast_frames}&first=0&gap=0"
    tally, readers = await _gather(target, model, size)
    before = Reading.of(target)
    await target.release()
    await _end(target, model, tally, readers)
    spent = Reading.of(target).since(before)
    return {"fast": spent.us_per(size.readers * size.fast_frames), **spent.busy()}


async def paced(target: Target, size: Size) -> Figures:
    """Frames one by one, without the first and the last: nothing opens or ends meanwhile."""
    model = f"{GATED}lorem?tokens={size.paced_frames}&first=0&gap={size.paced_gap_s}"
    tally, readers = await _gather(target, model, size)
    await target.release()
    before = await _between(target, tally, size, 1)
    spent = (await _between(target, tally, size, size.paced_frames - 1)).since(before)
    await _end(target, model, tally, readers)
    return {"paced": spent.us_per(size.readers * (size.paced_frames - 2)), **spent.busy()}


async def _between(target: Target, tally: Tally, size: Size, frames: int) -> Reading:
    """The clocks when all readers have so many frames, and the server waits for the next."""
    await tally.frames.reach(size.readers * frames)
    await asyncio.sleep(size.paced_gap_s / 4)
    return Reading.of(target)


async def lagging(target: Target, size: Size) -> Figures:
    """Readers that take nothing while the job speaks, then everything."""
    model = f"{GATED}lorem?tokens={size.lag_frames * 100}&chunk=100&first=0&gap={size.lag_gap_s}"
    tally, readers = await _gather(target, model, size, _LAGGARD_BYTES)
    for reader in readers:
        reader.pause()
    before = Reading.of(target)
    await target.release()
    await asyncio.sleep(size.lag_frames * size.lag_gap_s * 1.1)
    for reader in readers:
        reader.resume()
    await _end(target, model, tally, readers)
    spent = Reading.of(target).since(before)
    return {"lag": spent.us_per(size.readers * size.lag_frames), **spent.busy()}


async def _gather(
    target: Target, model: str, size: Size, receive_bytes: int | None = None
) -> tuple[Tally, list[Reader]]:
    """All readers of one job that has not said anything yet."""
    tally = Tally()
    await target.broadcast(model)
    readers: list[Reader] = []
    while len(readers) < size.readers:
        some = min(_AT_ONCE, size.readers - len(readers))
        readers += await asyncio.gather(*(target.join(tally, receive_bytes) for _ in range(some)))
        await tally.opened.reach(len(readers))
    return tally, readers


async def _end(target: Target, model: str, tally: Tally, readers: list[Reader]) -> None:
    await tally.ended.reach(len(readers))
    await target.settle()
    prove(model, readers)


FAST = Row(
    "fast",
    (Line("fast", "one job to 1,000 readers, full speed", "µs/frame", "≤ 1.1 ×"),),
    fast,
)
EACH_50_MS = Row(
    "each50",
    (Line("paced", "one job to 1,000 readers, one each 50 ms", "µs/frame", "≤ 1.1 ×"),),
    paced,
)
LAG = Row(
    "lag",
    (Line("lag", "one job to 1,000 readers, who lag", "µs/frame", "< 1 ×"),),
    lagging,
)
