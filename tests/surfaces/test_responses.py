"""OpenAI's responses: their requests, their objects, their events, and who may read them."""

from typing import Any

import pytest

from gateway.jobs import State
from gateway.messages import Message
from gateway.sse import Decoder
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    SILENT,
    STUCK,
    Gateway,
    apps,
    bearer,
    user_token,
)
from tests.surfaces.teller import MODEL, Teller, told

PATH = "/v1/responses"
ME = bearer(CODE)
TOOL = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object"},
    "strict": True,
}
LENGTH = "simulator/echo?first=0&gap=0&finish=length"


def names(body: bytes) -> list[str]:
    """The kinds of a stream's events, which are also said in their data."""
    found = Decoder().feed(body)
    assert all(event.id == "" for event in found)
    assert all(f'"type":"{event.event}"'.encode() in event.data for event in found)
    return [event.event.removeprefix("response.") for event in found]


async def test_the_object(gateway: Gateway) -> None:
    """Every field of it, and what the request said again."""
    said = {
        "instructions": "be brief",
        "metadata": {"a": "b"},
        "max_output_tokens": 50,
        "temperature": 0.5,
        "tools": [TOOL],
        "tool_choice": "none",
        "user": "ann",
    }
    reply = await gateway.post(PATH, {"model": QUICK, "input": "one two", **said}, **ME)
    job = await gateway.job(reply.headers["X-Request-Id"])
    part = {"type": "output_text", "text": "one two", "annotations": [], "logprobs": []}
    assert (reply.status, reply.json()) == (
        200,
        {
            "id": f"resp_{job.id}",
            "object": "response",
            "created_at": int(job.created_at),
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "model": QUICK,
            "output": [
                {
                    "id": f"msg_{job.id}_0",
                    "type": "message",
                    "status": "completed",
                    "role": "assistant",
                    "content": [part],
                }
            ],
            "usage": {
                "input_tokens": 2,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 4,
            },
            "background": False,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": True,
            "text": {"format": {"type": "text"}},
            "top_p": None,
            "truncation": "disabled",
            **said,
        },
    )
    assert (job.owner.user, job.request.max_tokens) == ("ann", 50)


async def test_what_the_provider_gets(teller: Teller) -> None:
    """The words of chat completions for every item and setting."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    call = {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"}
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "see"}, image]},
        {"type": "reasoning", "summary": []},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look"}]},
        call,
        {**call, "call_id": "2"},
        {"type": "function_call_output", "call_id": "1", "output": "seen"},
        {"type": "message", "role": "user", "content": told("ok")},
    ]
    body = {
        "model": MODEL,
        "instructions": "be brief",
        "input": items,
        "tools": [TOOL],
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": False,
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}, "strict": True}},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 9,
        "top_p": 0.5,
    }
    async with Gateway(**teller.settings) as gateway:
        assert (await gateway.post(PATH, body, **ME)).json()["output"][0]["content"][0]["text"] == (
            "ok"
        )
    function = {"name": "look", "arguments": "{}"}
    picture = {"url": "data:image/png;base64,AA==", "detail": "low"}
    assert teller.bodies == [
        {
            "model": "teller",
            "messages": [
                {"role": "system", "content": "be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "see"},
                        {"type": "image_url", "image_url": picture},
                    ],
                },
                {
                    "role": "assistant",
                    "content": "I look",
                    "tool_calls": [
                        {"id": number, "type": "function", "function": function}
                        for number in ("1", "2")
                    ],
                },
                {"role": "tool", "content": "seen", "tool_call_id": "1"},
                {"role": "user", "content": told("ok")},
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {k: v for k, v in TOOL.items() if k != "type"},
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "parallel_tool_calls": False,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {}, "strict": True},
            },
            "reasoning_effort": "low",
            "max_tokens": 9,
            "top_p": 0.5,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


async def test_a_conversation_goes_on_by_id(gateway: Gateway) -> None:
    """With what was said, without what was instructed; only its owner's."""
    body = {"model": QUICK, "input": "one", "instructions": "first"}
    first = (await gateway.post(PATH, body, **ME)).json()["id"]
    more = {"model": QUICK, "input": "two", "previous_response_id": first}
    second = await gateway.post(PATH, {**more, "instructions": "second"}, **ME)
    job = await gateway.job(second.headers["X-Request-Id"])
    assert job.request.messages == (
        Message(role="system", content="second"),
        Message(role="user", content="one"),
        Message(role="assistant", content="one"),
        Message(role="user", content="two"),
    )
    assert (await gateway.post(PATH, more, **bearer(OTHER_CODE))).status == 404


