"""What every store must do with callbacks, and with what is old."""

import msgspec
import pytest

from gateway.jobs import Job
from gateway.stores import Store
from gateway.webhooks import Delivery, DeliveryState
from tests.stores.conformance import DONE, NOW, batch, claimed, delivery_of, ended, new_job

# States in which nothing more is to be done for a callback.
SETTLED = [DeliveryState.DELIVERED, DeliveryState.UNCONFIRMED, DeliveryState.DEAD]


async def owing(store: Store, due: float, tenant: str = "acme") -> tuple[Job, Delivery]:
    """A job that ended at some time, and the callback that has been due since."""
    job = new_job()
    owner = msgspec.structs.replace(job.owner, tenant=tenant)
    job = msgspec.structs.replace(job, owner=owner)
    await store.insert(job, delivery_of(job))
    await store.claim(job.id, NOW)
    over = await store.finish(job.id, DONE, batch(job, "1-1", DONE.terminal), due, b"{}")
    assert over is not None
    return over, delivery_of(job, state=DeliveryState.PENDING, body=b"{}", next_at=due)


class CallbackConformance:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    async def test_a_callback_waits_for_its_job(self, store: Store) -> None:
        """Before the job ends it is owed, and not due, whatever the time."""
        job = new_job()
        await store.insert(job, delivery_of(job))
        assert await store.due(NOW + 1e9, 10) == []
        assert await store.deliveries() == [delivery_of(job)]

    async def test_what_is_due_comes_longest_due_first(self, store: Store) -> None:
        """Only what is due by then, and no more than asked for."""
        deliveries = [(await owing(store, NOW + after))[1] for after in (30, 10, 20)]
        soon = [deliveries[1], deliveries[2], deliveries[0]]
        assert await store.due(NOW + 9, 10) == []
        assert await store.due(NOW + 20, 10) == soon[:2]
        assert await store.due(NOW + 99, 10) == soon
        assert await store.due(NOW + 99, 2) == soon[:2]

    @pytest.mark.parametrize("state", SETTLED)
    async def test_a_recorded_attempt_replaces_the_delivery(
        self, store: Store, state: DeliveryState
    ) -> None:
        """Whole: put off, it is due later; settled, it is never due again."""
        _, delivery = await owing(store, NOW)
        later = msgspec.structs.replace(
            delivery, next_at=NOW + 60, attempts=1, ambiguous=True, last_status=503, note="Busy."
        )
        await store.record(later)
        assert await store.due(NOW + 59, 10) == []
        assert await store.due(NOW + 60, 10) == [later]
        settled = msgspec.structs.replace(later, state=state, attempts=2)
        await store.record(settled)
        assert await store.due(NOW + 1e9, 10) == []
        assert await store.deliveries() == [settled]

    async def test_callbacks_are_listed_newest_first(self, store: Store) -> None:
        """Those of one tenant where one is named, else all."""
        mine = (await owing(store, NOW + 1))[1]
        theirs = (await owing(store, NOW + 2, tenant="other"))[1]
        newest = (await owing(store, NOW))[1]
        assert await store.deliveries() == [newest, theirs, mine]
        assert await store.deliveries(tenant="acme") == [newest, mine]
        assert await store.deliveries(tenant="nobody") == []

    # -- retention --------------------------------------------------------------------------------

    async def test_what_ended_before_is_forgotten(self, store: Store) -> None:
        """With its log and its key; what ended then or later, waits or runs, stays."""
        old = await ended(store, NOW + 9, idempotency_key="acme:k", fingerprint="f")
        kept = [
            await ended(store, NOW + 10),
            await claimed(store, created_at=0.0),
            await store.insert(new_job(created_at=0.0), None),
        ]
        assert await store.prune(NOW + 10) == [(old.id, old.owner)]
        assert (await store.get(old.id), await store.log(old.id)) == (None, None)
        assert await store.find("acme:k") is None
        assert [await store.get(job.id) for job in kept] == kept
        assert await store.prune(NOW + 10) == []
        again = new_job(idempotency_key="acme:k", fingerprint="g")
        assert await store.insert(again, None) == again

    @pytest.mark.parametrize("state", SETTLED)
    async def test_a_pending_callback_keeps_its_job(
        self, store: Store, state: DeliveryState
    ) -> None:
        """However old; once it is settled, both go."""
        job, delivery = await owing(store, NOW)
        assert await store.prune(NOW + 1e9) == []
        assert await store.get(job.id) == job
        await store.record(msgspec.structs.replace(delivery, state=state))
        assert await store.prune(NOW + 1e9) == [(job.id, job.owner)]
        assert await store.deliveries() == []
        await store.record(delivery)
        assert await store.deliveries() == []

    async def test_stopping_works_unstarted_and_twice(self, store: Store) -> None:
        """Whatever came before."""
        await store.stop()
        await store.stop()
