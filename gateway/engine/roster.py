"""The jobs of one process that have not ended."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gateway.errors import RateLimited
from gateway.jobs import Job, Owner

# When one of an owner's jobs may have ended, seconds; nobody knows better.
_AGAIN_S = 5


class Roster(Mapping[str, Job]):
    """Each of them by its id, as last stored, and how many each owner has."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._of: Counter[Owner] = Counter()
        self._empty = asyncio.Event()

    def __getitem__(self, job_id: str) -> Job:
        return self._jobs[job_id]

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[str]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    @contextmanager
    def expecting(self, owner: Owner, most: int) -> Iterator[None]:
        """Count one more among the owner's, of whom there may be `most`, before it has entered.

        Raises:
            RateLimited: there are so many.
        """
        if self._of[owner] >= most:
            raise RateLimited(
                f"{most} requests of this user are under way already.",
                limit=most,
                retry_after_s=_AGAIN_S,
            )
        self._of[owner] += 1
        try:
            yield
        finally:
            self._discount(owner)

    def enter(self, job: Job) -> None:
        """A job has begun to wait."""
        self._jobs[job.id] = job
        self._of[job.owner] += 1
        self._empty.clear()

    def update(self, job: Job) -> None:
        """The store has a newer version of a job that is here."""
        self._jobs[job.id] = job

    def leave(self, job: Job) -> None:
        """A job has ended."""
        del self._jobs[job.id]
        self._discount(job.owner)
        if not self._jobs:
            self._empty.set()

    def _discount(self, owner: Owner) -> None:
        self._of[owner] -= 1
        if not self._of[owner]:
            del self._of[owner]

    async def emptied(self) -> None:
        """Wait until all have ended."""
        while self._jobs:
            await self._empty.wait()
