"""One job, many doors: made at any, read at every one by its owner, unknown to all others."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.sse import Decoder
from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    Gateway,
    Reply,
    bearer,
    user_token,
)

TEXT = "one two 漢字"
UNKNOWN = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"

# The body of a request at each door that makes jobs. A callback waits where there must be one.
MAKERS: dict[str, dict[str, Any]] = {
    "/ai_request": {"request_type": "ask", "request": TEXT},
    "/init-stream": {"prompt": TEXT},
    "/assistant/request": {"prompt": TEXT},
    "/api/chat/stream": {"user_prompt": TEXT},
    "/v1/ask": {"question": TEXT},
    "/api/v1/ask": {"question": TEXT, "stream": True},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": TEXT}], "stream": True},
    "/v1/responses": {"input": TEXT, "background": True},
}


async def make(gateway: Gateway, n8n: N8n, path: str, credential: str) -> str:
    """Make a job at a door, and let it end; its id, which every door tells in its answer."""
    body = {"model": QUICK, **MAKERS[path]}
    if path == "/init-stream":
        body["resumeUrl"] = n8n.wait_for(Execution())
    reply = await gateway.post(path, body, **bearer(credential))
    assert reply.status in (200, 201), reply
    job_id = reply.headers["X-Request-Id"]
    await gateway.over(job_id)
    if path == "/init-stream":
        await n8n.arrived(1)
    return job_id


def text(reply: Reply) -> str:
    return "".join(event.data.decode() for event in Decoder().feed(reply.body)[:-1])


def contents(reply: Reply) -> str:
    frames = [json.loads(event.data) for event in Decoder().feed(reply.body)]
    return "".join(frame.get("content", "") for frame in frames)


def chunks(reply: Reply) -> str:
    events = [e for e in Decoder().feed(reply.body) if e.event == "response_chunk"]
    return "".join(json.loads(event.data)["text"] for event in events)


def output(reply: Reply) -> str:
    (message,) = reply.json()["output"]
    return str(message["content"][0]["text"])


# What each door that reads jobs gives of the answer.
READERS: dict[str, Callable[[Reply], str]] = {
    "/get_request/{}": lambda reply: str(reply.json()["response"]["ai_response"]),
    "/stream/{}": text,
    "/assistant/request/{}": lambda reply: str(reply.json()["response"]),
    "/assistant/stream/{}": chunks,
    "/api/chat/stream/{}": contents,
    "/v1/responses/{}": output,
}


async def by_websocket(gateway: Gateway, job_id: str, credential: str) -> str:
    url = f"{gateway.origin}/ws/{job_id}"
    async with gateway.session.ws_connect(url, headers=bearer(credential)) as connection:
        messages = [json.loads(message.data) async for message in connection]
    return "".join(m["data"]["text"] for m in messages if m["event"] == "response_chunk")


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("who", ["app", "user"])
async def test_its_owner_reads_a_job_at_every_door(
    gateway: Gateway, n8n: N8n, maker: str, who: str
) -> None:
    """The same answer everywhere; a user's own job is read by the user and by the app."""
    credential = CODE if who == "app" else user_token(sub="ann")
    job_id = await make(gateway, n8n, maker, credential)
    for owner in {credential, CODE}:
        for path, said in READERS.items():
            reply = await gateway.get(path.format(job_id), **bearer(owner))
            assert (reply.status, said(reply)) == (200, TEXT), path
        assert await by_websocket(gateway, job_id, owner) == TEXT


@pytest.mark.parametrize("maker", MAKERS)
async def test_to_others_a_job_is_unknown(gateway: Gateway, n8n: N8n, maker: str) -> None:
    """Another app, another user, a token of another job: the very answer of an unknown id."""
    job_id = await make(gateway, n8n, maker, user_token(sub="ann"))
    other = await gateway.queue()
    await gateway.over(other)
    stream_token = (await gateway.stream(other)).partition("access_token=")[2]
    strangers = [OTHER_CODE, user_token(sub="bob"), user_token(app="bank", sub="ann"), stream_token]
    for stranger in strangers:
        for path in (*READERS, "/ws/{}"):
            replies = [
                await gateway.get(path.format(each), **bearer(stranger))
                for each in (job_id, UNKNOWN)
            ]
            assert [reply.status for reply in replies] == [404, 404], (path, stranger)
            assert replies[0].body == replies[1].body
            assert "X-Request-Id" not in replies[0].headers


@pytest.mark.parametrize("maker", MAKERS)
async def test_a_bad_credential_is_refused_everywhere(
    gateway: Gateway, n8n: N8n, maker: str
) -> None:
    """401, for a job that is there as for one that is not."""
    job_id = await make(gateway, n8n, maker, CODE)
    for bad in ("wrong", user_token(exp=1), user_token(secret="y" * 40), "ey.x.y"):
        for path in (*READERS, "/ws/{}"):
            for each in (job_id, UNKNOWN):
                reply = await gateway.get(path.format(each), **bearer(bad))
                assert reply.status == 401, (path, bad)


@pytest.mark.parametrize("maker", MAKERS)
async def test_a_stream_token_reads_its_job_at_every_door(
    gateway: Gateway, n8n: N8n, maker: str
) -> None:
    """In the header as in the query; and cancels at none."""
    job_id = await make(gateway, n8n, maker, CODE)
    token = (await gateway.stream(job_id)).partition("access_token=")[2]
    for path, said in READERS.items():
        reply = await gateway.get(f"{path.format(job_id)}?access_token={token}")
        assert (reply.status, said(reply)) == (200, TEXT), path
    assert await by_websocket(gateway, job_id, token) == TEXT
    for method, path in (
        ("POST", "/cancel_request/{}"),
        ("DELETE", "/assistant/request/{}"),
        ("POST", "/v1/responses/{}/cancel"),
    ):
        reply = await gateway.ask(method, path.format(job_id), headers=bearer(token))
        assert reply.status == 403, path


@pytest.mark.parametrize("maker", MAKERS)
async def test_an_id_alone_opens_only_what_the_queues_door_made(
    gateway: Gateway, n8n: N8n, maker: str
) -> None:
    """And only there."""
    job_id = await make(gateway, n8n, maker, CODE)
    status = 200 if maker == "/ai_request" else 404
    assert (await gateway.get(f"/get_request/{job_id}")).status == status
    for path in (*READERS, "/ws/{}"):
        if path != "/get_request/{}":
            assert (await gateway.get(path.format(job_id))).status == 401, path
