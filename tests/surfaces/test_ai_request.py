"""The job queue's door: limits, order, cancelling, batches, and callbacks."""

import asyncio
import json
from typing import Any

import pytest
from standardwebhooks import Webhook

from gateway.surfaces.polled import in_words
from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    SILENT,
    STUCK,
    WEBHOOK_SECRET,
    Gateway,
    Reply,
    apps,
    bearer,
)
from tests.surfaces.teller import MODEL, Teller, told

ASK = {"app_code": CODE, "request_type": "ask", "request": "hi", "model": QUICK}


async def cancel(gateway: Gateway, job_id: str) -> Any:
    reply = await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))
    assert reply.status == 200
    assert reply.headers["X-Request-Id"] == job_id
    return reply.json()


# -- limits ---------------------------------------------------------------------------------------


async def test_a_burst_lets_exactly_the_limit_through() -> None:
    """In parallel, at both doors together; the others are told when to come again."""
    async with Gateway(app_codes=apps(rate_limit="10/minute")) as gateway:
        replies = await asyncio.gather(*(gateway.post("/ai_request", ASK) for _ in range(40)))
        statuses = [reply.status for reply in replies]
        assert (statuses.count(200), statuses.count(429)) == (10, 30)
        refused = next(reply for reply in replies if reply.status == 429)
        assert refused.json()["error_code"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        body = {"app_code": CODE, "prompt": "hi", "resumeUrl": "https://n8n.test/1"}
        n8n = await gateway.post("/init-stream", body)
        assert (n8n.status, n8n.json()["error"]["code"]) == (429, "RATE_LIMITED")
        for reply in (refused, n8n):
            left = {
                "Limit": "10",
                "Remaining": "0",
                "Reset": f"{reply.headers['Retry-After']}s",
            }
            assert {name: reply.headers[f"X-RateLimit-{name}-Requests"] for name in left} == left
        other = await gateway.post("/ai_request", {**ASK, "app_code": OTHER_CODE})
        assert other.status == 200


async def test_what_is_refused_does_not_count() -> None:
    """Wrong ones, and those for which there is no place."""
    async with Gateway(app_codes=apps(rate_limit="4/hour"), WORKERS=1, QUEUE_MAX_SIZE=1) as gateway:
        for change in ({"request": ""}, {"request_type": "no"}, {"model": "no"}, {"priority": 99}):
            assert (await gateway.post("/ai_request", {**ASK, **change})).status in (400, 403)
        running = await gateway.queue(SILENT)
        await gateway.published(running, 1)
        waiting = await gateway.queue(SILENT)
        for _ in range(5):
            assert (await gateway.post("/ai_request", ASK)).status == 503
        await cancel(gateway, waiting)
        assert (await gateway.post("/ai_request", ASK)).status == 200
        await cancel(gateway, running)
        await gateway.quiet()
        statuses = [(await gateway.post("/ai_request", ASK)).status for _ in range(2)]
        assert statuses == [200, 429]


async def test_a_full_queue_refuses_at_both_doors() -> None:
    """503 with the time after which a place should be free; a parallel burst fills it exactly."""
    async with Gateway(WORKERS=1, QUEUE_MAX_SIZE=3) as gateway:
        await gateway.published(await gateway.queue(SILENT), 1)
        replies = await asyncio.gather(*(gateway.post("/ai_request", ASK) for _ in range(20)))
        assert [reply.status for reply in replies].count(200) == 3
        refused = next(reply for reply in replies if reply.status != 200)
        assert (refused.status, refused.json()["error_code"]) == (503, "QUEUE_FULL")
        assert int(refused.headers["Retry-After"]) >= 1
        body = {"app_code": CODE, "prompt": "hi", "resumeUrl": "https://n8n.test/1"}
        n8n = await gateway.post("/init-stream", body)
        assert (n8n.status, n8n.json()["error"]["code"]) == (503, "QUEUE_FULL")
        assert int(n8n.headers["Retry-After"]) >= 1


async def test_a_ceiling_is_lowered_to(teller: Teller) -> None:
    """Of the app, where a request type asks for more; and what the type says goes out."""
    kinds = [
        {"name": "big", "max_tokens": 5_000, "temperature": 0.1, "system_prompt": "Be {brief}."},
        {"name": "small", "max_tokens": 5},
        "plain",
    ]
    app_codes = apps(allowed_request_types=kinds, max_tokens=100)
    async with Gateway(app_codes=app_codes, **teller.settings) as gateway:
        for kind in ("big", "small", "plain"):
            await gateway.over(await gateway.queue(MODEL, told("a"), request_type=kind))
    asked = [(body["max_tokens"], body["temperature"]) for body in teller.bodies]
    assert asked == [(100, 0.1), (5, 0.7), (100, 0.7)]
    assert [message["role"] for message in teller.bodies[0]["messages"]] == ["system", "user"]
    assert teller.bodies[0]["messages"][0]["content"] == "Be {brief}."


async def test_an_app_may_be_bound_to_models() -> None:
    """Another one is 403, and names the field."""
    async with Gateway(app_codes=apps(allowed_models=[QUICK])) as gateway:
        assert (await gateway.post("/ai_request", ASK)).status == 200
        reply = await gateway.post("/ai_request", {**ASK, "model": SILENT})
        assert (reply.status, reply.json()["error_code"]) == (403, "FORBIDDEN")
        assert "model" in reply.json()["message"]


# -- order ----------------------------------------------------------------------------------------


async def test_a_better_priority_than_the_apps_own_is_lowered_to_it() -> None:
    """A worse one is kept."""
    async with Gateway(app_codes=apps(priority=3)) as gateway:
        for asked, given in ((0, 3), (3, 3), (7, 7), (None, 3)):
            job_id = await gateway.queue(priority=asked)
            assert (await gateway.job(job_id)).priority == given


async def test_positions_follow_priority() -> None:
    """From 1; what comes later and matters more stands before."""
    async with Gateway(app_codes=apps(priority=0), WORKERS=1) as gateway:
        await gateway.published(await gateway.queue(SILENT), 1)
        jobs = [await gateway.queue(SILENT, priority=priority) for priority in (9, 5, 0)]
        assert [(await gateway.poll(job))["position"] for job in jobs] == [3, 2, 1]
        await cancel(gateway, jobs[2])
        assert [(await gateway.poll(job))["position"] for job in jobs[:2]] == [2, 1]


@pytest.mark.parametrize(
    ("wait_s", "words"),
    [
        (0, "a few seconds"),
        (9.99, "a few seconds"),
        (10, "less than a minute"),
        (59.9, "less than a minute"),
        (60, "1-2 minutes"),
        (179, "2-3 minutes"),
        (3_599, "59-60 minutes"),
        (3_600, "1-2 hours"),
        (90_000, "25-26 hours"),
    ],
)
def test_a_wait_is_told_as_a_person_would(wait_s: float, words: str) -> None:
    """As the document does: "2-3 minutes"."""
    assert in_words(wait_s) == words


# -- cancelling -----------------------------------------------------------------------------------


async def test_cancel_in_every_state() -> None:
    """In the queue, at work, and when it is over already: 200, and what became of it."""
    async with Gateway(WORKERS=1) as gateway:
        done = await gateway.queue()
        await gateway.over(done)
        failed = await gateway.queue("simulator/echo?status=400&first=0")
        await gateway.over(failed)
        running = await gateway.queue(STUCK)
        await gateway.published(running, 3)
        waiting = await gateway.queue(SILENT)
        gone = {"status": "cancelled", "message": "Request was cancelled"}
        for job_id in (waiting, running):
            assert await cancel(gateway, job_id) == {
                "status": "success",
                "request_id": job_id,
                "message": "Request cancelled",
            }
            assert await gateway.poll(job_id) == gone
        assert "cancelled" in (await cancel(gateway, running))["message"]
        for job_id, state in ((done, "completed"), (failed, "error")):
            said = await cancel(gateway, job_id)
            assert said["message"] == f"Request is already over: {state}"
            assert (await gateway.poll(job_id))["status"] == state


async def test_cancelling_at_once_from_many_sides() -> None:
    """All are told of the one end."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(STUCK)
        await gateway.published(job_id, 3)
        said = await asyncio.gather(*(cancel(gateway, job_id) for _ in range(20)))
        assert {each["status"] for each in said} == {"success"}
        assert (await gateway.poll(job_id))["status"] == "cancelled"


async def test_a_job_that_waits_too_long_expires() -> None:
    """The poll says so, and that another try may help."""
    async with Gateway(WORKERS=1, QUEUE_TIMEOUT=0.5) as gateway:
        await gateway.published(await gateway.queue(SILENT), 1)
        job_id = await gateway.queue(SILENT)
        await gateway.over(job_id)
        assert await gateway.poll(job_id) == {
            "status": "expired",
            "message": "Request waited too long in the queue",
            "retry_possible": True,
        }


async def test_what_was_forgotten_is_unknown() -> None:
    """To its owner too: this door knows one answer."""
    async with Gateway() as gateway:
        job_id = await gateway.queue()
        await gateway.over(job_id)
        await gateway.forget()
        unknown = await gateway.get("/get_request/x")
        for headers in ({}, bearer(CODE)):
            reply = await gateway.get(f"/get_request/{job_id}", **headers)
            assert (reply.status, reply.body) == (404, unknown.body)
        reply = await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))
        assert (reply.status, reply.body) == (404, unknown.body)


async def test_any_job_of_the_caller_can_be_polled_and_cancelled(
    gateway: Gateway, n8n: N8n
) -> None:
    """One that was made at n8n's door too."""
    body = {
        "app_code": CODE,
        "prompt": "hi",
        "model": STUCK,
        "resumeUrl": n8n.wait_for(Execution()),
    }
    job_id = (await gateway.post("/init-stream", body)).headers["X-Request-Id"]
    await gateway.published(job_id, 2)
    assert (await gateway.poll(job_id, **bearer(CODE)))["status"] == "processing"
    assert (await cancel(gateway, job_id))["status"] == "success"
    await n8n.arrived(1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"app_code": CODE}, 200),
        ({"app_code": OTHER_CODE}, 404),
        ({"app_code": "wrong"}, 401),
        ({"app_code": 5}, 400),
        ({}, 401),
        (None, 401),
    ],
)
async def test_who_cancels_may_say_so_in_the_body(
    gateway: Gateway, body: dict[str, Any] | None, status: int
) -> None:
    """As at every call of this door; without a header only that counts."""
    job_id = await gateway.queue(STUCK)
    reply = await gateway.ask("POST", f"/cancel_request/{job_id}", json=body)
    assert reply.status == status
    assert (await gateway.poll(job_id))["status"] == (
        "cancelled" if status == 200 else "processing"
    )


