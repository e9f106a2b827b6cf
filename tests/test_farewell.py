"""The end of a gateway takes its time, and no more."""

import pytest
from aiohttp import web

from gateway.farewell import Farewell
from gateway.webhooks import DeliveryState
from tests.engine.house import House, standing
from tests.engine.jumping_clock import JumpingClock
from tests.engine.n8n import Execution
from tests.engine.rig import Rig


def farewell(rig: Rig, house: House, drain_s: float) -> Farewell:
    return Farewell(rig.core, house.notifier, house.clock, drain_s=drain_s, post_s=15.0)


async def test_what_is_due_leaves_within_the_drain() -> None:
    """And what is due later does not hold it up."""
    async with Rig() as rig, standing(JumpingClock()) as house:
        await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(20)))
        await house.store.owe(21, house.n8n.wait_for(Execution()), house.clock.now() + 3_600)
        await farewell(rig, house, 60.0).drain()
        assert (await house.store.backlog()).pending == 1
        assert rig.core.draining


async def test_without_a_drain_what_is_due_leaves_at_the_close() -> None:
    """Also what the close itself ended owes."""
    async with Rig() as rig, standing(JumpingClock()) as house:
        await house.owe(house.n8n.wait_for(Execution()))
        end = farewell(rig, house, 0.0)
        await end.drain()
        await end.close(web.Application())
        assert (await house.store.owed()).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("drain_s", [0.0, 60.0])
async def test_a_store_that_is_away_holds_no_end_up(drain_s: float) -> None:
    """Nobody knows what is owed; it stays owed."""
    async with Rig() as rig, standing(JumpingClock()) as house:
        await house.notifier.stop()
        house.store.unseen = True
        end = farewell(rig, house, drain_s)
        await end.drain()
        await end.close(web.Application())
