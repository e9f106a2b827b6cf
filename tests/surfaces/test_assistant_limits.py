"""A user's limits at the assistant's door, and how requests end."""

import asyncio
from typing import Any

import pytest

from tests.surfaces.assisting import PATH, ask, cancel, made, told, user
from tests.surfaces.running import CODE, SILENT, STUCK, Gateway, bearer
from tests.surfaces.teller import MODEL, Teller
from tests.surfaces.teller import told as said

MODES = """
[modes.chat]
[modes.edit]
rate_limit = "2/minute"
"""


# -- a user's limits ------------------------------------------------------------------------------


async def test_a_user_has_so_many_requests_at_a_time() -> None:
    """Of a burst exactly so many are taken; one that ends makes room; others are not concerned."""
    async with Gateway(USER_MAX_ACTIVE=3) as gateway:

        async def one(name: str) -> Any:
            body = {"prompt": "hi", "model": SILENT}
            return await gateway.post(PATH, body, **user(name))

        replies = await asyncio.gather(*(one("ann") for _ in range(10)))
        taken = [reply.json()["request_id"] for reply in replies if reply.status == 201]
        refused = [reply for reply in replies if reply.status == 429]
        assert (len(taken), len(refused)) == (3, 7)
        assert {reply.json()["error"]["code"] for reply in refused} == {"RATE_LIMITED"}
        assert {int(reply.headers["Retry-After"]) > 0 for reply in refused} == {True}
        assert {reply.headers["X-RateLimit-Limit-Requests"] for reply in refused} == {"3"}
        assert (await one("bob")).status == 201
        assert (await ask(gateway, user_id="ann", model=SILENT)).status == 429
        # The app's own requests are nobody's.
        assert [(await ask(gateway, model=SILENT)).status for _ in range(5)] == [201] * 5
        assert (await cancel(gateway, taken[0]))[0] == 200
        assert (await one("ann")).status == 201


