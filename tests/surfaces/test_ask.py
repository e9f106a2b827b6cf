"""The ask door beyond its document: refusals, failures, leaving, and other doors."""

import json
from typing import Any

import pytest

from gateway.doors import Patience
from gateway.jobs import State
from tests.surfaces import event_source
from tests.surfaces.running import CODE, QUICK, SILENT, STUCK, Gateway, bearer, user_token

ME = bearer(CODE)


def wrong(**changes: Any) -> dict[str, Any]:
    return {"question": "hi", **changes}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "question"),
        (wrong(question=None), "question"),
        (wrong(question=""), "question"),
        (wrong(question=" \u0000\n"), "question"),
        (wrong(question=["hi"]), "question"),
        (wrong(history="hi"), "history"),
        (wrong(history=[{"role": "robot", "content": "x"}]), "history[0].role"),
        (wrong(history=[{"role": "user"}]), "history[0]"),
        (wrong(history=[{"role": "user", "content": 1}]), "history[0].content"),
        (wrong(client_id=1234), "client_id"),
        (wrong(user_id=[]), "user_id"),
        (wrong(stream="yes"), "stream"),
        (wrong(priority=10), "priority"),
        (wrong(on_disconnect="abandon"), "on_disconnect"),
        ([], None),
        ("hi", None),
    ],
)
async def test_a_wrong_body_is_refused(gateway: Gateway, body: Any, param: str | None) -> None:
    """400 as OpenAI writes it, naming the field."""
    reply = await gateway.post("/v1/ask", body, **ME)
    error = reply.json()["error"]
    assert (reply.status, set(error)) == (400, {"message", "type", "param", "code"})
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("path", ["/v1/ask", "/api/v1/ask"])
@pytest.mark.parametrize("model", ["no-such-model", "simulator/echo?status=404"])
async def test_an_unknown_model_is_a_wrong_field(gateway: Gateway, path: str, model: str) -> None:
    """400, whoever does not know it; in OpenAI's words, whose own clients ask elsewhere."""
    reply = await gateway.post(path, wrong(model=model), **ME)
    error = reply.json()["error"]
    assert (reply.status, error["type"]) == (400, "invalid_request_error")
    assert error["code"] == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_first_word_is_a_status(gateway: Gateway, stream: bool) -> None:
    """Streamed or not; the answer still tells which request it was."""
    body = wrong(stream=stream, model="simulator/echo?first=0&cut=0&refuse=9&status=400")
    reply = await gateway.post("/v1/ask", body, **ME)
    job = await gateway.job(reply.headers["X-Request-Id"])
    assert (reply.status, job.state) == (400, State.ERROR)
    assert reply.json() == {
        "error": {
            "message": "The AI service refused the request as invalid.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    }


async def test_a_failure_in_mid_stream_is_the_last_event(gateway: Gateway) -> None:
    """An error object after the words, and no finish."""
    body = wrong(question="one two", stream=True, model=f"{QUICK}&cut=1")
    reply = await gateway.post("/v1/ask", body, **ME)
    *words, last = [json.loads(part[6:]) for part in reply.body.strip().split(b"\n\n")]
    assert [word["choices"][0]["delta"] for word in words] == [
        {"role": "assistant"},
        {"content": "one"},
    ]
    assert last["error"]["code"] == "ai_service_error"


@pytest.mark.parametrize("model", [SILENT, STUCK])
@pytest.mark.parametrize("stream", [False, True])
async def test_it_ends_with_its_only_reader(stream: bool, model: str) -> None:
    """Whoever asks for it and leaves has cancelled it, streamed or not, begun or not."""
    async with Gateway(DISCONNECT_GRACE=0) as gateway:
        body = wrong(question="one two", stream=stream, model=model)
        job_id = await gateway.left("/v1/ask", body, **ME)
        await gateway.quiet()
        assert (await gateway.job(job_id)).state is State.CANCELLED


async def test_who_leaves_may_come_back_at_another_door() -> None:
    """Within the grace the job goes on; its new reader gets all of it."""
    async with Gateway(DISCONNECT_GRACE=30) as gateway:
        body = wrong(question="one two", stream=True, model="simulator/echo?first=0&gap=0.3")
        job_id = await gateway.left("/v1/ask", body, **ME)
        url = f"{gateway.origin}/stream/{job_id}"
        async with event_source.opened(gateway.session, url, **ME) as response:
            got = [event async for event in event_source.events(response)]
        assert event_source.text(got) == "one two"


async def test_a_stream_does_not_wait_for_ever_for_its_first_word() -> None:
    """After a heartbeat's time it begins; what fails then is told in it."""
    patience = Patience(tick_s=0.05)
    async with Gateway(HEARTBEAT=0.1, FIRST_TOKEN_TIMEOUT=1.5, patience=patience) as gateway:
        reply = await gateway.post("/v1/ask", wrong(stream=True, model=SILENT), **ME)
        beats, _, error = reply.body.partition(b"data: ")
        assert (reply.status, set(beats.split(b"\n")), len(beats) > 2) == (200, {b":", b""}, True)
        assert json.loads(error)["error"]["code"] == "timeout"


async def test_an_answer_under_way_when_the_gateway_stops_is_refused() -> None:
    """503 with Retry-After: nobody waits for ever."""
    async with Gateway() as gateway:
        _, answer = await gateway.begun("/v1/ask", wrong(model=STUCK), **ME)
        await gateway.core.stop()
        reply = await answer
        assert (reply.status, reply.json()["error"]["type"]) == (503, "server_error")
        assert reply.headers["Retry-After"] == "5"


@pytest.mark.parametrize("stream", [False, True])
async def test_it_goes_on_where_that_is_asked_for(stream: bool) -> None:
    """`on_disconnect` in the body beats the setting."""
    async with Gateway(DISCONNECT_GRACE=0) as gateway:
        model = "simulator/echo?first=0.2&gap=0.2"
        body = wrong(question="a b", stream=stream, model=model, on_disconnect="continue")
        job_id = await gateway.left("/v1/ask", body, **ME)
        assert (await gateway.over(job_id)).state is State.COMPLETED


async def test_the_setting_says_what_leaving_means() -> None:
    """`ON_DISCONNECT=continue` lets every answer end."""
    async with Gateway(DISCONNECT_GRACE=0, ON_DISCONNECT="continue") as gateway:
        body = wrong(question="a b", model="simulator/echo?first=0.2&gap=0.2")
        job_id = await gateway.left("/v1/ask", body, **ME)
        assert (await gateway.over(job_id)).state is State.COMPLETED


async def test_its_job_is_read_at_other_doors(gateway: Gateway) -> None:
    """By its owner; nobody else knows it."""
    reply = await gateway.post("/v1/ask", wrong(question="one two", user_id="ann"), **ME)
    job_id = reply.headers["X-Request-Id"]
    assert (await gateway.poll(job_id, **ME))["response"]["ai_response"] == "one two"
    ann, bob = bearer(user_token()), bearer(user_token(sub="bob"))
    for owner in (ME, ann):
        url = f"{gateway.origin}/stream/{job_id}"
        async with event_source.opened(gateway.session, url, **owner) as response:
            got = [event async for event in event_source.events(response)]
        assert event_source.text(got) == "one two"
        assert (await gateway.get(f"/v1/responses/resp_{job_id}", **owner)).status == 200
    for path in (f"/stream/{job_id}", f"/v1/responses/resp_{job_id}", f"/get_request/{job_id}"):
        assert (await gateway.get(path, **bob)).status == 404
