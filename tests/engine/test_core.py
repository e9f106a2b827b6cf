"""The core as a surface sees it: what is taken and refused, and how jobs wait."""

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.engine.auth import Principal
from gateway.engine.core import Status
from gateway.errors import (
    Conflict,
    Draining,
    Forbidden,
    GatewayError,
    Gone,
    JobNotFound,
    OverBudget,
    QueueFull,
    RateLimited,
    UnknownModel,
)
from gateway.events import Completed, Delta, Expired, Failed
from gateway.jobs import Callback, Owner, Start, State
from gateway.spending import Budget
from gateway.webhooks import DeliveryState
from tests.engine.rig import ACME, EPOCH, Rig
from tests.engine.scripted import FOREVER, HELLO, Play
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping
from tests.stores.conformance import callbacks

STRANGER = Principal(tenant=msgspec.structs.replace(ACME, name="other", code_digest="x"))
ZOE = Principal(tenant=ACME, user="zoë", proven=True)

# -- accepting ------------------------------------------------------------------------------------


@jumping
async def test_a_job_is_durable_before_the_answer() -> None:
    """What `submit` returns is in the store, with all that was asked, and the callback owed."""
    async with Rig(a=[HELLO]) as rig:
        rig.core.forms["ask"] = lambda job: job.id.encode()
        callback = Callback(url="https://a.example", form="ask", echo={"k": 1})
        job = await rig.submit(user="zoë", callback=callback, context={"c": 1}, priority=7)
        assert await rig.store.get(job.id) == job
        assert (job.owner, job.door) == (Owner(tenant="acme", user="zoë"), "ask")
        assert (job.created_at, job.expires_at) == (EPOCH + 1000, EPOCH + 1900)
        assert (job.callback, job.context, job.priority) == (callback, {"c": 1}, 7)
        (waiting,) = await callbacks(rig.store)
        await rig.ended(job)
        (due,) = await rig.store.due(rig.now(), 10)
        assert (waiting.state, waiting.deadline) == (DeliveryState.WAITING, EPOCH + 87_400)
        assert (due.body, due.id, rig.callbacks) == (job.id.encode(), f"msg_{job.id}", 1)


@pytest.mark.parametrize(
    ("asked", "own", "got"), [(None, 3, 3), (0, 3, 3), (3, 3, 3), (9, 3, 9), (0, 0, 0)]
)
@jumping
async def test_a_priority_is_no_better_than_the_tenants(
    asked: int | None, own: int, got: int
) -> None:
    """A worse one may be asked for; a better one is lowered."""
    async with Rig(tenant=msgspec.structs.replace(ACME, priority=own), a=[HELLO]) as rig:
        assert (await rig.submit(priority=asked)).priority == got


@pytest.mark.parametrize(
    ("asked", "tenants", "got"),
    [(None, None, None), (50, None, 50), (None, 70, 70), (50, 70, 50), (90, 70, 70)],
)
@jumping
async def test_max_tokens_are_lowered_to_the_ceiling(
    asked: int | None, tenants: int | None, got: int | None
) -> None:
    """To the tenant's; nothing is limited that nobody limited."""
    async with Rig(tenant=msgspec.structs.replace(ACME, max_tokens=tenants), a=[HELLO]) as rig:
        assert (await rig.submit(max_tokens=asked)).request.max_tokens == got


@jumping
async def test_the_models_ceiling_holds_too() -> None:
    """Whatever the tenant may."""
    async with Rig(a=[HELLO]) as rig:
        rig.models["a"] = msgspec.structs.replace(rig.models["a"], max_tokens=40)
        assert (await rig.submit(max_tokens=50)).request.max_tokens == 40
        assert (await rig.submit()).request.max_tokens is None