async def test_a_user_makes_so_many_requests_a_minute() -> None:
    """Over all modes; each with the time after which another try can help."""
    async with Gateway(USER_RATE_LIMIT="2/minute", modes=MODES) as gateway:
        assert (await ask(gateway, user_id="ann")).status == 201
        assert (await ask(gateway, user_id="ann", mode="edit")).status == 201
        reply = await ask(gateway, user_id="ann")
        assert (reply.status, reply.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert 0 < int(reply.headers["Retry-After"]) <= 60
        assert (await ask(gateway, user_id="bob")).status == 201


async def test_a_mode_has_a_limit_of_its_own() -> None:
    """For each user; what it refuses counts against nothing else."""
    async with Gateway(USER_RATE_LIMIT="3/minute", modes=MODES) as gateway:
        asked = [(await ask(gateway, user_id="ann", mode="edit")).status for _ in range(5)]
        assert asked == [201, 201, 429, 429, 429]
        assert (await ask(gateway, user_id="ann", mode="chat")).status == 201
        assert (await ask(gateway, user_id="ann", mode="chat")).status == 429
        assert (await ask(gateway, user_id="bob", mode="edit")).status == 201


async def test_a_repeat_counts_against_nothing() -> None:
    """What was taken is told again, also to a user who may make no more."""
    async with Gateway(USER_MAX_ACTIVE=1, USER_RATE_LIMIT="1/minute") as gateway:
        body = {"prompt": "hi", "model": SILENT}
        key = {"Idempotency-Key": "once"}
        replies = [await gateway.post(PATH, body, **user("ann"), **key) for _ in range(3)]
        taken = {(reply.status, reply.json()["request_id"]) for reply in replies}
        assert taken == {(201, replies[0].headers["X-Request-Id"])}
        assert (await gateway.post(PATH, body, **user("ann"))).status == 429


# -- how they end ---------------------------------------------------------------------------------


async def test_a_waiting_request_is_cancelled(gateway: Gateway) -> None:
    """It never runs; its stream says why; once more changes nothing."""
    async with Gateway(WORKERS=1) as gateway:
        running = await made(gateway, model=STUCK)
        await gateway.published(running, 1)
        job_id = await made(gateway)
        for _ in range(2):
            want = {"request_id": job_id, "status": "cancelled"}
            assert await cancel(gateway, job_id) == (200, want)
        waited, last = await told(gateway, job_id)
        assert waited.data == {"stage": "queued"}
        assert (last.name, last.data["code"], last.data["retryable"]) == (
            "error",
            "CANCELLED",
            False,
        )


async def test_a_running_request_is_cancelled_with_its_providers_stream(teller: Teller) -> None:
    """What there was stays; the provider is left."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await made(gateway, model=MODEL, prompt=said("one", "two"))
        await gateway.published(job_id, 3)
        assert (await cancel(gateway, job_id))[1]["status"] == "cancelled"
        async with asyncio.timeout(20):
            await teller.left.wait()
        got = await told(gateway, job_id)
        assert [each.data.get("text") for each in got if each.name == "response_chunk"] == ["one"]
        assert got[-1].name == "error"


async def test_a_request_that_is_over_stays_as_it_is(gateway: Gateway) -> None:
    """To cancel it is no error."""
    job_id = await made(gateway)
    await gateway.over(job_id)
    want = {"request_id": job_id, "status": "completed"}
    assert await cancel(gateway, job_id) == (200, want)


async def test_a_stream_token_does_not_cancel(gateway: Gateway) -> None:
    """It only reads."""
    reply = await ask(gateway, model=SILENT)
    got = reply.json()
    token = got["stream_url"].partition("access_token=")[2]
    path = f"{PATH}/{got['request_id']}"
    assert (await gateway.ask("DELETE", path, headers=bearer(token))).status == 403
    assert (await gateway.ask("DELETE", f"{path}?access_token={token}")).status == 401


async def test_what_nobody_reads_or_polls_is_abandoned(teller: Teller) -> None:
    """Its provider's stream is closed, and later readers are told."""
    async with Gateway(ABANDON_AFTER=1, **teller.settings) as gateway:
        teller.gate.clear()
        job_id = await made(gateway, model=MODEL, prompt=said("one", "two"))
        async with asyncio.timeout(20):
            await teller.left.wait()
        await gateway.quiet()
        (*_, last) = await told(gateway, job_id)
        assert last.data["code"] == "CANCELLED"
        assert "abandoned" in last.data["message"]


@pytest.mark.parametrize("path", ["/assistant/request/{}", "/get_request/{}"])
async def test_to_poll_is_to_want(gateway: Gateway, path: str) -> None:
    """The time after which nobody wants it begins anew."""
    job_id = await made(gateway, model=STUCK)
    timers = gateway.core._grace._timers
    before = timers[job_id].when()
    assert (await gateway.get(path.format(job_id), **bearer(CODE))).status == 200
    assert timers[job_id].when() > before


# -- how they stand -------------------------------------------------------------------------------


async def test_a_request_can_be_polled() -> None:
    """In the words of its stream."""
    async with Gateway(WORKERS=1) as gateway:

        async def look(job_id: str) -> Any:
            reply = await gateway.get(f"{PATH}/{job_id}", **bearer(CODE))
            assert reply.headers["X-Request-Id"] == job_id
            return reply.json()

        running = await made(gateway, model=STUCK)
        await gateway.published(running, 3)
        waiting = await made(gateway, track_id="t1")
        assert await look(running) == {"request_id": running, "status": "processing"}
        queued = await look(waiting)
        assert queued.pop("estimated_wait_time")
        assert queued == {"request_id": waiting, "status": "queued", "position": 1}
        await cancel(gateway, running)
        assert await look(running) == {
            "request_id": running,
            "status": "cancelled",
            "error": {
                "code": "CANCELLED",
                "message": "The request was cancelled by the caller.",
                "retryable": False,
            },
        }
        await gateway.over(waiting)
        (*_, last) = await told(gateway, waiting)
        done = {"request_id": waiting, "status": "completed", **last.data}
        assert await look(waiting) == done
