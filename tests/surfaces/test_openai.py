"""OpenAI's door, byte by byte: bodies, chunks, refusals, headers, models."""

import io
import json
from typing import Any

import pytest

from gateway.jobs import State
from gateway.sse import Decoder
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    STUCK,
    Gateway,
    Reply,
    apps,
    bearer,
    user_token,
)
from tests.surfaces.teller import MODEL, Teller, told

PATH = "/v1/chat/completions"
ME = bearer(CODE)
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def asking(text: str = "one two", **more: Any) -> dict[str, Any]:
    return {"model": QUICK, "messages": [{"role": "user", "content": text}], **more}


def events(reply: Reply) -> list[Any]:
    """The data of a stream: JSON, but for the mark of the end."""
    assert reply.headers["Content-Type"] == "text/event-stream"
    found = Decoder().feed(reply.body)
    assert {(event.event, event.id) for event in found} == {("message", "")}
    return [e.data.decode() if e.data == b"[DONE]" else json.loads(e.data) for e in found]


# The wire --------------------------------------------------------------------------------------


async def test_a_whole_answer(gateway: Gateway) -> None:
    """The object as OpenAI writes it, with the request's id in the header."""
    reply = await gateway.post(PATH, asking(), **ME)
    job = await gateway.job(reply.headers["X-Request-Id"])
    message: dict[str, Any] = {"role": "assistant", "content": "one two", "refusal": None}
    message["annotations"] = []
    assert (reply.status, reply.json()) == (
        200,
        {
            "id": f"chatcmpl-{job.id}",
            "object": "chat.completion",
            "created": int(job.created_at),
            "model": QUICK,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
            "system_fingerprint": None,
        },
    )


async def test_whole_tool_calls(gateway: Gateway) -> None:
    """Each with its id, its name, and its arguments as the model wrote them."""
    model = "simulator/echo?first=0&gap=0&tools=2"
    reply = await gateway.post(PATH, asking("", model=model, tools=TOOLS), **ME)
    (choice,) = reply.json()["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert choice["message"]["tool_calls"] == [
        {
            "id": f"call_{call}",
            "type": "function",
            "function": {"name": "look", "arguments": f'{{"prompt":"","call":{call}}}'},
        }
        for call in range(2)
    ]


@pytest.mark.parametrize("include_usage", [False, True])
async def test_a_stream(gateway: Gateway, include_usage: bool) -> None:
    """Role, words, finish, `[DONE]`; the tokens in a last chunk where they are asked for."""
    options = {"include_usage": include_usage}
    reply = await gateway.post(PATH, asking(stream=True, stream_options=options), **ME)
    job = await gateway.job(reply.headers["X-Request-Id"])
    head = {
        "id": f"chatcmpl-{job.id}",
        "object": "chat.completion.chunk",
        "created": int(job.created_at),
        "model": QUICK,
        "system_fingerprint": None,
    }
    no_usage = {"usage": None} if include_usage else {}
    deltas: list[Any] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": "one"}, {"content": " two"}, {}]
    want: list[Any] = [
        {
            **head,
            "choices": [
                {
                    "index": 0,
                    "delta": delta,
                    "logprobs": None,
                    "finish_reason": None if delta else "stop",
                }
            ],
            **no_usage,
        }
        for delta in deltas
    ]
    if include_usage:
        counted = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
        want.append({**head, "choices": [], "usage": counted})
    assert events(reply) == [*want, "[DONE]"]
    # Clients that read line by line find nothing but data.
    lines = set(reply.body.split(b"\n")) - {b""}
    assert all(line.startswith(b"data: ") for line in lines)


async def test_streamed_tool_calls(gateway: Gateway) -> None:
    """The first fragment of each is its only one: index, id, type, name and arguments."""
    model = "simulator/echo?first=0&gap=0&tools=2"
    body = asking("", model=model, tools=TOOLS, stream=True)
    *chunks, done = events(await gateway.post(PATH, body, **ME))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": None, "refusal": None}
    assert deltas[1:] == [
        {
            "tool_calls": [
                {
                    "index": call,
                    "id": f"call_{call}",
                    "type": "function",
                    "function": {"name": "look", "arguments": f'{{"prompt":"","call":{call}}}'},
                }
            ]
        }
        for call in range(2)
    ] + [{}]
    assert (chunks[-1]["choices"][0]["finish_reason"], done) == ("tool_calls", "[DONE]")


async def test_every_text_arrives_byte_for_byte(teller: Teller) -> None:
    """Line ends, quotes, controls and characters of every plane."""
    parts = ["a\r", "\nb\r\n", "\u2028 \x00\x1f", '"\\', "𝄞🙂", "[DONE]", "data: x\n\n"]
    async with Gateway(**teller.settings) as gateway:
        body = asking(told(*parts), model=MODEL)
        whole = await gateway.post(PATH, body, **ME)
        assert whole.json()["choices"][0]["message"]["content"] == "".join(parts)
        *chunks, _ = events(await gateway.post(PATH, {**body, "stream": True}, **ME))
        said = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
        assert "".join(said) == "".join(parts)


