"""What every store must do with the sums of what jobs took."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.events import Cancelled, Completed, Usage
from gateway.jobs import Outcome, Owner
from gateway.spending import Spent
from gateway.stores import StoreAndOutbox
from gateway.stores.usage import KEPT_S
from tests.stores.conformance import NOW, batch, claimed, new_job

DAY_S = 86_400
# NOW is on the first, by UTC.
FIRST, SECOND, THIRD = "2026-11-20", "2026-11-21", "2026-11-22"
ANN = Owner(tenant="acme", user="ann")
BOB = Owner(tenant="acme", user="bob")
BANK_ANN = Owner(tenant="bank", user="ann")
BANK = Owner(tenant="bank")


async def took(
    store: StoreAndOutbox,
    owner: Owner,
    model: str,
    tokens: tuple[int, int],
    cost: int,
    days: int = 0,
) -> None:
    """One job ends, so many days after the first."""
    job = await claimed(store, owner=owner)
    outcome = Outcome(
        terminal=Completed(),
        model=model,
        usage=Usage(prompt_tokens=tokens[0], completion_tokens=tokens[1]),
        cost=cost,
    )
    last = batch(job, "1-1", outcome.terminal)
    assert await store.finish(job.id, outcome, last, NOW + days * DAY_S, None)


def row(key: str, numbers: tuple[int, int, int, int], app: str = "") -> Spent:
    jobs, prompt_tokens, completion_tokens, cost = numbers
    return Spent(
        key=key,
        app=app,
        jobs=jobs,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost=cost,
    )


async def some(store: StoreAndOutbox) -> None:
    """Jobs of two apps on three days."""
    await took(store, ANN, "small", (10, 1), 100)
    await took(store, ANN, "small", (20, 2), 200)
    await took(store, BOB, "large", (30, 3), 3000, days=1)
    await took(store, BANK_ANN, "small", (40, 4), 400, days=1)
    await took(store, BANK, "small", (50, 5), 500, days=2)


class UsageConformance:
    """To be inherited by the tests of a store, which have a fixture `store`."""

    @pytest.mark.parametrize(
        ("by", "rows"),
        [
            ("app", [row("acme", (3, 60, 6, 3300)), row("bank", (2, 90, 9, 900))]),
            (
                "user",
                [
                    row("bob", (1, 30, 3, 3000), "acme"),
                    row("", (1, 50, 5, 500), "bank"),
                    row("ann", (1, 40, 4, 400), "bank"),
                    row("ann", (2, 30, 3, 300), "acme"),
                ],
            ),
            ("model", [row("large", (1, 30, 3, 3000)), row("small", (4, 120, 12, 1200))]),
            (
                "day",
                [
                    row(SECOND, (2, 70, 7, 3400)),
                    row(THIRD, (1, 50, 5, 500)),
                    row(FIRST, (2, 30, 3, 300)),
                ],
            ),
        ],
    )
    async def test_jobs_are_summed(self, store: StoreAndOutbox, by: Any, rows: list[Spent]) -> None:
        """By app, by each app's users, by model and by day, the dearest first."""
        await some(store)
        assert await store.spent(by, "", "9") == rows

    async def test_the_days_asked_for_are_summed(self, store: StoreAndOutbox) -> None:
        """From the first of them on, and before the last."""
        await some(store)
        assert await store.spent("app", SECOND, THIRD) == [
            row("acme", (1, 30, 3, 3000)),
            row("bank", (1, 40, 4, 400)),
        ]
        assert await store.spent("app", "2027-01-01", "9") == []

    async def test_a_job_counts_once(self, store: StoreAndOutbox) -> None:
        """A second end changes nothing, in the sums as elsewhere."""
        job = await claimed(store)
        outcome = Outcome(terminal=Completed(), model="m", cost=7)
        last = batch(job, "1-1", outcome.terminal)
        assert await store.finish(job.id, outcome, last, NOW, None)
        assert await store.finish(job.id, outcome, last, NOW, None) is None
        assert await store.spent("model", "", "9") == [row("m", (1, 0, 0, 7))]

    async def test_a_job_that_never_ran_counts_as_one(self, store: StoreAndOutbox) -> None:
        """It took nothing, of no model: its caller may have made the name up."""
        job = await store.insert(new_job(), None)
        outcome = Outcome(terminal=Cancelled())
        assert await store.finish(job.id, outcome, batch(job, "1-1", Cancelled()), NOW, None)
        assert await store.spent("model", "", "9") == [row("", (1, 0, 0, 0))]

    async def test_sums_are_kept_for_a_year_and_more(self, store: StoreAndOutbox) -> None:
        """Then they are forgotten, too, a day at a time."""
        await some(store)
        last = NOW + KEPT_S + DAY_S
        await store.prune(last, last)
        assert [day.key for day in await store.spent("day", "", "9")] == [SECOND, THIRD]

    async def test_names_that_callers_make_up_are_bounded(self, store: StoreAndOutbox) -> None:
        """Beyond so many on one day the others are summed as nobody's; the next day begins anew."""
        most = 1000
        await took(store, BANK, "simulator/0", (1, 1), 1)
        names = [f"simulator/{number}" for number in range(1, most + 5)]
        await asyncio.gather(*(took(store, BANK, name, (1, 1), 1) for name in names))
        await took(store, BANK, "simulator/0", (1, 1), 1)
        await took(store, BANK, "simulator/new", (1, 1), 1, days=1)
        sums = {each.key: each.jobs for each in await store.spent("model", "", "9")}
        assert len(sums) == most + 2
        assert (sums["simulator/0"], sums[""], sums["simulator/new"]) == (2, 5, 1)

    async def test_sums_outlive_their_jobs(self, store: StoreAndOutbox) -> None:
        """What was forgotten is still paid for."""
        await some(store)
        before = await store.spent("user", "", "9")
        assert len(await store.prune(NOW + 9 * DAY_S, NOW + 9 * DAY_S)) == 5
        assert await store.spent("user", "", "9") == before

    async def test_a_user_who_is_forgotten_leaves_the_sums_of_the_app(
        self, store: StoreAndOutbox
    ) -> None:
        """Nothing tells whose they were; those of the same name elsewhere stay."""
        await some(store)
        await took(store, replace(ANN, user=None), "small", (1, 1), 1)
        apps = await store.spent("app", "", "9")
        await store.disown(ANN)
        assert await store.spent("app", "", "9") == apps
        assert await store.spent("user", "", "9") == [
            row("bob", (1, 30, 3, 3000), "acme"),
            row("", (1, 50, 5, 500), "bank"),
            row("ann", (1, 40, 4, 400), "bank"),
            row("", (3, 31, 4, 301), "acme"),
        ]
