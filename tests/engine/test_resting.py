"""Conversations go when nothing was said in them for long."""

import asyncio

from structlog.testing import capture_logs

from gateway.engine.resting import Resting
from gateway.errors import StoreUnavailable
from gateway.stores.conversations import MemoryConversations
from tests.engine.virtual_clock import jumping
from tests.stores.conversation_conformance import NOW, created, turn


class Away(MemoryConversations):
    """A store that is away for its first so many calls."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    async def prune(self, before: float) -> int:
        if self.calls:
            self.calls -= 1
            raise StoreUnavailable
        return await super().prune(before)


@jumping
async def test_what_rests_is_forgotten_in_time() -> None:
    """Not before, and soon after; a store that is away is asked again."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    store = Away(calls=2)
    for after in (0, 500, 10_000):
        await created(store, NOW + after)
    resting = Resting(store, 1000.0, lambda: NOW + loop.time() - began)
    await resting.stop()
    with capture_logs() as lines:
        await resting.start()
        counts = []
        for until in (999, 1100, 1499, 1600, 10_999, 11_100):
            await asyncio.sleep(began + until - loop.time())
            counts.append(await store.count())
        await resting.stop()
        await resting.stop()
    assert counts == [3, 2, 2, 1, 1, 0]
    told = [line["event"] for line in lines]
    assert (told.count("prune_failed"), told.count("conversations_forgotten")) == (2, 3)


@jumping
async def test_a_short_time_is_kept_too() -> None:
    """Whoever wants nothing kept waits but a moment; a later turn counts as new."""
    store = MemoryConversations()
    conversation = await created(store, 0.0)
    await store.append(conversation.id, turn(1), NOW)
    resting = Resting(store, 0.0, lambda: NOW)
    await resting.prune()
    assert await store.count() == 1
    later = Resting(store, 0.0, lambda: NOW + 1)
    await later.start()
    await asyncio.sleep(0.6)
    assert await store.count() == 0
    await later.stop()
