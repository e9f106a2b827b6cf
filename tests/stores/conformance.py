"""What every store must do, whoever keeps the bytes: each promise of the protocol as a test."""

import asyncio
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from gateway.errors import Conflict
from gateway.events import Cancelled, Completed, Delta, Event, Failed, Restarted, Started, Usage
from gateway.history import Place
from gateway.jobs import Callback, IllegalMove, Job, Outcome, Owner, State, new_job_id
from gateway.log import Cursor
from gateway.messages import Message, Request
from gateway.stores import Batch, StoreAndOutbox
from gateway.webhooks import Delivery, DeliveryState

NOW = 1_795_214_640.0
DONE = Outcome(
    terminal=Completed(), answer="Hello", usage=Usage(prompt_tokens=1, completion_tokens=2)
)
STOPPED = Outcome(terminal=Cancelled(), answer="Hel")


def new_job(**changes: Any) -> Job:
    """A job that waits; every one with an id of its own."""
    job = Job(
        id=new_job_id(NOW, lambda: str(uuid4())),
        owner=Owner(tenant="acme", user="zoë"),
        door="ask",
        request=Request(
            messages=(Message(role="user", content="Say \x00 hello 👋"),),
            model="m",
            parameters={"temperature": 0.5, "stop": ["a"]},
            extra={"seed": None},
        ),
        created_at=NOW,
        expires_at=NOW + 900,
        context={"conversation": "c1"},
    )
    return msgspec.structs.replace(job, **changes)


def delivery_of(job: Job, **changes: Any) -> Delivery:
    """The callback that a job owes."""
    delivery = Delivery(
        id=f"msg_{job.id}",
        job_id=job.id,
        tenant=job.owner.tenant,
        url="https://n8n.example/hook?signature=a%2Fb",
        created_at=job.created_at,
        deadline=job.created_at + 86_400,
    )
    return msgspec.structs.replace(delivery, **changes)


async def callbacks(
    store: StoreAndOutbox,
    *,
    tenant: str | None = None,
    state: DeliveryState | None = None,
    before: Place | None = None,
    limit: int = 10_000,
) -> list[Delivery]:
    """The callbacks that a store keeps: all of them, where nothing else is said."""
    return await store.deliveries(tenant=tenant, state=state, before=before, limit=limit)


def batch(job: Job, first: str, *events: Event) -> Batch:
    return Batch(job.id, Cursor.parse(first), events)


async def logged(store: StoreAndOutbox, job: Job) -> list[tuple[str, Event]]:
    """All stored events of a job with their ids."""
    log = await store.log(job.id)
    assert log is not None
    return [(str(log.cursor(at + 1)), event) for at, event in enumerate(log.events)]


async def claimed(store: StoreAndOutbox, **changes: Any) -> Job:
    """A job that runs."""
    job = await store.insert(new_job(**changes), None)
    running = await store.claim(job.id, NOW + 1)
    assert running is not None
    return running


async def ended(store: StoreAndOutbox, now: float = NOW + 9, **changes: Any) -> Job:
    """A job that is over."""
    job = await claimed(store, **changes)
    over = await store.finish(job.id, DONE, batch(job, "1-1", DONE.terminal), now, None)
    assert over is not None
    return over


