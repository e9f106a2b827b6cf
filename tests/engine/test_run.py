"""One job at work: its time-outs, each at its time, and what it keeps of the answer."""

import pytest

from gateway.engine import run
from gateway.engine.bounds import Timeouts
from gateway.errors import ProviderError
from gateway.events import Completed, Delta, Event, Failed, Restarted, Routed, Started, Usage
from gateway.jobs import OnFailure, State
from tests.engine.rig import Rig
from tests.engine.scripted import FOREVER, HELLO, Play
from tests.engine.virtual_clock import jumping

SILENT = Failed(code="TIMEOUT", message="The AI service stopped answering.", retryable=True)
TOO_LONG = Failed(code="TIMEOUT", message="The answer took too long.", retryable=True)
TOKEN = Delta(text="tick ")
# A sign that the model is at work.
SIGN = None


@pytest.mark.parametrize(
    ("play", "ends_at", "terminal"),
    [
        pytest.param([FOREVER], 30.0, SILENT, id="no first token"),
        pytest.param([29.9, TOKEN, 19.9, TOKEN, Completed()], 49.8, Completed(), id="just in time"),
        pytest.param([29.9, TOKEN, FOREVER], 49.9, SILENT, id="no second token"),
        pytest.param([TOKEN, 19.9, TOKEN, 5.0, TOKEN, FOREVER], 44.9, SILENT, id="no last token"),
        pytest.param([29.9, SIGN, 19.9, SIGN, FOREVER], 69.8, SILENT, id="no sign any more"),
        pytest.param([5.0, SIGN, FOREVER], 30.0, SILENT, id="a sign shortens nothing"),
        pytest.param([TOKEN, *[15.0, SIGN] * 9, TOKEN, FOREVER], 155.0, SILENT, id="a long call"),
        pytest.param([TOKEN, 19.0] * 99, 300.0, TOO_LONG, id="no end"),
        pytest.param([TOKEN, 15.0] * 20, 300.0, TOO_LONG, id="silent as the time is over"),
        pytest.param([7.0, SIGN] * 99, 300.0, TOO_LONG, id="nothing but signs"),
    ],
)
@jumping
async def test_a_provider_is_cut_off_in_time(play: Play, ends_at: float, terminal: Event) -> None:
    """After 30 s without a first token, 20 s without another, 300 s in all; to the moment."""
    async with Rig(a=[play]) as rig:
        job = await rig.submit()
        events = await rig.events(job)
        assert events[-1] == terminal
        assert rig.at() == pytest.approx(ends_at, abs=0.01)
        assert rig.provider.streaming == 0


@jumping
async def test_a_short_silence_is_noticed_after_a_long_wait_for_the_first_token() -> None:
    """The time for the next token begins with the first, however much was left for that."""
    bounds = {"timeouts": Timeouts(first_token_s=60.0, token_s=5.0, whole_s=300.0)}
    async with Rig(a=[[6.0, TOKEN, FOREVER]], bounds=bounds) as rig:
        assert (await rig.events(await rig.submit()))[-1] == SILENT
        assert rig.at() == pytest.approx(11.0, abs=0.01)


@jumping
async def test_a_silent_model_is_not_asked_again() -> None:
    """The next model is asked at once; the reader sees only that it waited."""
    async with Rig(a=[[FOREVER]], b=[HELLO]) as rig:
        job = await rig.submit("a", fallback_models=("b",))
        events = await rig.events(job)
        assert events[:2] == [Started(), Routed(model="b", provider="scripted")]
        assert rig.provider.calls == [(0.0, "a"), (30.0, "b")]


@jumping
async def test_a_silence_after_the_first_token_may_be_restarted() -> None:
    """As any failure after it."""
    async with Rig(a=[[TOKEN, FOREVER], HELLO]) as rig:
        job = await rig.submit(on_failure=OnFailure.RESTART)
        assert [event for event in await rig.events(job) if isinstance(event, Restarted)] != []
        assert ((await rig.ended(job)).state, rig.at()) == (State.COMPLETED, 20.0)


@jumping
async def test_the_whole_time_counts_over_all_tries() -> None:
    """Models that are silent one after the other share the time of one job."""
    fallbacks = [f"m{number}" for number in range(12)]
    async with Rig(a=[[FOREVER]]) as rig:
        rig.serve({name: [[FOREVER]] for name in fallbacks})
        job = await rig.submit(fallback_models=tuple(fallbacks))
        assert (await rig.events(job))[-1] in (TOO_LONG, SILENT)
        assert (rig.at(), len(rig.provider.calls)) == (300.0, 10)


@jumping
async def test_usage_is_no_token() -> None:
    """A provider that first says what it read has still to say its first word in time."""
    usage = Usage(prompt_tokens=1, completion_tokens=0)
    async with Rig(a=[[15.0, usage, 17.0, *HELLO]], b=[[usage, 25.0, *HELLO]]) as rig:
        late, soon = await rig.submit("a"), await rig.submit("b")
        assert (await rig.ended(soon)).state is State.COMPLETED
        assert (await rig.events(late))[-1] == SILENT
        assert rig.at() == 30.0


@jumping
async def test_an_answer_cannot_fill_the_memory() -> None:
    """A provider that never stops talking is stopped."""
    chunk = Delta(text="x" * (run.MOST_CHARACTERS // 4))
    async with Rig(a=[[chunk] * 99]) as rig:
        job = await rig.ended(await rig.submit())
    assert job.outcome is not None
    assert job.outcome.terminal == Failed(
        code="AI_SERVICE_ERROR", message="The answer is longer than the gateway keeps."
    )


@jumping
async def test_a_provider_that_fails_as_it_is_stopped_was_silent() -> None:
    """The error of a provider whose stream was cancelled does not hide why."""
    async with Rig(a=[[FOREVER]]) as rig:
        rig.provider.farewell = ProviderError("Closed.", retryable=True)
        job = await rig.submit()
        assert (await rig.events(job))[-1] == SILENT
        assert rig.at() == 30.0
