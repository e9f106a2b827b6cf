"""The HTTP simulator speaks OpenAI's wire, and misbehaves exactly as told."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.simulate import STATS, Stats, build, serve
from gateway.sse import Decoder

Client = TestClient[Any, Any]
FAST = "first=0&gap=0"
KEY = {"Authorization": "Bearer any"}
PATH = "/v1/chat/completions"


def asking(model: str, prompt: str = "one two", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}


async def chunks(response: aiohttp.ClientResponse) -> list[Any]:
    """The data of a stream's events, JSON parsed; `[DONE]` as it is."""
    found = Decoder().data(await response.read())
    return [data.decode() if data == b"[DONE]" else json.loads(data) for data in found]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a simulator of its own, with a good key."""
    async with TestClient(TestServer(build()), headers=KEY) as client:
        yield client


@pytest.fixture
def stats(client: Client) -> Stats:
    """What the simulator of `client` counted."""
    assert client.app is not None
    counted: Stats = client.app[STATS]
    return counted


async def test_a_stream_is_openai_s(client: Client) -> None:
    """Role, text, finish, usage where asked for, [DONE]: in the chunks of OpenAI's wire."""
    body = asking(f"echo?{FAST}", stream=True, stream_options={"include_usage": True})
    response = await client.post(PATH, json=body)
    *found, done = await chunks(response)
    choices = [chunk["choices"] for chunk in found]
    blank = {"index": 0, "logprobs": None, "finish_reason": None}
    assert choices == [
        [{**blank, "delta": {"role": "assistant", "content": ""}}],
        [{**blank, "delta": {"content": "one"}}],
        [{**blank, "delta": {"content": " two"}}],
        [{**blank, "delta": {}, "finish_reason": "stop"}],
        [],
    ]
    usage = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert [chunk["usage"] for chunk in found] == [None, None, None, None, usage]
    assert {chunk["object"] for chunk in found} == {"chat.completion.chunk"}
    assert (done, response.content_type) == ("[DONE]", "text/event-stream")


async def test_usage_only_where_asked_for(client: Client) -> None:
    """Without include_usage no chunk has the field."""
    found = await chunks(await client.post(PATH, json=asking(f"echo?{FAST}", stream=True)))
    assert all("usage" not in chunk for chunk in found[:-1])


async def test_a_whole_answer_is_openai_s(client: Client) -> None:
    """Without `stream` the answer is one object."""
    answer = await (await client.post(PATH, json=asking(f"echo?{FAST}&tools=1"))).json()
    [choice] = answer["choices"]
    assert (answer["object"], choice["finish_reason"]) == ("chat.completion", "tool_calls")
    assert choice["message"]["content"] == "one two"
    [call] = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"prompt": "one two", "call": 0}
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


async def test_the_header_beats_the_name(client: Client) -> None:
    """X-Simulate holds parameters in the grammar of the name."""
    headers = {"X-Simulate": "first=0&gap=0&tokens=1"}
    body = asking("echo?tokens=9&first=60")
    answer = await (await client.post(PATH, json=body, headers=headers)).json()
    assert answer["choices"][0]["message"]["content"] == "one"


@pytest.mark.parametrize("key", ["", "Basic any", "Bearer", "Bearer bad-key-7"])
@pytest.mark.parametrize("path", [PATH, "/v1/models"])
async def test_a_key_is_needed(client: Client, path: str, key: str) -> None:
    """No key, or one that begins with bad-key, is refused as OpenAI refuses it."""
    method = "POST" if path == PATH else "GET"
    response = await client.request(method, path, headers={"Authorization": key})
    assert (response.status, set(await response.json())) == (401, {"error"})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"model":"echo?x=1","messages":[]}', b'{"model":5}']
)
async def test_a_wrong_body_is_refused(client: Client, body: bytes) -> None:
    """What is no request, and a script with a mistake, get a 400 that says why."""
    response = await client.post(PATH, data=body)
    assert (response.status, set(await response.json())) == (400, {"error"})


async def test_it_refuses_as_often_as_told(client: Client, stats: Stats) -> None:
    """`refuse` counts for each script and prompt; Retry-After is sent where it is named."""
    body = asking(f"echo?{FAST}&status=429&refuse=2&retry_after=1.5")
    seen = [await client.post(PATH, json=body) for _ in range(3)]
    assert [(one.status, one.headers.get("Retry-After")) for one in seen] == [
        (429, "1.5"),
        (429, "1.5"),
        (200, None),
    ]
    assert (stats.requests, stats.refused) == (3, 2)


