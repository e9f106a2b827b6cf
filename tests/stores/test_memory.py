"""The memory store keeps every promise that a store makes."""

import asyncio

import pytest

from gateway.stores import MOST_FORMER
from gateway.stores.memory import MemoryStore
from tests.stores.callback_conformance import CallbackConformance
from tests.stores.conformance import NOW, StoreConformance, ended
from tests.stores.history_conformance import HistoryConformance
from tests.stores.usage_conformance import UsageConformance


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.start()
    return store


class TestMemoryStore(StoreConformance):
    """Jobs and their logs."""


class TestMemoryStoreCallbacks(CallbackConformance):
    """Callbacks and retention."""


class TestMemoryStoreHistory(HistoryConformance):
    """The list of jobs, and forgetting."""


class TestMemoryStoreUsage(UsageConformance):
    """The sums of what jobs took."""


async def test_whose_pruned_jobs_were_is_known_of_the_latest() -> None:
    """It fills no memory, however long the process runs."""
    store = MemoryStore()
    jobs = [await ended(store, NOW + number) for number in range(MOST_FORMER + 2)]
    await store.prune(NOW + MOST_FORMER, NOW + MOST_FORMER)
    await store.prune(NOW + 1e6, NOW + 1e6)
    found = [await store.former(job.id) is not None for job in jobs[:4]]
    assert found == [False, False, True, True]


async def test_while_many_are_forgotten_others_have_their_turn() -> None:
    """Also to forget one of those: it is counted once."""
    store = MemoryStore()
    jobs = [await ended(store, NOW + number) for number in range(1_000)]
    pruning = asyncio.create_task(store.prune(NOW + 1e6, NOW + 1e6))
    await asyncio.sleep(0)
    assert (await store.get(jobs[0].id), await store.get(jobs[-1].id)) == (None, jobs[-1])
    assert await store.forget([jobs[-1].id]) == [jobs[-1].id]
    assert await pruning == [(job.id, job.owner) for job in jobs[:-1]]
    assert await store.prune(NOW + 1e6, NOW + 1e6) == []


def test_it_says_that_it_forgets() -> None:
    """Nobody takes it for more than this process's memory."""
    assert MemoryStore().durable is False