# -- batches --------------------------------------------------------------------------------------


async def batch(gateway: Gateway, requests: list[Any], **more: Any) -> Reply:
    return await gateway.post("/ai_request/batch", {"app_code": CODE, "requests": requests, **more})


async def test_a_batch_is_answered_entry_by_entry(gateway: Gateway) -> None:
    """In order, in this door's own answers; each job is its own."""
    good = {"request_type": "ask", "request": "one two", "model": QUICK}
    reply = await batch(gateway, [good, {**good, "request": ""}, {**good, "priority": 7}])
    first, second, third = reply.json()["results"]
    assert reply.json()["status"] == "success"
    assert (second["status"], second["error_code"]) == ("error", "INVALID_REQUEST")
    for result in (first, third):
        assert result["message"] == "Request queued successfully"
        await gateway.over(result["request_id"])
        assert (await gateway.poll(result["request_id"]))["response"]["ai_response"] == "one two"
    assert first["request_id"] != third["request_id"]


async def test_a_batch_takes_a_hundred() -> None:
    """And each counts against the limit: the rest of them is refused, one by one."""
    async with Gateway(app_codes=apps(rate_limit="99/hour")) as gateway:
        requests = [{"request_type": "ask", "request": "hi", "model": QUICK}] * 100
        reply = await batch(gateway, requests)
        results = reply.json()["results"]
        assert [result["status"] for result in results] == ["success"] * 99 + ["error"]
        assert results[99]["error_code"] == "RATE_LIMITED"
        assert 1 <= int(reply.headers["Retry-After"]) <= 3600
        for result in results[:99]:
            await gateway.over(result["request_id"])


