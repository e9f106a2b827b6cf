"""Jobs that wait: each expires at its own time."""

import asyncio

from gateway.engine.queue import Queue
from gateway.engine.waiting import Waiting
from gateway.events import Expired
from tests.engine.rig import BOUNDS
from tests.engine.virtual_clock import jumping
from tests.stores.conformance import new_job

EXPIRED = Expired(waited_for="a worker")


@jumping
async def test_what_waited_before_expires_before_what_begins_to_wait() -> None:
    """Of an earlier process, one that ran waits anew, and one behind it has little time left."""
    waiting = Waiting(Queue(capacity=10, workers=1), lambda _: None, BOUNDS)
    ran, waited, new = new_job(), new_job(), new_job()
    waiting.add(ran)
    waiting.add(waited, BOUNDS.queue_timeout - 10)
    waiting.add(new)
    await asyncio.sleep(9)
    assert waiting.due() is None
    await asyncio.sleep(2)
    assert waiting.due() == (waited.id, EXPIRED)
    assert waiting.remove(waited.id)
    assert waiting.due() is None
    await asyncio.sleep(BOUNDS.queue_timeout)
    assert waiting.due() == (ran.id, EXPIRED)
