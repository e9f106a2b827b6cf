"""What every store must do with the list of its jobs: find, page, forget."""

from collections.abc import Callable
from typing import Any

from gateway import history
from gateway.events import Completed, Failed, Usage
from gateway.history import Entry, Filter, Page, Place, entry_of
from gateway.jobs import Job, Outcome, Owner, State
from gateway.messages import Message, Request
from gateway.stores import StoreAndOutbox
from gateway.webhooks import DeliveryState
from tests.stores.conformance import (
    DONE,
    NOW,
    STOPPED,
    batch,
    callbacks,
    claimed,
    delivery_of,
    ended,
    logged,
    new_job,
)

ANN, BOB = Owner(tenant="acme", user="ann"), Owner(tenant="acme", user="bob")
FAILED = Outcome(
    terminal=Failed(code="TIMEOUT", message="Too late.", retryable=True),
    model="groq/llama",
    provider="groq",
    usage=Usage(prompt_tokens=3, completion_tokens=4, estimated=True),
    first_token_at=NOW + 2,
    cost=5,
)


def asking(text: str, model: str = "m") -> Request:
    return Request(messages=(Message(role="user", content=text),), model=model)


async def made(store: StoreAndOutbox, at: float, **changes: Any) -> Job:
    """A job that waits, made so long after the beginning."""
    return await store.insert(new_job(created_at=NOW + at, **changes), None)


async def over(store: StoreAndOutbox, at: float, outcome: Outcome, **changes: Any) -> Job:
    """A job that ended so, made so long after the beginning."""
    job = await claimed(store, created_at=NOW + at, **changes)
    rest = batch(job, "1-1", outcome.terminal)
    found = await store.finish(job.id, outcome, rest, NOW + 99, None)
    assert found is not None
    return found


async def ids(store: StoreAndOutbox, **wanted: Any) -> list[str]:
    page = await store.history(Filter(**wanted), None, 100)
    assert page.next is None
    return [entry.id for entry in page.entries]