async def test_an_error_in_mid_stream(gateway: Gateway) -> None:
    """An error object, then the end without `[DONE]`."""
    body = asking(model=f"{QUICK}&error=1", stream=True)
    reply = await gateway.post(PATH, body, **ME)
    assert (reply.status, events(reply)[-1]) == (
        200,
        {
            "error": {
                "message": "The AI service reported an error in mid-stream.",
                "type": "server_error",
                "param": None,
                "code": "ai_service_error",
            }
        },
    )


# What reaches the provider ---------------------------------------------------------------------


async def test_the_provider_gets_what_is_not_the_gateways(teller: Teller) -> None:
    """Known or not, verbatim; what is the gateway's own, and null, never."""
    told_ = told("ok")
    passed = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "seed": 7,
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "logprobs": True,
        "top_logprobs": 2,
        "temperature": 0.5,
        "top_p": 1,
        "stop": ["a", "b"],
        "frequency_penalty": -2,
        "logit_bias": {"50256": -100},
        "some_new_field": {"of": ["next", "year"]},
    }
    own = {
        "app_code": CODE,
        "priority": 9,
        "on_disconnect": "continue",
        "user": "ann",
        "n": 1,
        "metadata": None,
    }
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
    ]
    calls = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    messages = [
        {"role": "developer", "content": "be brief", "name": "boss"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "seen", "tool_call_id": "1"},
        {"role": "user", "content": told_},
    ]
    async with Gateway(**teller.settings) as gateway:
        body = {"model": MODEL, "messages": messages, "max_completion_tokens": 9, **passed, **own}
        reply = await gateway.post(PATH, body)
        assert reply.status == 200, reply
        job = await gateway.job(reply.headers["X-Request-Id"])
        assert (job.owner.user, job.priority) == ("ann", 9)
    (sent,) = teller.bodies
    for message in sent["messages"]:
        message.setdefault("content", None)
    assert sent == {
        **passed,
        "model": "teller",
        "messages": messages,
        "max_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_user_of_a_token_is_not_renamed(gateway: Gateway) -> None:
    """`user` names the user only where an app asks."""
    reply = await gateway.post(PATH, asking(user="bob"), **bearer(user_token()))
    assert (await gateway.job(reply.headers["X-Request-Id"])).owner.user == "ann"


# Refusals --------------------------------------------------------------------------------------


def turn(**fields: Any) -> dict[str, Any]:
    return asking(messages=[fields])


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


WRONG: dict[str, tuple[Any, str | None]] = {
    "no messages": ({"model": QUICK}, "messages"),
    "null messages": (asking(messages=None), "messages"),
    "empty messages": (asking(messages=[]), "messages"),
    "messages of text": (asking(messages="hi"), "messages"),
    "a message of text": (asking(messages=["hi"]), "messages[0]"),
    "an unknown role": (turn(role="robot", content="x"), "messages[0].role"),
    "no role": (turn(content="x"), "messages[0]"),
    "no content": (turn(role="user"), "messages[0].content"),
    "null content": (turn(role="system", content=None), "messages[0].content"),
    "no parts": (turn(role="user", content=[]), "messages[0].content"),
    "content of a number": (turn(role="user", content=1), "messages[0].content"),
    "parts of text": (turn(role="user", content=["x"]), "messages[0].content[0]"),
    "no call": (turn(role="tool", content="x"), "messages[0].tool_call_id"),
    "a model of a number": (asking(model=1), "model"),
    "stream of text": (asking(stream="true"), "stream"),
    "two choices": (asking(n=2), "n"),
    "no choice": (asking(n=0), "n"),
    "options without stream": (asking(stream_options={}), "stream_options"),
    "options of text": (asking(stream=True, stream_options="x"), "stream_options"),
    "no tokens": (asking(max_tokens=0), "max_tokens"),
    "half a token": (asking(max_completion_tokens=1.5), "max_completion_tokens"),
    "hot": (asking(temperature=2.1), "temperature"),
    "warm": (asking(temperature="warm"), "temperature"),
    "true": (asking(top_p=True), "top_p"),
    "five stops": (asking(stop=["a"] * 5), "stop"),
    "tools of text": (asking(tools="look"), "tools"),
    "a tool of text": (asking(tools=["look"]), "tools[0]"),
    "deep tools": (asking(tools=[{"x": deep(100)}]), "tools"),
    "a deep field": (asking(metadata=deep(100)), "metadata"),
    "a deep part": (turn(role="user", content=[{"x": deep(100)}]), "messages[0].content"),
    "a large number": (asking(seed=1 << 64), "seed"),
    "a small number": (asking(seed=-(1 << 63) - 1), "seed"),
    "a user of a number": (asking(user=1), "user"),
    "priority": (asking(priority=-1), "priority"),
    "on_disconnect": (asking(on_disconnect="abandon"), "on_disconnect"),
    "a list": ([], None),
    "a text": ("hi", None),
    "null": (None, None),
}


@pytest.mark.parametrize(("body", "param"), WRONG.values(), ids=WRONG)
async def test_a_wrong_body_is_refused(gateway: Gateway, body: Any, param: str | None) -> None:
    """400 as OpenAI writes it, naming the field; no job is made."""
    reply = await gateway.ask("POST", PATH, data=json.dumps(body), headers=_json(ME))
    error = reply.json()["error"]
    assert (reply.status, error["param"]) == (400, param), error
    assert (error["type"], error["code"]) == ("invalid_request_error", None)
    assert "X-Request-Id" not in reply.headers


def _json(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Content-Type": "application/json"}


REFUSED: dict[str, tuple[int, str, str | None, Any]] = {
    "a stranger": (401, "invalid_request_error", "invalid_api_key", {"Authorization": "Bearer x"}),
    "nobody": (401, "invalid_request_error", "invalid_api_key", {}),
}


@pytest.mark.parametrize(("status", "kind", "code", "headers"), REFUSED.values(), ids=REFUSED)
async def test_a_caller_is_refused(
    gateway: Gateway, status: int, kind: str, code: str, headers: dict[str, str]
) -> None:
    """With the type and the code that OpenAI gives."""
    for method, path in (("POST", PATH), ("GET", "/v1/models"), ("GET", "/v1/models/x")):
        body = json.dumps(asking()) if method == "POST" else None
        reply = await gateway.ask(method, path, data=body, headers=_json(headers))
        error = reply.json()["error"]
        assert (reply.status, error["type"], error["code"]) == (status, kind, code)


async def test_other_refusals_have_the_shape_too(gateway: Gateway) -> None:
    """404, 405, 413, 415 and an unknown path; what cannot help is not to be tried again."""

    async def refused(method: str, path: str, **how: Any) -> tuple[int, str | None, str | None]:
        reply = await gateway.ask(method, path, **how)
        assert reply.json()["error"]["type"] == "invalid_request_error"
        return reply.status, reply.json()["error"]["code"], reply.headers.get("X-Should-Retry")

    sent = {"headers": _json(ME)}
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


async def test_an_app_asks_only_the_models_it_may() -> None:
    """403 for another; and the list names no other."""
    gateway = Gateway(app_codes=apps(allowed_models=["simulator/echo"]))
    async with gateway:
        reply = await gateway.post(PATH, asking(model="simulator/lorem"), **ME)
        assert (reply.status, reply.json()["error"]["code"]) == (403, "permission_denied")
        assert (await gateway.get("/v1/models", **ME)).json()["data"] == []
        reply = await gateway.get("/v1/models/simulator/lorem", **ME)
        assert (reply.status, reply.json()["error"]["code"]) == (404, "model_not_found")
        known = (await gateway.get("/v1/models/simulator%2Fecho", **ME)).json()
        assert known == {
            "id": "simulator/echo",
            "object": "model",
            "created": 0,
            "owned_by": "simulator",
        }


async def test_the_models_are_the_catalogs(gateway: Gateway) -> None:
    """In its order."""
    name = "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"
    model = {"id": name, "object": "model", "created": 0, "owned_by": "together"}
    assert (await gateway.get("/v1/models", **ME)).json() == {"object": "list", "data": [model]}
    for path in (name, name.replace("/", "%2F")):
        assert (await gateway.get(f"/v1/models/{path}", **ME)).json() == model


async def test_a_limit_tells_what_is_left() -> None:
    """On every answer that made a job, streamed or not, and on the refusal."""
    async with Gateway(app_codes=apps(rate_limit="2/hour")) as gateway:
        whole = await gateway.post(PATH, asking(), **ME)
        streamed = await gateway.post(PATH, asking(stream=True), **ME)
        refused = await gateway.post(PATH, asking(), **ME)
        left = [r.headers["X-RateLimit-Remaining-Requests"] for r in (whole, streamed, refused)]
        assert left == ["1", "0", "0"]
        assert refused.headers["X-RateLimit-Limit-Requests"] == "2"
        assert 3590 < int(refused.headers["Retry-After"]) <= 3600
        assert refused.headers["X-RateLimit-Reset-Requests"] == (
            f"{refused.headers['Retry-After']}s"
        )
        error = refused.json()["error"]
        assert (refused.status, error["type"], error["code"]) == (
            429,
            "requests",
            "rate_limit_exceeded",
        )
        other = await gateway.post(PATH, asking(), **bearer(OTHER_CODE))
        assert "X-RateLimit-Limit-Requests" not in other.headers


FAILURES = {
    "refused": ("simulator/echo?status=400", 400, None),
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
