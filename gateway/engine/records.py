"""What is kept of all jobs: looked through, and forgotten where its owner wants it."""

from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from gateway.history import Filter, Page, Place
from gateway.jobs import Job, Owner, State
from gateway.log import EventLog
from gateway.spending import By, Spent
from gateway.stores import Store

log = structlog.get_logger(__name__)

# Jobs forgotten between two looks at the list.
_AT_ONCE = 100


class Records:
    """The jobs of one store.

    Attributes:
        forgetting: ids of those that are on their way out: nobody is to be told of their end.
    """

    def __init__(
        self, store: Store, live: Mapping[str, Job], cancel: Callable[[Job], Awaitable[Job]]
    ) -> None:
        """Look into `store`.

        Args:
            live: the jobs that have not ended; the caller keeps it so.
            cancel: ends a job, waiting or running, or finds that it is over.
        """
        self.forgetting: set[str] = set()
        self._store = store
        self._live = live
        self._cancel = cancel

    @property
    def live(self) -> Collection[Job]:
        """The jobs that have not ended."""
        return self._live.values()

    async def page(self, wanted: Filter, before: Place | None, limit: int) -> Page:
        """Jobs in short, newest first, those below a place."""
        return await self._store.history(wanted, before, limit)

    async def spent(self, by: By, since: str, until: str) -> list[Spent]:
        """What jobs took that ended on those days; see `Store.spent`."""
        return await self._store.spent(by, since, until)

    async def held(self, idempotency_key: str) -> Job | None:
        """The job that holds this key."""
        return await self._store.find(idempotency_key)

    async def handed_back(self, job: Job) -> Job | None:
        """A live job as it is stored, where its worker has left it to the next process."""
        stored = await self._store.get(job.id)
        back = stored is not None and stored.state is State.QUEUED
        return stored if back and job.state is State.PROCESSING else None

    async def log(self, job: Job) -> EventLog | None:
        """All stored events of a job; None if it has been forgotten meanwhile."""
        return await self._store.log(job.id)

    async def forget(self, job: Job) -> bool:
        """Forget a job with all that belongs to it; False if it was forgotten already.

        One that waits or runs is cancelled first. A callback that has not been delivered goes
        unsent. Cancelled, the job still ends, and may be kept.
        """
        gone = await self._forget([job])
        return bool(gone)

    async def forget_all(self, owner: Owner) -> int:
        """Forget every job of an owner, as `forget` does, and whose they were; how many there were.

        Those that are made meanwhile may stay. Cancelled, some are forgotten and some are not.
        """
        wanted = Filter(tenant=owner.tenant, user=owner.user)
        gone, before = 0, None
        while True:
            page = await self._store.history(wanted, before, _AT_ONCE)
            found = [await self._store.get(entry.id) for entry in page.entries]
            gone += await self._forget([job for job in found if job is not None])
            if page.next is None:
                await self._store.disown(owner)
                return gone
            before = page.next

    async def _forget(self, found: list[Job]) -> int:
        leaving = {job.id for job in found}
        self.forgetting |= leaving
        try:
            for job in found:
                if not job.state.final:
                    await self._cancel(job)
            gone = await self._store.forget([job.id for job in found])
        finally:
            self.forgetting -= leaving
        if gone:
            log.info("jobs_forgotten", jobs=len(gone), app=found[0].owner.tenant)
        return len(gone)
