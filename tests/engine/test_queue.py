"""The queue against a plain model of it, over random schedules."""

import asyncio
from collections import Counter
from random import Random

import pytest

from gateway.engine.queue import HANDICAP, Queue, Ticket
from gateway.errors import QueueFull
from gateway.jobs import Lane
from tests.engine.virtual_clock import jumping, settle

WORKERS = 4
CAPS = {Lane.LIVE: WORKERS, Lane.BACKGROUND: 3}
# Each tenant's weight, and how many of its jobs may run.
TENANTS: dict[str, tuple[float, int | None]] = {
    "free": (1.0, None),
    "rich": (4.0, 2),
    "poor": (0.5, 1),
}


class Model:
    """What the queue must do, said as plainly as possible, beside the queue that does it."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.queue = Queue(capacity=1_000_000, workers=WORKERS)
        self.made = 0
        self.virtual = 0.0
        self.finish = dict.fromkeys(TENANTS, 0.0)
        self.waiting: list[Ticket] = []
        self.out: list[Ticket] = []
        self.failed: list[Ticket] = []

    def runnable(self) -> list[Ticket]:
        """What may run now: its lane has room, and its tenant is below its cap. Best first."""
        lanes = Counter(ticket.lane for ticket in self.out)
        tenants = Counter(ticket.tenant for ticket in self.out)
        return sorted(
            ticket
            for ticket in self.waiting
            if lanes[ticket.lane] < CAPS[ticket.lane]
            and ((cap := TENANTS[ticket.tenant][1]) is None or tenants[ticket.tenant] < cap)
        )

    def enqueue(self) -> None:
        tenant = self.rng.choice(list(TENANTS))
        priority = self.rng.choice([0, 0, 5, 9])
        lane = self.rng.choice(list(Lane))
        weight, cap = TENANTS[tenant]
        self.made += 1
        ticket = self.queue.enqueue(
            f"job-{self.made}", tenant, priority=priority, weight=weight, cap=cap, lane=lane
        )
        start = max(self.virtual, self.finish[tenant])
        self.finish[tenant] = start + 1 / weight
        key = start + priority * HANDICAP
        assert ticket == Ticket(key, self.made, f"job-{self.made}", start, tenant, lane)
        self.waiting.append(ticket)

    def get(self) -> None:
        best = self.runnable()[:1]
        if best:
            assert self.queue.get_nowait() == best[0]
            self.waiting.remove(best[0])
            self.out.append(best[0])
            self.virtual = max(self.virtual, best[0].start)

    def release(self) -> None:
        if self.out:
            ticket = self.out.pop(self.rng.randrange(len(self.out)))
            self.queue.release(ticket)
            if self.rng.random() < 0.3:
                self.failed.append(ticket)

    def retry(self) -> None:
        if self.failed:
            ticket = self.failed.pop()
            self.queue.put_nowait(ticket)
            self.waiting.append(ticket)

    def remove(self) -> None:
        if self.waiting:
            ticket = self.waiting.pop(self.rng.randrange(len(self.waiting)))
            assert self.queue.remove(ticket.job_id)
            self.finish[ticket.tenant] -= 1 / TENANTS[ticket.tenant][0]

    def remove_what_does_not_wait(self) -> None:
        absent = [ticket.job_id for ticket in self.out + self.failed]
        assert not self.queue.remove(self.rng.choice([*absent, "unknown"]))

    def step(self) -> None:
        """Let one thing happen."""
        acts = {
            self.enqueue: 6,
            self.get: 5,
            self.release: 4,
            self.retry: 1,
            self.remove: 1,
            self.remove_what_does_not_wait: 1,
        }
        self.rng.choices(list(acts), list(acts.values()))[0]()

    def check(self) -> None:
        """Hold the queue to all it promises."""
        line = sorted(self.waiting)
        elsewhere = self.out + self.failed
        assert [self.queue.position(ticket.job_id) for ticket in line] == [*range(1, len(line) + 1)]
        assert [self.queue.position(ticket.job_id) for ticket in elsewhere] == [None] * len(
            elsewhere
        )
        assert self.queue.qsize() == len(self.waiting)
        assert self.queue.running == len(self.out)
        assert self.queue.empty() == (not self.runnable())
        lanes = Counter(ticket.lane for ticket in self.out)
        tenants = Counter(ticket.tenant for ticket in self.out)
        assert all(lanes[lane] <= cap for lane, cap in CAPS.items())
        assert all(cap is None or tenants[name] <= cap for name, (_, cap) in TENANTS.items())


@pytest.mark.parametrize("seed", range(100))
def test_the_queue_does_what_its_model_does(seed: int) -> None:
    """Whatever comes, runs, fails, returns and leaves: no id is lost or doubled, positions are
    ranks, caps hold, and the best job that may run runs."""
    model = Model(Random(seed))
    for _ in range(150):
        model.step()
        model.check()


# -- waiting for a job ----------------------------------------------------------------------------


@jumping
async def test_no_wake_up_is_lost() -> None:
    """Whoever releases, a getter that waits is woken for every job that may now run: one
    release can free a place in a lane for one tenant, and one under its cap for another."""
    queue = Queue(capacity=10, workers=2, background_share=0.5)
    queue.enqueue("a1", "a", cap=1, lane=Lane.BACKGROUND)
    first = await queue.get()
    queue.enqueue("a2", "a", cap=1)
    queue.enqueue("b1", "b", lane=Lane.BACKGROUND)
    getters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await settle()
    assert [getter.done() for getter in getters] == [False, False]
    queue.release(first)
    assert {ticket.job_id for ticket in await asyncio.gather(*getters)} == {"a2", "b1"}


@pytest.mark.parametrize("seed", range(20))
@jumping
async def test_workers_run_every_job_once(seed: int) -> None:
    """Random arrivals, runs, failures, removals and getters that give up: in the end each job
    ran or was removed, none twice, and at no time did a worker wait while a job might run."""
    rng = Random(seed)
    queue = Queue(capacity=10_000, workers=WORKERS)
    ran: Counter[str] = Counter()
    removed: set[str] = set()
    idle = 0

    async def work() -> None:
        nonlocal idle
        while True:
            idle += 1
            try:
                ticket = await asyncio.wait_for(queue.get(), rng.choice([0.001, 0.5, 1e9]))
            except TimeoutError:
                continue
            finally:
                idle -= 1
            await asyncio.sleep(rng.expovariate(2))
            failed = rng.random() < 0.2
            if failed:
                asyncio.get_running_loop().call_later(rng.random(), queue.put_nowait, ticket)
            else:
                ran[ticket.job_id] += 1
            queue.release(ticket)

    workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
    for number in range(150):
        tenant = rng.choice(list(TENANTS))
        weight, cap = TENANTS[tenant]
        lane = rng.choice(list(Lane))
        queue.enqueue(f"job-{number}", tenant, weight=weight, cap=cap, lane=lane)
        if rng.random() < 0.1 and queue.remove(gone := f"job-{rng.randrange(number + 1)}"):
            removed.add(gone)
        await asyncio.sleep(rng.choice([0, 0, 0.1, 2.0]))
        await settle()
        assert queue.empty() or not idle
    await asyncio.sleep(10_000)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert ran.keys() | removed == {f"job-{number}" for number in range(150)}
    assert set(ran.values()) == {1}
    assert queue.qsize() == queue.running == 0


@jumping
async def test_a_cancelled_get_loses_nothing() -> None:
    """A getter that is cancelled just as a job comes leaves the job to the next."""
    queue = Queue(capacity=10, workers=2)
    getters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await settle()
    queue.enqueue("job", "a")
    getters[0].cancel()
    assert (await getters[1]).job_id == "job"
    await asyncio.wait({getters[0]})
    assert getters[0].cancelled()


@jumping
async def test_a_raised_cap_is_used_at_once() -> None:
    """A worker that waits need not wait for another job to end or to come."""
    queue = Queue(capacity=10, workers=2)
    queue.enqueue("first", "a", cap=1)
    queue.enqueue("second", "a", cap=1)
    await queue.get()
    getter = asyncio.create_task(queue.get())
    await settle()
    waited = not getter.done()
    queue.recap("a", 2)
    await settle()
    assert (waited, getter.done()) == (True, True)
    assert (await getter).job_id == "second"


def test_one_worker_runs_background_jobs_too() -> None:
    """A share of a single worker is that worker, and not none."""
    queue = Queue(capacity=10, workers=1)
    ticket = queue.enqueue("job", "a", lane=Lane.BACKGROUND)
    assert queue.get_nowait() == ticket


@jumping
async def test_a_paused_queue_keeps_what_it_has() -> None:
    """While it is paused nothing is given out, and nothing is lost."""
    queue = Queue(capacity=10, workers=2)
    queue.pause()
    getter = asyncio.create_task(queue.get())
    queue.enqueue("job", "a")
    await asyncio.sleep(3600)
    assert (getter.done(), queue.qsize(), queue.position("job")) == (False, 1, 1)
    getter.cancel()
    await asyncio.wait({getter})


# -- places ---------------------------------------------------------------------------------------


def test_a_full_queue_refuses() -> None:
    """Places that are held count; the refusal says when one should come free."""
    queue = Queue(capacity=2, workers=1)
    queue.observe(3.0)
    queue.reserve()
    queue.enqueue("job", "a")
    has_room = queue.has_room()
    with pytest.raises(QueueFull) as refused:
        queue.reserve()
    assert (has_room, refused.value.retryable, refused.value.retry_after_s) == (False, True, 3.0)
    queue.unreserve()
    queue.reserve()


def test_a_refusal_never_says_to_come_back_at_once() -> None:
    """However quick the runs are."""
    queue = Queue(capacity=0, workers=100)
    queue.observe(0.1)
    with pytest.raises(QueueFull) as refused:
        queue.reserve()
    assert refused.value.retry_after_s == 1.0


def test_the_wait_follows_what_runs_take() -> None:
    """Five seconds a run until one was seen; then a moving average over the workers."""
    queue = Queue(capacity=10, workers=4)
    guess = queue.estimate_s(8)
    queue.observe(2.0)
    seen = queue.estimate_s(8)
    queue.observe(12.0)
    assert (guess, seen, queue.estimate_s(8)) == (10.0, 4.0, 6.0)


def test_a_job_that_tries_again_keeps_its_place() -> None:
    """A retry goes before what came after it; its key is the one it was given first."""
    queue = Queue(capacity=10, workers=1)
    first = queue.enqueue("first", "a")
    queue.enqueue("second", "a")
    assert queue.get_nowait() == first
    queue.release(first)
    queue.put_nowait(first)
    assert (queue.position("first"), queue.get_nowait()) == (1, first)
