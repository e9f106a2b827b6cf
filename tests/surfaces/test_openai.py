"""OpenAI's door, byte by byte: answers, chunks, models, and what is left of a limit."""

from typing import Any

import pytest

from tests.surfaces.completing import ME, PATH, TOOLS, asking, events
from tests.surfaces.running import CODE, OTHER_CODE, QUICK, Gateway, apps, bearer
from tests.surfaces.teller import MODEL, Teller, told


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


async def test_what_some_of_the_tokens_are(teller: Teller) -> None:
    """Those that were in the provider's cache, and those of thoughts, where it tells of them."""
    teller.usage = {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    want = {**teller.usage, "prompt_tokens_details": {"cached_tokens": 3}}
    async with Gateway(**teller.settings) as gateway:
        body = asking(told("x"), model=MODEL)
        whole = await gateway.post(PATH, body, **ME)
        assert whole.json()["usage"] == want
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        *_, last, _ = events(await gateway.post(PATH, body, **ME))
        assert last["usage"] == want
        response = {"model": MODEL, "input": told("x")}
        told_ = (await gateway.post("/v1/responses", response, **ME)).json()["usage"]
        assert told_ == {
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 18,
        }


async def test_a_refusal_in_words(teller: Teller) -> None:
    """It stands in a field of its own here; at the ask door it is the answer's text."""
    prompt = told({"refusal": "I will "}, {"refusal": "not."})
    async with Gateway(**teller.settings) as gateway:
        body = asking(prompt, model=MODEL)
        (choice,) = (await gateway.post(PATH, body, **ME)).json()["choices"]
        said = [choice["message"][name] for name in ("content", "refusal")]
        assert (said, choice["finish_reason"]) == ([None, "I will not."], "stop")
        *chunks, _ = events(await gateway.post(PATH, {**body, "stream": True}, **ME))
        assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
            {"role": "assistant", "content": None, "refusal": None},
            {"refusal": "I will "},
            {"refusal": "not."},
            {},
        ]
        ask = {"question": prompt, "model": MODEL}
        whole = await gateway.post("/v1/ask", ask, **ME)
        assert whole.json()["choices"][0]["message"]["content"] == "I will not."
        chunks = events(await gateway.post("/v1/ask", {**ask, "stream": True}, **ME))
        pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
        assert "".join(pieces) == "I will not."


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


async def test_what_is_for_the_gateway_goes_no_further(teller: Teller) -> None:
    """Whatever the door, what may be a credential; unknown fields go on to the provider."""
    async with Gateway(**teller.settings) as gateway:
        own = {"app_code": CODE, "n8nToken": "canary", "access_token": "canary", "priority": 9}
        body = asking(told("hi"), model=MODEL, x_unknown=1, **own)
        job_id = (await gateway.post(PATH, body, **ME)).headers["X-Request-Id"]
        assert "canary" not in repr(await gateway.job(job_id))
    (sent,) = teller.bodies
    assert sent["x_unknown"] == 1
    assert not own.keys() & sent.keys()


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
