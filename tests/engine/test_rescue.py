"""What a process finds that another left: all of it goes on, or is told that it cannot."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from gateway.engine.bounds import Timeouts
from gateway.engine.core import read
from gateway.errors import ProviderRateLimited
from gateway.events import (
    Completed,
    Delta,
    Event,
    Expired,
    Failed,
    Restarted,
    Routed,
    Started,
    Usage,
)
from gateway.jobs import Callback, OnFailure, Outcome, Start, State
from gateway.log import Cursor
from tests.engine.left_behind import NOW, SAID, KeptStore, running, waiting
from tests.engine.rig import Rig
from tests.engine.scripted import FOREVER, HELLO, Play
from tests.engine.virtual_clock import jumping
from tests.stores.conformance import logged

GONE = Failed(code="INTERRUPTED", message="The gateway was stopped.", retryable=True)
# One worker, whom a job may hold for ever.
BUSY = {"workers": 1, "timeouts": Timeouts(first_token_s=1e6, token_s=1e6, whole_s=1e6)}
RESTART = {"on_failure": OnFailure.RESTART}


async def killed(rig: Rig) -> None:
    """Let a process end as kill -9 ends it: what it does stops, and nothing is written."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@jumping
async def test_waiting_jobs_run_in_the_order_in_which_they_came() -> None:
    """A job whose attempt was lost has its old place, and one just accepted is behind them all."""
    store = KeptStore()
    await waiting(store, "a")
    await running(store, model="b")
    await waiting(store, "c")
    play: list[Play] = [[1.0, *HELLO]]
    async with Rig(store=store, bounds={"workers": 1}, a=play, b=play, c=play, d=play) as rig:
        await rig.ended(await rig.submit("d"))
        assert [model for _, model in rig.provider.calls] == ["a", "b", "c", "d"]
        assert rig.counters() == {}


@pytest.mark.parametrize("waited_s", [0.0, 300.0, 5000.0])
@jumping
async def test_a_job_waits_no_longer_in_all(waited_s: float) -> None:
    """What it waited in the process before counts."""
    store = KeptStore()
    await waiting(store, "b")
    job = await waiting(store, created_at=NOW - waited_s)
    async with Rig(store=store, bounds=BUSY, b=[[FOREVER]], a=[HELLO]) as rig:
        assert await rig.events(job) == [Expired()]
        assert rig.at() == pytest.approx(max(0.0, 900 - waited_s), abs=1.0)


@jumping
async def test_a_clock_that_was_set_back_gives_no_more_time() -> None:
    """A job that seems to come from the future waits as long as a new one."""
    store = KeptStore()
    await waiting(store, "b")
    job = await waiting(store, created_at=NOW + 86_400)
    async with Rig(store=store, bounds=BUSY, b=[[FOREVER]]) as rig:
        assert await rig.events(job) == [Expired()]
        assert rig.at() == pytest.approx(900, abs=1.0)


@jumping
async def test_a_lost_attempt_is_told_and_made_again() -> None:
    """Readers learn that what they read is void, and get the new answer whole."""
    store = KeptStore()
    job = await running(store, *SAID, **RESTART)
    async with Rig(store=store, a=[HELLO]) as rig:
        over = await rig.ended(job)
        assert (over.state, over.attempt, over.failures) == (State.COMPLETED, 2, 1)
        assert over.outcome is not None
        assert over.outcome.answer == "Hello"
        assert await rig.read(job, Cursor(1, 4)) == [
            ("2-1", Restarted(reason="the earlier attempt was lost")),
            ("2-2", Routed(model="a", provider="scripted")),
            ("2-3", Delta(text="Hel")),
            ("2-4", Delta(text="lo")),
            ("2-5", Usage(prompt_tokens=3, completion_tokens=2)),
            ("2-6", Usage(prompt_tokens=5, completion_tokens=3, estimated=True)),
            ("2-7", Completed()),
        ]
        assert [event for cursor, event in await logged(store, job) if cursor < "2"] == [*SAID]


@jumping
async def test_tokens_of_a_lost_attempt_are_counted_where_the_next_never_begins() -> None:
    """A rescued job that is cancelled before a worker has it has cost what was lost."""
    store = KeptStore()
    await waiting(store, "b", created_at=NOW - 1)
    job = await running(store, *SAID, **RESTART)
    async with Rig(store=store, bounds={"workers": 1}, b=[[FOREVER]]) as rig:
        await asyncio.sleep(1)
        over = await rig.core.cancel(job)
        assert (over.state, over.attempt, over.failures) == (State.CANCELLED, 1, 1)
        assert over.outcome is not None
        assert over.outcome.usage == Usage(prompt_tokens=2, completion_tokens=1, estimated=True)


