"""What the engine needs of a store. One file here is one store."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.events import Event, Usage
from gateway.history import Filter, Page, Place
from gateway.jobs import Job, Outcome, Owner
from gateway.log import Cursor, EventLog
from gateway.outbox import Outbox
from gateway.spending import By, Spent
from gateway.webhooks import Delivery

# Pruned jobs of which is known whose they were: they are told "over" where others are told
# "unknown".
MOST_FORMER = 10_000


class Batch(msgspec.Struct, frozen=True):
    """Events of one job, the first of which has the id `first`; the others follow densely."""

    job_id: str
    first: Cursor
    events: Sequence[Event]


class JobStore(Protocol):
    """Jobs and their logs, while they run and to be read.

    Every method is atomic: it happens whole or not at all, also when its caller is cancelled.
    A change is durable, as far as the store is, before the method returns.

    Raises (any method):
        StoreUnavailable: nothing was changed.
    """

    # What was acknowledged is still there after the process. A store of which that is not true
    # never pauses.
    durable: bool

    async def start(self) -> None:
        """Open it. Call once, inside the loop."""
        ...

    async def stop(self) -> None:
        """Close it; what was acknowledged stays. Works unstarted and twice."""
        ...

    async def insert(self, job: Job, delivery: Delivery | None) -> Job:
        """Keep a new job with the callback it owes; in one step with the look-up of its key.

        Returns the job itself, or the one that holds its idempotency key already.

        Raises:
            Conflict: the key belongs to a job with another fingerprint.
        """
        ...

    async def find(self, idempotency_key: str) -> Job | None:
        """The job that holds this key."""
        ...

    async def claim(self, job_id: str, now: float) -> Job | None:
        """Move one job from queued to processing, attempt + 1; None if it is not queued.

        Two claims of one id cannot both succeed.
        """
        ...

    async def requeue(self, job_id: str, *, spent: bool, lost: Usage | None) -> Job | None:
        """Move one job from processing back to queued; None if it is not processing.

        Args:
            spent: the attempt counts among the job's failures.
            lost: the tokens that it took, if any; the job keeps count.
        """
        ...

    async def append(self, batches: Sequence[Batch]) -> None:
        """Add events to the logs of live jobs. A batch of an ended or unknown one is dropped."""
        ...

    async def finish(
        self, job_id: str, outcome: Outcome, rest: Batch, now: float, body: bytes | None
    ) -> Job | None:
        """End a job: last events, final state and callback body in one step.

        None, and nothing is changed, if the job is over already.

        Args:
            rest: events not yet appended; the last is the terminal one.
            body: what its callback is to carry; the delivery becomes due `now`.

        Raises:
            IllegalMove: a job that never ran cannot be complete; nothing was changed.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """The job as last stored; None if unknown or pruned."""
        ...

    async def log(self, job_id: str) -> EventLog | None:
        """All stored events of a job; None if it is unknown or pruned."""
        ...

    async def unfinished(self) -> list[Job]:
        """Jobs queued or processing, oldest first."""
        ...


class Ledger(Protocol):
    """What is kept of all jobs: listed, summed, and forgotten.

    Raises (any method):
        StoreUnavailable: nothing was changed, but by methods that say otherwise.
    """

    async def history(self, wanted: Filter, before: Place | None, limit: int) -> Page:
        """Jobs in short, newest first.

        Args:
            before: only what stands lower than that.
        """
        ...

    async def forget(self, job_ids: Sequence[str]) -> list[str]:
        """Forget those of the jobs that are over, with all that belongs to them.

        A callback that is still owed goes unsent. One job is forgotten whole or not at all; of
        several, some may be when it fails. Returns the ids forgotten.
        """
        ...

    async def prune(self, before: float, dead_before: float) -> list[tuple[str, Owner]]:
        """Forget jobs that ended before that time, with their logs and settled callbacks.

        A job whose callback is still pending stays; one whose callback is dead stays until it
        ended before `dead_before`, too. Returns the ids forgotten, and whose they were.
        """
        ...

    async def former(self, job_id: str) -> Owner | None:
        """Whose a job was that has been pruned, if it is among the last `MOST_FORMER` of them."""
        ...

    async def spent(self, by: By, since: str, until: str) -> list[Spent]:
        """What jobs took that ended from the day `since` on and before `until`, the dearest first.

        The sums stay when the jobs are forgotten. Days are UTC's, such as 2026-11-21.
        """
        ...

    async def disown(self, owner: Owner) -> None:
        """Let what a user took be counted as the app's, for no user; forget what was theirs."""
        ...


class Store(JobStore, Ledger, Protocol):
    """Everything of jobs. The callbacks that they owe are read and changed by an `Outbox`."""


class StoreAndOutbox(Store, Outbox, Protocol):
    """One that keeps both, so that a job ends in one step with what it owes."""