BEGUN = ("output_item.added", "content_part.added")
SAID = "output_text.delta"
DONE = ("output_text.done", "content_part.done", "output_item.done")
CALLED = ("function_call_arguments.delta", "function_call_arguments.done")
STREAMS = {
    "completed": (QUICK, [*BEGUN, SAID, SAID, *DONE, "completed"]),
    "incomplete": (LENGTH, [*BEGUN, SAID, SAID, *DONE, "incomplete"]),
    "failed": (f"{QUICK}&cut=1", [*BEGUN, SAID, *DONE, "failed"]),
    "failed at once": ("simulator/echo?status=400", ["failed"]),
    "called": (
        "simulator/echo?first=0&gap=0&tools=1&tokens=0",
        ["output_item.added", *CALLED, "output_item.done", "completed"],
    ),
    "empty": ("simulator/echo?first=0&tokens=0", [*BEGUN, *DONE, "completed"]),
    "empty and incomplete": (
        "simulator/echo?first=0&tokens=0&finish=content_filter",
        [*BEGUN, *DONE, "incomplete"],
    ),
}


@pytest.mark.parametrize(("model", "kinds"), STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("background", [False, True])
async def test_the_events(gateway: Gateway, model: str, kinds: list[str], background: bool) -> None:
    """In their order, numbered from 0; the last holds what is read later."""
    body = {"model": model, "input": "one two", "stream": True, "background": background}
    reply = await gateway.post(PATH, body, **ME)
    begin = ["created", "queued"] if background else ["created"]
    assert names(reply.body) == [*begin, "in_progress", *kinds]
    *_, last = Decoder().feed(reply.body)
    name = f"resp_{reply.headers['X-Request-Id']}"
    whole = (await gateway.get(f"{PATH}/{name}", **ME)).body
    assert b'"response":%b}' % whole in last.data
    for number in range(len(begin) + 1 + len(kinds)):
        query = f"?stream=true&starting_after={number}"
        rest = await gateway.get(f"{PATH}/{name}{query}", **ME)
        assert names(rest.body) == [*begin, "in_progress", *kinds][number + 1 :]


async def test_a_response_as_it_goes() -> None:
    """Queued, in progress, cancelled; twice cancelled is once."""
    async with Gateway(WORKERS=1) as gateway:
        first = await gateway.post(PATH, {"model": STUCK, "input": "x", "background": True}, **ME)
        second = (
            await gateway.post(PATH, {"model": SILENT, "input": "x", "background": True}, **ME)
        ).json()
        name = first.json()["id"]
        await gateway.published(first.headers["X-Request-Id"], 3)

        async def status(name: str) -> Any:
            return (await gateway.get(f"{PATH}/{name}", **ME)).json()["status"]

        assert [await status(name), await status(second["id"])] == ["in_progress", "queued"]
        for each in (second["id"], name, name):
            reply = await gateway.post(f"{PATH}/{each}/cancel", **ME)
            assert (reply.status, reply.json()["status"]) == (200, "cancelled")


async def test_a_reader_of_a_live_response_goes_on_from_a_number(gateway: Gateway) -> None:
    """What was there, then what comes, up to the end; a number ahead of it is refused."""
    body = {"model": STUCK, "input": "one two", "background": True}
    made = await gateway.post(PATH, body, **ME)
    job_id = made.headers["X-Request-Id"]
    await gateway.published(job_id, 3)
    url = f"{gateway.origin}{PATH}/resp_{job_id}?stream=true&starting_after="
    async with gateway.session.get(f"{url}4", headers=ME) as response:
        assert (
            await gateway.get(f"{PATH}/{job_id}?stream=true&starting_after=6", **ME)
        ).status == (409)
        await gateway.post(f"{PATH}/{job_id}/cancel", **ME)
        assert names(await response.read()) == [
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "cancelled",
        ]


async def test_a_background_response_needs_no_reader() -> None:
    """It goes on when its reader leaves; another ends with it."""
    async with Gateway(DISCONNECT_GRACE=0) as gateway:
        slow = {"model": "simulator/echo?first=0.2&gap=0.2", "input": "a b", "stream": True}
        job_id = await gateway.left(PATH, {**slow, "background": True}, **ME)
        assert (await gateway.over(job_id)).state is State.COMPLETED
        job_id = await gateway.left(PATH, slow, **ME)
        await gateway.quiet()
        assert (await gateway.job(job_id)).state is State.CANCELLED


async def test_other_doors_jobs_are_responses_too(gateway: Gateway) -> None:
    """To their owner; to others they are unknown, however they are asked for."""
    job_id = await gateway.queue(text="one two")
    await gateway.over(job_id)
    for name in (job_id, f"resp_{job_id}"):
        said = (await gateway.get(f"{PATH}/{name}", **ME)).json()
        assert (said["id"], said["output"][0]["content"][0]["text"]) == (
            f"resp_{job_id}",
            "one two",
        )
        for who in (bearer(OTHER_CODE), bearer(user_token())):
            for query in ("", "?stream=true"):
                reply = await gateway.get(f"{PATH}/{name}{query}", **who)
                assert (reply.status, reply.json()["error"]["code"]) == (404, "request_not_found")
            assert (await gateway.post(f"{PATH}/{name}/cancel", **who)).status == 404
    for name in ("x", "resp_", "resp_x", "%00", "resp_20261120T224400Z-0b9f6c1e"):
        assert (await gateway.get(f"{PATH}/{name}", **ME)).status == 404


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [fields]}


