"""Turns at a provider that has a pace."""

import asyncio

import pytest

from gateway.engine.bounds import Timeouts
from gateway.engine.turns import Turns
from gateway.errors import ProviderError, ProviderRefused
from gateway.events import Failed
from gateway.jobs import State
from tests.engine.rig import Rig
from tests.engine.scripted import HELLO
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping, settle

PACED = {"requests_per_minute": {"scripted": 30}}


@jumping
async def test_questions_are_spread_evenly() -> None:
    """Thirty a minute are one each two seconds, in the order of coming; no slot is held."""
    async with Rig(bounds=PACED, a=[HELLO]) as rig:
        jobs = [await rig.submit("a", user=str(n)) for n in range(6)]
        await settle()
        assert rig.core.active_workers == 0
        ends = [rig.at() for job in jobs if (await rig.ended(job)).state is State.COMPLETED]
        assert ends == pytest.approx([0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
        assert [at for at, _ in rig.provider.calls] == pytest.approx(ends)


@jumping
async def test_a_turn_that_never_comes_is_the_end() -> None:
    """A job is not kept beyond its time, and does not ask after it."""
    bounds = {
        "requests_per_minute": {"scripted": 1},
        "timeouts": Timeouts(first_token_s=30.0, token_s=20.0, whole_s=290.0),
    }
    async with Rig(bounds=bounds, a=[HELLO]) as rig:
        jobs = [await rig.submit("a") for _ in range(7)]
        ends = [await rig.ended(job) for job in jobs]
        assert [end.state for end in ends] == [State.COMPLETED] * 5 + [State.ERROR] * 2
        assert ends[-1].outcome is not None
        assert ends[-1].outcome.terminal == Failed(
            code="TIMEOUT", message="The answer took too long.", retryable=True
        )
        assert len(rig.provider.calls) == 5
        assert rig.at() == pytest.approx(290.0)


@jumping
async def test_who_leaves_the_line_moves_it_up() -> None:
    """A job cancelled while it waits for its turn leaves nothing behind, and costs no turn."""
    async with Rig(bounds=PACED, a=[HELLO]) as rig:
        _, second, third = [await rig.submit("a") for _ in range(3)]
        await settle()
        await rig.core.cancel(second)
        assert (await rig.ended(second)).state is State.CANCELLED
        assert (await rig.ended(third)).state is State.COMPLETED
        assert rig.at() == pytest.approx(2.0)


@jumping
async def test_each_question_takes_a_turn() -> None:
    """Also that of a job that failed on the turn it had waited for."""
    broken = ProviderError("Broken.", retryable=True)
    async with Rig(bounds=PACED, a=[HELLO, [broken], HELLO]) as rig:
        _, second = [await rig.submit("a") for _ in range(2)]
        assert (await rig.ended(second)).state is State.COMPLETED
        assert [at for at, _ in rig.provider.calls] == pytest.approx([0.0, 2.0, 4.0])


@jumping
async def test_a_drain_does_not_wait_for_a_turn() -> None:
    """A job whose fallback would be asked much later is left to the next process."""
    store = SlowStore(lambda: 0.01, durable=True)
    bounds = {"requests_per_minute": {"scripted": 1}}
    async with Rig(store=store, bounds=bounds, a=[[3.0, ProviderRefused()]], b=[HELLO]) as rig:
        job = await rig.submit("a", fallback_models=("b",))
        await asyncio.sleep(1)
        await rig.core.drain()
        assert rig.at() == pytest.approx(3.0, abs=0.2)
    kept = await store.get(job.id)
    assert kept is not None
    assert (kept.state, kept.failures) == (State.QUEUED, 0)


@jumping
async def test_without_a_pace_it_is_always_ones_turn() -> None:
    """Other providers, and 0, know no line."""
    turns = Turns({"a": 0, "b": 60})
    assert [await turns.take("a") for _ in range(1000)] == [True] * 1000
    assert [await turns.take("c") for _ in range(1000)] == [True] * 1000
    assert [await turns.take("b") for _ in range(3)] == [True, False, False]


@jumping
async def test_a_minute_is_not_asked_for_at_once() -> None:
    """Not even the first one: a burst is a second's worth."""
    turns = Turns({"a": 960})
    assert sum([await turns.take("a") for _ in range(960)]) == 16
    came: list[str | None] = []
    tasks = [turns.later("a", 1e9, came.append) for _ in range(100)]
    await asyncio.sleep(5.01)
    assert came == ["a"] * 80
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
