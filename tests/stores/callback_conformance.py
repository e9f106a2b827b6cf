"""What every store must do with callbacks, and with what is old."""

import asyncio
from typing import Any

import msgspec
import pytest

from gateway import webhooks
from gateway.errors import Conflict
from gateway.jobs import Job
from gateway.outbox import Backlog, place_of
from gateway.stores import StoreAndOutbox
from gateway.webhooks import Delivery, DeliveryState
from tests.stores.conformance import (
    DONE,
    NOW,
    batch,
    callbacks,
    claimed,
    delivery_of,
    ended,
    new_job,
)

# States in which nothing more is to be done for a callback.
SETTLED = [DeliveryState.DELIVERED, DeliveryState.UNCONFIRMED, DeliveryState.DEAD]


async def owing(
    store: StoreAndOutbox, due: float, tenant: str = "acme", **changes: Any
) -> tuple[Job, Delivery]:
    """A job that ended at some time, and the callback that has been due since."""
    job = new_job(**changes)
    owner = msgspec.structs.replace(job.owner, tenant=tenant)
    job = msgspec.structs.replace(job, owner=owner)
    await store.insert(job, delivery_of(job))
    await store.claim(job.id, NOW)
    over = await store.finish(job.id, DONE, batch(job, "1-1", DONE.terminal), due, b"{}")
    assert over is not None
    return over, delivery_of(job, state=DeliveryState.PENDING, body=b"{}", next_at=due)


