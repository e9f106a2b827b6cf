"""How much an app may spend: warned of, then refused, and known again after a restart."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from gateway.app import RELOADING
from gateway.catalog import Catalog, Model
from gateway.engine.budgets import Budgets
from gateway.errors import OverBudget, StoreUnavailable
from gateway.events import Completed, Usage
from gateway.jobs import Job, Outcome, State
from gateway.spending import Budget
from gateway.stores.memory import MemoryStore
from gateway.tenants import Tenant
from tests.engine.rig import ACME, Rig
from tests.engine.scripted import HELLO
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping
from tests.stores.conformance import batch, claimed, new_job
from tests.surfaces.running import CODE, OTHER_CODE, Gateway, apps, bearer

# Two tokens read and two written: a dollar an answer.
PRICED = "simulator/priced"
MODELS = f"""
[models."{PRICED}"]
provider = "simulator"
upstream = "echo?first=0&gap=0.02"
input_price = 250_000
output_price = 250_000
"""

# A millionth of a dollar a token.
CATALOG = Catalog(
    {"m": Model(name="m", provider="openai", upstream="m", input_price=1, output_price=1)}
)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Clock:
    """A time that a test sets."""

    def __init__(self, text: str) -> None:
        self.now = at(text)

    def __call__(self) -> float:
        return self.now


def shop(**budget: Any) -> Tenant:
    return Tenant(name="acme", code_digest="", budget=Budget(**budget))


async def spend(store: MemoryStore, clock: Clock, cost: int) -> Job:
    """A job of the shop's that ends now."""
    job = await claimed(store)
    outcome = Outcome(
        terminal=Completed(),
        model="m",
        usage=Usage(prompt_tokens=1, completion_tokens=1),
        cost=cost,
    )
    ended = await store.finish(job.id, outcome, batch(job, "1-1", outcome.terminal), clock(), None)
    assert ended is not None
    return ended


async def test_what_was_spent_before_counts() -> None:
    """A restart gives nobody a new budget; what ended yesterday is the month's, not the day's."""
    store, clock = MemoryStore(), Clock("2026-11-20T23:00:00")
    await spend(store, clock, 3_000_000)
    clock.now = at("2026-11-21T01:00:00")
    await spend(store, clock, 500_000)
    budgets = Budgets(store, clock)
    await budgets.start()
    assert budgets.spent(shop(usd=4, per="month")) == 3_500_000
    assert budgets.spent(shop(usd=4, per="day")) == 500_000


@pytest.mark.parametrize(
    ("per", "last", "first"),
    [
        ("day", "2026-11-20T23:59:59", "2026-11-21T00:00:00"),
        ("month", "2026-11-30T23:59:59", "2026-12-01T00:00:00"),
    ],
)
async def test_a_budget_begins_anew(per: Any, last: str, first: str) -> None:
    """To the second, by UTC; until then the refusal tells how long that is."""
    store, clock = MemoryStore(), Clock(last)
    tenant = shop(usd=1, per=per)
    budgets = Budgets(store, clock)
    await budgets.start()
    budgets.reserve(new_job(), tenant, CATALOG)
    budgets.add(await spend(store, clock, 1_000_000), tenant)
    with pytest.raises(OverBudget) as refused:
        budgets.reserve(new_job(), tenant, CATALOG)
    assert (refused.value.retry_after_s, refused.value.retryable) == (1.0, True)
    assert str(refused.value) == (
        f"The budget of $1.00 a {per} is spent. It begins anew with the next {per}."
    )
    clock.now = at(first)
    budgets.reserve(new_job(), tenant, CATALOG)
    assert budgets.spent(tenant) == 0


async def test_crossing_a_line_is_told_once() -> None:
    """Most of it, and all of it: a line each, and none for every job after that."""
    store, clock = MemoryStore(), Clock("2026-11-20T12:00:00")
    tenant = shop(usd=1, soft=0.5)
    budgets = Budgets(store, clock)
    await budgets.start()
    job = await spend(store, clock, 250_000)
    with capture_logs() as lines:
        warnings = []
        for _ in range(5):
            budgets.add(job, tenant)
            warnings.append(budgets.warning(tenant))
    assert warnings == [
        None,
        "50% of $1.00 a month is spent.",
        "75% of $1.00 a month is spent.",
        "100% of $1.00 a month is spent.",
        "100% of $1.00 a month is spent.",
    ]
    shared = {"app": "acme", "budget_usd": 1.0, "per": "month", "log_level": "warning"}
    assert lines == [
        {"event": "budget_nearly_spent", "spent_usd": 0.5, **shared},
        {"event": "budget_spent", "spent_usd": 1.0, **shared},
    ]


