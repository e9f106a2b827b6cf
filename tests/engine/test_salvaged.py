"""What is kept, and counted, of an attempt that was lost with its process."""

import pytest

from gateway.events import Completed, Delta, Event, Routed, Started, ToolCall, Usage
from gateway.jobs import OnFailure, Outcome, State
from gateway.log import Cursor
from gateway.stores import Batch
from tests.engine.left_behind import NOW, SAID, KeptStore, running, waiting
from tests.engine.rig import Rig
from tests.engine.scripted import HELLO, Play, Step
from tests.engine.virtual_clock import jumping

CALL = ToolCall(id="c1", name="add", arguments="{}")
ROUTED = Routed(model="a", provider="scripted")
# What `SAID` cost, about; and what the attempt after it did.
GUESS = Usage(prompt_tokens=2, completion_tokens=1, estimated=True)
BOTH = Usage(prompt_tokens=5, completion_tokens=3, estimated=True)


@jumping
async def test_a_call_that_was_seen_is_not_made_again() -> None:
    """A tool call is an answer like text: the job ends with it, unless it may begin anew."""
    store = KeptStore()
    job = await running(store, Started(), ROUTED, CALL)
    async with Rig(store=store, a=[HELLO]) as rig:
        over = await rig.ended(job)
        assert (over.state, rig.provider.calls) == (State.ERROR, [])
        assert isinstance(over.outcome, Outcome)
        assert (over.outcome.tool_calls, over.outcome.model) == ((CALL,), "a")


@pytest.mark.parametrize(
    ("more", "cost"),
    [
        ((), BOTH),
        (
            (
                Usage(prompt_tokens=3, completion_tokens=1),
                Usage(prompt_tokens=3, completion_tokens=9),
            ),
            Usage(prompt_tokens=6, completion_tokens=11),
        ),
    ],
)
@jumping
async def test_a_lost_attempt_costs_what_the_provider_said_last(
    more: tuple[Event, ...], cost: Usage
) -> None:
    """Or else about what its text did."""
    store = KeptStore()
    job = await running(store, *SAID, *more, on_failure=OnFailure.RESTART)
    async with Rig(store=store, a=[HELLO]) as rig:
        over = await rig.ended(job)
        assert over.outcome is not None
        assert over.outcome.usage == cost


@jumping
async def test_an_attempt_that_left_nothing_costs_nothing() -> None:
    """What the attempt before it cost is counted once."""
    store = KeptStore()
    job = await running(store, *SAID, on_failure=OnFailure.RESTART)
    await store.requeue(job.id, spent=True, lost=GUESS)
    await store.claim(job.id, NOW)
    async with Rig(store=store, a=[HELLO]) as rig:
        over = await rig.ended(job)
        assert (over.state, over.attempt, over.failures) == (State.COMPLETED, 3, 2)
        assert over.outcome is not None
        assert over.outcome.usage == BOTH


@jumping
async def test_what_ends_with_its_process_has_cost_every_attempt() -> None:
    """Also those before the one that is salvaged."""
    store = KeptStore()
    job = await running(store)
    await store.requeue(job.id, spent=True, lost=GUESS)
    await store.claim(job.id, NOW)
    await store.append([Batch(job.id, Cursor(2, 1), SAID)])
    async with Rig(store=store, a=[HELLO]) as rig:
        over = await rig.ended(job)
        assert over.outcome is not None
        assert (over.outcome.answer, over.outcome.usage) == (
            "Hey",
            Usage(prompt_tokens=4, completion_tokens=2, estimated=True),
        )


@jumping
async def test_a_job_that_ran_may_wait_as_long_as_a_new_one() -> None:
    """That it has to wait again is not its doing, however old it is."""
    store = KeptStore()
    await waiting(store, "b")
    job = await running(store, created_at=NOW - 8000)
    tick: list[Step] = [Delta(text="tick "), 15.0]
    talk: Play = [*tick * 10, *HELLO]
    async with Rig(store=store, bounds={"workers": 1}, b=[talk], a=[HELLO]) as rig:
        assert (await rig.events(job))[-1] == Completed()
