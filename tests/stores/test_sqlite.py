"""The SQLite store keeps every promise that a store makes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.events import Completed, Delta
from gateway.jobs import Outcome
from gateway.messages import Message, Request
from gateway.stores.ballast import Ballast
from gateway.stores.database import Database
from gateway.stores.sqlite import SqliteStore
from tests.stores.callback_conformance import CallbackConformance
from tests.stores.conformance import NOW, StoreConformance, batch, claimed, ended
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


async def test_what_is_forgotten_is_in_no_file(tmp_path: Path) -> None:
    """Neither what was asked nor the answer is left in a page that nothing points to."""
    store = store_in(tmp_path)
    await store.start()
    texts = [b"a secret question " * 1000, b"a secret answer " * 1000]
    asked, answered = (text.decode() for text in texts)
    request = Request(messages=(Message(role="user", content=asked),), model="m")
    job = await claimed(store, request=request)
    rest = batch(job, "1-1", Delta(text=answered), Completed())
    await store.finish(job.id, Outcome(terminal=Completed(), answer=answered), rest, NOW, None)
    kept = _files(tmp_path)
    await store.forget([job.id])
    await store.stop()
    left = _files(tmp_path)
    assert [text[:100] in kept for text in texts] == [True, True]
    assert [text[:100] in left for text in texts] == [False, False]


async def test_whose_a_pruned_job_was_outlives_the_process(tmp_path: Path) -> None:
    """Its owner is told that it is over by the next one, too."""
    before, after = store_in(tmp_path), store_in(tmp_path)
    await before.start()
    job = await ended(before, NOW)
    await before.prune(NOW + 1, NOW + 1)
    await before.stop()
    await after.start()
    assert await after.former(job.id) == job.owner
    await after.stop()


def _files(folder: Path) -> bytes:
    """All that is in a folder."""
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
