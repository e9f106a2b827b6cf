"""Every example of the ask document: the same request gives the documented shape."""

import json
import time
from typing import Any

import pytest

from gateway.sse import Decoder
from tests.surfaces.running import CODE, Gateway, Reply

QUESTION = "What is the weather like today?"
HISTORY = [{"role": "user", "content": "hello."}, {"role": "assistant", "content": "Hi."}]
# As the document's curl lines send it: without any secret.
BODY = {"question": QUESTION, "client_id": "1234", "user_id": "1234", "stream": False}
BODIES = {
    "as printed": BODY,
    "with a history": {**BODY, "history": HISTORY},
    "without names": {"question": QUESTION, "stream": False},
    "without stream": {"question": QUESTION, "client_id": "1234", "user_id": "1234"},
    "with null": {**BODY, "history": None, "client_id": None, "user_id": None, "stream": None},
}
PATHS = ["/v1/ask", "/api/v1/ask"]


@pytest.fixture
def anonymous() -> Gateway:
    """A gateway that knows whom requests without a credential belong to."""
    return Gateway(ANONYMOUS_APP="shop")


@pytest.mark.parametrize("path", ["/v1/health", "/api/v1/health"])
async def test_health(gateway: Gateway, path: str) -> None:
    """It answers, at both spellings."""
    reply = await gateway.get(path)
    assert (reply.status, reply.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_ask(anonymous: Gateway, path: str, body: dict[str, Any]) -> None:
    """The document's chat.completion object, `object` and `created` by their real names."""
    async with anonymous as gateway:
        reply = await gateway.post(path, body)
        job = await gateway.job(reply.headers["X-Request-Id"])
        assert (reply.status, reply.json()) == (
            200,
            {
                "id": f"chatcmpl-{job.id}",
                "object": "chat.completion",
                "created": int(job.created_at),
                "model": "simulator/echo?first=0&gap=0",
                "usage": {"prompt_tokens": 8, "completion_tokens": 6, "total_tokens": 14},
                "choices": [
                    {
                        "message": {"role": "assistant", "content": QUESTION},
                        "finish_reason": "stop",
                        "index": 0,
                    }
                ],
            },
        )
        assert abs(job.created_at - time.time()) < 60
        sent = [(turn.role, turn.content) for turn in job.request.messages]
        told = [(turn["role"], turn["content"]) for turn in body.get("history") or []]
        assert sent == [*told, ("user", QUESTION)]
        assert job.owner.user == body.get("user_id")


def chunks(reply: Reply) -> list[Any]:
    """The JSON of a stream's events, which have nothing but data."""
    events = Decoder().feed(reply.body)
    assert {(event.event, event.id) for event in events} == {("message", "")}
    return [json.loads(event.data) for event in events]


@pytest.mark.parametrize("path", PATHS)
async def test_ask_as_a_stream(anonymous: Gateway, path: str) -> None:
    """The role, the words, the finish, each as a `data:` line; then the end without `[DONE]`."""
    async with anonymous as gateway:
        body = {**BODY, "stream": True}
        reply = await gateway.post(path, body, Accept="text/event-stream")
        job = await gateway.job(reply.headers["X-Request-Id"])
        head = {
            "id": f"chatcmpl-{job.id}",
            "object": "chat.completion.chunk",
            "created": int(job.created_at),
            "model": "simulator/echo?first=0&gap=0",
        }
        deltas: list[Any] = [{"role": "assistant"}]
        words = ["What", " is", " the", " weather", " like", " today?"]
        deltas += [{"content": word} for word in words]
        choices = [{"delta": delta, "index": 0, "finish_reason": None} for delta in deltas]
        choices.append({"delta": {}, "index": 0, "finish_reason": "stop"})
        assert chunks(reply) == [{**head, "choices": [choice]} for choice in choices]
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream")
        assert all(
            piece.startswith(b"data: ") for piece in reply.body.removesuffix(b"\n\n").split(b"\n\n")
        )


async def test_a_secret_is_needed_unless_it_is_said_otherwise(gateway: Gateway) -> None:
    """401 in OpenAI's shape without one; each of its places will do."""
    reply = await gateway.post("/v1/ask", BODY)
    assert (reply.status, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    for headers in ({"Authorization": f"Bearer {CODE}"}, {"X-App-Code": CODE}):
        assert (await gateway.post("/v1/ask", BODY, **headers)).status == 200
    assert (await gateway.post("/v1/ask", {**BODY, "app_code": CODE})).status == 200
