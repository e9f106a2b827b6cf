"""Answers given again: to the same request of the same owner, for so long, and no others."""

import asyncio
from typing import Any

import pytest

from tests.engine.n8n import N8n
from tests.surfaces.running import CODE, QUICK, Gateway, apps, bearer, user_token
from tests.surfaces.teller import MODEL, Teller, told

ASK = {"name": "ask", "cache": 60, "model": QUICK}
CACHED = apps(allowed_request_types=[ASK, {**ASK, "name": "explain"}, "plain"])


async def asked(gateway: Gateway, headers: dict[str, str] | None = None, **changes: Any) -> str:
    """Ask and wait for the answer; the request id."""
    body = {"request_type": "ask", "request": "one two", **changes}
    reply = await gateway.post("/ai_request", body, **(headers or bearer(CODE)))
    assert reply.status == 200, reply
    job_id: str = reply.json()["request_id"]
    assert reply.headers["X-Request-Id"] == job_id
    await gateway.over(job_id)
    return job_id


async def test_the_same_request_is_answered_by_the_same_job(teller: Teller) -> None:
    """The model is asked once, the limit counts once; the answer is there at once."""
    entry = {"name": "ask", "cache": True, "model": MODEL}
    settings = {"allowed_request_types": [entry], "rate_limit": "1/hour"}
    async with Gateway(app_codes=apps(**settings), **teller.settings) as gateway:
        first = await asked(gateway, request=told("one"))
        for _ in range(3):
            assert await asked(gateway, request=told("one")) == first
        assert (await gateway.poll(first))["response"]["ai_response"] == "one"
        assert len(teller.bodies) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"request": "one  two"},
        {"request_type": "explain"},
        {"model": "simulator/echo?first=0"},
        {"request_type": "plain", "model": QUICK},
    ],
    ids=["text", "type", "model", "a type without cache"],
)
async def test_another_request_is_another_job(changes: dict[str, Any]) -> None:
    """Whatever differs; and a type without a cache never answers again."""
    async with Gateway(app_codes=CACHED) as gateway:
        assert await asked(gateway) == await asked(gateway)
        other = await asked(gateway, **changes)
        assert other != await asked(gateway)
        if changes.get("request_type") == "plain":
            assert other != await asked(gateway, **changes)


async def test_nobody_is_given_anothers_answer() -> None:
    """Each user whom a token names has its own, and the app has its own."""
    async with Gateway(app_codes=CACHED) as gateway:
        owners = [bearer(CODE), bearer(user_token(sub="ann")), bearer(user_token(sub="bob"))]
        ids = [await asked(gateway, owner) for owner in owners]
        assert len(set(ids)) == 3
        assert [await asked(gateway, owner) for owner in owners] == ids


async def test_a_failed_job_answers_nothing() -> None:
    """Another try may help."""
    model = "simulator/echo?first=0&status=401"
    async with Gateway(app_codes=CACHED) as gateway:
        assert await asked(gateway, model=model) != await asked(gateway, model=model)


async def test_an_answer_grows_old() -> None:
    """After its time the model is asked again."""
    kinds = [{"name": "ask", "cache": 0.05, "model": QUICK}]
    async with Gateway(app_codes=apps(allowed_request_types=kinds)) as gateway:
        first = await asked(gateway)
        await asyncio.sleep(0.06)
        assert await asked(gateway) != first


async def test_what_is_forgotten_is_asked_again() -> None:
    """The cache keeps nothing longer than the gateway does."""
    async with Gateway(app_codes=CACHED) as gateway:
        first = await asked(gateway)
        await gateway.forget()
        assert await asked(gateway) != first


async def test_who_wants_a_job_of_its_own_gets_one(n8n: N8n) -> None:
    """A callback is owed for each request, and a key names its own job."""
    async with Gateway(app_codes=CACHED, CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
        first = await asked(gateway)
        assert await asked(gateway, callback_url=f"{n8n.origin}/hook") != first
        keyed = {**bearer(CODE), "Idempotency-Key": "k1"}
        assert await asked(gateway, keyed) != first
        assert await asked(gateway, keyed) == await asked(gateway, keyed)
        assert await asked(gateway) == first
        await n8n.arrived(1)


async def test_a_batch_shares_what_was_answered() -> None:
    """Its entries are requests like others."""
    async with Gateway(app_codes=CACHED) as gateway:
        first = await asked(gateway)
        entry = {"request_type": "ask", "request": "one two"}
        reply = await gateway.post(
            "/ai_request/batch", {"app_code": CODE, "requests": [entry, entry]}
        )
        assert {result["request_id"] for result in reply.json()["results"]} == {first}
