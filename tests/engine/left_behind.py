"""What an earlier process left in a store."""

import copy
from typing import Any

from gateway.events import Delta, Event, Routed, Started
from gateway.jobs import Job
from gateway.log import Cursor, EventLog
from gateway.messages import Message, Request
from gateway.stores import Batch, Store
from gateway.webhooks import owed
from tests.engine.rig import EPOCH
from tests.engine.slow_store import SlowStore
from tests.stores.conformance import new_job

# When the process starts, on the rig's clock.
NOW = EPOCH + 1000.0
SAID: tuple[Event, ...] = (
    Started(),
    Routed(model="a", provider="scripted"),
    Delta(text="He"),
    Delta(text="y"),
)


class KeptStore(SlowStore):
    """A store that outlives its process. A log that it gives is the asker's own."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.01, durable=True)

    async def log(self, job_id: str) -> EventLog | None:
        return copy.deepcopy(await super().log(job_id))


async def waiting(store: Store, model: str = "a", **changes: Any) -> Job:
    """A job that an earlier process accepted."""
    request = Request(messages=(Message(role="user", content="12345678"),), model=model)
    changes = {"created_at": NOW, "expires_at": NOW + 900, "request": request} | changes
    job = new_job(**changes)
    return await store.insert(job, owed(job, 3600.0))


async def running(store: Store, *said: Event, model: str = "a", **changes: Any) -> Job:
    """A job that an earlier process was at when it died, with what of its answer was stored."""
    job = await store.claim((await waiting(store, model, **changes)).id, NOW)
    assert job is not None
    await store.append([Batch(job.id, Cursor(1, 1), said)])
    return job
