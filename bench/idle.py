"""Readers who wait: the memory of each while its job says nothing."""

import asyncio

from bench.reader import Reader, Tally
from bench.row import Figures, Line, Row
from bench.size import Size
from bench.target import Target
from bench.upstream import GATED

_AT_ONCE = 100
# After the last reader has come, what its coming took is given back.
_CALM_S = 0.5


async def idle(target: Target, size: Size) -> Figures:
    """Growth of the server's memory for each reader, after some have come and gone."""
    await target.broadcast(f"{GATED}lorem?tokens=1")
    tally = Tally()
    some = await _join(target, tally, size.idle // 10 + 1)
    for reader in some:
        reader.close()
    await tally.ended.reach(len(some))
    await asyncio.sleep(_CALM_S)
    before = target.server.resident_bytes()
    readers = await _join(target, Tally(), size.idle)
    await asyncio.sleep(_CALM_S)
    grown = target.server.resident_bytes() - before
    for reader in readers:
        reader.close()
    return {"idle": grown / len(readers) / 1000}


async def _join(target: Target, tally: Tally, count: int) -> list[Reader]:
    readers: list[Reader] = []
    while len(readers) < count:
        some = min(_AT_ONCE, count - len(readers))
        readers += await asyncio.gather(*(target.join(tally) for _ in range(some)))
        await tally.opened.reach(len(readers))
    return readers


IDLE = Row(
    "idle",
    (Line("idle", "idle reader, memory", "kB", "≤ 13 kB"),),
    idle,
    fresh=True,
)
