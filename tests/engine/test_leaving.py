"""Readers who leave: a job that is theirs ends after a grace, and no other does."""

import asyncio
from contextlib import suppress

from gateway.engine.bounds import Timeouts
from gateway.events import Cancelled, Delta
from gateway.jobs import Job, OnDisconnect, State
from tests.engine.rig import Rig
from tests.engine.scripted import FOREVER, Play, Step
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping

TICK: list[Step] = [Delta(text="tick "), 15.0]
PATIENT = {"timeouts": Timeouts(first_token_s=10_000, token_s=10_000, whole_s=10_000)}
TALK: Play = [*TICK * 10, FOREVER]


async def stay(rig: Rig, job: Job, seconds: float) -> None:
    """Read for a while, and leave."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await rig.read(job)


async def state(rig: Rig, job: Job) -> State:
    stored = await rig.store.get(job.id)
    assert stored is not None
    return stored.state


@jumping
async def test_a_job_ends_with_its_only_reader() -> None:
    """Ten seconds after it left, as cancelled; the provider is let go."""
    async with Rig(a=[TALK]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        await stay(rig, job, 5)
        await asyncio.sleep(9.9)
        assert await state(rig, job) is State.PROCESSING
        await asyncio.sleep(0.2)
        ended = await rig.ended(job)
        assert ended.outcome is not None
        assert ended.outcome.terminal == Cancelled(reason="abandoned by its readers")
        assert rig.provider.streaming == 0


@jumping
async def test_a_reader_who_comes_back_keeps_its_job() -> None:
    """The grace counts from the last time that somebody left, however often."""
    async with Rig(a=[TALK]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        for _ in range(10):
            await stay(rig, job, 2)
            await asyncio.sleep(6)
        assert await state(rig, job) is State.PROCESSING
        await asyncio.sleep(4.1)
        assert await state(rig, job) is State.CANCELLED


@jumping
async def test_a_job_with_another_reader_goes_on() -> None:
    """Only the last one to leave ends it."""
    async with Rig(a=[TALK]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        other = asyncio.create_task(stay(rig, job, 60))
        await stay(rig, job, 5)
        await asyncio.sleep(54.9)
        assert await state(rig, job) is State.PROCESSING
        await other
        await asyncio.sleep(10.1)
        assert await state(rig, job) is State.CANCELLED


@jumping
async def test_a_job_that_waits_ends_with_its_reader_too() -> None:
    """It never runs."""
    async with Rig(bounds={"workers": 1}, a=[[FOREVER]], store=SlowStore(lambda: 0.1)) as rig:
        await rig.submit()
        await asyncio.sleep(1)
        job = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        await stay(rig, job, 5)
        await asyncio.sleep(10.5)
        assert await state(rig, job) is State.CANCELLED
        assert len(rig.provider.calls) == 1


@jumping
async def test_a_job_of_nobodys_goes_on() -> None:
    """By default a reader who leaves changes nothing for the job."""
    async with Rig(a=[TALK]) as rig:
        job = await rig.submit()
        await stay(rig, job, 5)
        await asyncio.sleep(100)
        assert await state(rig, job) is State.PROCESSING


@jumping
async def test_a_reader_of_what_is_over_ends_nothing() -> None:
    """Leaving an ended job is leaving."""
    async with Rig(a=[[1.0, Delta(text="x")]]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        await stay(rig, job, 5)
        over = await rig.ended(job)
        await asyncio.sleep(60)
        assert await rig.store.get(job.id) == over


@jumping
async def test_a_job_that_nobody_ever_reads_is_abandoned() -> None:
    """Where it is to be wanted, it ends after its time, read or not."""
    async with Rig(bounds=PATIENT, a=[[FOREVER]]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.ABANDON)
        await asyncio.sleep(299)
        assert await state(rig, job) is State.PROCESSING
        await asyncio.sleep(2)
        assert await state(rig, job) is State.CANCELLED
        assert rig.provider.streaming == 0


@jumping
async def test_a_job_that_is_asked_for_is_not_abandoned() -> None:
    """Each poll gives it more time; the last one counts."""
    async with Rig(bounds=PATIENT, a=[[FOREVER]]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.ABANDON)
        for _ in range(3):
            await asyncio.sleep(200)
            rig.core.seen(job)
        await asyncio.sleep(299)
        assert await state(rig, job) is State.PROCESSING
        await asyncio.sleep(2)
        assert await state(rig, job) is State.CANCELLED


@jumping
async def test_polling_does_not_replace_a_reader() -> None:
    """A job that ends with its reader does so although somebody polls it."""
    async with Rig(a=[TALK]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        await stay(rig, job, 5)
        await asyncio.sleep(8)
        rig.core.seen(job)
        await asyncio.sleep(2.1)
        assert await state(rig, job) is State.CANCELLED


@jumping
async def test_the_first_reader_has_a_moment_to_come() -> None:
    """Without any grace too, a job is not over before its maker can read it."""
    async with Rig(bounds={"disconnect_grace": 0.0}, a=[TALK]) as rig:
        job = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        await asyncio.sleep(0.9)
        assert await state(rig, job) is State.PROCESSING
        await stay(rig, job, 5)
        await asyncio.sleep(0.1)
        assert await state(rig, job) is State.CANCELLED
        left = await rig.submit(on_disconnect=OnDisconnect.CANCEL)
        await asyncio.sleep(1.1)
        assert await state(rig, left) is State.CANCELLED
