"""`Idempotency-Key` at every door that makes a job."""

import asyncio
import hashlib
import json
from typing import Any

import pytest

from gateway.history import Filter
from gateway.jobs import State
from tests.engine.n8n import N8n
from tests.surfaces.running import CODE, OTHER_CODE, QUICK, Gateway, bearer, user_token

ME = bearer(CODE)
# Slow enough to be asked for again while it is written.
SLOW = "simulator/echo?first=0&gap=0.05"
MESSAGES = [{"role": "user", "content": "one two three four"}]
# A good body of each door; `{origin}` is where callbacks go.
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "ai_request": ("/ai_request", {"request_type": "ask", "request": "one two"}),
    "init-stream": ("/init-stream", {"prompt": "one two", "resumeUrl": "{origin}/1"}),
    "chat": ("/api/chat/stream", {"user_prompt": "one two"}),
    "ask": ("/v1/ask", {"question": "one two"}),
    "ask stream": ("/api/v1/ask", {"question": "one two", "stream": True}),
    "openai": ("/v1/chat/completions", {"messages": MESSAGES}),
    "openai stream": ("/v1/chat/completions", {"messages": MESSAGES, "stream": True}),
    "responses": ("/v1/responses", {"input": "one two"}),
    "responses stream": ("/v1/responses", {"input": "one two", "stream": True}),
    "responses background": ("/v1/responses", {"input": "one two", "background": True}),
}


@pytest.fixture(params=[*DOORS.values()], ids=[*DOORS])
def door(request: pytest.FixtureRequest, n8n: N8n) -> tuple[str, dict[str, Any]]:
    path, body = request.param
    return path, json.loads(json.dumps(body).replace("{origin}", n8n.origin))


async def test_the_same_again_is_the_same_job(
    gateway: Gateway, door: tuple[str, dict[str, Any]]
) -> None:
    """Also long after it has ended: the same answer; without the key, a new job."""
    path, body = door
    key = {"Idempotency-Key": "order 66"}
    first = await gateway.post(path, body, **ME, **key)
    job_id = first.headers["X-Request-Id"]
    await gateway.over(job_id)
    again = await gateway.post(path, body, **ME, **key)
    assert (again.status, again.headers["X-Request-Id"]) == (first.status, job_id)
    if "stream" in body:
        assert again.body == first.body
    if path != "/init-stream":
        fresh = await gateway.post(path, body, **ME)
        assert fresh.headers["X-Request-Id"] != job_id
        await gateway.over(fresh.headers["X-Request-Id"])


async def test_the_same_key_with_another_body_is_a_conflict(
    gateway: Gateway, door: tuple[str, dict[str, Any]]
) -> None:
    """409, whatever differs; the job goes on. Another caller's keys are its own."""
    path, body = door
    key = {"Idempotency-Key": "k"}
    first = await gateway.post(path, body, **ME, **key)
    other = await gateway.post(path, {**body, "model": f"{QUICK}&usage=false"}, **ME, **key)
    assert (other.status, "X-Request-Id" in other.headers) == (409, False)
    stranger = await gateway.post(path, {**body, "x": 1}, **bearer(OTHER_CODE), **key)
    assert stranger.status == first.status == 200
    for reply in (first, stranger):
        job = await gateway.over(reply.headers["X-Request-Id"])
        assert job.state is State.COMPLETED


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "schön", "a\tb"])
async def test_a_wrong_key_is_refused(
    gateway: Gateway, door: tuple[str, dict[str, Any]], key: str
) -> None:
    """400, naming the header."""
    path, body = door
    reply = await gateway.post(path, body, **ME, **{"Idempotency-Key": key})
    assert reply.status == 400
    assert "Idempotency-Key" in reply.body.decode()


async def test_a_key_of_the_longest_is_taken(gateway: Gateway) -> None:
    """255 characters."""
    key = {"Idempotency-Key": "a" * 255}
    assert (await gateway.post("/v1/ask", {"question": "hi"}, **ME, **key)).status == 200


async def test_a_repeat_attaches_while_it_streams(gateway: Gateway) -> None:
    """It gets the whole stream from its start, though the job has long begun."""
    body = {"messages": MESSAGES, "model": SLOW, "stream": True}
    key = {"Idempotency-Key": "k"}
    path = "/v1/chat/completions"
    job_id, first = await gateway.begun(path, body, **ME, **key)
    await gateway.published(job_id, 4)
    again = await gateway.post(path, body, **ME, **key)
    assert (again.headers["X-Request-Id"], again.body) == (job_id, (await first).body)