def parts(*given: Any) -> dict[str, Any]:
    return item(role="user", content=list(given))


WRONG: dict[str, tuple[Any, str | None]] = {
    "no input": ({}, "input"),
    "null": ({"input": None}, "input"),
    "empty": ({"input": ""}, "input"),
    "no items": ({"input": []}, "input"),
    "a number": ({"input": 1}, "input"),
    "items of text": ({"input": ["x"]}, "input[0]"),
    "only thoughts": (item(type="reasoning"), "messages"),
    "an unknown item": (item(type="item_reference", id="x"), "input[0].type"),
    "no role": (item(content="x"), "input[0].role"),
    "an unknown role": (item(role="robot", content="x"), "messages[0].role"),
    "no content": (item(role="user"), "input[0].content"),
    "no parts": (parts(), "input[0].content"),
    "a part of text": (parts("x"), "input[0].content[0].type"),
    "an unknown part": (parts({"type": "input_file"}), "input[0].content[0].type"),
    "an image by file": (
        parts({"type": "input_image", "file_id": "x"}),
        "input[0].content[0].image_url",
    ),
    "a text of a number": (parts({"type": "input_text", "text": 1}), "input[0].content[0].text"),
    "a call without a name": (
        item(type="function_call", call_id="1", arguments="{}"),
        "input[0].name",
    ),
    "an output of no call": (item(type="function_call_output", output="x"), "input[0].call_id"),
    "instructions": ({"input": "x", "instructions": ["x"]}, "instructions"),
    "a tool that runs here": ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0].type"),
    "a tool without a name": ({"input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
    "a choice": ({"input": "x", "tool_choice": {"type": "mcp"}}, "tool_choice"),
    "a format": ({"input": "x", "text": {"format": {"type": "xml"}}}, "text.format.type"),
    "a format of text": ({"input": "x", "text": {"format": "xml"}}, "text.format.type"),
    "metadata": ({"input": "x", "metadata": {"a": 1}}, "metadata"),
    "no tokens": ({"input": "x", "max_output_tokens": 0}, "max_output_tokens"),
    "hot": ({"input": "x", "temperature": 3}, "temperature"),
    "a conversation": ({"input": "x", "conversation": "conv_1"}, "conversation"),
    "logprobs": ({"input": "x", "include": ["message.output_text.logprobs"]}, "include"),
    "the likeliest tokens": ({"input": "x", "top_logprobs": 2}, "top_logprobs"),
    "a prompt": ({"input": "x", "prompt": {"id": "1"}}, "prompt"),
    "background": ({"input": "x", "background": 1}, "background"),
    "priority": ({"input": "x", "priority": 11}, "priority"),
    "a large number": ({"input": "x", "reasoning": {"effort": 1 << 70}}, "reasoning"),
    "a list": ([], None),
}


@pytest.mark.parametrize(("body", "param"), WRONG.values(), ids=WRONG)
async def test_a_wrong_body_is_refused(gateway: Gateway, body: Any, param: str | None) -> None:
    """400 as OpenAI writes it, naming the field; no job is made."""
    reply = await gateway.post(PATH, body, **ME)
    error = reply.json()["error"]
    assert (reply.status, error["param"]) == (400, param), error
    assert (error["type"], "X-Request-Id" in reply.headers) == ("invalid_request_error", False)


async def test_an_unfinished_response_has_no_sequel(gateway: Gateway) -> None:
    """400 until it is complete; 404 for one that never was."""
    made = await gateway.post(PATH, {"model": SILENT, "input": "x", "background": True}, **ME)
    more = {"input": "y", "previous_response_id": made.json()["id"]}
    reply = await gateway.post(PATH, more, **ME)
    assert (reply.status, reply.json()["error"]["param"]) == (400, "previous_response_id")
    assert (
        await gateway.post(PATH, {**more, "previous_response_id": "resp_x"}, **ME)
    ).status == 404
    await gateway.post(f"{PATH}/{made.json()['id']}/cancel", **ME)


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "", "99999999999", "1-2"])
async def test_a_wrong_number_is_refused(gateway: Gateway, after: str) -> None:
    """400 before anything is written."""
    job_id = await gateway.queue()
    await gateway.over(job_id)
    reply = await gateway.get(f"{PATH}/{job_id}?stream=true&starting_after={after}", **ME)
    assert (reply.status, reply.json()["error"]["param"]) == (400, "starting_after")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_makes_no_job(stream: bool) -> None:
    """403 and 404 for models, 429 for a limit, as a status in each case."""
    shop = apps(allowed_models=["simulator/echo?first=0&gap=0"], rate_limit="1/hour")
    async with Gateway(app_codes=shop) as gateway:
        for model, status in (("simulator/lorem", 403), ("none", 404), (QUICK, 200), (QUICK, 429)):
            body = {"model": model, "input": "x", "stream": stream}
            reply = await gateway.post(PATH, body, **ME)
            assert (reply.status, "X-Request-Id" in reply.headers) == (status, status == 200)
