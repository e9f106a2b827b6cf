"""What a surface asks for: a user's quota binds every new job, however its caller behaves."""

import asyncio

import pytest
from msgspec.structs import replace

from gateway.engine.ask import Quota
from gateway.errors import Draining, Forbidden, GatewayError, QueueFull, RateLimited
from tests.engine.rig import ACME, Rig
from tests.engine.scripted import FOREVER
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping

RATE = ("2/minute", "user", "ann")
QUOTA = Quota(active=3, rates=(RATE,))


async def refusal(rig: Rig, model: str = "a") -> type[GatewayError] | None:
    """Why a request of the user's is refused; None where it is not."""
    try:
        await rig.submit(model, user="ann", quota=QUOTA)
    except GatewayError as error:
        return type(error)
    return None


@jumping
async def test_callers_who_leave_at_once_exceed_no_quota() -> None:
    """A job that is still being stored is under way, whether or not its caller waits for that."""
    quota = Quota(active=3)
    async with Rig(a=[[FOREVER]], store=SlowStore(lambda: 1.0, durable=True)) as rig:

        async def leave() -> None:
            with pytest.raises((TimeoutError, RateLimited)):
                async with asyncio.timeout(0.1):
                    await rig.submit(user="ann", quota=quota)

        for _ in range(4):
            await asyncio.gather(*(leave() for _ in range(5)))
        await asyncio.sleep(5)
        assert rig.counters()["jobs"] == 3
        for job in tuple(rig.core.records.live):
            await rig.core.cancel(job)


@jumping
async def test_what_is_refused_counts_against_no_rate() -> None:
    """Where the model is not allowed, the queue is full, or the gateway drains."""
    tenant = replace(ACME, allowed_models=("a",), rate_limit="2/minute")
    async with Rig(tenant=tenant, bounds={"queue_max_size": 0}, a=[[]], b=[[]]) as rig:
        assert await refusal(rig, "b") is Forbidden
        assert await refusal(rig) is QueueFull
        await rig.core.drain()
        assert await refusal(rig) is Draining
        for rate in (RATE, ("2/minute", "app", "acme")):
            assert (rig.core.limits.standing(*rate)).remaining == 2