async def test_a_cut_breaks_the_connection(client: Client) -> None:
    """After a cut the reader sees a body that is not complete."""
    response = await client.post(PATH, json=asking(f"echo?{FAST}&cut=1", stream=True))
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()


@pytest.mark.parametrize(("fault", "last"), [("end", None), ("error", b'"error"')])
async def test_a_stream_ends_without_a_finish(
    client: Client, fault: str, last: bytes | None
) -> None:
    """Some faults end the body cleanly, with no finish and no [DONE]."""
    response = await client.post(PATH, json=asking(f"echo?{FAST}&{fault}=1", stream=True))
    body = await response.read()
    assert (b"[DONE]" in body, b'"finish_reason":"stop"' in body) == (False, False)
    assert last is None or last in body


async def test_malformed_json_is_malformed(client: Client) -> None:
    """The last event of such a stream does not parse."""
    response = await client.post(PATH, json=asking(f"echo?{FAST}&malformed=1", stream=True))
    *_, last = Decoder().data(await response.read())
    with pytest.raises(json.JSONDecodeError):
        json.loads(last)


async def test_characters_are_torn_on_the_wire(client: Client) -> None:
    """Split by surrogates, a delta ends with one half and the next begins with the other."""
    body = asking(f"echo?{FAST}&split=surrogates", prompt="a🙂b", stream=True)
    found = await chunks(await client.post(PATH, json=body))
    contents = [chunk["choices"][0]["delta"].get("content") for chunk in found[1:3]]
    assert contents == ["a\ud83d", "\ude42b"]


async def test_bytes_are_torn_on_the_wire(client: Client) -> None:
    """Split by bytes, one write ends in the middle of a character."""
    body = asking(f"echo?{FAST}&split=bytes", prompt="🙂", stream=True)
    response = await client.post(PATH, json=body)
    pieces = [piece async for piece in response.content.iter_any()]
    half = "🙂".encode()[:2]
    assert any(piece.endswith(half) for piece in pieces)
    assert "🙂".encode() in b"".join(pieces)


async def test_it_keeps_the_pace(client: Client) -> None:
    """A paced answer takes its time, and no chunk waits for the next."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    body = asking("lorem?tokens=10&first=0.05&gap=0.02", stream=True)
    response = await client.post(PATH, json=body)
    times = [loop.time() - started async for _ in response.content.iter_any()]
    assert len(times) >= 10
    assert times[-1] >= 0.05 + 9 * 0.02


async def test_a_connection_may_linger(client: Client, stats: Stats) -> None:
    """After the last byte the body stays open as long as the script says."""
    response = await client.post(PATH, json=asking(f"echo?{FAST}&linger=3600", stream=True))
    async with asyncio.timeout(20):
        await response.content.readuntil(b"[DONE]\n\n")
    assert (response.content.at_eof(), stats.open) == (False, 1)


async def test_streams_are_counted(client: Client, stats: Stats) -> None:
    """Open, ended and left early: each stream is counted once, also over HTTP."""
    await (await client.post(PATH, json=asking(f"echo?{FAST}", stream=True))).read()
    silent = await client.post(PATH, json=asking(f"echo?{FAST}&stall=1", stream=True))
    assert (stats.open, stats.ended) == (1, 1)
    silent.close()
    async with asyncio.timeout(20):
        await stats.until(lambda stats: stats.open == 0)
    counts = await (await client.get("/simulator/stats")).json()
    assert counts == {"requests": 2, "refused": 0, "open": 0, "ended": 1, "closed_early": 1}


async def test_who_leaves_before_the_answer_begins_is_no_error(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller that is gone is nobody to tell, and no traceback."""
    body = json.dumps(asking(f"echo?{FAST}", stream=True)).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer any\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(head.encode() + body)
        writer.transport.abort()
    # Asked later, answered later.
    await chunks(await client.post(PATH, json=asking(f"echo?{FAST}", stream=True)))
    assert caplog.records == []


