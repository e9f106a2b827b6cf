"""A provider that has no room for nine of ten requests: nobody fails by it, and nobody's slot
is slept in."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import overload

from gateway.errors import ProviderRateLimited
from gateway.jobs import State
from tests.e2e import calls, servers, wire
from tests.e2e.calls import LONG
from tests.e2e.front import Front
from tests.e2e.servers import Server, counters, open_streams
from tests.engine.rig import Rig
from tests.engine.scripted import HELLO, Play
from tests.engine.virtual_clock import jumping
from tests.faults.chance import rng_of

REFUSED = 0.9
LASTS_S = 120.0
JOBS = 200
FULL: Play = [ProviderRateLimited(retryable=True)]


class Weather(Sequence[Play]):
    """What a model plays: a storm of refusals for two minutes, and then it answers."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.refused = 0

    def __len__(self) -> int:
        return 1_000_000

    @overload
    def __getitem__(self, index: int) -> Play: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Play]: ...
    def __getitem__(self, index: int | slice) -> Play | Sequence[Play]:
        storms = asyncio.get_running_loop().time() < 1000.0 + LASTS_S
        if storms and self._rng.random() < REFUSED:
            self.refused += 1
            return FULL
        return HELLO


@jumping
async def test_two_minutes_of_refusals_fail_nobody() -> None:
    """Two workers, two hundred jobs: each is answered within its time, they do not come back
    together, and whoever asks another model in the middle of it has a worker at once."""
    weather = Weather(rng_of("weather"))
    async with Rig(a=weather, b=[HELLO], bounds={"queue_max_size": JOBS}) as rig:
        jobs = [await rig.submit() for _ in range(JOBS)]
        for _ in range(10):
            await asyncio.sleep(10)
            began = rig.at()
            assert (await rig.ended(await rig.submit("b"))).state is State.COMPLETED
            assert rig.at() - began < 1
        states = {(await rig.ended(job)).state for job in jobs}
        print(f"{JOBS} jobs, {weather.refused} refusals, over after {rig.at():.0f} s")
        assert states == {State.COMPLETED}
        assert weather.refused > JOBS
        moments = Counter(round(at, 2) for at, model in rig.provider.calls if model == "a")
        assert moments.pop(0.0) == JOBS, "who was refused asked again at once"
        together = max(moments.values())
        assert together < JOBS / 5, f"{together} came back at the same moment"


# -- the whole process ----------------------------------------------------------------------------

STORM_S = 120.0 if LONG else 3.0
CALLERS = 100 if LONG else 30
CALM = "together/echo?first=0&gap=0"
STORMY = "together/echo?first=0&gap=0.001"


async def test_a_storm_passes(provider: Server, tmp_path: Path) -> None:
    """More jobs than workers, refused until it is over: in it, other models are served; after it,
    every job is answered, every slot is free, and the provider writes for nobody."""
    rng = rng_of("storm")
    stormy = STORMY.removeprefix("together/").encode()
    async with Front(provider.origin) as front:
        front.refuses = lambda body: stormy in body and rng.random() < REFUSED
        with servers.gateway(tmp_path, front.origin, WORKERS="4") as gateway:
            asked = [await calls.queue(gateway.origin, STORMY, "one two") for _ in range(CALLERS)]
            loop = asyncio.get_running_loop()
            over = loop.time() + STORM_S
            while loop.time() < over or front.refused <= CALLERS:
                job_id = await calls.queue(gateway.origin, CALM, "one two")
                said = await calls.polled(gateway.origin, job_id)
                assert said["response"]["ai_response"] == "one two"
            front.refuses = lambda _: False
            answers = [await calls.polled(gateway.origin, job_id) for job_id in asked]
            print(f"{front.refused} refusals of {CALLERS} jobs in {STORM_S:.0f} s")
            assert {answer["status"] for answer in answers} == {"completed"}
            await wire.eventually(lambda: counters(gateway), (0, 0))
            await wire.eventually(lambda: open_streams(provider), 0)