async def test_what_of_a_batch_finds_no_place_may_come_again() -> None:
    """The answer says when, though the rest was taken."""
    async with Gateway(WORKERS=1, QUEUE_MAX_SIZE=1) as gateway:
        await gateway.published(await gateway.queue(SILENT), 1)
        reply = await batch(gateway, [{"request_type": "ask", "request": "hi"}] * 2)
        taken, refused = reply.json()["results"]
        assert (taken["status"], refused["error_code"]) == ("success", "QUEUE_FULL")
        assert (reply.status, int(reply.headers["Retry-After"]) >= 1) == (200, True)


async def test_a_batch_takes_its_credential_from_a_header_too(gateway: Gateway) -> None:
    """As every route does."""
    requests = [{"request_type": "ask", "request": "hi", "model": QUICK}]
    reply = await gateway.post("/ai_request/batch", {"requests": requests}, **bearer(CODE))
    assert reply.status == 200
    await gateway.over(reply.json()["results"][0]["request_id"])


# -- callbacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [QUICK, "simulator/echo?status=400&first=0", "cancelled"])
async def test_a_callback_gets_what_polling_answers(gateway: Gateway, n8n: N8n, model: str) -> None:
    """And the request id; signed, at the URL as it was given."""
    cancelled = model == "cancelled"
    url = n8n.wait_for(Execution())
    job_id = await gateway.queue(SILENT if cancelled else model, callback_url=url)
    if cancelled:
        await gateway.published(job_id, 1)
        await cancel(gateway, job_id)
    await n8n.arrived(1)
    (post,) = n8n.posts
    body = json.loads(post.body)
    assert n8n.origin + post.target == url
    assert body == {"request_id": job_id, **await gateway.poll(job_id)}
    assert Webhook(WEBHOOK_SECRET).verify(post.body, post.headers) == body


async def test_an_expired_job_is_called_back_too(n8n: N8n) -> None:
    """Its caller does not wait for ever."""
    async with Gateway(
        WORKERS=1, QUEUE_TIMEOUT=0.5, CALLBACK_ALLOWED_ORIGINS=n8n.origin
    ) as gateway:
        await gateway.published(await gateway.queue(SILENT), 1)
        await gateway.queue(SILENT, callback_url=n8n.wait_for(Execution()))
        await n8n.arrived(1)
    assert json.loads(n8n.posts[0].body)["status"] == "expired"


async def test_an_app_may_be_bound_to_its_receivers(n8n: N8n) -> None:
    """Its own list is the whole list; the field is named."""
    app_codes = apps(callback_origins=["https://only.test"])
    async with Gateway(app_codes=app_codes, CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
        reply = await gateway.post("/ai_request", {**ASK, "callback_url": f"{n8n.origin}/1"})
        assert (reply.status, reply.json()["error_code"]) == (400, "INVALID_REQUEST")
        assert reply.json()["message"].startswith("callback_url")
        other = {**ASK, "app_code": OTHER_CODE, "callback_url": n8n.wait_for(Execution())}
        assert (await gateway.post("/ai_request", other)).status == 200
        await n8n.arrived(1)
