"""A model that keeps failing is spared: what its callers see, and how often it is asked."""

import asyncio

import pytest

from gateway.catalog import Model
from gateway.engine.sparing import Sparing
from gateway.errors import ProviderError, ProviderRefused
from gateway.events import Completed
from gateway.jobs import State
from tests.engine.rig import Rig
from tests.engine.scripted import FOREVER, HELLO, Play
from tests.engine.virtual_clock import jumping, settle

BROKEN: Play = [ProviderError("Broken.", retryable=True)]
SILENT: Play = [FOREVER, Completed()]


def calls(rig: Rig, model: str) -> list[float]:
    """When the model was asked."""
    return [round(at, 3) for at, asked in rig.provider.calls if asked == model]


async def broken(rig: Rig, *, at: float) -> None:
    """Let jobs fail until `at` seconds from the start."""
    while rig.at() < at:
        await rig.ended(await rig.submit("a"))


@jumping
async def test_a_spared_model_is_not_asked() -> None:
    """While it fails a job a second comes; after some seconds it is asked now and then only."""
    async with Rig(a=[BROKEN], b=[HELLO]) as rig:
        jobs = []
        for _ in range(60):
            jobs.append(await rig.submit("a", fallback_models=("b",)))
            await asyncio.sleep(1.0)
        states = {(await rig.ended(job)).state for job in jobs}
        asked = calls(rig, "a")
    assert states == {State.COMPLETED}
    assert len([at for at in asked if at < 5.0]) > 5
    # Pauses of 1, 2, 4, 8 and then 10 seconds.
    assert len([at for at in asked if at >= 6.0]) <= 10


@jumping
async def test_a_fallback_answers_at_once() -> None:
    """Where there is another model nobody waits for the one that is spared."""
    async with Rig(a=[BROKEN], b=[HELLO]) as rig:
        await broken(rig, at=5.0)
        asked = len(calls(rig, "a"))
        began = rig.at()
        job = await rig.ended(await rig.submit("a", fallback_models=("b",)))
        assert job.outcome is not None
        assert (job.outcome.model, rig.at() - began) == ("b", 0.0)
        assert len(calls(rig, "a")) == asked


@jumping
async def test_without_a_fallback_it_is_asked_as_ever() -> None:
    """Nothing is won by sparing it: whoever comes when it is back is answered, all at once."""
    async with Rig(a=[BROKEN]) as rig:
        await broken(rig, at=8.0)
        failed = len(calls(rig, "a"))
        slow = [1.0, *HELLO]
        rig.serve({"a": [*[BROKEN] * failed, slow]})
        began = rig.at()
        jobs = [await rig.submit("a") for _ in range(5)]
        assert {(await rig.ended(job)).state for job in jobs} == {State.COMPLETED}
        # Two workers for five jobs.
        assert rig.at() - began == pytest.approx(3.0)


@jumping
async def test_other_models_are_asked_as_ever() -> None:
    """One that is out of order costs no other of its provider."""
    async with Rig(a=[BROKEN], b=[HELLO]) as rig:
        await broken(rig, at=8.0)
        began = rig.at()
        assert (await rig.ended(await rig.submit("b"))).state is State.COMPLETED
        assert rig.at() == began


@jumping
async def test_a_cancelled_probe_makes_room_for_the_next() -> None:
    """Whoever leaves in the middle of the probe does not shut the model for all."""
    async with Rig(a=[BROKEN], b=[HELLO]) as rig:
        while not any(line["event"] == "model_spared" for line in rig.logs):
            await rig.ended(await rig.submit("a"))
        await asyncio.sleep(30.0)
        failed = len(calls(rig, "a"))
        rig.serve({"a": [*[BROKEN] * failed, SILENT, HELLO]})
        probing = await rig.submit("a", fallback_models=("b",))
        await settle()
        other = await rig.ended(await rig.submit("a", fallback_models=("b",)))
        await rig.core.cancel(probing)
        next_ = await rig.ended(await rig.submit("a", fallback_models=("b",)))
        models = [job.outcome.model for job in (other, next_) if job.outcome is not None]
        assert (models, len(calls(rig, "a"))) == (["b", "a"], failed + 2)


@jumping
async def test_an_answer_forgets_the_failures() -> None:
    """Failures with answers between them open nothing, however many they are."""
    async with Rig(a=[BROKEN, HELLO] * 40) as rig:
        for _ in range(40):
            assert (await rig.ended(await rig.submit("a"))).state is State.COMPLETED
            await asyncio.sleep(1.0)
        assert not [line for line in rig.logs if line["event"] == "model_spared"]


@jumping
async def test_refusals_open_nothing() -> None:
    """Whoever says no is there."""
    async with Rig(a=[[ProviderRefused("No.")]]) as rig:
        for _ in range(20):
            await rig.ended(await rig.submit("a"))
            await asyncio.sleep(1.0)
        assert calls(rig, "a") == [float(second) for second in range(20)]


@jumping
async def test_it_is_told_how_models_stand() -> None:
    """Those that failed since they last answered; not the others."""
    async with Rig(a=[BROKEN], b=[HELLO], c=[BROKEN, HELLO]) as rig:
        assert rig.core.sparing.states() == []
        await rig.ended(await rig.submit("b"))
        await rig.ended(await rig.submit("c"))
        job = await rig.submit("a")
        await settle()
        assert [each[1:] for each in rig.core.sparing.states()] == [("a", "failing")]
        await rig.ended(job)
        await broken(rig, at=6.0)
        assert [each[1:] for each in rig.core.sparing.states()] == [("a", "open")]


def test_made_up_models_fill_no_memory() -> None:
    """Of any number of names that fail, the oldest are forgotten."""
    sparing = Sparing(lambda: 0.0)
    for number in range(3000):
        try:
            with sparing.guard(Model(name="x", provider="p", upstream=str(number)), last=True):
                raise ProviderError(retryable=True)
        except ProviderError:
            continue
    assert len(sparing._breakers) == 1000
