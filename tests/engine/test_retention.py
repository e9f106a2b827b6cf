"""What is over is forgotten in time, and not before."""

import asyncio
from functools import partial

from msgspec.structs import replace

from gateway.engine.retention import Retention
from gateway.errors import StoreUnavailable
from gateway.jobs import Job, Owner
from gateway.stores.memory import MemoryStore
from gateway.webhooks import DeliveryState
from tests.engine.rig import BOUNDS
from tests.engine.virtual_clock import jumping
from tests.stores.callback_conformance import owing
from tests.stores.conformance import NOW, ended

KEPT = replace(BOUNDS, retention=60.0, dead_letter_retention=600.0)


class Shaky(MemoryStore):
    """A store that is away for the first times that it is asked to forget."""

    away = 2

    async def prune(self, before: float, dead_before: float) -> list[tuple[str, Owner]]:
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        return await super().prune(before, dead_before)


async def left(store: MemoryStore, *jobs: Job) -> list[bool]:
    return [await store.get(job.id) is not None for job in jobs]


async def test_a_dead_letter_is_kept_for_its_own_time() -> None:
    """So that it can be found and sent again when all else of its day is gone."""
    store = MemoryStore()
    plain = await ended(store, NOW)
    dead, delivery = await owing(store, NOW)
    await store.record(replace(delivery, state=DeliveryState.DEAD))
    kept = []
    for after_s in (59.0, 61.0, 599.0, 601.0):
        await Retention(store, KEPT, partial(float, NOW + after_s)).prune()
        kept.append(await left(store, plain, dead))
    assert kept == [[True, True], [False, True], [False, True], [False, False]]


@jumping
async def test_a_store_that_was_away_is_asked_again() -> None:
    """What is over does not pile up from then on."""
    store = Shaky()
    job = await ended(store, NOW)
    retention = Retention(store, KEPT, lambda: NOW + 1e6)
    forgetting = asyncio.create_task(retention.run())
    await asyncio.sleep(100)
    forgetting.cancel()
    await asyncio.wait({forgetting})
    assert await left(store, job) == [False]
    assert await store.former(job.id) == job.owner