@pytest.mark.parametrize(
    ("model", "fallbacks", "error"),
    [
        ("b", (), Forbidden),
        ("nobody-knows", (), UnknownModel),
        ("a", (), None),
        ("a", ("b",), None),
    ],
)
@jumping
async def test_only_allowed_models_are_asked(
    model: str, fallbacks: tuple[str, ...], error: type[GatewayError] | None
) -> None:
    """Another model is refused, and as a fallback it is left out."""
    tenant = msgspec.structs.replace(ACME, allowed_models=("a",))
    async with Rig(tenant=tenant, a=[HELLO], b=[HELLO]) as rig:
        if error is None:
            assert (
                await rig.submit(model, fallback_models=fallbacks)
            ).request.fallback_models == ()
        else:
            with pytest.raises(error) as refused:
                await rig.submit(model, fallback_models=fallbacks)
            assert refused.value.field == "model"
            assert await rig.store.unfinished() == []


@jumping
async def test_a_repeat_gets_the_first_job() -> None:
    """While it runs and when it is over; with another fingerprint it is a conflict."""
    async with Rig(store=SlowStore(lambda: 0.1), a=[HELLO]) as rig:
        key: dict[str, Any] = {"idempotency_key": "acme:k", "fingerprint": "f"}
        twins = await asyncio.gather(*(rig.submit(**key) for _ in range(5)))
        assert {twin.id for twin in twins} == {twins[0].id}
        over = await rig.ended(twins[0])
        assert await rig.submit(**key) == over
        with pytest.raises(Conflict):
            await rig.submit(idempotency_key="acme:k", fingerprint="g")
        assert len(rig.provider.calls) == 1


@pytest.mark.parametrize("after_s", [0.5, 1.5])
@jumping
async def test_a_caller_who_leaves_as_it_submits_leaves_nothing_half(after_s: float) -> None:
    """The job runs all the same, before it was stored and after."""
    async with Rig(store=SlowStore(lambda: 1.0, durable=True), a=[HELLO]) as rig:
        caller = asyncio.create_task(rig.submit())
        await asyncio.sleep(after_s)
        caller.cancel()
        await asyncio.sleep(60)
        assert (await rig.store.unfinished(), len(rig.provider.calls)) == ([], 1)
        assert rig.counters() == {}


@jumping
async def test_what_is_held_for_a_job_is_held_though_its_caller_leaves() -> None:
    """Its place in the queue, and its part of the budget: nobody gets more by leaving at once."""
    tenant = msgspec.structs.replace(ACME, budget=Budget(usd=0.0001))
    store = SlowStore(lambda: 1.0, durable=True)
    async with Rig(tenant=tenant, store=store, bounds={"queue_max_size": 2}, a=[HELLO]) as rig:
        rig.models["a"] = msgspec.structs.replace(rig.models["a"], output_price=1.0)
        caller = asyncio.create_task(rig.submit())
        await asyncio.sleep(0.5)
        caller.cancel()
        await asyncio.sleep(0.1)
        with pytest.raises(OverBudget):
            await rig.submit()
        rig.principal = STRANGER
        other = asyncio.create_task(rig.submit())
        await asyncio.sleep(0.1)
        with pytest.raises(QueueFull):
            await rig.submit()
        await rig.ended(await other)
        await asyncio.sleep(60)
        assert rig.counters() == {}


# -- refusing -------------------------------------------------------------------------------------


def test_a_burst_lets_exactly_the_limit_through() -> None:
    """Refused requests are not counted, and each is told when to come back."""

    async def burst() -> None:
        tenant = msgspec.structs.replace(ACME, rate_limit="10/hour")
        async with Rig(tenant=tenant, bounds={"queue_max_size": 500}, a=[HELLO]) as rig:
            got = await asyncio.gather(*(rig.submit() for _ in range(40)), return_exceptions=True)
            refused = [each for each in got if isinstance(each, RateLimited)]
            assert (len(refused), len(got) - len(refused)) == (30, 10)
            assert all(1 <= (each.retry_after_s or 0) <= 3600 for each in refused)
            for job in await rig.store.unfinished():
                await rig.ended(job)

    asyncio.run(burst())


