"""Workers at work: what readers see of an answer, of retries, fallbacks and failures."""

import asyncio

import pytest

from gateway.errors import ProviderError, ProviderRateLimited, ProviderRefused, ProviderTimeout
from gateway.events import (
    Completed,
    Delta,
    Event,
    Failed,
    Restarted,
    Routed,
    Started,
    ToolCall,
    Usage,
)
from gateway.jobs import Callback, Job, OnFailure, Outcome, State
from gateway.log import Cursor
from tests.engine.rig import EPOCH, Rig
from tests.engine.scripted import HELLO, Play
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping

# What an answer cost of which one attempt was cut after its first text.
WITH_LOST = Usage(prompt_tokens=5, completion_tokens=3, estimated=True)
BROKEN = ProviderError("Broken.", retryable=True)
HELLO_EVENTS: list[Event] = [
    Started(),
    Routed(model="a", provider="scripted"),
    *[step for step in HELLO if isinstance(step, Event)],
]


@jumping
async def test_an_answer_is_streamed_and_stored() -> None:
    """Every event once, with dense ids; the outcome holds the whole, and the store all of it."""
    async with Rig(a=[[1.0, *HELLO]]) as rig:
        job = await rig.submit()
        assert await rig.read(job) == [
            (f"1-{seq}", event) for seq, event in enumerate(HELLO_EVENTS, start=1)
        ]
        ended = await rig.ended(job)
        assert ended.outcome == Outcome(
            terminal=Completed(),
            answer="Hello",
            model="a",
            provider="scripted",
            usage=Usage(prompt_tokens=3, completion_tokens=2),
            first_token_at=EPOCH + 1001.0,
        )
        assert (ended.state, ended.attempt) == (State.COMPLETED, 1)
        log = await rig.store.log(job.id)
        assert log is not None
        assert log.events == HELLO_EVENTS


@jumping
async def test_tool_calls_are_part_of_the_outcome() -> None:
    """A call is an output like text: it counts as the first token, and is kept."""
    call = ToolCall(id="c1", name="add", arguments="{}")
    async with Rig(a=[[call, Completed(finish_reason="tool_calls")]]) as rig:
        outcome = (await rig.ended(await rig.submit())).outcome
    assert outcome is not None
    assert (outcome.tool_calls, outcome.model) == ((call,), "a")


# -- before the first token -----------------------------------------------------------------------


@jumping
async def test_retries_are_not_seen() -> None:
    """Three failures before the first token leave no trace but their time."""
    async with Rig(a=[[BROKEN], [BROKEN], [BROKEN], HELLO]) as rig:
        job = await rig.submit()
        assert await rig.events(job) == HELLO_EVENTS
        waits = [
            later - sooner
            for (sooner, _), (later, _) in zip(
                rig.provider.calls, rig.provider.calls[1:], strict=False
            )
        ]
        assert len(waits) == 3
        for wait, most in zip(waits, (0.5, 1.0, 2.0), strict=True):
            assert most / 2 <= wait <= most


@jumping
async def test_a_waiting_retry_holds_no_slot() -> None:
    """Other jobs run on both workers while two jobs wait for their next try."""
    wait = ProviderRateLimited(retryable=True, retry_after_s=60)
    async with Rig(a=[[wait], [wait], HELLO], b=[HELLO]) as rig:
        patient = [await rig.submit("a") for _ in range(2)]
        quick = [await rig.submit("b") for _ in range(20)]
        for job in quick:
            await rig.ended(job)
        assert (rig.at(), rig.core.active_workers) == (0.0, 0)
        for job in patient:
            assert await rig.events(job) == HELLO_EVENTS
        assert rig.at() == 60.0


@jumping
async def test_retry_after_is_waited_out() -> None:
    """A provider that says when is asked then; the last model's rate limit beyond four tries."""
    wait = ProviderRateLimited(retryable=True, retry_after_s=30)
    async with Rig(a=[*[[wait]] * 8, HELLO]) as rig:
        job = await rig.submit()
        assert (await rig.ended(job)).state is State.COMPLETED
        assert [at for at, _ in rig.provider.calls] == [30.0 * number for number in range(9)]


@jumping
async def test_what_cannot_be_waited_for_fails_at_once() -> None:
    """A Retry-After beyond the job's time is an error now, not later."""
    wait = ProviderRateLimited("Full.", retryable=True, retry_after_s=301)
    async with Rig(a=[[wait]]) as rig:
        job = await rig.submit()
        assert (await rig.events(job))[-1] == Failed(
            code="AI_SERVICE_RATE_LIMITED", message="Full.", retryable=True, retry_after_s=301
        )
        assert rig.at() == 0.0


@jumping
async def test_a_fallback_is_not_seen() -> None:
    """After four failures the next model answers; the reader learns only who did."""
    async with Rig(a=[[BROKEN]], b=[[ProviderRefused()]], c=[HELLO]) as rig:
        job = await rig.submit("a", fallback_models=("b", "c"))
        routed = Routed(model="c", provider="scripted")
        assert await rig.events(job) == [Started(), routed, *HELLO_EVENTS[2:]]
        assert [model for _, model in rig.provider.calls] == ["a", "a", "a", "a", "b", "c"]


