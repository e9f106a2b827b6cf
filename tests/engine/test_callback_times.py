"""When callbacks are tried: by the schedule, after an outage, and after a death."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from msgspec.structs import replace

from gateway import webhooks
from gateway.destinations import Policy
from gateway.webhooks import DeliveryState, Silence
from tests.engine.house import DAY, House, standing
from tests.engine.jumping_clock import JumpingClock
from tests.engine.n8n import Execution, N8n
from tests.stores.conformance import callbacks


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Everything running, on a clock that jumps."""
    async with standing(JumpingClock()) as built:
        yield built


async def test_a_day_of_trouble_is_tried_by_the_schedule_and_ends(house: House) -> None:
    """Twenty-one attempts over 24 hours, each pause within a fifth of its step."""
    moments: list[float] = []
    house.n8n.on_post = lambda: moments.append(house.clock.now())
    house.n8n.broken = True
    delivery = await house.settle(Execution(), DeliveryState.DEAD)
    gaps = [after - before for before, after in pairwise(moments)]
    off = [gap / step for gap, step in zip(gaps, webhooks.STEPS_S, strict=False)]
    assert len(moments) >= 20
    assert all(0.79 <= ratio <= 1.21 for ratio in off)
    # Those that failed together do not come back together.
    assert max(off) - min(off) > 0.1
    assert moments[-1] - moments[0] == pytest.approx(DAY - 1, abs=1)
    dead = [line for line in house.lines if line["event"] == "callback_dead"]
    assert (delivery.last_status, dead) == (500, house.lines[-1:])


async def test_waiting_for_a_far_attempt_is_no_busy_loop(house: House) -> None:
    """In an hour without anything to do the store is asked now and then only."""
    assert isinstance(house.clock, JumpingClock)
    async with asyncio.timeout(20):
        await house.clock.alarm(3_600).wait()
    assert house.store.looks < 800


async def test_a_broken_origin_is_left_alone_and_another_is_served(house: House) -> None:
    """A hundred callbacks do not hammer it: a try each and few probes an hour, all arrive."""
    house.n8n.broken, house.n8n.trouble = True, 503
    recovers_at = house.clock.now() + 3_600

    def recover() -> None:
        house.n8n.broken = house.clock.now() < recovers_at

    house.n8n.on_post = recover
    async with N8n() as other:
        house.policy = Policy.of([house.n8n.origin, other.origin])
        await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(100)))
        await house.n8n.arrived(10)
        await house.store.owe(999, other.wait_for(Execution()), house.clock.now())
        house.notifier.wake()
        await other.arrived(1)
        assert len(house.n8n.posts) < 40
        await house.store.until(DeliveryState.DELIVERED, 101)
    # Each was tried once, before or behind the first ten, and came once.
    assert len(house.n8n.posts) < 2 * 100 + 60
    assert max([one.attempts for one in await callbacks(house.store)]) < 20


@pytest.mark.parametrize(("trouble", "outage_s"), [(500, 600), (503, 6 * 3_600)])
async def test_nobody_sleeps_on_beside_a_receiver_that_is_back(
    house: House, trouble: int, outage_s: float
) -> None:
    """The longer the trouble, the longer the pauses: one that arrives ends them all."""
    house.n8n.trouble = trouble
    back_at = house.clock.now() + outage_s
    arrived: list[float] = []

    def look() -> None:
        house.n8n.broken = house.clock.now() < back_at
        if not house.n8n.broken:
            arrived.append(house.clock.now() - back_at)

    house.n8n.on_post = look
    await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(12)))
    await house.store.until(DeliveryState.DELIVERED, 12)
    assert arrived[-1] - arrived[0] < 60


async def test_a_receiver_that_is_down_is_found_when_it_comes_up(house: House) -> None:
    """A refused connection is no attempt that may have arrived."""
    async with N8n() as gone:
        url = gone.wait_for(Execution())
    house.policy = Policy.of([gone.origin])
    await house.owe(url, lifetime_s=600)
    await house.store.until(DeliveryState.DEAD)
    delivery = await house.store.owed()
    assert (delivery.last_status, delivery.ambiguous) == (None, False)
    assert delivery.note == f"{Silence.UNREACHABLE} Given up."


async def test_a_deadline_counts_from_the_first_attempt(house: House) -> None:
    """Where it passed before, because a job took long or nobody was there to send it, the
    receiver is tried as long as any other."""
    house.n8n.broken = True
    moments: list[float] = []
    house.n8n.on_post = lambda: moments.append(house.clock.now())
    await house.notifier.stop()
    await house.owe(house.n8n.wait_for(Execution()), lifetime_s=-1)
    await house.store.record(replace(await house.store.owed(), lifetime_s=600.0))
    house.notifier = house.another_notifier()
    await house.notifier.start()
    await house.store.until(DeliveryState.DEAD)
    assert moments[-1] - moments[0] == pytest.approx(599, abs=1)


async def test_what_an_earlier_process_had_on_its_way_is_sent_at_once(house: House) -> None:
    """It holds nothing any more; what has failed waits for its time."""
    await house.notifier.stop()
    house.n8n.gate.clear()
    await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(2)))
    now, due = house.clock.now(), await house.store.due(house.clock.now(), 2)
    lost, failed = webhooks.begin(due[0], now - 1), replace(due[1], attempts=1, first_tried_at=1.0)
    for left, soon_s in ((lost, 29), (failed, 20)):
        await house.store.record(replace(left, next_at=now + soon_s))
    house.notifier = house.another_notifier()
    await house.notifier.start()
    await house.n8n.arrived(1)
    assert (house.clock.now(), house.n8n.posts[0].headers["webhook-id"]) == (now, lost.id)
    house.n8n.gate.set()
    await house.store.until(DeliveryState.DELIVERED, 2)
    assert house.clock.now() == pytest.approx(now + 20)
    assert (await house.store.owed(1)).ambiguous