async def test_who_has_no_budget_has_no_bound() -> None:
    """It is counted all the same: a budget may be given tomorrow."""
    store, clock = MemoryStore(), Clock("2026-11-20T12:00:00")
    budgets = Budgets(store, clock)
    await budgets.start()
    free = replace(shop(usd=1), budget=None)
    budgets.add(await spend(store, clock, 9_000_000), free)
    budgets.reserve(new_job(), free, CATALOG)
    assert (budgets.warning(free), budgets.spent(shop(usd=1))) == (None, 9_000_000)


async def test_a_burst_goes_beyond_the_budget_by_no_more_than_a_guess() -> None:
    """What runs counts as what it may cost; when it is over, as what it did."""
    store, clock = MemoryStore(), Clock("2026-11-20T12:00:00")
    tenant = shop(usd=0.001)
    budgets = Budgets(store, clock)
    await budgets.start()
    # Five tokens read, two hundred written: 205 millionths of a dollar each.
    running = [new_job() for _ in range(5)]
    for job in running:
        budgets.reserve(job, tenant, CATALOG)
    with pytest.raises(OverBudget, match="under way may spend the rest") as refused:
        budgets.reserve(new_job(), tenant, CATALOG)
    assert refused.value.retry_after_s == 5.0
    budgets.release(running[0].id)
    budgets.release(running[0].id)
    budgets.reserve(new_job(), tenant, CATALOG)


async def test_what_an_app_may_cost_is_learned_from_its_answers() -> None:
    """And is no more than the request allows."""
    store, clock = MemoryStore(), Clock("2026-11-20T12:00:00")
    tenant = shop(usd=0.001)
    budgets = Budgets(store, clock)
    await budgets.start()
    # One token each.
    budgets.add(await spend(store, clock, 1), tenant)
    for _ in range(100):
        budgets.reserve(new_job(), tenant, CATALOG)
    short = Budgets(store, clock)
    await short.start()
    brief = replace(new_job().request, max_tokens=1)
    for _ in range(100):
        short.reserve(new_job(request=brief), tenant, CATALOG)


# -- the whole gateway ------------------------------------------------------------------------


def budgeted(**budget: Any) -> dict[str, Any]:
    return {
        "app_codes": apps(budget=budget),
        "models": MODELS,
        "DEFAULT_MODEL": PRICED,
    }


async def test_little_left_is_told_to_who_asks() -> None:
    """On answers that made a job, streamed or not, from the soft line on; on no other."""
    async with Gateway(**budgeted(usd=10, soft=0.2)) as gateway:
        first = await gateway.post("/v1/ask", {"question": "one two"}, **bearer(CODE))
        assert "X-Budget-Warning" not in first.headers
        second = await gateway.post("/v1/ask", {"question": "one two"}, **bearer(CODE))
        assert second.headers["X-Budget-Warning"] == "20% of $10.00 a month is spent."
        body = {"question": "one two", "stream": True}
        third = await gateway.post("/v1/ask", body, **bearer(CODE))
        assert third.headers["X-Budget-Warning"] == "20% of $10.00 a month is spent."
        other = await gateway.post("/v1/ask", {"question": "one two"}, **bearer(OTHER_CODE))
        assert "X-Budget-Warning" not in other.headers
        listed = await gateway.get("/v1/models", **bearer(CODE))
        assert "X-Budget-Warning" not in listed.headers