@pytest.mark.parametrize(
    ("error", "calls", "terminal"),
    [
        (BROKEN, 4, Failed(code="AI_SERVICE_ERROR", message="Broken.", retryable=True)),
        (
            ProviderError("Bad key."),
            1,
            Failed(code="AI_SERVICE_ERROR", message="Bad key."),
        ),
        (ProviderRefused("Too hot."), 1, Failed(code="INVALID_REQUEST", message="Too hot.")),
        (
            ProviderTimeout("Slow.", retryable=True),
            4,
            Failed(code="TIMEOUT", message="Slow.", retryable=True),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
@jumping
async def test_the_last_error_is_told(error: ProviderError, calls: int, terminal: Failed) -> None:
    """When no try is left the job ends with what the provider's last failure was."""
    async with Rig(a=[[error]]) as rig:
        job = await rig.submit()
        assert await rig.events(job) == [Started(), terminal]
        assert len(rig.provider.calls) == calls
        ended = await rig.ended(job)
        assert (ended.state, ended.outcome) == (State.ERROR, Outcome(terminal=terminal))


@jumping
async def test_a_crash_in_a_provider_ends_one_job() -> None:
    """An error that nobody foresaw is that job's end, not its worker's."""
    async with Rig(a=[[ValueError("oops")]], b=[HELLO]) as rig:
        rig.crashes = 5
        crashed = [await rig.submit("a") for _ in range(5)]
        for job in crashed:
            assert (await rig.events(job))[-1] == Failed(
                code="INTERNAL", message="The gateway failed."
            )
        assert await rig.events(await rig.submit("b")) != []


@jumping
async def test_a_model_that_nobody_serves_is_an_error() -> None:
    """Also where it is named as a fallback only, and is in no catalog: no job is left hanging."""
    async with Rig(a=[[ProviderRefused("No.")]]) as rig:
        job = await rig.submit("a", fallback_models=("nobody-knows", "openai/gpt-x"))
        assert (await rig.events(job))[-1] == Failed(code="INVALID_REQUEST", message="No.")
        unserved = await rig.submit("openai/gpt-x")
        assert (await rig.ended(unserved)).state is State.ERROR


# -- after the first token ------------------------------------------------------------------------

CUT: Play = [Delta(text="Hel"), BROKEN]


@jumping
async def test_a_failure_after_the_first_token_is_told() -> None:
    """By default the job ends there: nothing is begun twice without being asked to."""
    async with Rig(a=[CUT, HELLO]) as rig:
        job = await rig.submit()
        assert await rig.events(job) == [
            *HELLO_EVENTS[:3],
            Usage(prompt_tokens=2, completion_tokens=1, estimated=True),
            Failed(code="AI_SERVICE_ERROR", message="Broken.", retryable=True),
        ]
        assert len(rig.provider.calls) == 1


@jumping
async def test_a_restart_says_so() -> None:
    """Where the job may begin anew it does, as attempt 2, whose first event voids the first."""
    async with Rig(a=[CUT, HELLO]) as rig:
        job = await rig.submit(on_failure=OnFailure.RESTART)
        events = await rig.read(job)
        assert events == [
            *((f"1-{seq}", event) for seq, event in enumerate(HELLO_EVENTS[:3], start=1)),
            ("2-1", Restarted(reason="the earlier attempt was lost")),
            *((f"2-{seq}", event) for seq, event in enumerate(HELLO_EVENTS[1:-1], start=2)),
            ("2-6", WITH_LOST),
            ("2-7", Completed()),
        ]
        assert await rig.read(job, Cursor(1, 3)) == events[3:]
        assert await rig.read(job, Cursor(2, 1)) == events[4:]
        ended = await rig.ended(job)
        assert (ended.attempt, ended.failures) == (2, 1)
        assert ended.outcome is not None
        assert (ended.outcome.answer, ended.outcome.usage) == ("Hello", WITH_LOST)


@jumping
async def test_restarts_come_to_an_end() -> None:
    """A provider that cuts every answer is asked three times."""
    async with Rig(a=[CUT]) as rig:
        job = await rig.ended(await rig.submit(on_failure=OnFailure.RESTART))
        assert (job.state, job.attempt, len(rig.provider.calls)) == (State.ERROR, 3, 3)


@pytest.mark.parametrize(
    "play",
    [
        [Delta(text="Hel"), ProviderError("No more.")],
        [Delta(text="Hel"), ProviderRefused()],
    ],
)
@jumping
async def test_what_cannot_pass_is_not_restarted(play: Play) -> None:
    """A job begins anew only where that can help."""
    async with Rig(a=[play]) as rig:
        job = await rig.ended(await rig.submit(on_failure=OnFailure.RESTART))
        assert (job.state, job.attempt) == (State.ERROR, 1)


@jumping
async def test_an_end_without_a_finish_is_a_failure() -> None:
    """A stream that just stops is a broken one, however much it said."""
    async with Rig(a=[[Delta(text="Hel")]]) as rig:
        job = await rig.submit()
        assert (await rig.events(job))[-1] == Failed(
            code="AI_SERVICE_ERROR", message="The answer broke off.", retryable=True
        )


# -- money ----------------------------------------------------------------------------------------

GIVEN = Usage(prompt_tokens=3, completion_tokens=2)
GUESS = Usage(prompt_tokens=2, completion_tokens=2, estimated=True)


@pytest.mark.parametrize(
    ("play", "usage"),
    [
        ([Delta(text="Hello"), GIVEN, Completed()], GIVEN),
        ([Delta(text="Hello"), Completed()], GUESS),
        ([Delta(text="Hello"), GIVEN, BROKEN], GIVEN),
        ([Delta(text="Hello"), BROKEN], GUESS),
        ([GIVEN, ProviderRefused()], GIVEN),
        ([ProviderRefused()], None),
    ],
)
@jumping
async def test_tokens_are_counted_on_every_path(play: Play, usage: Usage | None) -> None:
    """The provider's figure; else an estimate that says so; nothing where nothing was said."""
    async with Rig(a=[play]) as rig:
        job = await rig.submit()
        events = await rig.events(job)
        outcome = (await rig.ended(job)).outcome
    assert outcome is not None
    assert outcome.usage == usage
    assert [event for event in events if isinstance(event, Usage)] == ([usage] if usage else [])


@jumping
async def test_tokens_of_a_try_that_failed_are_counted() -> None:
    """What the first model charged before it failed is added to what the second one did."""
    async with Rig(a=[[GIVEN, ProviderRefused()]], b=[HELLO]) as rig:
        job = await rig.submit(fallback_models=("b",))
        events = await rig.events(job)
        outcome = (await rig.ended(job)).outcome
    assert outcome is not None
    both = Usage(prompt_tokens=6, completion_tokens=4)
    assert outcome.usage == both
    assert events[-2:] == [both, Completed()]


@jumping
async def test_tokens_of_a_lost_attempt_are_counted_where_the_next_never_begins() -> None:
    """Cancelled while it goes back to the queue, a job has cost what its first attempt did."""
    store = SlowStore(lambda: 0.5)
    async with Rig(store=store, a=[[Delta(text="Hel"), BROKEN]]) as rig:
        job = await rig.submit(on_failure=OnFailure.RESTART)
        await asyncio.sleep(2.1)
        over = await rig.core.cancel(job)
        assert (over.state, over.attempt, over.failures) == (State.CANCELLED, 1, 1)
        assert over.outcome is not None
        assert over.outcome.usage == Usage(prompt_tokens=2, completion_tokens=1, estimated=True)


# -- when the store is out of reach ---------------------------------------------------------------


@jumping
async def test_a_store_that_fails_for_a_while_is_waited_for() -> None:
    """No job is lost, none runs twice in one attempt, and every end is stored."""
    store = SlowStore(lambda: 0.01)
    async with Rig(store=store, a=[[Delta(text="Hel"), 1.0, BROKEN], HELLO]) as rig:
        job = await rig.submit(on_failure=OnFailure.RESTART)
        for _ in range(6):
            store.down = not store.down
            await asyncio.sleep(2.5)
        events = await rig.read(job)
        log = await store.log(job.id)
        assert log is not None
        assert [(str(log.cursor(n + 1)), event) for n, event in enumerate(log.events)] == events
        assert [cursor for cursor, _ in events] == [
            *("1-1", "1-2", "1-3"),
            *("2-1", "2-2", "2-3", "2-4", "2-5", "2-6", "2-7"),
        ]


@jumping
async def test_an_end_that_cannot_be_kept_costs_no_worker() -> None:
    """A surface's mistake is logged; the workers go on with other jobs."""

    async def fail(job: Job) -> None:
        raise ValueError("no place")

    async with Rig(a=[HELLO], b=[HELLO]) as rig:
        rig.crashes = 4
        rig.core.endings["broken"] = fail
        for _ in range(4):
            await rig.submit("a", door="broken")
        assert (await rig.ended(await rig.submit("b"))).state is State.COMPLETED
        del rig.core.endings["broken"]


@jumping
async def test_a_callback_that_cannot_be_written_costs_nothing() -> None:
    """A surface's mistake is logged; its jobs end, and are called back all the same."""

    def fail(_: Job) -> bytes:
        raise ValueError("no body")

    async with Rig(a=[HELLO]) as rig:
        rig.core.forms["broken"] = fail
        callback = Callback(url="https://a.example", form="broken")
        jobs = [await rig.submit("a", callback=callback) for _ in range(4)]
        states = [(await rig.ended(job)).state for job in jobs]
        assert (states, rig.callbacks) == ([State.COMPLETED] * 4, 4)
