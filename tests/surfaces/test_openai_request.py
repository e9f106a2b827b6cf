"""What may be asked at OpenAI's door, and what of it reaches the provider."""

import json
from typing import Any

import pytest

from gateway.messages import Message
from tests.surfaces.completing import JSON, ME, PATH, TOOLS, asking
from tests.surfaces.running import CODE, QUICK, Gateway, bearer, user_token
from tests.surfaces.teller import MODEL, Teller, told


async def test_the_provider_gets_what_is_not_the_gateways(teller: Teller) -> None:
    """Known or not, verbatim; what is the gateway's own, and null, never."""
    told_ = told("ok")
    passed = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "seed": 7,
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "modalities": ["text"],
        "logprobs": True,
        "top_logprobs": 2,
        "temperature": 0.5,
        "top_p": 1,
        "stop": ["a", "b"],
        "frequency_penalty": -2,
        "logit_bias": {"50256": -100},
        "some_new_field": {"of": ["next", "year"]},
        "user": "ann",
    }
    own = {
        "app_code": CODE,
        "priority": 9,
        "on_disconnect": "continue",
        "n": 1,
        "metadata": None,
    }
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
    ]
    calls = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    messages: list[dict[str, Any]] = [
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
    assert [message.pop("content", ...) for message in sent["messages"]] == [
        message.pop("content") for message in messages
    ]
    assert sent == {
        **passed,
        "model": "teller",
        "messages": messages,
        "max_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_the_provider_gets_what_a_turn_says_beside(teller: Teller) -> None:
    """Fields that the gateway does not know, verbatim; but nothing that is empty."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "be brief", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": "look", "extra": 7},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "content": "seen", "name": "f"},
        {"role": "assistant", "content": "So", "reasoning_content": "hm", "prefix": True},
        {"role": "user", "content": told("ok")},
    ]
    empty: dict[str, Any] = {"refusal": None, "annotations": [], "audio": None}
    async with Gateway(**teller.settings) as gateway:
        body = {"model": MODEL, "messages": [{**turn, **empty} for turn in messages]}
        reply = await gateway.post(PATH, body, **ME)
        assert reply.status == 200, reply
        job = await gateway.job(reply.headers["X-Request-Id"])
    (sent,) = teller.bodies
    assert sent["messages"] == messages
    assert job.request.messages[1] == Message(role="user", content="look", extra={"extra": 7})


async def test_a_user_of_a_token_is_not_renamed(gateway: Gateway) -> None:
    """`user` names the user only where an app asks."""
    reply = await gateway.post(PATH, asking(user="bob"), **bearer(user_token()))
    assert (await gateway.job(reply.headers["X-Request-Id"])).owner.user == "ann"


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
    "a voice": (asking(modalities=["text", "audio"]), "modalities"),
    "a voice of its own": (asking(audio={"voice": "alloy", "format": "wav"}), "audio"),
    "a tool of no form": (
        asking(tools=[*TOOLS, {"type": "custom", "custom": {}}]),
        "tools[1].type",
    ),
    "a deep turn": (turn(role="user", content="x", y=deep(100)), "messages[0].y"),
    "functions of old": (asking(functions=[{"name": "look"}]), "functions"),
    "a function of old": (asking(function_call="auto"), "function_call"),
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
    reply = await gateway.ask("POST", PATH, data=json.dumps(body), headers=JSON)
    error = reply.json()["error"]
    assert (reply.status, error["param"]) == (400, param), error
    assert (error["type"], error["code"]) == ("invalid_request_error", None)
    assert "X-Request-Id" not in reply.headers
