"""What is over is forgotten in time, and not before."""

import asyncio
from functools import partial

from msgspec.structs import replace
from structlog.testing import capture_logs

from gateway.engine.retention import ConversationRetention, JobRetention
from gateway.errors import StoreUnavailable
from gateway.jobs import Job, Owner
from gateway.stores.memory import MemoryStore
from gateway.stores.memory_conversations import MemoryConversations
from gateway.webhooks import DeliveryState
from tests.engine.rig import BOUNDS
from tests.engine.virtual_clock import jumping
from tests.stores.callback_conformance import owing
from tests.stores.conformance import NOW, ended
from tests.stores.conversation_conformance import created, turn

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
        await JobRetention(store, KEPT, partial(float, NOW + after_s)).prune()
        kept.append(await left(store, plain, dead))
    assert kept == [[True, True], [False, True], [False, True], [False, False]]


@jumping
async def test_a_store_that_was_away_is_asked_again() -> None:
    """What is over does not pile up from then on."""
    store = Shaky()
    job = await ended(store, NOW)
    retention = JobRetention(store, KEPT, lambda: NOW + 1e6)
    forgetting = asyncio.create_task(retention.run())
    await asyncio.sleep(100)
    forgetting.cancel()
    await asyncio.wait({forgetting})
    assert await left(store, job) == [False]
    assert await store.former(job.id) == job.owner


# Conversations


class ShakyConversations(MemoryConversations):
    """As `Shaky`."""

    away = 2

    async def prune(self, before: float) -> int:
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        return await super().prune(before)


@jumping
async def test_what_rests_is_forgotten_in_time() -> None:
    """Not before, and soon after; a store that is away is asked again."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    store = ShakyConversations()
    for after in (0, 500, 10_000):
        await created(store, NOW + after)
    retention = ConversationRetention(store, 1000.0, lambda: NOW + loop.time() - began)
    await retention.stop()
    with capture_logs() as lines:
        await retention.start()
        counts = []
        for until in (999, 1100, 1499, 1600, 10_999, 11_100):
            await asyncio.sleep(began + until - loop.time())
            counts.append(await store.count())
        await retention.stop()
        await retention.stop()
    assert counts == [3, 2, 2, 1, 1, 0]
    told = [line["event"] for line in lines]
    assert (told.count("prune_failed"), told.count("conversations_forgotten")) == (2, 3)


@jumping
async def test_a_short_time_is_kept_too() -> None:
    """Whoever wants nothing kept waits but a moment; a later turn counts as new."""
    store = MemoryConversations()
    conversation = await created(store, 0.0)
    await store.append(conversation.id, turn(1), NOW)
    retention = ConversationRetention(store, 0.0, lambda: NOW)
    await retention.prune()
    assert await store.count() == 1
    later = ConversationRetention(store, 0.0, lambda: NOW + 1)
    await later.start()
    await asyncio.sleep(0.6)
    assert await store.count() == 0
    await later.stop()
