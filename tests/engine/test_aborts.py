"""Anything may be aborted at any time, and in the end nothing is left of it."""

import asyncio
from contextlib import suppress
from random import Random

import pytest

from gateway.errors import GatewayError, ProviderError, ProviderRateLimited
from gateway.events import Completed, Delta, Terminal, Usage
from gateway.jobs import OUTCOME_OF, Job, OnDisconnect, OnFailure, Start
from tests.engine.rig import BOUNDS, Rig
from tests.engine.scripted import FOREVER, Play, Step
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping

SHORT = {
    "queue_timeout": 20.0,
    "connect_timeout": 5.0,
    "disconnect_grace": 2.0,
    "workers": 3,
    "timeouts": type(BOUNDS.timeouts)(first_token_s=3.0, token_s=2.0, whole_s=12.0),
}
ENDINGS: list[Step] = [
    Completed(),
    FOREVER,
    ProviderError("Broken.", retryable=True),
    ProviderError("Refused."),
    ProviderRateLimited(retryable=True, retry_after_s=2.0),
    ValueError("a mistake"),
]


def random_play(rng: Random) -> Play:
    """Some words at some pace, and some end."""
    steps: list[Step] = [rng.choice([0.0, 0.2, 2.5])]
    for _ in range(rng.choice([0, 0, 3, 10])):
        steps += [Delta(text="word "), rng.choice([0.0, 0.1, 1.0])]
    if rng.random() < 0.5:
        steps.append(Usage(prompt_tokens=1, completion_tokens=1))
    return [*steps, rng.choice(ENDINGS)]


async def live(rig: Rig, rng: Random, submitted: list[Job]) -> None:
    """One caller: asks, perhaps reads for a while, perhaps cancels, perhaps leaves at once."""
    await asyncio.sleep(rng.uniform(0, 10))
    with suppress(TimeoutError, GatewayError):
        async with asyncio.timeout(rng.choice([0.05, 1.0, 60.0])):
            job = await rig.submit(
                rng.choice("abcd"),
                fallback_models=("e",) if rng.random() < 0.5 else (),
                on_failure=rng.choice(list(OnFailure)),
                on_disconnect=rng.choice(list(OnDisconnect)),
                start=rng.choice(list(Start)),
            )
            submitted.append(job)
            if rng.random() < 0.6:
                with suppress(TimeoutError):
                    async with asyncio.timeout(rng.uniform(0, 8)):
                        await rig.read(job)
            if rng.random() < 0.4:
                await rig.core.cancel(job)


@pytest.mark.parametrize("seed", range(25))
@jumping
async def test_every_counter_comes_back_to_zero(seed: int) -> None:
    """Random answers, failures, callers and cancels over a slow store that is sometimes out of
    reach: each job ends once, as its log says, and nothing of it is left in the engine."""
    rng = Random(seed)
    store = SlowStore(lambda: rng.choice([0.0, 0.01, 0.3]), durable=True)
    plays = {name: [random_play(rng) for _ in range(20)] for name in "abcde"}
    submitted: list[Job] = []
    async with Rig(store=store, bounds=SHORT) as rig:
        rig.serve(plays)
        callers = [live(rig, rng, submitted) for _ in range(40)]

        async def outages() -> None:
            for _ in range(3):
                await asyncio.sleep(rng.uniform(1, 5))
                store.down = True
                await asyncio.sleep(rng.uniform(0.1, 2))
                store.down = False

        await asyncio.gather(outages(), *callers)
        await asyncio.sleep(200)
        assert rig.counters() == {}
        assert rig.provider.streaming == 0
        rig.crashes = rig.crashed()
        for job in submitted:
            ended, log = await rig.ended(job), await store.log(job.id)
            assert log is not None
            assert ended.outcome is not None
            ends = [event for event in log.events if isinstance(event, Terminal)]
            assert ends == [log.events[-1]] == [ended.outcome.terminal]
            assert ended.state is OUTCOME_OF[type(ended.outcome.terminal)]
            assert await rig.events(job) == log.events
            assert [str(log.cursor(n)) for n in range(1, len(log) + 1)] == [
                at for at, _ in await rig.read(job)
            ]
            said = log.events[log.attempt_start() :]
            text = "".join(event.text for event in said if isinstance(event, Delta))
            # Without a first token it ended in the queue, perhaps waiting to begin anew.
            assert ended.outcome.answer == (text if ended.outcome.first_token_at else "")
        assert await store.unfinished() == []
    assert len(submitted) > 10