async def test_a_slow_reader_is_waited_for(client: Client, stats: Stats) -> None:
    """As fast as the socket takes means no faster: memory does not hold the whole answer."""
    model = f"lorem?tokens=90000&{FAST}"
    response = await client.post(PATH, json=asking(model, stream=True))
    await response.content.readany()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await stats.until(lambda stats: stats.ended == 1)
    async with asyncio.timeout(30):
        assert (await response.read()).endswith(b"data: [DONE]\n\n")


async def test_it_serves_on_a_free_port_until_cancelled() -> None:
    """`serve` announces where it listens, and leaves nothing behind."""
    announced: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.ensure_future(serve("127.0.0.1", 0, announced.put_nowait))
    async with asyncio.timeout(20):
        url = await announced.get()
        async with aiohttp.ClientSession() as session:
            models = await (await session.get(f"{url}/v1/models", headers=KEY)).json()
    assert "echo" in {model["id"] for model in models["data"]}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Anthropic's wire --------------------------------------------------------------------------------

ANTHROPIC = {"x-api-key": "any", "anthropic-version": "2023-06-01"}


async def test_a_message_is_anthropic_s(client: Client) -> None:
    """Named events: the message opens with its usage, its blocks in turn, then its stop."""
    body = asking(f"echo?{FAST}&tools=1", stream=True, max_tokens=9)
    response = await client.post("/v1/messages", json=body, headers=ANTHROPIC)
    events = Decoder().feed(await response.read())
    found = [json.loads(event.data) for event in events]
    assert [event.event for event in events] == [each["type"] for each in found]
    assert [each["type"] for each in found] == [
        *("message_start", "ping"),
        *("content_block_start", "content_block_delta", "content_block_delta"),
        *("content_block_stop", "content_block_start"),
        *("content_block_delta", "content_block_delta", "content_block_delta"),
        *("content_block_stop", "message_delta", "message_stop"),
    ]
    assert found[0]["message"]["usage"] == {"input_tokens": 2, "output_tokens": 1}
    assert [each.get("index") for each in found[2:-2]] == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert found[-2]["delta"]["stop_reason"] == "tool_use"
    assert found[-2]["usage"] == {"output_tokens": 2}


async def test_a_whole_message_is_anthropic_s(client: Client) -> None:
    """Without `stream` the message is one object."""
    body = asking(f"echo?{FAST}&tools=1", max_tokens=9)
    answer = await (await client.post("/v1/messages", json=body, headers=ANTHROPIC)).json()
    text, call = answer["content"]
    assert (text, call["input"]) == (
        {"type": "text", "text": "one two"},
        {"prompt": "one two", "call": 0},
    )
    assert (answer["stop_reason"], answer["usage"]) == (
        "tool_use",
        {"input_tokens": 2, "output_tokens": 2},
    )


@pytest.mark.parametrize(
    ("changes", "fields", "status", "kind"),
    [
        ({"x-api-key": "bad-key-1"}, {}, 401, "authentication_error"),
        ({"x-api-key": "", "Authorization": ""}, {}, 401, "authentication_error"),
        ({}, {"max_tokens": None}, 400, "invalid_request_error"),
        ({}, {"model": "echo?status=529"}, 529, "overloaded_error"),
        ({}, {"model": "echo?status=503"}, 503, "api_error"),
    ],
)
async def test_refusals_are_anthropic_s(
    client: Client, changes: dict[str, str], fields: dict[str, Any], status: int, kind: str
) -> None:
    """Key, ceiling and version are needed; an error has a type of Anthropic's."""
    body = {**asking("echo", max_tokens=9), **fields}
    response = await client.post("/v1/messages", json=body, headers={**ANTHROPIC, **changes})
    assert (response.status, (await response.json())["error"]["type"]) == (status, kind)


async def test_the_version_of_the_wire_is_needed(client: Client) -> None:
    """As it is at Anthropic, where the key may come in either header."""
    headers = {"x-api-key": "any"}
    response = await client.post("/v1/messages", json=asking("echo", max_tokens=9), headers=headers)
    assert (response.status, "anthropic-version" in await response.text()) == (400, True)


async def test_models_are_listed_for_either_wire(client: Client) -> None:
    """The list has the shape of the wire whose headers come with the request."""
    theirs = await (await client.get("/v1/models", headers=ANTHROPIC)).json()
    ours = await (await client.get("/v1/models")).json()
    assert (theirs["has_more"], ours["object"]) == (False, "list")
    assert [one["id"] for one in theirs["data"]] == [one["id"] for one in ours["data"]]
