"""The memory store keeps every promise that a store makes."""

import pytest

from gateway.stores.memory import MemoryStore
from tests.stores.callback_conformance import CallbackConformance
from tests.stores.conformance import StoreConformance
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


def test_it_says_that_it_forgets() -> None:
    """Nobody takes it for more than this process's memory."""
    assert MemoryStore().durable is False
