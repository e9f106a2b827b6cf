"""Who runs next: start-time fair queueing between tenants, with a bounded handicap by priority.

The queue holds ids, never payloads, and can be rebuilt from the store at any time. A lane sees
the best entry of each tenant, and nothing of a tenant at its cap: what it sees may run as soon
as the lane has room.

Start-time fair queueing: Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996.
"""

import asyncio
from bisect import bisect_left, insort
from collections import defaultdict, deque
from typing import NamedTuple

from gateway.errors import QueueFull
from gateway.jobs import Lane

# How many jobs of its own tenant one step of priority is worth. It bounds what the lowest
# priority waits for: nine steps, after which even an endless stream of better jobs is behind it.
HANDICAP = 10.0

# Newer run times count a tenth.
_EWMA = 0.1


class Ticket(NamedTuple):
    """A place in the queue. Sorts by `key`, then by arrival.

    Attributes:
        latest: loop time by which the job must have ended, once a worker has begun it.
    """

    key: float
    seq: int
    job_id: str
    start: float
    tenant: str
    lane: Lane
    latest: float | None = None


class _Tenant:
    """What the queue knows of one tenant. `heads` are its best entries, as the lanes see them.

    Sorted lists: what comes nearly always goes to the end, and what leaves is their first.
    """

    __slots__ = ("cap", "cost", "finish", "heads", "running", "waiting")

    def __init__(self) -> None:
        self.cap: int | None = None
        self.cost = 1.0
        self.finish = 0.0
        self.running = 0
        self.waiting: dict[Lane, list[Ticket]] = {lane: [] for lane in Lane}
        self.heads: dict[Lane, Ticket | None] = dict.fromkeys(Lane)


class _Lane:
    """Room for some jobs, and the best entry of each tenant that is below its cap."""

    __slots__ = ("cap", "heads", "running")

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.running = 0
        self.heads: list[Ticket] = []


