"""A store in this process's memory: fast, and gone with the process."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import islice

import msgspec
from sortedcontainers import SortedList

from gateway import history, jobs, webhooks
from gateway.errors import Conflict
from gateway.events import Usage
from gateway.history import Filter, Page, Place
from gateway.jobs import Job, Outcome, Owner, State
from gateway.log import EventLog
from gateway.outbox import Backlog
from gateway.spending import By, Spent
from gateway.stores import MOST_FORMER, Batch
from gateway.stores.usage import Sums, first_kept
from gateway.webhooks import Delivery, DeliveryState

# Jobs forgotten before others have their turn.
_STEP = 100


class MemoryStore:
    """Dictionaries. Each method but `prune` runs without a pause, which makes it atomic."""

    durable = False

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        # In the order of their places.
        self._places: SortedList[Place] = SortedList()
        self._logs: dict[str, EventLog] = {}
        self._keys: dict[str, str] = {}
        self._sums = Sums()
        # A heap of jobs by their ends; some may have been forgotten since.
        self._ended: list[Place] = []
        # Ids of those that have been kept beyond their time, for the sake of a callback.
        self._overdue: dict[str, None] = {}
        # Whose the jobs were that have been pruned, the oldest first.
        self._former: OrderedDict[str, Owner] = OrderedDict()
        self._deliveries: dict[str, Delivery] = {}
        # Those of them that are pending: few, beside all that were made.
        self._pending: dict[str, Delivery] = {}
        # When these are due.
        self._due: SortedList[Place] = SortedList()
        # Job ids of those that were given up.
        self._dead: set[str] = set()

    async def start(self) -> None:
        """There is nothing to open."""

    async def stop(self) -> None:
        """There is nothing to close."""

    async def insert(self, job: Job, delivery: Delivery | None) -> Job:
        if job.idempotency_key is not None:
            held = self._keys.setdefault(job.idempotency_key, job.id)
            if held != job.id:
                earlier = self._jobs[held]
                if earlier.fingerprint != job.fingerprint:
                    raise Conflict
                return earlier
        self._jobs[job.id] = job
        self._places.add(Place(job.created_at, job.id))
        self._logs[job.id] = EventLog()
        if delivery is not None:
            self._deliveries[job.id] = delivery
        return job

    async def find(self, idempotency_key: str) -> Job | None:
        held = self._keys.get(idempotency_key)
        return None if held is None else self._jobs[held]

    async def claim(self, job_id: str, now: float) -> Job | None:
        job = self._jobs.get(job_id)
        if job is None or job.state is not State.QUEUED:
            return None
        claimed = self._jobs[job_id] = jobs.move(job, State.PROCESSING, now)
        return claimed

    async def requeue(self, job_id: str, *, spent: bool, lost: Usage | None) -> Job | None:
        job = self._jobs.get(job_id)
        if job is None or job.state is not State.PROCESSING:
            return None
        queued = self._jobs[job_id] = jobs.requeue(job, spent=spent, lost=lost)
        return queued

    async def append(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            job = self._jobs.get(batch.job_id)
            if job is not None and not job.state.final:
                self._extend(batch)

    async def finish(
        self, job_id: str, outcome: Outcome, rest: Batch, now: float, body: bytes | None
    ) -> Job | None:
        job = self._jobs.get(job_id)
        if job is None or job.state.final:
            return None
        job = self._jobs[job_id] = jobs.finish(job, outcome, now)
        self._sums.add(job)
        heappush(self._ended, Place(now, job_id))
        self._extend(rest)
        delivery = self._deliveries.get(job_id)
        if delivery is not None:
            self._keep(
                msgspec.structs.replace(
                    delivery, state=DeliveryState.PENDING, body=body, next_at=now
                )
            )
        return job

    async def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    async def log(self, job_id: str) -> EventLog | None:
        return self._logs.get(job_id)

    async def spent(self, by: By, since: str, until: str) -> list[Spent]:
        return self._sums.spent(by, since, until)

    async def disown(self, owner: Owner) -> None:
        self._sums.disown(owner)
        for job_id in [each for each, former in self._former.items() if former == owner]:
            del self._former[job_id]

    async def unfinished(self) -> list[Job]:
        return [job for job in self._jobs.values() if not job.state.final]

    async def due(self, now: float, limit: int) -> list[Delivery]:
        soonest = islice(self._due, limit)
        return [self._pending[place.id] for place in soonest if place.at <= now]

    async def record(self, delivery: Delivery) -> bool:
        if delivery.job_id not in self._deliveries:
            return False
        self._keep(delivery)
        return True

    async def replay(self, job_id: str, now: float, lifetime_s: float) -> Delivery | None:
        delivery = self._deliveries.get(job_id)
        if delivery is None:
            return None
        again = webhooks.replay(delivery, now, lifetime_s)
        self._keep(again)
        return again

    async def delivery(self, job_id: str) -> Delivery | None:
        return self._deliveries.get(job_id)

    async def deliveries(
        self,
        *,
        tenant: str | None,
        state: DeliveryState | None,
        before: Place | None,
        limit: int,
    ) -> list[Delivery]:
        owed = (self._deliveries.get(place.id) for place in self._below(before))
        found = (
            delivery
            for delivery in owed
            if delivery is not None
            and tenant in (None, delivery.tenant)
            and state in (None, delivery.state)
        )
        return list(islice(found, limit))

    async def backlog(self) -> Backlog:
        oldest = min((each.created_at for each in self._pending.values()), default=None)
        return Backlog(len(self._pending), oldest, len(self._dead))

    async def history(self, wanted: Filter, before: Place | None, limit: int) -> Page:
        until = None if wanted.until is None else Place(wanted.until, "")
        tops = [place for place in (before, until) if place is not None]
        places = self._below(min(tops, default=None), wanted.since)
        return history.page(
            (history.entry_of(self._jobs[place.id]) for place in places), wanted, limit
        )

    async def forget(self, job_ids: Sequence[str]) -> list[str]:
        over = [job_id for job_id in job_ids if self._is_over(job_id)]
        for job_id in over:
            self._forget(job_id)
        return over

    async def prune(self, before: float, dead_before: float) -> list[tuple[str, Owner]]:
        """As the protocol says, in several steps, each of which is atomic by itself."""
        while self._ended and self._ended[0].at < before:
            self._overdue[heappop(self._ended).id] = None
        gone = []
        for number, job_id in enumerate(tuple(self._overdue), 1):
            job = self._jobs.get(job_id)
            if job is None or self._is_over_since(job, before, dead_before):
                self._overdue.pop(job_id, None)
                if job is not None:
                    gone.append((job_id, job.owner))
                    self._forget(job_id)
                    self._remember(job_id, job.owner)
            if number % _STEP == 0:
                await asyncio.sleep(0)
        self._sums.prune(first_kept(before))
        return gone

    async def former(self, job_id: str) -> Owner | None:
        return self._former.get(job_id)

    def _below(self, top: Place | None, since: float | None = None) -> Iterator[Place]:
        """The places of jobs, from the highest down."""
        least = None if since is None else Place(since, "")
        return self._places.irange(least, top, inclusive=(True, False), reverse=True)

    def _is_over_since(self, job: Job, before: float, dead_before: float) -> bool:
        """Its time is over, and no callback of it is on its way, or may be wanted again."""
        if job.id in self._pending:
            return False
        until = min(before, dead_before) if job.id in self._dead else before
        return (job.finished_at or 0.0) < until

    def _remember(self, job_id: str, owner: Owner) -> None:
        self._former[job_id] = owner
        if len(self._former) > MOST_FORMER:
            self._former.popitem(last=False)

    def _is_over(self, job_id: str) -> bool:
        job = self._jobs.get(job_id)
        return job is not None and job.state.final

    def _forget(self, job_id: str) -> None:
        job = self._jobs.pop(job_id)
        del self._logs[job_id]
        self._places.remove(Place(job.created_at, job.id))
        self._deliveries.pop(job_id, None)
        self._settle(job_id)
        self._dead.discard(job_id)
        if job.idempotency_key is not None:
            del self._keys[job.idempotency_key]

    def _keep(self, delivery: Delivery) -> None:
        self._deliveries[delivery.job_id] = delivery
        self._settle(delivery.job_id)
        if delivery.state is DeliveryState.PENDING:
            self._pending[delivery.job_id] = delivery
            self._due.add(Place(delivery.next_at, delivery.job_id))
        if delivery.state is DeliveryState.DEAD:
            self._dead.add(delivery.job_id)
        else:
            self._dead.discard(delivery.job_id)

    def _settle(self, job_id: str) -> None:
        pending = self._pending.pop(job_id, None)
        if pending is not None:
            self._due.remove(Place(pending.next_at, job_id))

    def _extend(self, batch: Batch) -> None:
        self._logs[batch.job_id].extend(batch.first.attempt, batch.events)