async def test_many_at_once_make_one_job(gateway: Gateway) -> None:
    """A burst of the same request is one job, and counts once."""
    body = {"question": "one two", "model": SLOW}
    key = {"Idempotency-Key": "k"}
    replies = await asyncio.gather(*(gateway.post("/v1/ask", body, **ME, **key) for _ in range(20)))
    assert {reply.body for reply in replies} == {replies[0].body}
    assert len({reply.headers["X-Request-Id"] for reply in replies}) == 1


async def test_keys_are_the_users_own(gateway: Gateway) -> None:
    """Two users of one app who choose one key never see one another's answers."""
    key = {"Idempotency-Key": "k"}
    ids = set()
    for who in (ME, bearer(user_token()), bearer(user_token(sub="bob"))):
        reply = await gateway.post("/v1/ask", {"question": "one"}, **who, **key)
        ids.add(reply.headers["X-Request-Id"])
    assert len(ids) == 3


async def test_a_key_takes_the_place_of_an_address(gateway: Gateway, n8n: N8n) -> None:
    """Who chooses keys says by them which calls are the same, also at one `resumeUrl`."""
    path, body = "/init-stream", {"prompt": "one two", "resumeUrl": f"{n8n.origin}/1"}
    ids = []
    for key in ("first", "first", "second"):
        reply = await gateway.post(path, body, **ME, **{"Idempotency-Key": key})
        ids.append(reply.headers["X-Request-Id"])
        await gateway.over(ids[-1])
    assert ids[0] == ids[1] != ids[2]


async def test_a_batch_is_repeated_whole(gateway: Gateway) -> None:
    """The same ids again; another batch under its key is refused as one."""
    entry = {"request_type": "ask", "request": "one"}
    body: dict[str, Any] = {"requests": [entry, {**entry, "request": "two"}, {}]}
    key = {"Idempotency-Key": "k"}
    first = await gateway.post("/ai_request/batch", body, **ME, **key)
    again = await gateway.post("/ai_request/batch", body, **ME, **key)
    assert again.body == first.body
    ids = [result.get("request_id") for result in first.json()["results"]]
    assert len(set(ids)) == 3
    other = await gateway.post("/ai_request/batch", {"requests": [entry]}, **ME, **key)
    assert (other.status, other.json()["error_code"]) == (409, "CONFLICT")
    for job_id in ids[:2]:
        await gateway.over(job_id)


@pytest.mark.parametrize("texts", [("two",), ("two", "two"), ("two", "two", "two", "two")])
async def test_a_batch_has_its_key_as_a_whole(gateway: Gateway, texts: tuple[str, ...]) -> None:
    """Where its first entries were refused, another one under its key makes no job either."""
    entry = {"request_type": "ask", "request": "one"}
    body: dict[str, Any] = {"requests": [{}, {}, entry]}
    key = {"Idempotency-Key": "k"}
    first = await gateway.post("/ai_request/batch", body, **ME, **key)
    job_id = first.json()["results"][2]["request_id"]
    await gateway.over(job_id)
    other = {"requests": [{**entry, "request": text} for text in texts]}
    reply = await gateway.post("/ai_request/batch", other, **ME, **key)
    assert (reply.status, reply.json()["error_code"]) == (409, "CONFLICT")
    assert [job.id for job in (await gateway.core.records.page(Filter(), None, 9)).entries] == [
        job_id
    ]
    assert (await gateway.post("/ai_request/batch", body, **ME, **key)).body == first.body


async def test_no_key_is_kept_in_the_clear(gateway: Gateway) -> None:
    """What a caller chose may tell more than it should."""
    key = {"Idempotency-Key": "alice@example.org"}
    reply = await gateway.post("/v1/ask", {"question": "hi"}, **ME, **key)
    job = await gateway.job(reply.headers["X-Request-Id"])
    digest = hashlib.sha256().hexdigest()
    assert job.idempotency_key is not None
    assert len(job.idempotency_key) == len(f"header:{digest}")
    assert "alice" not in job.idempotency_key
