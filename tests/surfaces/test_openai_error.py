"""Errors at OpenAI's door: each refusal and each failure as OpenAI writes it."""

import io
import json
from typing import Any

import pytest

from gateway.jobs import State
from tests.surfaces.completing import JSON, ME, PATH, asking, events
from tests.surfaces.running import STUCK, Gateway


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}], ids=["nobody", "stranger"])
async def test_a_caller_is_refused(gateway: Gateway, headers: dict[str, str]) -> None:
    """401 with the type and the code that OpenAI gives."""
    for method, path in (("POST", PATH), ("GET", "/v1/models"), ("GET", "/v1/models/x")):
        body = json.dumps(asking()) if method == "POST" else None
        sent = {"Content-Type": "application/json", **headers}
        reply = await gateway.ask(method, path, data=body, headers=sent)
        error = reply.json()["error"]
        got = (reply.status, error["type"], error["code"])
        assert got == (401, "invalid_request_error", "invalid_api_key")


async def test_other_refusals_have_the_shape_too(gateway: Gateway) -> None:
    """404, 405, 413, 415 and an unknown path; what cannot help is not to be tried again."""

    async def refused(method: str, path: str, **how: Any) -> tuple[int, str | None, str | None]:
        reply = await gateway.ask(method, path, **how)
        assert reply.json()["error"]["type"] == "invalid_request_error"
        return reply.status, reply.json()["error"]["code"], reply.headers.get("X-Should-Retry")

    sent = {"headers": JSON}
    unknown = json.dumps(asking(model="no-such-model"))
    assert await refused("POST", PATH, data=unknown, **sent) == (404, "model_not_found", None)
    assert await refused("GET", PATH) == (405, "method_not_allowed", None)
    assert await refused("POST", "/v1/completions") == (404, "not_found", None)
    assert await refused("POST", PATH, data="hi", headers=ME) == (
        415,
        "unsupported_media_type",
        "false",
    )
    large = io.BytesIO(b'{"x":"%b"}' % (b"x" * (1 << 20)))
    assert await refused("POST", PATH, data=large, **sent) == (413, "too_large", "false")


FAILURES = {
    "refused": ("simulator/echo?status=400", 400, None),
    "without the model": ("simulator/echo?status=404", 404, "model_not_found"),
    "down": ("simulator/echo?status=401", 502, "ai_service_error"),
    "silent": ("simulator/echo?first=0&stall=0", 504, "timeout"),
    "late": ("simulator/echo?first=0&gap=0&stall=1", 504, "timeout"),
    "nobody's": ("groq/llama", 502, "ai_service_error"),
}


@pytest.mark.parametrize(("model", "status", "code"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_of_the_provider_is_a_status(
    model: str, status: int, code: str | None
) -> None:
    """With the request's id, as the job was made."""
    async with Gateway(FIRST_TOKEN_TIMEOUT=0.1, TOKEN_TIMEOUT=0.1) as gateway:
        reply = await gateway.post(PATH, asking(model=model), **ME)
        assert (reply.status, reply.json()["error"]["code"]) == (status, code)
        job = await gateway.job(reply.headers["X-Request-Id"])
        assert job.state is State.ERROR


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"input": "hi"}),
        ("/v1/ask", {"question": "hi"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_provider_over_its_limit_is_429(
    gateway: Gateway, path: str, body: dict[str, Any], stream: bool
) -> None:
    """With the time that the provider named, and no word against a retry: clients back off."""
    model = "simulator/echo?first=0&status=429&refuse=9&retry_after=600"
    reply = await gateway.post(path, {**body, "model": model, "stream": stream}, **ME)
    message = "The AI service is over its rate limit."
    if path == "/v1/responses" and stream:
        said = reply.body.rpartition(b"data: ")[2]
        error = {"code": "rate_limit_exceeded", "message": message}
        assert json.loads(said)["response"]["error"] == error
        return
    headers = [reply.headers.get(name) for name in ("Retry-After", "X-Should-Retry")]
    assert (reply.status, headers) == (429, ["600", None])
    assert reply.json()["error"] == {
        "message": message, "type": "requests", "param": None, "code": "rate_limit_exceeded"
    }  # fmt: skip


@pytest.mark.parametrize("path", [PATH, "/v1/ask"])
async def test_a_provider_need_not_say_when_it_has_room(path: str) -> None:
    """Its limit is told with a time of ours, and the job waits no longer for that."""
    async with Gateway(REQUEST_TIMEOUT=0.5) as gateway:
        body = asking(model="simulator/echo?first=0&status=429") | {"question": "hi"}
        reply = await gateway.post(path, body, **ME)
        assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
        job = await gateway.job(reply.headers["X-Request-Id"])
        assert job.outcome is not None
        assert getattr(job.outcome.terminal, "retry_after_s", 0) is None


async def test_a_request_that_waited_too_long_may_come_again() -> None:
    """503 with Retry-After, as for a full queue."""
    async with Gateway(WORKERS=1, QUEUE_TIMEOUT=0.05) as gateway:
        await gateway.published(await gateway.queue(STUCK), 3)
        reply = await gateway.post(PATH, asking(), **ME)
        assert (reply.status, reply.json()["error"]["code"]) == (503, "unavailable")
        assert (reply.headers["Retry-After"], "X-Should-Retry" in reply.headers) == ("5", False)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_job_cancelled_elsewhere_ends_its_answer(gateway: Gateway, stream: bool) -> None:
    """409, which is not to be tried again; in mid-stream an error object."""
    job_id, answer = await gateway.begun(PATH, asking(model=STUCK, stream=stream), **ME)
    await gateway.published(job_id, 3)
    assert (await gateway.post(f"/cancel_request/{job_id}", **ME)).status == 200
    reply = await answer
    error = events(reply)[-1]["error"] if stream else reply.json()["error"]
    assert (error["message"], error["code"]) == (
        "The request was cancelled by the caller.",
        "conflict",
    )
    assert (reply.status, reply.headers.get("X-Should-Retry")) == (
        (200, None) if stream else (409, "false")
    )
