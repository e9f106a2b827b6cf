"""Callbacks at the end of a process, and those of jobs on their way out."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.webhooks import DeliveryState
from tests.engine.house import House, standing
from tests.engine.jumping_clock import JumpingClock
from tests.engine.n8n import Execution
from tests.stores.conformance import callbacks


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Everything running, on a clock that jumps."""
    async with standing(JumpingClock()) as built:
        yield built


async def test_a_flush_waits_for_what_is_due_and_on_its_way(house: House) -> None:
    """Afterwards nothing is, however many there were."""
    await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(30)))
    await house.notifier.flush(60.0)
    states = [each.state for each in await callbacks(house.store)]
    assert states == [DeliveryState.DELIVERED] * 30


async def test_a_flush_does_not_wait_for_what_is_due_later(house: House) -> None:
    """A receiver that is not ready is not waited for."""
    await house.owe(house.n8n.wait_for(Execution(races=9)))
    await house.n8n.arrived(8)
    began = house.clock.now()
    await house.notifier.flush(60.0)
    assert house.clock.now() - began < 60.0
    assert (await house.store.owed()).state is DeliveryState.PENDING


async def test_the_callback_of_a_job_on_its_way_out_is_not_sent(house: House) -> None:
    """While it is withheld; where its job stays after all, it is sent then."""
    await house.notifier.stop()
    leaving = {"job_1"}
    house.notifier = house.another_notifier(withheld=lambda job_id: job_id in leaving)
    await house.notifier.start()
    await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(2)))
    await house.store.until(DeliveryState.DELIVERED)
    await house.quiet()
    sent = {post.headers["webhook-id"] for post in house.n8n.posts}
    leaving.clear()
    house.notifier.wake()
    async with asyncio.timeout(10):
        await house.store.until(DeliveryState.DELIVERED, 2)
    assert sent == {"msg_2"}
