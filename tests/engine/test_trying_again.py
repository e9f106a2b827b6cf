"""What a job that is tried again keeps, and what it gets anew."""

import asyncio

import pytest

from gateway.engine.bounds import Timeouts
from gateway.errors import ProviderError, ProviderRefused
from gateway.events import Delta, Failed
from gateway.jobs import OnFailure, State
from tests.engine.rig import Rig
from tests.engine.scripted import FOREVER, HELLO, Play
from tests.engine.virtual_clock import jumping

BROKEN = ProviderError("Broken.", retryable=True)
SLOWLY_CUT: Play = [Delta(text="Hel"), 15.0, BROKEN]


@jumping
async def test_a_new_beginning_gets_no_new_time() -> None:
    """The running time of a job is over when it is over, however often it began anew."""
    bounds = {"timeouts": Timeouts(first_token_s=30.0, token_s=20.0, whole_s=40.0)}
    async with Rig(bounds=bounds, a=[SLOWLY_CUT]) as rig:
        job = await rig.ended(await rig.submit(on_failure=OnFailure.RESTART))
        assert job.outcome is not None
        assert job.outcome.terminal == Failed(
            code="TIMEOUT", message="The answer took too long.", retryable=True
        )
        assert job.attempt == 3
        assert rig.at() == pytest.approx(40.0)


@jumping
async def test_a_job_that_waits_to_begin_anew_is_seen_to_wait() -> None:
    """It is queued, and has a position, while others have the workers."""
    async with Rig(bounds={"workers": 1}, a=[SLOWLY_CUT, HELLO], b=[[FOREVER]]) as rig:
        job = await rig.submit("a", on_failure=OnFailure.RESTART, priority=9)
        await asyncio.sleep(1)
        other = await rig.submit("b", priority=0)
        await asyncio.sleep(20)
        again = await rig.core.job(job.id)
        assert again is not None
        status = rig.core.status(again)
        assert (again.state, again.attempt, status.position) == (State.QUEUED, 1, 1)
        await rig.core.cancel(other)
        assert (await rig.ended(job)).state is State.COMPLETED


@jumping
async def test_each_model_has_its_own_tries() -> None:
    """What the first one failed is not held against the next."""
    async with Rig(a=[[BROKEN]], b=[[BROKEN], [BROKEN], [BROKEN], HELLO]) as rig:
        job = await rig.ended(await rig.submit("a", fallback_models=("b",)))
        assert job.state is State.COMPLETED
        assert [model for _, model in rig.provider.calls] == ["a"] * 4 + ["b"] * 4


@jumping
async def test_what_fails_at_once_makes_no_wait_seem_short() -> None:
    """Only answers tell how long one waits for a worker."""
    async with Rig(bounds={"workers": 1}, a=[[ProviderRefused()]], b=[[FOREVER]]) as rig:
        for _ in range(50):
            await rig.ended(await rig.submit("a"))
        busy = await rig.submit("b")
        await asyncio.sleep(1)
        waiting = await rig.submit("b")
        # Nothing is known yet: five seconds are assumed.
        assert rig.core.status(waiting).wait_s == 5.0
        for job in (waiting, busy):
            await rig.core.cancel(job)
