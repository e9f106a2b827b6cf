"""The SQLite store keeps every promise that a store makes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.stores.ballast import Ballast
from gateway.stores.database import Database
from gateway.stores.sqlite import SqliteStore
from tests.stores.callback_conformance import CallbackConformance
from tests.stores.conformance import StoreConformance
from tests.stores.history_conformance import HistoryConformance
from tests.stores.usage_conformance import UsageConformance


def store_in(folder: Path) -> SqliteStore:
    """A store whose ballast is small enough for any disk."""
    return SqliteStore(Database(folder, ballast=Ballast(folder / "ballast", 4096)))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = store_in(tmp_path)
    await store.start()
    yield store
    await store.stop()


class TestSqliteStore(StoreConformance):
    """Jobs and their logs."""


class TestSqliteStoreCallbacks(CallbackConformance):
    """Callbacks and retention."""


class TestSqliteStoreHistory(HistoryConformance):
    """The list of jobs, and forgetting."""


class TestSqliteStoreUsage(UsageConformance):
    """The sums of what jobs took."""
