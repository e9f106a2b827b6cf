"""Everything of an owner is found and forgotten, whatever it is doing just then."""

import asyncio
from typing import Any

from gateway.engine.core import Core
from gateway.events import Cancelled, Completed, Started
from gateway.history import Filter
from gateway.jobs import Job, Owner
from tests.engine.rig import Rig
from tests.engine.scripted import FOREVER, HELLO, Play
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping, settle

STUCK: Play = [FOREVER, Completed()]


async def listed(core: Core, **wanted: Any) -> set[str]:
    page = await core.records.page(Filter(**wanted), None, 1000)
    assert page.next is None
    return {entry.id for entry in page.entries}


@jumping
async def test_a_job_under_way_ends_before_it_goes() -> None:
    """Running or waiting: its readers see the end, and its place is free at once."""
    async with Rig(a=[STUCK]) as rig:
        jobs = [await rig.submit("a") for _ in range(3)]
        reading = [asyncio.create_task(rig.events(job)) for job in jobs]
        await settle()
        forgotten = [rig.core.records.forget(job) for job in jobs]
        assert await asyncio.gather(*forgotten) == [True] * 3
        for events in await asyncio.gather(*reading):
            assert [event for event in events if not isinstance(event, Started)] == [Cancelled()]
        assert await listed(rig.core) == set()
        assert [await rig.core.job(job.id) for job in jobs] == [None] * 3
        assert rig.counters() == dict.fromkeys(rig.counters(), 0)


@jumping
async def test_nobody_is_told_of_the_end_of_what_is_being_forgotten() -> None:
    """Its callback is withheld from when it is cancelled until it is gone."""
    async with Rig(a=[STUCK], store=SlowStore(lambda: 0.1)) as rig:
        job = await rig.submit("a")
        await asyncio.sleep(1)
        forgetting = asyncio.create_task(rig.core.records.forget(job))
        await asyncio.sleep(0.05)
        meanwhile = set(rig.core.records.forgetting)
        await forgetting
        assert (meanwhile, rig.core.records.forgetting) == ({job.id}, set())


@jumping
async def test_a_job_is_forgotten_once() -> None:
    """Of many who ask at the same time one did it."""
    async with Rig(a=[HELLO], store=SlowStore(lambda: 0.1)) as rig:
        job = await rig.ended(await rig.submit("a"))
        asked = [rig.core.records.forget(job) for _ in range(5)]
        assert sorted(await asyncio.gather(*asked)) == [False] * 4 + [True]


@jumping
async def test_everything_of_an_owner_goes() -> None:
    """More than is looked at in one step, and while others' jobs come and go."""
    async with Rig(a=[HELLO], b=[STUCK]) as rig:
        mine = [await rig.ended(await rig.submit("a")) for _ in range(150)]
        mine += [await rig.submit("b") for _ in range(3)]
        owner = mine[0].owner
        assert await listed(rig.core) == {job.id for job in mine}
        assert await rig.core.records.forget_all(Owner(tenant=owner.tenant, user="x")) == 0
        assert await rig.core.records.forget_all(owner) == 153
        assert await listed(rig.core) == set()
        assert await rig.core.records.forget_all(owner) == 0


@jumping
async def test_live_jobs_are_those_that_have_not_ended() -> None:
    """As they were last stored."""
    async with Rig(a=[HELLO], b=[STUCK]) as rig:
        await rig.ended(await rig.submit("a"))
        stuck = await rig.submit("b")
        await settle()
        live: list[Job] = list(rig.core.records.live)
        assert [(job.id, job.attempt) for job in live] == [(stuck.id, 1)]
        await rig.core.cancel(stuck)
        assert not rig.core.records.live
