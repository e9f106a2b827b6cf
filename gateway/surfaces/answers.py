"""Answers given again: which job answered a request lately, so that no new one has to."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from gateway.engine.core import Core
from gateway.jobs import Job, Owner, State
from gateway.messages import Request

# The oldest are forgotten beyond this; a request that is not found only runs again.
_MOST = 10_000

_encode = msgspec.json.Encoder().encode


class Answers:
    """The newest job of each request that may be answered again. Only jobs that completed are."""

    def __init__(self, core: Core, now: Callable[[], float]) -> None:
        self._core = core
        self._now = now
        self._jobs: OrderedDict[str, str] = OrderedDict()

    async def find(self, key: str, within_s: float) -> Job | None:
        """The job that answered the request of that key no longer ago; None if none did."""
        job_id = self._jobs.get(key)
        job = None if job_id is None else await self._core.job(job_id)
        if job is None or job.state is not State.COMPLETED or job.finished_at is None:
            return None
        return job if self._now() < job.finished_at + within_s else None

    def add(self, key: str, job: Job) -> None:
        """Let `job` answer later requests of that key, when it has completed."""
        self._jobs[key] = job.id
        self._jobs.move_to_end(key)
        if len(self._jobs) > _MOST:
            self._jobs.popitem(last=False)


def key_of(owner: Owner, kind: str, request: Request) -> str:
    """What is equal for two requests of one owner that may share an answer, and only for those."""
    return hashlib.sha256(_encode((owner, kind, request))).hexdigest()