class Queue(asyncio.PriorityQueue[Ticket]):
    """The waiting jobs of one process.

    `get()` gives the next ticket that may run; it must be given back with `release` when the
    job leaves its worker. Cancelling `get()` loses nothing.
    """

    def __init__(self, *, capacity: int, workers: int, background_share: float = 0.75) -> None:
        """Make an empty queue.

        Args:
            capacity: most jobs that may wait.
            background_share: part of the workers that background jobs may hold together.
        """
        self._capacity = capacity
        self._workers = workers
        self._background = max(1, int(workers * background_share))
        super().__init__()

    def _init(self, maxsize: int) -> None:
        self._tickets: dict[str, Ticket] = {}
        self._tenants: defaultdict[str, _Tenant] = defaultdict(_Tenant)
        self._lanes = {
            Lane.LIVE: _Lane(self._workers),
            Lane.BACKGROUND: _Lane(self._background),
        }
        self._paused = False
        self._reserved = 0
        self._arrivals = 0
        self._virtual = 0.0
        self._run_s: float | None = None

    # -- joining ------------------------------------------------------------------------------

    def reserve(self) -> None:
        """Hold a place for one coming `enqueue`.

        Raises:
            QueueFull: `retry_after_s` is the time in which a place should come free.
        """
        if not self.has_room():
            raise QueueFull(retry_after_s=max(1.0, self.estimate_s(1)))
        self.hold()

    def hold(self) -> None:
        """Hold a place whether there is room or not; `unreserve` gives it back."""
        self._reserved += 1

    def unreserve(self) -> None:
        """Give a held place back, used or not."""
        self._reserved -= 1

    def enqueue(
        self,
        job_id: str,
        tenant: str,
        *,
        priority: int = 5,
        weight: float = 1.0,
        cap: int | None = None,
        lane: Lane = Lane.LIVE,
    ) -> Ticket:
        """Let a job wait for a worker. Its key is fixed here and never changes.

        Args:
            priority: 0 is first, 9 is last.
            weight: the tenant's share.
            cap: most jobs of this tenant that may run at a time.
        """
        account = self._tenants[tenant]
        account.cap = cap
        account.cost = 1.0 / weight
        start = max(self._virtual, account.finish)
        account.finish = start + account.cost
        self._arrivals += 1
        ticket = Ticket(start + priority * HANDICAP, self._arrivals, job_id, start, tenant, lane)
        self.put_nowait(ticket)
        return ticket

    def _put(self, item: Ticket) -> None:
        self._tickets[item.job_id] = item
        tenant = self._tenants[item.tenant]
        insort(tenant.waiting[item.lane], item)
        self._show(tenant)

    def _show(self, tenant: _Tenant) -> None:
        """Let each lane see the tenant's best entry; none while the tenant is at its cap."""
        may_run = tenant.cap is None or tenant.running < tenant.cap
        for name, waiting in tenant.waiting.items():
            head = waiting[0] if waiting and may_run else None
            shown = tenant.heads[name]
            if head is not shown:
                lane = self._lanes[name]
                if shown is not None:
                    _remove(lane.heads, shown)
                if head is not None:
                    insort(lane.heads, head)
                tenant.heads[name] = head

    def recap(self, tenant: str, cap: int | None) -> None:
        """Let at most `cap` of the tenant's jobs run from now on; those that run go on."""
        account = self._tenants[tenant]
        account.cap = cap
        self._show(account)
        self._wake()

    # -- leaving ------------------------------------------------------------------------------

    def pause(self) -> None:
        """Give out nothing more; what waits stays."""
        self._paused = True

    def empty(self) -> bool:
        """No waiting job may run now."""
        return not self._tickets or self._paused or self._next_lane() is None

    def _next_lane(self) -> _Lane | None:
        best: _Lane | None = None
        for lane in self._lanes.values():
            if (
                lane.heads
                and lane.running < lane.cap
                and (best is None or lane.heads[0] < best.heads[0])
            ):
                best = lane
        return best

    def _get(self) -> Ticket:
        lane = self._next_lane()
        if lane is None:
            raise AssertionError("get is called only when a job may run")
        ticket: Ticket = lane.heads[0]
        tenant = self._tenants[ticket.tenant]
        lane.running += 1
        tenant.running += 1
        self._virtual = max(self._virtual, ticket.start)
        self._leave(ticket, tenant)
        # One release can let two run: a slot in its lane, and one below its tenant's cap.
        self._wake()
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Give back the slot of a ticket that `get` gave."""
        tenant = self._tenants[ticket.tenant]
        self._lanes[ticket.lane].running -= 1
        tenant.running -= 1
        if tenant.cap is not None:
            self._show(tenant)
        self._wake()

    def remove(self, job_id: str) -> bool:
        """Take a waiting job out; False if it does not wait here."""
        ticket = self._tickets.get(job_id)
        if ticket is None:
            return False
        tenant = self._tenants[ticket.tenant]
        # What never runs costs its tenant nothing: those who come after it are not held back.
        tenant.finish -= tenant.cost
        self._leave(ticket, tenant)
        return True

    def _leave(self, ticket: Ticket, tenant: _Tenant) -> None:
        del self._tickets[ticket.job_id]
        _remove(tenant.waiting[ticket.lane], ticket)
        self._show(tenant)

    def _wake(self) -> None:
        if not self.empty():
            self._wakeup_next(self._getters)  # type: ignore[attr-defined]

    def _wakeup_next(self, waiters: "deque[asyncio.Future[None]]") -> None:
        # Who went to rest last: its memory is still at hand.
        while waiters:
            waiter = waiters.pop()
            if not waiter.done():
                waiter.set_result(None)
                break

    # -- looking ------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """One more job may wait."""
        return len(self._tickets) + self._reserved < self._capacity

    def qsize(self) -> int:
        """Jobs waiting, also those that may not run yet."""
        return len(self._tickets)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._tickets

    @property
    def running(self) -> int:
        """Tickets out with workers."""
        return sum(lane.running for lane in self._lanes.values())

    def position(self, job_id: str) -> int | None:
        """The place of a waiting job in line, from 1; None if it does not wait here."""
        ticket = self._tickets.get(job_id)
        if ticket is None:
            return None
        waiting = (lane for each in self._tenants.values() for lane in each.waiting.values())
        return sum(bisect_left(lane, ticket) for lane in waiting) + 1

    def observe(self, run_s: float) -> None:
        """Learn from one finished run how long runs take."""
        old = run_s if self._run_s is None else self._run_s
        self._run_s = old + _EWMA * (run_s - old)

    def estimate_s(self, position: int) -> float:
        """About how long a job at `position` waits for a worker, in seconds."""
        return position / self._workers * (self._run_s if self._run_s is not None else 5.0)


def _remove(tickets: list[Ticket], ticket: Ticket) -> None:
    del tickets[bisect_left(tickets, ticket)]