@pytest.mark.parametrize("policy", [{}, RESTART])
@jumping
async def test_a_reader_may_hold_more_than_was_stored(policy: dict[str, Any]) -> None:
    """Whoever comes back with it, before or after the job is taken up again, is led to the new
    attempt, or to the end."""
    store = KeptStore()
    job = await running(store, *SAID, **policy)
    await waiting(store, "b", created_at=NOW - 1)
    async with Rig(store=store, bounds={"workers": 1}, b=[[5.0, *HELLO]], a=[HELLO]) as rig:
        early = asyncio.create_task(rig.read(job, Cursor(1, 99)))
        await asyncio.sleep(50)
        late = await rig.read(job, Cursor(1, 99))
        assert await early == late
        assert late[0][0] == "2-1"
        assert late[-1][1] == (Completed() if policy else GONE)


@pytest.mark.parametrize("said", [(), (Started(),)])
@jumping
async def test_an_attempt_that_showed_nothing_is_made_again(said: tuple[Event, ...]) -> None:
    """Whatever the policy."""
    store = KeptStore()
    job = await running(store, *said)
    async with Rig(store=store, a=[HELLO]) as rig:
        over = await rig.ended(job)
        assert (over.state, over.attempt, over.failures) == (State.COMPLETED, 2, 1)


@jumping
async def test_what_may_not_begin_anew_ends_with_what_there_was() -> None:
    """Under an attempt of its own, counted and called back; whoever read the old one gets the
    end, and nothing of the answer twice. The text stands."""
    store = KeptStore()
    job = await running(store, *SAID, callback=Callback(url="https://a.example", form="ask"))
    rig = Rig(store=store, a=[HELLO])
    rig.core.forms["ask"] = lambda job: job.outcome.answer.encode() if job.outcome else b""
    async with rig:
        usage = Usage(prompt_tokens=2, completion_tokens=1, estimated=True)
        assert await rig.read(job, Cursor(1, 4)) == [("2-1", usage), ("2-2", GONE)]
        over = await store.get(job.id)
        assert over is not None
        assert (over.state, over.attempt) == (State.ERROR, 1)
        assert over.outcome == Outcome(
            terminal=GONE, answer="Hey", model="a", provider="scripted", usage=usage
        )
        (due,) = await store.due(rig.now(), 10)
        assert (due.body, rig.callbacks, rig.provider.calls) == (b"Hey", 1, [])
        log = await store.log(job.id)
        assert log is not None
        assert log.text_start() == 0
        assert rig.counters() == {}


@jumping
async def test_a_job_that_kills_the_process_is_not_run_for_ever() -> None:
    """Its third lost attempt is its last."""
    store = KeptStore()
    job = await running(store, **RESTART)
    for attempt in (2, 3):
        await (queued := Rig(store=store, a=[[FOREVER]])).core.start()
        await asyncio.sleep(1)
        found = await store.get(job.id)
        assert found is not None
        assert (found.state, found.attempt) == (State.PROCESSING, attempt)
        await killed(queued)
    async with Rig(store=store, a=[HELLO]) as rig:
        assert (await rig.events(job))[-1] == GONE
        assert rig.provider.calls == []


@jumping
async def test_a_held_job_is_held_again() -> None:
    """Until somebody reads it; its time for that begins anew."""
    store = KeptStore()
    read, unread = [await waiting(store, start=Start.ON_CONNECT) for _ in range(2)]
    async with Rig(store=store, a=[HELLO]) as rig:
        await asyncio.sleep(50)
        assert rig.provider.calls == []
        assert (await rig.events(read))[-1] == Completed()
        await asyncio.sleep(11)
        assert await rig.events(unread) == [Expired(waited_for="its reader")]
        assert rig.counters() == {}


@jumping
async def test_a_job_that_was_read_once_is_not_held_again() -> None:
    """It waits for a worker, as it did when it was lost."""
    store = KeptStore()
    job = await running(store, Started(), start=Start.ON_CONNECT)
    async with Rig(store=store, a=[HELLO]):
        await asyncio.sleep(5)
        found = await store.get(job.id)
        assert found is not None
        assert found.state is State.COMPLETED


