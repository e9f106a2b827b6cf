"""Cancelling, whatever a job is doing: one terminal event, and nothing left behind."""

import asyncio
from typing import Any

import pytest

from gateway.errors import ProviderError, ProviderRateLimited
from gateway.events import Cancelled, Completed, Delta, Terminal, Usage
from gateway.jobs import OnFailure, Start, State
from tests.engine.rig import Rig
from tests.engine.scripted import FOREVER, HELLO, Play
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping

BROKEN = ProviderError("Broken.", retryable=True)
BUSY = ProviderRateLimited(retryable=True, retry_after_s=100)
CUT: Play = [Delta(text="Hel"), BROKEN]
RESTART = {"on_failure": OnFailure.RESTART}

# Where a job is at some time, with a store whose every step takes a second before it happens and
# another until it is known: what its model plays, what the job says, the jobs before it, the time.
PLACES: dict[str, tuple[list[Play], dict[str, Any], int, float]] = {
    "in the queue": ([[FOREVER]], {}, 2, 20.0),
    "held for a reader": ([HELLO], {"start": Start.ON_CONNECT}, 0, 20.0),
    "as it is claimed, before": ([[FOREVER]], {}, 0, 2.5),
    "as it is claimed, after": ([[FOREVER]], {}, 0, 3.5),
    "before the first token": ([[FOREVER]], {}, 0, 20.0),
    "streaming": ([[Delta(text="Hel"), FOREVER]], {}, 0, 20.0),
    "between two tries": ([[BUSY]], {}, 0, 20.0),
    "as it is saved to begin anew": ([CUT, [FOREVER]], RESTART, 0, 5.5),
    "as it begins anew, before": ([CUT, [FOREVER]], RESTART, 0, 6.5),
    "as it begins anew, after": ([CUT, [FOREVER]], RESTART, 0, 7.5),
    "streaming anew": ([CUT, [FOREVER]], RESTART, 0, 20.0),
}


@pytest.mark.parametrize("place", PLACES)
@jumping
async def test_a_job_is_cancelled_wherever_it_is(place: str) -> None:
    """It ends as cancelled within moments, with one terminal event, and its provider is let go."""
    plays, changes, before, at = PLACES[place]
    async with Rig(a=plays, b=[[FOREVER]], store=SlowStore(lambda: 1.0)) as rig:
        others = [await rig.submit("b") for _ in range(before)]
        job = await rig.submit(**changes)
        assert rig.at() <= at
        await asyncio.sleep(at - rig.at())
        assert (await rig.core.cancel(job)).state is State.CANCELLED
        assert rig.at() <= at + 6
        terminal = [event for event in await rig.events(job) if isinstance(event, Terminal)]
        assert terminal == [Cancelled()]
        assert rig.provider.streaming == before
        for other in others:
            await rig.core.cancel(other)
        assert rig.counters() == {}


@jumping
async def test_a_job_that_was_handed_back_is_cancelled() -> None:
    """In a drain, before the process ends: the next one does not go on with it."""
    store = SlowStore(lambda: 0.1, durable=True)
    async with Rig(a=[[BUSY]], b=[[FOREVER]], store=store) as rig:
        streaming = await rig.submit("b")
        job = await rig.submit()
        await asyncio.sleep(5)
        drain = asyncio.create_task(rig.core.drain())
        await asyncio.sleep(5)
        assert list(rig.core._workers.runs) == [streaming.id]
        assert (await rig.core.cancel(job)).state is State.CANCELLED
        assert (await rig.core.cancel(job)).state is State.CANCELLED
        assert [each.id for each in await store.unfinished()] == [streaming.id]
        await drain


@jumping
async def test_whoever_cancels_is_told_when_it_is_done() -> None:
    """Also the second and the third, who come while the first is at it."""
    async with Rig(a=[[FOREVER]], store=SlowStore(lambda: 1.0)) as rig:
        for _ in range(3):
            job = await rig.submit()
        await asyncio.sleep(20)
        told = await asyncio.gather(*(rig.core.cancel(job) for _ in range(3)))
        assert [each.state for each in told] == [State.CANCELLED] * 3


