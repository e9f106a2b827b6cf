"""A store that takes its time, as one behind a disk or a network does, and may be out of reach."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.errors import StoreUnavailable
from gateway.events import Usage
from gateway.jobs import Job, Outcome
from gateway.stores import Batch
from gateway.stores.memory import MemoryStore
from gateway.webhooks import Delivery


class SlowStore(MemoryStore):
    """Each change takes a while before it happens, and a while until that is known.

    Attributes:
        delay_s: gives the length of each while.
        down: changes fail, and nothing happens.
    """

    def __init__(self, delay_s: Callable[[], float], *, durable: bool = False) -> None:
        super().__init__()
        self.delay_s = delay_s
        self.durable = durable
        self.down = False

    async def _reach(self) -> None:
        await asyncio.sleep(self.delay_s())
        if self.down:
            raise StoreUnavailable

    async def insert(self, job: Job, delivery: Delivery | None) -> Job:
        await self._reach()
        held = await super().insert(job, delivery)
        await asyncio.sleep(self.delay_s())
        return held

    async def claim(self, job_id: str, now: float) -> Job | None:
        await self._reach()
        claimed = await super().claim(job_id, now)
        await asyncio.sleep(self.delay_s())
        return claimed

    async def requeue(self, job_id: str, *, spent: bool, lost: Usage | None) -> Job | None:
        await self._reach()
        queued = await super().requeue(job_id, spent=spent, lost=lost)
        await asyncio.sleep(self.delay_s())
        return queued

    async def append(self, batches: Sequence[Batch]) -> None:
        await self._reach()
        await super().append(batches)
        await asyncio.sleep(self.delay_s())

    async def finish(
        self, job_id: str, outcome: Outcome, rest: Batch, now: float, body: bytes | None
    ) -> Job | None:
        await self._reach()
        ended = await super().finish(job_id, outcome, rest, now, body)
        await asyncio.sleep(self.delay_s())
        return ended
