"""How often a stream is read, on a clock that jumps."""

import asyncio
from random import Random

import pytest

from gateway.engine.pace import Pace
from tests.engine.virtual_clock import jumping


async def rested_s(pace: Pace) -> float:
    """How long one rest takes."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await pace.rest()
    return loop.time() - began


@jumping
async def test_few_streams_do_not_rest() -> None:
    """The chunks of a stream that is nearly alone are passed on one by one."""
    pace = Pace()
    pace.streams = 10
    assert await rested_s(pace) == 0


@jumping
async def test_the_more_streams_the_longer_the_rest() -> None:
    """A hundred streams rest a little, thousands no longer than is hardly seen."""
    pace = Pace()
    took = []
    for pace.streams in (100, 200, 10_000):
        took.append(await rested_s(pace))
    assert took == pytest.approx([0.01, 0.02, 0.1], abs=0.001)


@jumping
async def test_cancelling_a_rest_disturbs_no_other() -> None:
    """One stream that is cancelled in its rest leaves the others theirs."""
    pace = Pace()
    pace.streams = 1000
    rests = [asyncio.create_task(rested_s(pace)) for _ in range(3)]
    await asyncio.sleep(0.01)
    rests[1].cancel()
    done = await asyncio.gather(*rests, return_exceptions=True)
    assert isinstance(done[1], asyncio.CancelledError)
    assert [done[0], done[2]] == pytest.approx([0.1, 0.1], abs=0.001)


@jumping
@pytest.mark.parametrize("seed", range(20))
async def test_every_rest_ends_in_time(seed: int) -> None:
    """However streams come and go, nobody rests much longer than the longest rest, or for ever."""
    rng = Random(seed)
    pace = Pace()

    async def stream() -> list[float]:
        await asyncio.sleep(rng.random())
        pace.streams += 100
        took = [await rested_s(pace) for _ in range(10)]
        pace.streams -= 100
        return took

    took = await asyncio.gather(*(stream() for _ in range(20)))
    assert all(0 <= each <= 0.201 for rests in took for each in rests)


@jumping
async def test_few_rests_end_in_one_turn_of_the_loop() -> None:
    """Whatever else is ready gets its turn between a few reads, and never waits for a thousand."""
    pace = Pace()
    pace.streams = 1000
    ended = 0
    begun = asyncio.Event()

    async def stream() -> None:
        nonlocal ended
        await pace.rest()
        ended += 1
        begun.set()

    streams = [asyncio.create_task(stream()) for _ in range(1000)]
    await begun.wait()
    most = before = ended
    while ended < len(streams):
        await asyncio.sleep(0)
        most, before = max(most, ended - before), ended
    assert 0 < most <= 32
    await asyncio.gather(*streams)
