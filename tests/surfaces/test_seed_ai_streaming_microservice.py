"""Every example of the n8n document: the same request, the stream, and the callback."""

import json
import re
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.engine.n8n import SIGNATURE, Execution, N8n
from tests.surfaces import event_source
from tests.surfaces.running import WEBHOOK_SECRET, Gateway, user_token


def payload(n8n: N8n, **changes: Any) -> dict[str, Any]:
    """The document's request, with a workflow that waits."""
    body = {
        "n8nToken": user_token(),
        "resumeUrl": n8n.wait_for(Execution()),
        "prompt": "Your prompt",
        "userId": "user123",
        "chatId": "chat123",
        "model": "simulator/echo?first=0&gap=0",
        "max_tokens": 4096,
    }
    return {**body, **changes}


async def test_the_flow(gateway: Gateway, n8n: N8n) -> None:
    """Init, stream, callback: what the workflow sees, and what the browser sees."""
    reply = await gateway.post("/init-stream", payload(n8n))
    said = reply.json()
    assert (reply.status, said["ok"], set(said)) == (200, True, {"ok", "streamUrl"})
    job_id = reply.headers["X-Request-Id"]
    assert re.fullmatch(
        rf"{gateway.origin}/stream/{job_id}\?access_token=[\w-]+\.[\w-]+\.[\w-]+",
        said["streamUrl"],
    )
    got = await event_source.listen(gateway.session, said["streamUrl"])
    assert {event.event for event in got} == {"message"}
    assert event_source.text(got) == "Your prompt"
    assert [event.data for event in got].index(b"[DONE]") == len(got) - 1
    await n8n.arrived(1)
    (post,) = n8n.posts
    assert post.target == f"/webhook-waiting/1?signature={SIGNATURE}"
    body = json.loads(post.body)
    assert Webhook(WEBHOOK_SECRET).verify(post.body, post.headers) == body
    assert body == {
        "userId": "user123",
        "chatId": "chat123",
        "prompt": "Your prompt",
        "answer": "Your prompt",
        "input_tokens": 3,
        "output_tokens": 2,
        "ok": True,
        "status": "completed",
        "deliveryId": f"msg_{job_id}",
    }
    assert post.headers["webhook-id"] == body["deliveryId"]


@pytest.mark.parametrize(
    "absent",
    [
        {"userId": None, "chatId": None, "model": None, "max_tokens": None},
        {"userId": "", "chatId": "", "model": "", "max_tokens": ""},
    ],
    ids=["null", "empty"],
)
async def test_optional_fields_may_be_absent(
    gateway: Gateway, n8n: N8n, absent: dict[str, Any]
) -> None:
    """n8n says so with null, or with an empty text."""
    reply = await gateway.post("/init-stream", payload(n8n, **absent))
    assert reply.status == 200
    job = await gateway.job(reply.headers["X-Request-Id"])
    asked = job.request
    assert (asked.model, asked.max_tokens) == (gateway.config.settings.default_model, 4096)
    await n8n.arrived(1)
    body = json.loads(n8n.posts[0].body)
    assert (body["userId"], body["chatId"]) == ("ann", None)


@pytest.mark.parametrize(("given", "kept"), [("256", 256), (256, 256), (4096, 4096)])
async def test_max_tokens_may_be_a_text(
    gateway: Gateway, n8n: N8n, given: object, kept: int
) -> None:
    """As n8n's field editor makes it one."""
    reply = await gateway.post("/init-stream", payload(n8n, max_tokens=given))
    assert (await gateway.job(reply.headers["X-Request-Id"])).request.max_tokens == kept
    await n8n.arrived(1)


async def test_required_fields(gateway: Gateway, n8n: N8n) -> None:
    """Each is asked for by its name."""
    for name, status in (("n8nToken", 401), ("resumeUrl", 400), ("prompt", 400)):
        body = payload(n8n)
        del body[name]
        reply = await gateway.post("/init-stream", body)
        said = reply.json()
        assert (reply.status, said["ok"], set(said)) == (status, False, {"ok", "error"})
        assert set(said["error"]) == {"code", "message"}
        assert status == 401 or said["error"]["message"].startswith(name)


async def test_an_event_source_of_the_document(gateway: Gateway, n8n: N8n) -> None:
    """Its handler joins every chunk until `[DONE]`: many chunks, in order."""
    prompt = " ".join(f"word{number}" for number in range(500))
    reply = await gateway.post("/init-stream", payload(n8n, prompt=prompt))
    full_response, done = "", False
    async with event_source.opened(gateway.session, reply.json()["streamUrl"]) as response:
        async for event in event_source.events(response):
            if event.data == b"[DONE]":
                done = True
            else:
                full_response += event.data.decode()
    assert (full_response, done) == (prompt, True)
    await n8n.arrived(1)


async def test_health(gateway: Gateway) -> None:
    """It answers."""
    assert (await gateway.get("/health")).status == 200