_SPENT = "The budget of $1.00 a day is spent. It begins anew with the next day."
_QUOTA = {
    "error": {
        "message": _SPENT,
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }
}
_NAMED = {"error": {"code": "BUDGET_EXCEEDED", "message": _SPENT}}


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        (
            "/ai_request",
            {"request_type": "ask", "request": "one two"},
            {"status": "error", "error_code": "BUDGET_EXCEEDED", "message": _SPENT},
        ),
        ("/api/chat/stream", {"user_prompt": "one two", "model": PRICED}, _NAMED),
        ("/assistant/request", {"prompt": "one two"}, _NAMED),
        ("/v1/ask", {"question": "one two"}, _QUOTA),
        (
            "/v1/chat/completions",
            {"model": PRICED, "messages": [{"role": "user", "content": "one two"}]},
            _QUOTA,
        ),
        ("/v1/responses", {"model": PRICED, "input": "one two"}, _QUOTA),
        (
            "/init-stream",
            {"prompt": "one two", "resumeUrl": "https://n8n.test/webhook-waiting/1"},
            {"ok": False, **_NAMED},
        ),
    ],
)
async def test_what_is_spent_is_refused_at_every_door(path: str, body: Any, refusal: Any) -> None:
    """402 with the reason and the time, in the door's own shape; no job is made."""
    settings = budgeted(usd=1, per="day")
    async with Gateway(CALLBACK_ALLOWED_ORIGINS="https://n8n.test", **settings) as gateway:
        job_id = await gateway.queue(model=PRICED)
        await gateway.over(job_id)
        reply = await gateway.post(path, body, **bearer(CODE))
        assert (reply.status, reply.json()) == (402, refusal)
        assert 0 < int(reply.headers["Retry-After"]) <= 86_400
        assert (await gateway.poll(job_id))["status"] == "completed"
        bank = await gateway.post("/v1/ask", {"question": "one two"}, **bearer(OTHER_CODE))
        assert bank.status == 200


async def test_a_repeat_is_answered_when_all_is_spent() -> None:
    """The job is paid for already."""
    body = {"app_code": CODE, "request_type": "ask", "request": "one two", "model": PRICED}
    async with Gateway(**budgeted(usd=1)) as gateway:
        key = {"Idempotency-Key": "k"}
        first = await gateway.post("/ai_request", body, **key)
        await gateway.over(first.json()["request_id"])
        assert (await gateway.post("/ai_request", body)).status == 402
        assert (await gateway.post("/ai_request", body, **key)).json() == first.json()


async def test_a_burst_of_requests_does_not_overdraw_the_budget() -> None:
    """Those that come together are refused as those that come late; none is counted for ever."""
    body = {"question": "one two", "max_tokens": 2}
    async with Gateway(**budgeted(usd=3)) as gateway:
        asked = [gateway.post("/v1/ask", body, **bearer(CODE)) for _ in range(30)]
        statuses = Counter(reply.status for reply in await asyncio.gather(*asked))
        assert set(statuses) == {200, 402}
        assert statuses[200] <= 4
        assert gateway.core.budgets._reserved.total() == 0


@jumping
async def test_a_request_that_was_not_taken_reserves_nothing() -> None:
    """A store that is out of reach for a while uses up nobody's budget."""
    store = SlowStore(lambda: 0.01)
    tenant = replace(ACME, budget=Budget(usd=0.0003, per="day"))
    async with Rig(store=store, tenant=tenant, a=[HELLO]) as rig:
        rig.models["a"] = replace(rig.models["a"], input_price=1, output_price=1)
        store.down = True
        for _ in range(10):
            with pytest.raises(StoreUnavailable):
                await rig.submit()
        store.down = False
        assert (await rig.ended(await rig.submit())).state is State.COMPLETED


async def test_a_budget_that_is_given_later_counts_what_was_spent() -> None:
    """From the reload on, and without a restart."""
    before: Any = {"models": MODELS, "DEFAULT_MODEL": PRICED}
    async with Gateway(**before) as gateway:
        await gateway.over(await gateway.queue(model=PRICED))
        gateway.app[RELOADING].change(Gateway(**budgeted(usd=1)).config)
        reply = await gateway.post("/v1/ask", {"question": "one two"}, **bearer(CODE))
        assert reply.status == 402
        assert (
            'gateway_budget_spent_ratio{app="shop"} 1.0'
            in (await gateway.get("/metrics")).body.decode()
        )


async def test_a_restart_forgets_no_spending(tmp_path: Path) -> None:
    """Nor does the end of the jobs' retention."""
    settings = budgeted(usd=1) | {"DATA_DIR": tmp_path}
    async with Gateway(**settings) as gateway:
        await gateway.over(await gateway.queue(model=PRICED))
    async with Gateway(**settings) as gateway:
        reply = await gateway.post("/v1/ask", {"question": "one two"}, **bearer(CODE))
        assert reply.status == 402