@jumping
async def test_a_full_queue_is_said_and_not_counted() -> None:
    """A burst lets exactly as many wait as there are places, also while they are being stored; a
    refusal costs nothing of the tenant's limit."""
    tenant = msgspec.structs.replace(ACME, rate_limit="7/hour")
    store = SlowStore(lambda: 0.1)
    async with Rig(tenant=tenant, store=store, bounds={"queue_max_size": 3}, a=[[FOREVER]]) as rig:
        got = await asyncio.gather(*(rig.submit() for _ in range(9)), return_exceptions=True)
        refused = [each for each in got if isinstance(each, QueueFull)]
        assert (len(refused), rig.core.accepting) == (6, True)
        await asyncio.sleep(10)
        got = await asyncio.gather(*(rig.submit() for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in got].count(QueueFull) == 1
        assert all(each.retryable and each.retry_after_s for each in refused)


# -- looking --------------------------------------------------------------------------------------


@jumping
async def test_where_a_job_stands() -> None:
    """Its place and its wait while it is queued; afterwards neither."""
    async with Rig(a=[[10.0, *HELLO]]) as rig:
        jobs = [await rig.submit() for _ in range(4)]
        await asyncio.sleep(1)
        seen = [rig.core.status(await rig.core.own(rig.principal, job.id)) for job in jobs]
        assert [(status.position, status.wait_s) for status in seen] == [
            (None, None),
            (None, None),
            (1, 2.5),
            (2, 5.0),
        ]
        assert seen[0].job.state is State.PROCESSING
        assert (rig.core.queue_size, rig.core.active_workers) == (2, 2)
        over = await rig.ended(jobs[3])
        assert rig.core.status(over) == Status(job=over)


@jumping
async def test_a_foreign_job_is_an_unknown_one() -> None:
    """Whoever may not read it learns nothing, not even when it is long over."""
    async with Rig(bounds={"retention": 60.0}, a=[HELLO]) as rig:
        job = await rig.submit(user="adam")
        foreign = [(STRANGER, job.id), (ZOE, job.id), (rig.principal, "no-id")]
        foreign += [(rig.principal, job.id.replace("Z-", "Z-")[:-4] + "0000")]
        assert (await rig.core.own(rig.principal, job.id)).id == job.id
        for principal, job_id in foreign:
            with pytest.raises(JobNotFound):
                await rig.core.own(principal, job_id)
        await asyncio.sleep(120)
        with pytest.raises(Gone):
            await rig.core.own(rig.principal, job.id)
        for principal, job_id in foreign:
            with pytest.raises(JobNotFound):
                await rig.core.own(principal, job_id)
        with pytest.raises(JobNotFound):
            await rig.events(job)


# -- waiting --------------------------------------------------------------------------------------


@jumping
async def test_a_job_expires_in_the_queue() -> None:
    """After its time, to half a second; its reader is told, and it never runs."""
    async with Rig(bounds={"workers": 1, "queue_timeout": 20.0}, a=[[FOREVER]]) as rig:
        await rig.submit()
        await asyncio.sleep(5)
        job = await rig.submit()
        assert await rig.events(job) == [Expired()]
        assert 25.0 <= rig.at() <= 25.5
        assert (await rig.ended(job)).state is State.EXPIRED
        assert len(rig.provider.calls) == 1


@jumping
async def test_a_held_job_runs_for_its_first_reader() -> None:
    """Not before; and then at once."""
    async with Rig(a=[HELLO]) as rig:
        job = await rig.submit(start=Start.ON_CONNECT)
        await asyncio.sleep(59)
        assert rig.provider.calls == []
        assert (await rig.events(job))[-1] == Completed()
        assert rig.provider.calls == [(59.0, "a")]


@jumping
async def test_held_jobs_take_places_in_the_queue() -> None:
    """What nobody reads yet counts as waiting, and its place comes free when it expires."""
    async with Rig(bounds={"queue_max_size": 2}, a=[HELLO]) as rig:
        for _ in range(2):
            await rig.submit(start=Start.ON_CONNECT)
        with pytest.raises(QueueFull):
            await rig.submit(start=Start.ON_CONNECT)
        await asyncio.sleep(61)
        await rig.submit(start=Start.ON_CONNECT)


@jumping
async def test_an_answer_without_text_tells_its_model() -> None:
    """A model that completes without a word was asked all the same."""
    async with Rig(a=[[Completed()]]) as rig:
        job = await rig.submit()
        ended = await rig.ended(job)
        assert ended.outcome is not None
        assert (ended.state, ended.outcome.model, ended.outcome.answer) == (
            State.COMPLETED,
            "a",
            "",
        )


@jumping
async def test_a_held_job_is_queued_once() -> None:
    """However many readers come; and from then on it waits as any other."""
    async with Rig(bounds={"workers": 1}, a=[HELLO], b=[[25.0, *HELLO]]) as rig:
        job = await rig.submit("a", start=Start.ON_CONNECT)
        await asyncio.sleep(50)
        await rig.submit("b")
        readers = [asyncio.create_task(rig.events(job)) for _ in range(3)]
        await asyncio.sleep(15)
        assert rig.core.queue_size == 1
        assert [(await reader)[-1] for reader in readers] == [Completed()] * 3
        assert rig.provider.calls == [(50.0, "b"), (75.0, "a")]


@jumping
async def test_a_held_job_that_nobody_reads_expires() -> None:
    """After a minute, to half a second, and its callback says so."""
    async with Rig(a=[HELLO]) as rig:
        rig.core.forms["ask"] = lambda job: job.state.encode()
        callback = Callback(url="https://a.example", form="ask")
        job = await rig.submit(start=Start.ON_CONNECT, callback=callback)
        await asyncio.sleep(60.5)
        assert await rig.events(job) == [Expired(waited_for="its reader")]
        (due,) = await rig.store.due(rig.now(), 10)
        assert (due.body, rig.callbacks, rig.provider.calls) == (b"expired", 1, [])


# -- the end of the process -----------------------------------------------------------------------

STOPPED = Failed(code="INTERRUPTED", message="The gateway was stopped.", retryable=True)


@jumping
async def test_a_drain_lets_everything_run_to_its_end() -> None:
    """Nothing new is taken; what runs or waits in memory still gets its time."""
    async with Rig(a=[[5.0, *HELLO]]) as rig:
        jobs = [await rig.submit() for _ in range(4)]
        drain = asyncio.create_task(rig.core.drain())
        await asyncio.sleep(1)
        with pytest.raises(Draining):
            await rig.submit()
        assert rig.core.accepting is False
        await drain
        assert rig.at() == pytest.approx(10.0, abs=0.1)
        assert {(await rig.ended(job)).state for job in jobs} == {State.COMPLETED}


@jumping
async def test_a_drain_has_an_end() -> None:
    """What has not ended by then is told so by the stop: one terminal event for each reader."""
    talk: Play = [Delta(text="lo "), 10.0] * 9
    async with Rig(a=[talk]) as rig:
        jobs = [await rig.submit() for _ in range(4)]
        readers = [asyncio.create_task(rig.events(job)) for job in jobs]
        await rig.core.drain()
        assert rig.at() == pytest.approx(20.0, abs=0.1)
        await rig.core.stop()
        assert [(await reader)[-1] for reader in readers] == [STOPPED] * 4
        assert {(await rig.store.get(job.id)).state for job in jobs} == {State.ERROR}  # type: ignore[union-attr]


@jumping
async def test_a_durable_store_keeps_what_is_not_done() -> None:
    """What showed nothing yet, or may begin anew, is queued for the next process; readers drop
    without a terminal event, to resume there. What may not begin anew is told so."""
    store = SlowStore(lambda: 0.01, durable=True)
    async with Rig(store=store, a=[[Delta(text="Hel"), FOREVER]], b=[[FOREVER]]) as rig:
        shown, silent = await rig.submit("a"), await rig.submit("b")
        await asyncio.sleep(1)
        waiting = await rig.submit("a")
        readers = [asyncio.create_task(rig.events(job)) for job in (shown, silent, waiting)]
        await asyncio.sleep(1)
        await rig.core.stop()
        ends = [[*(await reader), None][-2 if reader is readers[0] else -1] for reader in readers]
        assert ends == [STOPPED, None, None]
        kept = await store.unfinished()
        assert [(job.id, job.state) for job in kept] == [
            (silent.id, State.QUEUED),
            (waiting.id, State.QUEUED),
        ]


@jumping
async def test_stopping_works_unstarted_and_twice() -> None:
    """Whatever came before."""
    rig = Rig(a=[HELLO])
    await rig.core.stop()
    await rig.core.stop()
    assert rig.counters() == {}
