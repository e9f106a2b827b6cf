"""What an app may have of the workers, from its configuration to what runs."""

import asyncio
from typing import Any

from msgspec.structs import replace

from gateway.catalog import Catalog
from gateway.engine.auth import Principal
from gateway.jobs import Job, Lane
from tests.engine.rig import ACME, Rig
from tests.engine.scripted import FOREVER, HELLO
from tests.engine.virtual_clock import jumping, settle


async def endless(rig: Rig, count: int, **changes: Any) -> list[Job]:
    """So many jobs that run until they are cancelled."""
    jobs = [await rig.submit("a", **changes) for _ in range(count)]
    await settle()
    return jobs


async def cancelled(rig: Rig, jobs: list[Job]) -> None:
    await asyncio.gather(*(rig.core.cancel(job) for job in jobs))


@jumping
async def test_an_app_runs_no_more_at_a_time_than_it_may() -> None:
    """The others wait, though workers are idle; a reload that allows more lets them run."""
    app = replace(ACME, max_concurrent=1)
    async with Rig(tenant=app, bounds={"workers": 4}, a=[[FOREVER]]) as rig:
        jobs = await endless(rig, 5)
        assert (rig.core.active_workers, rig.core.queue_size) == (1, 4)
        rig.core.reload(Catalog(rig.models), {app.name: 3})
        await settle()
        assert (rig.core.active_workers, rig.core.queue_size) == (3, 2)
        await cancelled(rig, jobs)


@jumping
async def test_background_jobs_leave_a_worker_to_whoever_watches() -> None:
    """They hold three of four together, and a live one runs at once."""
    async with Rig(bounds={"workers": 4}, a=[[FOREVER]]) as rig:
        jobs = await endless(rig, 5, lane=Lane.BACKGROUND)
        assert (rig.core.active_workers, rig.core.queue_size) == (3, 2)
        jobs += await endless(rig, 1)
        assert (rig.core.active_workers, rig.core.queue_size) == (4, 2)
        await cancelled(rig, jobs)


@jumping
async def test_an_app_of_more_weight_runs_more_often() -> None:
    """Four jobs of its to one of another's, while both have some that wait."""
    heavy = replace(ACME, name="heavy", code_digest="x", weight=4.0)
    async with Rig(bounds={"workers": 1}, a=[[1.0, *HELLO]], b=[[1.0, *HELLO]]) as rig:
        rig.core.auth.replace([ACME, heavy], None)
        light = [await rig.submit("a") for _ in range(10)]
        rig.principal = Principal(tenant=heavy)
        ours = [await rig.submit("b") for _ in range(10)]
        for job in [*light, *ours]:
            await rig.ended(job)
        # The first had the worker before any other came.
        first = [model for _, model in rig.provider.calls[1:11]]
        assert (first.count("b"), first.count("a")) == (8, 2)