@jumping
async def test_what_waits_between_two_tries_does_not_hold_up_a_drain() -> None:
    """It goes back to the queue at once, also where its try fails during the drain, for the next
    process to go on with; what streams gets its time."""
    store = KeptStore()
    full = ProviderRateLimited(retryable=True, retry_after_s=100)
    late: Play = [3.0, full]
    async with Rig(store=store, a=[[full]], b=[late], c=[[5.0, *HELLO]]) as before:
        waits, fails, streams = [await before.submit(model) for model in ("a", "b", "c")]
        await asyncio.sleep(1)
        await before.core.drain()
        assert before.at() == pytest.approx(5.0, abs=0.1)
        assert (await before.ended(streams)).state is State.COMPLETED
    found = [await store.get(job.id) for job in (waits, fails)]
    assert [(job.state, job.attempt, job.failures) for job in found if job] == [
        (State.QUEUED, 1, 0)
    ] * 2
    async with Rig(store=store, a=[HELLO], b=[HELLO]) as after:
        assert {(await after.ended(job)).state for job in (waits, fails)} == {State.COMPLETED}


@jumping
async def test_a_drain_begins_nothing() -> None:
    """It is over with what runs; what waits is the next process's, and has spent no attempt."""
    store = KeptStore()
    async with Rig(store=store, a=[[3.0, *HELLO]], b=[[9.0, *HELLO]]) as rig:
        jobs = [await rig.submit(model) for model in "baaaa"]
        await asyncio.sleep(1)
        await rig.core.drain()
        assert rig.at() == pytest.approx(9.0, abs=0.2)
    found = [await store.get(job.id) for job in jobs]
    assert [(job.state, job.attempt) for job in found if job] == [
        *[(State.COMPLETED, 1)] * 2,
        *[(State.QUEUED, 0)] * 3,
    ]


@jumping
@pytest.mark.parametrize("policy", [OnFailure.ERROR, OnFailure.RESTART])
async def test_a_store_out_of_reach_does_not_hold_up_the_end(policy: OnFailure) -> None:
    """A process that is told to stop ends soon, streams, ends that wait to be stored and all;
    the next one finds what it left."""
    store = KeptStore()
    streams: Play = [Delta(text="Hey"), FOREVER]
    async with Rig(store=store, a=[streams], b=[[1.0, *HELLO]]) as before:
        jobs = [await before.submit(model, on_failure=policy) for model in ("a", "b")]
        await asyncio.sleep(0.5)
        store.down = True
        await asyncio.sleep(1)
        try:
            async with asyncio.timeout(15):
                await before.core.stop()
        finally:
            store.down = False
    async with Rig(store=store, a=[HELLO], b=[HELLO]) as after:
        for job in jobs:
            await after.ended(job)


@jumping
async def test_what_streams_is_stored_meanwhile() -> None:
    """A process that dies leaves what it has said, the last moment excepted."""
    store = KeptStore()
    async with Rig(store=store, a=[[5.0, Delta(text="Hey"), FOREVER]]) as rig:
        job = await rig.submit(**RESTART)
        await asyncio.sleep(4)
        begun = await logged(store, job)
        await asyncio.sleep(4)
        assert begun == [("1-1", Started())]
        assert (await logged(store, job))[1:] == [
            ("1-2", Routed(model="a", provider="scripted")),
            ("1-3", Delta(text="Hey")),
        ]


@jumping
async def test_what_was_said_to_the_last_is_handed_on() -> None:
    """Also what came in the moment in which the process was stopped."""
    store = KeptStore()
    async with Rig(store=store, a=[[Delta(text="He"), 1.0, Delta(text="y"), FOREVER]]) as rig:
        job = await rig.submit(**RESTART)
        async with rig.core.channel(job) as channel, aclosing(read(channel)) as events:
            async for _, event in events:
                if event == Delta(text="y"):
                    break
    assert (await logged(store, job))[-1] == ("1-4", Delta(text="y"))


@jumping
async def test_one_process_goes_on_where_another_stopped() -> None:
    """A job handed back by a drain has spent no attempt, and its reader finds one whole text."""
    store = KeptStore()
    async with Rig(store=store, a=[[Delta(text="Hey"), FOREVER]]) as before:
        job = await before.submit(**RESTART)
        await asyncio.sleep(1)
    async with Rig(store=store, a=[HELLO]) as after:
        events = await after.events(job)
        found = await store.get(job.id)
        assert found is not None
        assert (found.attempt, found.failures) == (2, 0)
        at = events.index(Restarted(reason="the earlier attempt was lost"))
        text = [event.text for event in events[at:] if isinstance(event, Delta)]
        assert ("".join(text), events[-1]) == ("Hello", Completed())
        assert found.outcome is not None
        assert found.outcome.usage == Usage(prompt_tokens=5, completion_tokens=3, estimated=True)
        assert after.counters() == {}