class HistoryConformance:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    async def test_an_entry_follows_its_job(self, store: StoreAndOutbox) -> None:
        """Waiting, running, over: the list says of it what the job itself does."""
        assert await store.history(Filter(), None, 10) == Page([], None)
        job = new_job(request=asking("Say \x00 " + "👋" * 2000))
        steps: list[Callable[[], Any]] = [
            lambda: store.insert(job, None),
            lambda: store.claim(job.id, NOW + 1),
            lambda: store.requeue(job.id, spent=True, lost=None),
            lambda: store.claim(job.id, NOW + 2),
            lambda: store.finish(job.id, FAILED, batch(job, "2-1", FAILED.terminal), NOW + 3, None),
        ]
        for step in steps:
            now = await step()
            assert await store.history(Filter(), None, 10) == Page([entry_of(now)], None)
        (entry,) = (await store.history(Filter(), None, 10)).entries
        assert entry == Entry(
            id=job.id,
            owner=job.owner,
            door="ask",
            state=State.ERROR,
            attempt=2,
            created_at=NOW,
            claimed_at=NOW + 2,
            finished_at=NOW + 3,
            prompt="Say   " + "👋" * (history.PREVIEW - 6),
            model="groq/llama",
            provider="groq",
            first_token_at=NOW + 2,
            usage=FAILED.usage,
            cost=5,
            error=Failed(code="TIMEOUT", message="Too late.", retryable=True),
        )

    async def test_the_list_is_paged_newest_first(self, store: StoreAndOutbox) -> None:
        """Each job once, also where many were made at one moment, and while more are made."""
        jobs = [await made(store, at) for at in (0, 1, 1, 1, 2, -50, 3)]
        jobs.sort(key=lambda job: Place(job.created_at, job.id), reverse=True)
        found: list[str] = []
        before = None
        while True:
            page = await store.history(Filter(), before, 2)
            found += [entry.id for entry in page.entries]
            await made(store, 10)
            if page.next is None:
                break
            assert len(page.entries) == 2
            before = page.next
        assert found == [job.id for job in jobs]

    async def test_a_page_may_end_with_the_last_job(self, store: StoreAndOutbox) -> None:
        """No page follows that would be empty."""
        jobs = [await made(store, at) for at in range(4)]
        page = await store.history(Filter(), None, 2)
        assert page.next == Place(jobs[2].created_at, jobs[2].id)
        assert (await store.history(Filter(), page.next, 2)).next is None

    async def test_filters_find_what_they_name(self, store: StoreAndOutbox) -> None:
        """One by one and together, in every state."""
        one = await made(store, 0, owner=ANN, door="chat", request=asking("Why?", "slow"))
        two = await over(store, 1, DONE, owner=BOB, request=asking("how?"))
        three = await over(store, 2, FAILED, owner=Owner(tenant="other", user="ann"))
        four = await over(store, 3, STOPPED, owner=ANN, request=asking("100% _sure_ \\ Źle"))
        five = await claimed(store, created_at=NOW + 4, owner=Owner(tenant="other"))
        wanted: list[tuple[dict[str, Any], list[Job]]] = [
            ({}, [five, four, three, two, one]),
            ({"tenant": "acme"}, [four, two, one]),
            ({"user": "ann"}, [four, three, one]),
            ({"tenant": "acme", "user": "ann"}, [four, one]),
            ({"tenant": "nobody"}, []),
            ({"door": "chat"}, [one]),
            ({"state": State.QUEUED}, [one]),
            ({"state": State.PROCESSING}, [five]),
            ({"state": State.COMPLETED}, [two]),
            ({"state": State.ERROR}, [three]),
            ({"state": State.CANCELLED}, [four]),
            ({"state": State.EXPIRED}, []),
            ({"state": State.CANCELLED, "tenant": "other"}, []),
            ({"state": State.CANCELLED, "user": "ann"}, [four]),
            ({"model": "slow"}, [one]),
            ({"model": "groq/llama"}, [three]),
            ({"since": NOW + 2}, [five, four, three]),
            ({"until": NOW + 2}, [two, one]),
            ({"since": NOW + 1, "until": NOW + 3, "tenant": "acme"}, [two]),
            ({"text": "WHY"}, [one]),
            ({"text": "Y?"}, [one]),
            ({"text": "100% _"}, [four]),
            ({"text": "%"}, [four]),
            ({"text": "_s"}, [four]),
            ({"text": "\\"}, [four]),
            ({"text": "źle"}, []),
            ({"text": "Źle"}, [four]),
            ({"text": two.id[-12:].upper()}, [two]),
            ({"text": "bob"}, [two]),
            ({"text": "' OR 1=1 --"}, []),
            ({"text": "ann", "state": State.ERROR}, [three]),
        ]
        for filters, jobs in wanted:
            assert await ids(store, **filters) == [job.id for job in jobs], filters

    async def test_a_page_goes_on_within_its_filter(self, store: StoreAndOutbox) -> None:
        """Whatever stands between is skipped."""
        mine = [await made(store, at, owner=ANN) for at in range(0, 10, 2)]
        for at in range(1, 10, 2):
            await made(store, at, owner=BOB)
        first = await store.history(Filter(user="ann"), None, 3)
        second = await store.history(Filter(user="ann"), first.next, 3)
        assert second.next is None
        found = [entry.id for entry in (*first.entries, *second.entries)]
        assert found == [job.id for job in reversed(mine)]

    # -- forgetting -------------------------------------------------------------------------------

    async def test_what_is_over_can_be_forgotten(self, store: StoreAndOutbox) -> None:
        """With its log, its key and its callback; what waits or runs, or is unknown, is not."""
        gone = await ended(store, idempotency_key="acme:k", fingerprint="f")
        job = new_job()
        await store.insert(job, delivery_of(job))
        await store.claim(job.id, NOW)
        await store.finish(job.id, DONE, batch(job, "1-1", DONE.terminal), NOW, b"{}")
        kept = [await claimed(store), await made(store, 0), await ended(store)]
        asked = [gone.id, job.id, kept[0].id, kept[1].id, new_job().id]
        assert sorted(await store.forget(asked)) == sorted([gone.id, job.id])
        assert [await store.get(each.id) for each in (gone, job)] == [None, None]
        assert [await store.log(each.id) for each in (gone, job)] == [None, None]
        assert await store.find("acme:k") is None
        assert (await store.due(NOW + 1e9, 10), await callbacks(store)) == ([], [])
        assert sorted(await ids(store)) == sorted(each.id for each in kept)
        assert await logged(store, kept[2]) == [("1-1", Completed())]
        assert await store.forget(asked) == []
        # What was on its way meanwhile is not recorded for nobody.
        assert await store.record(delivery_of(job, state=DeliveryState.DELIVERED)) is False
        assert await callbacks(store) == []

    async def test_many_are_forgotten_in_steps(self, store: StoreAndOutbox) -> None:
        """And a key that is free again can be taken."""
        jobs = [await ended(store, idempotency_key=f"k{n}", fingerprint="f") for n in range(250)]
        asked = [job.id for job in jobs]
        assert sorted(await store.forget(asked)) == sorted(asked)
        assert await ids(store) == []
        again = new_job(idempotency_key="k7", fingerprint="g")
        assert await store.insert(again, None) == again

    async def test_whose_a_pruned_job_was_is_known(self, store: StoreAndOutbox) -> None:
        """Of none that is there, nor of one that was to be forgotten; a user may leave no trace."""
        kept, gone = await ended(store), await ended(store, NOW, owner=ANN)
        other, unwanted = await ended(store, NOW, owner=BOB), await ended(store, NOW, owner=ANN)
        await store.forget([unwanted.id])
        await store.prune(NOW + 5, NOW + 5)
        found = [await store.former(job.id) for job in (kept, gone, other, unwanted)]
        assert found == [None, ANN, BOB, None]
        await store.disown(ANN)
        assert [await store.former(job.id) for job in (gone, other)] == [None, BOB]

    async def test_what_is_pruned_leaves_the_list(self, store: StoreAndOutbox) -> None:
        """It is not shown any more."""
        old = await ended(store)
        assert old.id in await ids(store)
        await store.prune(NOW + 1e6, NOW + 1e6)
        assert await ids(store) == []