class CallbackConformance:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    async def test_a_callback_waits_for_its_job(self, store: StoreAndOutbox) -> None:
        """Before the job ends it is owed, and not due, whatever the time."""
        job = new_job()
        await store.insert(job, delivery_of(job))
        assert await store.due(NOW + 1e9, 10) == []
        assert await callbacks(store) == [delivery_of(job)]

    async def test_what_is_due_comes_longest_due_first(self, store: StoreAndOutbox) -> None:
        """Only what is due by then, and no more than asked for."""
        deliveries = [(await owing(store, NOW + after))[1] for after in (30, 10, 20)]
        soon = [deliveries[1], deliveries[2], deliveries[0]]
        assert await store.due(NOW + 9, 10) == []
        assert await store.due(NOW + 20, 10) == soon[:2]
        assert await store.due(NOW + 99, 10) == soon
        assert await store.due(NOW + 99, 2) == soon[:2]

    @pytest.mark.parametrize("state", SETTLED)
    async def test_a_recorded_attempt_replaces_the_delivery(
        self, store: StoreAndOutbox, state: DeliveryState
    ) -> None:
        """Whole: put off, it is due later; settled, it is never due again."""
        _, delivery = await owing(store, NOW)
        later = msgspec.structs.replace(
            delivery, next_at=NOW + 60, attempts=1, ambiguous=True, last_status=503, note="Busy."
        )
        assert await store.record(later) is True
        assert await store.due(NOW + 59, 10) == []
        assert await store.due(NOW + 60, 10) == [later]
        settled = msgspec.structs.replace(later, state=state, attempts=2)
        await store.record(settled)
        assert await store.due(NOW + 1e9, 10) == []
        assert await callbacks(store) == [settled]

    async def test_callbacks_are_listed_newest_first(self, store: StoreAndOutbox) -> None:
        """By their jobs; those of one tenant, or in one state, where that is asked."""
        mine = (await owing(store, NOW + 1, created_at=NOW + 1))[1]
        theirs = (await owing(store, NOW + 2, tenant="other", created_at=NOW + 2))[1]
        newest = (await owing(store, NOW, created_at=NOW + 3))[1]
        dead = msgspec.structs.replace(newest, state=DeliveryState.DEAD)
        await store.record(dead)
        assert await callbacks(store) == [dead, theirs, mine]
        assert await callbacks(store, tenant="acme") == [dead, mine]
        assert await callbacks(store, tenant="nobody") == []
        assert await callbacks(store, state=DeliveryState.DEAD) == [dead]
        assert await callbacks(store, state=DeliveryState.PENDING) == [theirs, mine]
        assert await callbacks(store, tenant="other", state=DeliveryState.DEAD) == []

    async def test_callbacks_are_listed_page_by_page(self, store: StoreAndOutbox) -> None:
        """Each once, also where several jobs were made at the same moment."""
        owed = [
            (await owing(store, NOW, created_at=NOW + at))[1]
            for at in (0, 1, 1, 1, 2)
            for _ in "ab"
        ]
        owed.sort(key=place_of, reverse=True)
        found: list[Delivery] = []
        before = None
        while step := await callbacks(store, before=before, limit=3):
            found += step
            before = place_of(step[-1])
        assert found == owed

    async def test_one_callback_is_found_by_its_job(self, store: StoreAndOutbox) -> None:
        """And none where none is owed."""
        job, delivery = await owing(store, NOW)
        assert await store.delivery(job.id) == delivery
        assert await store.delivery((await ended(store)).id) is None

    async def test_what_waits_and_what_is_dead_is_counted(self, store: StoreAndOutbox) -> None:
        """From the oldest that waits; what waits for its job, or arrived, is neither."""
        assert await store.backlog() == Backlog(0, None, 0)
        await store.insert(unended := new_job(created_at=1.0), delivery_of(unended))
        for state in (*SETTLED, DeliveryState.DEAD):
            _, delivery = await owing(store, NOW, created_at=2.0)
            await store.record(msgspec.structs.replace(delivery, state=state))
        for at in (4.0, 3.0, 5.0):
            await owing(store, NOW, created_at=at)
        assert await store.backlog() == Backlog(3, 3.0, 2)

    # -- sending again ----------------------------------------------------------------------------

    @pytest.mark.parametrize("state", [DeliveryState.DEAD, DeliveryState.UNCONFIRMED])
    async def test_what_was_given_up_can_be_sent_again(
        self, store: StoreAndOutbox, state: DeliveryState
    ) -> None:
        """Under its old id, due at once; of many who ask at the same time one has their way."""
        job, delivery = await owing(store, NOW)
        given_up = msgspec.structs.replace(delivery, state=state, attempts=7, note="Gone.")
        await store.record(given_up)
        calls = [store.replay(job.id, NOW + 50, 60.0) for _ in range(10)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        (again,) = [each for each in answers if isinstance(each, Delivery)]
        assert again == webhooks.replay(given_up, NOW + 50, 60.0)
        assert [type(each) for each in answers if each is not again] == [Conflict] * 9
        assert await store.due(NOW + 50, 10) == [again] == await callbacks(store)
        assert await store.backlog() == Backlog(1, again.created_at, 0)

    @pytest.mark.parametrize(
        "state", [DeliveryState.WAITING, DeliveryState.PENDING, DeliveryState.DELIVERED]
    )
    async def test_what_may_arrive_or_did_is_not_sent_again(
        self, store: StoreAndOutbox, state: DeliveryState
    ) -> None:
        """It stays as it is; and what is not there is not made."""
        job, delivery = await owing(store, NOW)
        kept = msgspec.structs.replace(delivery, state=state)
        await store.record(kept)
        with pytest.raises(Conflict):
            await store.replay(job.id, NOW + 50, 60.0)
        assert await store.delivery(job.id) == kept
        assert await store.replay(new_job().id, NOW, 60.0) is None

    # -- retention --------------------------------------------------------------------------------

    async def test_what_ended_before_is_forgotten(self, store: StoreAndOutbox) -> None:
        """With its log and its key; what ended then or later, waits or runs, stays."""
        old = await ended(store, NOW + 9, idempotency_key="acme:k", fingerprint="f")
        kept = [
            await ended(store, NOW + 10),
            await claimed(store, created_at=0.0),
            await store.insert(new_job(created_at=0.0), None),
        ]
        assert await store.prune(NOW + 10, NOW + 10) == [(old.id, old.owner)]
        assert (await store.get(old.id), await store.log(old.id)) == (None, None)
        assert await store.find("acme:k") is None
        assert [await store.get(job.id) for job in kept] == kept
        assert await store.prune(NOW + 10, NOW + 10) == []
        again = new_job(idempotency_key="acme:k", fingerprint="g")
        assert await store.insert(again, None) == again

    async def test_many_are_forgotten_at_one_time(self, store: StoreAndOutbox) -> None:
        """However many have ended since the last time: the store does not grow for ever."""
        old = await asyncio.gather(*(ended(store, NOW + 9) for _ in range(250)))
        gone = await store.prune(NOW + 10, NOW + 10)
        assert {job_id for job_id, _ in gone} == {job.id for job in old}
        assert await store.prune(NOW + 10, NOW + 10) == []

    @pytest.mark.parametrize("state", SETTLED)
    async def test_a_pending_callback_keeps_its_job(
        self, store: StoreAndOutbox, state: DeliveryState
    ) -> None:
        """However old; once it is settled, both go."""
        job, delivery = await owing(store, NOW)
        assert await store.prune(NOW + 1e9, NOW + 1e9) == []
        assert await store.get(job.id) == job
        await store.record(msgspec.structs.replace(delivery, state=state))
        # A clock that was set back gives it time again.
        assert await store.prune(NOW, NOW) == []
        assert await store.prune(NOW + 1e9, NOW + 1e9) == [(job.id, job.owner)]
        assert await callbacks(store) == []
        await store.record(delivery)
        assert await callbacks(store) == []

    async def test_a_dead_callback_keeps_its_job_for_longer(self, store: StoreAndOutbox) -> None:
        """Until its own time is over, so that it can still be seen and sent again."""
        job, delivery = await owing(store, NOW)
        other, _ = await owing(store, NOW + 1)
        for each in (delivery, await store.delivery(other.id)):
            assert each is not None
            await store.record(msgspec.structs.replace(each, state=DeliveryState.DEAD))
        plain = await ended(store, NOW)
        assert await store.prune(NOW + 50, NOW) == [(plain.id, plain.owner)]
        assert await store.prune(NOW + 50, NOW + 1) == [(job.id, job.owner)]
        assert [each.job_id for each in await callbacks(store)] == [other.id]
        assert await store.backlog() == Backlog(0, None, 1)

    async def test_stopping_works_unstarted_and_twice(self, store: StoreAndOutbox) -> None:
        """Whatever came before."""
        await store.stop()
        await store.stop()