class StoreConformance:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    # -- accepting --------------------------------------------------------------------------------

    async def test_an_inserted_job_is_there(self, store: StoreAndOutbox) -> None:
        """Whole, with an empty log, and nothing else with it."""
        job = new_job(callback=Callback(url="https://a.example", form="ask", echo={"k": [1]}))
        assert await store.insert(job, None) == job
        assert await store.get(job.id) == job
        assert await store.unfinished() == [job]
        assert await logged(store, job) == []
        assert await callbacks(store) == []

    async def test_an_unknown_job_is_nobody(self, store: StoreAndOutbox) -> None:
        """Every question about it has the answer "none", and nothing is made by asking."""
        job = new_job()
        rest = batch(job, "1-1", Completed())
        assert await store.get(job.id) is None
        assert await store.log(job.id) is None
        assert await store.claim(job.id, NOW) is None
        assert await store.requeue(job.id, spent=True, lost=None) is None
        assert await store.finish(job.id, DONE, rest, NOW, None) is None
        assert await store.find("key") is None
        await store.record(delivery_of(job))
        await store.append([batch(job, "1-1", Started())])
        assert await store.log(job.id) is None
        assert (await store.unfinished(), await callbacks(store)) == ([], [])

    async def test_a_repeat_finds_the_first_job(self, store: StoreAndOutbox) -> None:
        """The same key with the same fingerprint is the same job, also when that is over; the
        second insert leaves nothing behind, its callback included."""
        first = new_job(idempotency_key="acme:k", fingerprint="f")
        again = new_job(idempotency_key="acme:k", fingerprint="f")
        await store.insert(first, None)
        assert await store.insert(again, delivery_of(again)) == first
        assert (await store.get(again.id), await callbacks(store)) == (None, [])
        assert await store.find("acme:k") == first
        over = await store.finish(first.id, STOPPED, batch(first, "1-1", Cancelled()), NOW, None)
        assert over is not None
        assert await store.insert(again, None) == over == await store.find("acme:k")

    async def test_a_key_with_another_request_is_a_conflict(self, store: StoreAndOutbox) -> None:
        """And the refused job is nowhere."""
        first = new_job(idempotency_key="acme:k", fingerprint="f")
        other = new_job(idempotency_key="acme:k", fingerprint="g")
        await store.insert(first, None)
        with pytest.raises(Conflict):
            await store.insert(other, delivery_of(other))
        assert await store.unfinished() == [first]
        assert (await store.get(other.id), await callbacks(store)) == (None, [])

    async def test_of_many_inserts_with_one_key_one_wins(self, store: StoreAndOutbox) -> None:
        """However many come at once, all of them get the same job."""
        twins = [new_job(idempotency_key="acme:k", fingerprint="f") for _ in range(20)]
        held = await asyncio.gather(*(store.insert(twin, None) for twin in twins))
        assert held[0] in twins
        assert held == [held[0]] * 20
        assert await store.unfinished() == [held[0]]

    async def test_jobs_without_a_key_never_repeat(self, store: StoreAndOutbox) -> None:
        """No key is not a key."""
        jobs = [new_job(), new_job()]
        assert [await store.insert(job, None) for job in jobs] == jobs
        assert await store.unfinished() == jobs

    # -- running ----------------------------------------------------------------------------------

    async def test_a_claim_moves_a_job(self, store: StoreAndOutbox) -> None:
        """From queued to processing, its attempt counted, the time kept."""
        job = await store.insert(new_job(), None)
        running = msgspec.structs.replace(
            job, state=State.PROCESSING, attempt=1, claimed_at=NOW + 1
        )
        assert await store.claim(job.id, NOW + 1) == running
        assert await store.get(job.id) == running
        assert await store.unfinished() == [running]

    async def test_of_many_claims_one_succeeds(self, store: StoreAndOutbox) -> None:
        """However many come at once; later ones get nothing either."""
        job = await store.insert(new_job(), None)
        claims = await asyncio.gather(*(store.claim(job.id, NOW) for _ in range(20)))
        assert [claim.attempt for claim in claims if claim is not None] == [1]
        assert await store.claim(job.id, NOW) is None

    async def test_a_requeued_job_can_be_claimed_again(self, store: StoreAndOutbox) -> None:
        """As its next attempt; a spent one counts as a failure, one handed back does not. The
        tokens of both are counted."""
        job = await claimed(store)
        lost = Usage(prompt_tokens=3, completion_tokens=2)
        spent = await store.requeue(job.id, spent=True, lost=lost)
        assert spent == msgspec.structs.replace(
            job, state=State.QUEUED, claimed_at=None, failures=1, lost=lost
        )
        assert await store.requeue(job.id, spent=True, lost=lost) is None
        again = await store.claim(job.id, NOW + 2)
        assert again == msgspec.structs.replace(
            job, attempt=2, failures=1, lost=lost, claimed_at=NOW + 2
        )
        more = Usage(prompt_tokens=3, completion_tokens=1, estimated=True)
        handed_back = await store.requeue(job.id, spent=False, lost=more)
        assert handed_back == await store.get(job.id)
        assert handed_back == msgspec.structs.replace(
            job, state=State.QUEUED, attempt=2, failures=1, claimed_at=None,
            lost=Usage(prompt_tokens=6, completion_tokens=3, estimated=True),
        )  # fmt: skip

    async def test_what_is_over_stays_over(self, store: StoreAndOutbox) -> None:
        """Nothing claims, requeues or ends a job that has ended."""
        over = await ended(store)
        late = batch(over, "1-2", Cancelled())
        assert await store.claim(over.id, NOW + 10) is None
        assert await store.requeue(over.id, spent=False, lost=None) is None
        assert await store.finish(over.id, DONE, late, NOW + 10, None) is None
        assert await store.get(over.id) == over
        assert await logged(store, over) == [("1-1", Completed())]

    async def test_unfinished_jobs_are_oldest_first(self, store: StoreAndOutbox) -> None:
        """Waiting and running ones, in the order in which they came; none that is over."""
        one, two, three = [await store.insert(new_job(created_at=NOW + n), None) for n in range(3)]
        running = await store.claim(two.id, NOW + 5)
        assert await store.unfinished() == [one, running, three]
        await store.finish(one.id, STOPPED, batch(one, "1-1", Cancelled()), NOW + 6, None)
        assert await store.unfinished() == [running, three]

    # -- the log ----------------------------------------------------------------------------------

    async def test_a_log_is_read_as_it_was_written(self, store: StoreAndOutbox) -> None:
        """In order and with its ids, over several batches of several jobs."""
        one, two = await claimed(store), await claimed(store)
        await store.append([batch(one, "1-1", Started(), Delta(text="a"))])
        await store.append(
            [batch(two, "1-1", Started()), batch(one, "1-3", Delta(text="\r\n\x00👋"))]
        )
        assert await logged(store, one) == [
            ("1-1", Started()),
            ("1-2", Delta(text="a")),
            ("1-3", Delta(text="\r\n\x00👋")),
        ]
        assert await logged(store, two) == [("1-1", Started())]

    async def test_a_log_holds_its_attempts_apart(self, store: StoreAndOutbox) -> None:
        """Each attempt's events have ids of their own; an attempt may have been lost whole."""
        job = await claimed(store)
        await store.append([batch(job, "1-1", Started(), Delta(text="a"))])
        for _ in range(2):
            await store.requeue(job.id, spent=True, lost=None)
            await store.claim(job.id, NOW + 2)
        await store.append([batch(job, "3-1", Restarted(reason="lost"))])
        await store.finish(
            job.id, DONE, batch(job, "3-2", Delta(text="b"), Completed()), NOW + 3, None
        )
        assert await logged(store, job) == [
            ("1-1", Started()),
            ("1-2", Delta(text="a")),
            ("3-1", Restarted(reason="lost")),
            ("3-2", Delta(text="b")),
            ("3-3", Completed()),
        ]
        log = await store.log(job.id)
        assert log is not None
        assert (log.attempt, log.closed) == (3, True)

    async def test_what_comes_after_the_end_is_dropped(self, store: StoreAndOutbox) -> None:
        """A late batch of an ended job changes nothing, and holds up no other."""
        over, running = await ended(store), await claimed(store)
        await store.append(
            [batch(over, "1-2", Delta(text="late")), batch(running, "1-1", Started())]
        )
        assert await logged(store, over) == [("1-1", Completed())]
        assert await logged(store, running) == [("1-1", Started())]

    # -- ending -----------------------------------------------------------------------------------

    async def test_an_end_is_one_step(self, store: StoreAndOutbox) -> None:
        """The last events, the final state, the outcome and the callback's body, all or none."""
        job = new_job(callback=Callback(url="https://a.example", form="ask"))
        await store.insert(job, delivery_of(job))
        await store.claim(job.id, NOW + 1)
        await store.append([batch(job, "1-1", Started())])
        rest = batch(job, "1-2", Delta(text="Hello"), Completed())
        over = await store.finish(job.id, DONE, rest, NOW + 2, b'{"answer":"Hello"}')
        assert over == msgspec.structs.replace(
            job,
            state=State.COMPLETED,
            attempt=1,
            claimed_at=NOW + 1,
            finished_at=NOW + 2,
            outcome=DONE,
        )
        assert await store.get(job.id) == over
        assert await store.unfinished() == []
        assert [cursor for cursor, _ in await logged(store, job)] == ["1-1", "1-2", "1-3"]
        assert await store.due(NOW + 2, 10) == [
            delivery_of(
                job, state=DeliveryState.PENDING, body=b'{"answer":"Hello"}', next_at=NOW + 2
            )
        ]

    async def test_of_many_ends_one_counts(self, store: StoreAndOutbox) -> None:
        """A cancel that races with the answer: one of them is what happened, wholly."""
        job = await claimed(store)
        outcomes = [DONE, STOPPED] * 5
        ends = await asyncio.gather(
            *(
                store.finish(job.id, each, batch(job, "1-1", each.terminal), NOW, None)
                for each in outcomes
            )
        )
        winners = [over for over in ends if over is not None]
        assert [await store.get(job.id)] == winners
        outcome = winners[0].outcome
        assert outcome is not None
        assert await logged(store, job) == [("1-1", outcome.terminal)]

    @pytest.mark.parametrize(
        ("terminal", "state"),
        [(Failed(code="TIMEOUT", message="late"), State.ERROR), (Cancelled(), State.CANCELLED)],
    )
    async def test_a_job_that_never_ran_can_end(
        self, store: StoreAndOutbox, terminal: Failed | Cancelled, state: State
    ) -> None:
        """Straight from the queue; its log then has its end alone."""
        job = await store.insert(new_job(), None)
        over = await store.finish(
            job.id, Outcome(terminal=terminal), batch(job, "1-1", terminal), NOW + 1, None
        )
        assert over is not None
        assert (over.state, over.attempt, over.finished_at) == (state, 0, NOW + 1)
        assert await logged(store, job) == [("1-1", terminal)]
        assert await store.claim(job.id, NOW + 2) is None

    async def test_an_end_that_cannot_be_changes_nothing(self, store: StoreAndOutbox) -> None:
        """A job that never ran is not complete: refused whole, its log included."""
        job = await store.insert(new_job(), None)
        with pytest.raises(IllegalMove):
            await store.finish(job.id, DONE, batch(job, "1-1", Completed()), NOW, None)
        assert await store.get(job.id) == job
        assert await logged(store, job) == []
