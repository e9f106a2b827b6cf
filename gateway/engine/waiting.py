"""Jobs that have not begun: in the queue for a worker, or held until somebody reads them."""

import asyncio
from collections.abc import Callable
from operator import itemgetter

from gateway.engine.bounds import Bounds
from gateway.engine.queue import Queue
from gateway.events import Expired
from gateway.jobs import Job, Start
from gateway.tenants import Tenant


class Waiting:
    """Where each waiting job waits, and until when. A held one has a place in the queue too."""

    def __init__(
        self, queue: Queue, tenant: Callable[[str], Tenant | None], bounds: Bounds
    ) -> None:
        self._queue = queue
        self._tenant = tenant
        self._queue_timeout_s = bounds.queue_timeout
        self._connect_timeout_s = bounds.connect_timeout
        # Loop times at which jobs expire; all wait equally long, so the oldest comes first. Only
        # those of an earlier process come in another order, and are sorted before they are due.
        self._queued: dict[str, float] = {}
        self._held: dict[str, float] = {}
        self._sorted = True
        self._time = _now

    def start(self) -> None:
        """Go by the running loop's time, which is asked for but once."""
        self._time = asyncio.get_running_loop().time

    def __len__(self) -> int:
        return len(self._queued) + len(self._held)

    def add(self, job: Job, waited_s: float = 0.0) -> None:
        """Let a job wait for what it says it waits for; one that ran before, for a worker.

        Args:
            waited_s: how long it has been in the queue already.
        """
        if job.start is Start.ON_CONNECT and not job.attempt:
            self._queue.hold()
            self._held[job.id] = self._time() + self._connect_timeout_s
        else:
            self._enqueue(job, waited_s)

    def connected(self, job: Job) -> None:
        """Somebody reads the job: a held one goes on to the queue."""
        if self._unhold(job.id):
            self._enqueue(job)

    def claimed(self, job_id: str) -> None:
        """A worker has taken the job out of the queue."""
        self._queued.pop(job_id, None)

    def remove(self, job_id: str) -> bool:
        """Let a job wait no more; False if it did not."""
        self._queued.pop(job_id, None)
        return self._queue.remove(job_id) or self._unhold(job_id)

    def due(self) -> tuple[str, Expired] | None:
        """A job that has waited for too long, and its end; None where there is none."""
        if not self._sorted:
            self._queued = dict(sorted(self._queued.items(), key=itemgetter(1)))
            self._sorted = True
        for waiting, waited_for in ((self._queued, "a worker"), (self._held, "its reader")):
            for job_id, due in waiting.items():
                if due <= self._time():
                    return job_id, Expired(waited_for=waited_for)
                break
        return None

    def _enqueue(self, job: Job, waited_s: float = 0.0) -> None:
        tenant = self._tenant(job.owner.tenant)
        self._queued[job.id] = self._time() + self._queue_timeout_s - waited_s
        self._sorted = self._sorted and not waited_s
        self._queue.enqueue(
            job.id,
            job.owner.tenant,
            priority=job.priority,
            weight=tenant.weight if tenant else 1.0,
            cap=tenant.max_concurrent if tenant else None,
            lane=job.lane,
        )

    def _unhold(self, job_id: str) -> bool:
        held = self._held.pop(job_id, None) is not None
        if held:
            self._queue.unreserve()
        return held


def _now() -> float:
    return asyncio.get_running_loop().time()