@jumping
async def test_a_reader_gets_the_end_of_a_cancelled_job() -> None:
    """With what was said until then, and what it cost."""
    async with Rig(a=[[Delta(text="Hel"), FOREVER]]) as rig:
        job = await rig.submit()
        reader = asyncio.create_task(rig.events(job))
        await asyncio.sleep(5)
        cancelled = await rig.core.cancel(job)
        usage = Usage(prompt_tokens=2, completion_tokens=1, estimated=True)
        assert (await reader)[2:] == [Delta(text="Hel"), usage, Cancelled()]
        assert cancelled.outcome is not None
        assert (cancelled.outcome.answer, cancelled.outcome.usage) == ("Hel", usage)


@jumping
async def test_what_is_over_stays_as_it_is() -> None:
    """Cancelling it is no error, and changes nothing."""
    async with Rig(a=[HELLO]) as rig:
        over = await rig.ended(await rig.submit())
        assert await rig.core.cancel(over) == over


@jumping
async def test_an_end_under_way_stands() -> None:
    """A job whose answer is whole, and being stored, is complete and not cancelled."""
    async with Rig(a=[HELLO], store=SlowStore(lambda: 1.0)) as rig:
        job = await rig.submit()
        await asyncio.sleep(4.5 - rig.at())
        assert (await rig.core.cancel(job)).state is State.COMPLETED
        assert (await rig.events(job))[-1] == Completed()


@jumping
async def test_of_many_cancels_one_counts() -> None:
    """All of them wait for the end, and see the same."""
    async with Rig(a=[[Delta(text="Hel"), FOREVER]], store=SlowStore(lambda: 1.0)) as rig:
        for job in [await rig.submit() for _ in range(4)]:
            ends = await asyncio.gather(*(rig.core.cancel(job) for _ in range(5)))
            assert {end.state for end in ends} == {State.CANCELLED}


@jumping
async def test_a_canceller_who_leaves_still_cancels() -> None:
    """The caller's own end does not stop the job's."""
    async with Rig(a=[[FOREVER]], store=SlowStore(lambda: 1.0)) as rig:
        job = await rig.submit()
        caller = asyncio.create_task(rig.core.cancel(job))
        await asyncio.sleep(0.5)
        caller.cancel()
        assert (await rig.ended(job)).state is State.CANCELLED


@jumping
async def test_a_retry_in_the_queue_is_cancelled() -> None:
    """A job whose next try waits for a worker ends without one."""
    soon = ProviderRateLimited(retryable=True, retry_after_s=10)
    async with Rig(a=[[soon]], b=[[FOREVER]], bounds={"workers": 1}) as rig:
        job = await rig.submit("a")
        await asyncio.sleep(1)
        other = await rig.submit("b")
        await asyncio.sleep(10)
        waiting = rig.core.queue_size
        assert (await rig.core.cancel(job)).state is State.CANCELLED
        assert (waiting, rig.core.queue_size) == (1, 0)
        await rig.core.cancel(other)


@jumping
async def test_a_job_is_cancelled_while_the_store_is_down() -> None:
    """A claim that failed does not hide its job: it ends as soon as the store takes its end."""
    store = SlowStore(lambda: 0.1)
    async with Rig(a=[[FOREVER]], store=store) as rig:
        job = await rig.submit()
        store.down = True
        await asyncio.sleep(0.5)
        cancel = asyncio.create_task(rig.core.cancel(job))
        await asyncio.sleep(0.5)
        store.down = False
        assert (await cancel).state is State.CANCELLED


@jumping
async def test_an_error_of_a_provider_that_is_stopped_is_not_told() -> None:
    """A connection that breaks as it is closed was cancelled all the same."""
    async with Rig(a=[[Delta(text="Hel"), FOREVER]]) as rig:
        rig.provider.farewell = BROKEN
        job = await rig.submit()
        await asyncio.sleep(1)
        assert (await rig.core.cancel(job)).state is State.CANCELLED
