"""Who runs first, in figures: a simulated day of eight workers."""

import heapq
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import pytest

from gateway.engine.queue import HANDICAP, Queue, Ticket
from gateway.jobs import Lane

WORKERS = 8
RUN_S = 4.0


class Arrival(NamedTuple):
    """A job that comes at some time, in seconds."""

    at: float
    tenant: str
    run_s: float = RUN_S
    priority: int = 5
    weight: float = 1.0
    cap: int | None = None
    lane: Lane = Lane.LIVE


def waits(arrivals: Iterable[Arrival]) -> dict[str, list[float]]:
    """How long each job of each tenant waited for one of the workers, in order of start."""
    queue = Queue(capacity=1_000_000, workers=WORKERS)
    coming = sorted(arrivals)
    ends: list[tuple[float, int, Ticket]] = []
    waited: dict[str, list[float]] = {arrival.tenant: [] for arrival in coming}
    came = 0
    while came < len(coming) or ends or not queue.empty():
        now = min(
            coming[came].at if came < len(coming) else float("inf"),
            ends[0][0] if ends else float("inf"),
        )
        while ends and ends[0][0] <= now:
            queue.release(heapq.heappop(ends)[2])
        while came < len(coming) and coming[came].at <= now:
            _, tenant, _, priority, weight, cap, lane = coming[came]
            queue.enqueue(str(came), tenant, priority=priority, weight=weight, cap=cap, lane=lane)
            came += 1
        while queue.running < WORKERS and not queue.empty():
            ticket = queue.get_nowait()
            arrival = coming[int(ticket.job_id)]
            waited[arrival.tenant].append(now - arrival.at)
            heapq.heappush(ends, (now + arrival.run_s, ticket.seq, ticket))
    return waited


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def poisson(rng: Random, every_s: float, until_s: float) -> Iterable[float]:
    """Times of arrivals that do not know of each other."""
    at = rng.expovariate(1 / every_s)
    while at < until_s:
        yield at
        at += rng.expovariate(1 / every_s)


def test_a_dump_does_not_hold_back_another_tenant() -> None:
    """While one tenant's 3,000 jobs wait for 25 minutes, another's chat waits a run or two."""
    rng = Random(1)
    dump = [Arrival(0.0, "dump") for _ in range(3000)]
    chat = [Arrival(at, "chat") for at in poisson(rng, 3.0, 1200.0)]
    waited = waits(dump + chat)
    assert max(waited["dump"]) > 1400
    assert p95(waited["chat"]) <= 1.5 * RUN_S


@pytest.mark.parametrize("lane", Lane)
def test_long_background_work_leaves_workers_to_the_living(lane: Lane) -> None:
    """Runs of a minute hold the chat back only where they are passed off as live."""
    rng = Random(2)
    batch = [Arrival(at, "batch", 60.0, lane=lane) for at in poisson(rng, 8.0, 3600.0)]
    chat = [Arrival(at, "chat", 2.0) for at in poisson(rng, 3.0, 3600.0)]
    chat_p95 = p95(waits(batch + chat)["chat"])
    assert (chat_p95 < 4.0) == (lane is Lane.BACKGROUND)


def test_the_lowest_priority_is_not_starved() -> None:
    """At 120 % load both priorities go on to run to the end; the first merely waits less."""
    rng = Random(3)
    every_s = RUN_S / WORKERS / 0.6
    waited = waits(
        Arrival(at, tenant, priority=priority)
        for tenant, priority in (("first", 0), ("last", 9))
        for at in poisson(rng, every_s, 3600.0)
    )
    # In an hour at 120 %, 12 minutes of work pile up; they are shared.
    assert p95(waited["first"]) < p95(waited["last"]) < 1.3 * 720
    # Nine steps of the handicap, with both tenants served in turns.
    assert waited["last"][0] < 9 * HANDICAP * 2 * RUN_S / WORKERS


def test_an_endless_stream_of_better_jobs_is_passed_at_last() -> None:
    """A job of the last priority waits for nine steps of the handicap, and not for one more."""
    queue = Queue(capacity=1000, workers=1)
    queue.enqueue("last", "b", priority=9)
    before = 0
    queue.enqueue("0", "a", priority=0)
    while (ticket := queue.get_nowait()).job_id != "last":
        before += 1
        queue.enqueue(str(before), "a", priority=0)
        queue.release(ticket)
    assert before == 9 * HANDICAP


def test_weights_give_shares() -> None:
    """Over any stretch in which all have work, each tenant runs by its weight."""
    queue = Queue(capacity=10_000, workers=1)
    weights = {"one": 1.0, "three": 3.0, "half": 0.5}
    for number in range(1000):
        for tenant, weight in weights.items():
            queue.enqueue(f"{tenant}-{number}", tenant, weight=weight)
    for _ in range(4):
        ran: Counter[str] = Counter()
        for _ in range(90):
            ticket = queue.get_nowait()
            ran[ticket.tenant] += 1
            queue.release(ticket)
        assert ran == pytest.approx({"one": 20, "three": 60, "half": 10}, abs=1)


def test_who_was_away_has_saved_up_nothing() -> None:
    """A tenant that comes late takes turns with those who were there, and is owed nothing."""
    queue = Queue(capacity=10_000, workers=1)
    for number in range(200):
        queue.enqueue(f"a{number}", "early")
    for _ in range(100):
        queue.release(queue.get_nowait())
    for number in range(100):
        queue.enqueue(f"b{number}", "late")
    ran: Counter[str] = Counter()
    for _ in range(40):
        ticket = queue.get_nowait()
        ran[ticket.tenant] += 1
        queue.release(ticket)
    assert ran == {"early": 20, "late": 20}


def test_what_was_taken_back_costs_nothing() -> None:
    """A tenant that cancels 3,000 jobs does not wait as if they had run."""
    queue = Queue(capacity=10_000, workers=1)
    for number in range(100):
        queue.enqueue(f"other-{number}", "other")
    for number in range(3000):
        queue.enqueue(f"mistake-{number}", "sorry")
    for number in range(3000):
        queue.remove(f"mistake-{number}")
    queue.enqueue("meant", "sorry")
    assert queue.position("meant") == 2


def test_a_tenants_background_work_leaves_its_own_live_jobs_a_worker() -> None:
    """Also a tenant with a cap finds its chat answered while its batch fills the lane."""
    batch = [Arrival(0.0, "a", 600.0, cap=8, lane=Lane.BACKGROUND) for _ in range(50)]
    waited = waits([*batch, Arrival(1.0, "a", cap=8)])
    assert waited["a"][:7] == [0.0] * 7
