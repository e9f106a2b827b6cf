"""What streams say is what the API document says of each of their events."""

import json
from typing import Any

import pytest
import pytest_asyncio
from openapi_schema_validator import OAS31Validator

from gateway.sse import Decoder, ServerEvent
from tests.surfaces.running import CODE, QUICK, Gateway, bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ME = bearer(CODE)
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
]
WHOLE = f"{QUICK}&tools=1"
CUT = f"{QUICK}&cut=1"
MADE: dict[str, dict[str, Any]] = {
    "/api/chat/stream": {"user_prompt": "one two", "save_conversation": True},
    "/v1/ask": {"question": "one two"},
    "/v1/chat/completions": {
        "messages": [{"role": "user", "content": "one two"}],
        "tools": TOOLS,
        "stream_options": {"include_usage": True},
    },
    "/v1/responses": {
        "input": "one two",
        "background": True,
        "tools": [{"type": "function", "name": "look"}],
    },
}
READ = (
    "/assistant/stream/{id}",
    "/stream/{id}",
    "/api/chat/stream/{id}",
    "/v1/responses/{id}",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(shared: Gateway) -> Any:
    """The document as it is served."""
    return (await shared.get("/openapi.json")).json()


def stream_of(told: Any, operation: str) -> dict[str, Any]:
    """What the document says of an event stream."""
    method, _, path = operation.partition(" ")
    responses = told["paths"][path][method.lower()]["responses"]
    content: dict[str, Any] = responses["200"]["content"]["text/event-stream"]
    return content


def fitting(told: Any, operation: str, event: ServerEvent) -> list[str]:
    """The names under which the document tells of such an event."""
    schema = stream_of(told, operation)["schema"]
    named = {} if event.event == "message" else {"event": event.event}
    sent = {**named, "data": event.data.decode()}
    return [
        each["properties"].get("event", {}).get("const", "message")
        for each in schema.get("anyOf", [schema])
        if ("event" in each["properties"]) == bool(named) and fits(told, each, sent)
    ]


def fits(told: Any, schema: dict[str, Any], sent: dict[str, str]) -> bool:
    if not OAS31Validator({**told, **schema}).is_valid(sent):
        return False
    content = schema["properties"]["data"].get("contentSchema")
    try:
        return not content or OAS31Validator({**told, **content}).is_valid(json.loads(sent["data"]))
    except ValueError:
        return False


def check(told: Any, operation: str, wire: bytes) -> set[str]:
    """Every event is told of exactly once; their names."""
    events = Decoder().feed(wire)
    assert events
    for event in events:
        assert fitting(told, operation, event) == [event.event], event
    return {event.event for event in events}


WRONG: dict[str, tuple[str, ServerEvent]] = {
    "another name": ("GET /assistant/stream/{id}", ServerEvent(b"{}", "phase")),
    "another word": (
        "GET /assistant/stream/{id}",
        ServerEvent(b'{"request_id":"1","stage":"odd"}', "stage"),
    ),
    "no id of a request": (
        "GET /assistant/stream/{id}",
        ServerEvent(b'{"text":"x"}', "response_chunk"),
    ),
    "no JSON": ("POST /api/chat/stream", ServerEvent(b"{")),
    "a text for a chunk": ("POST /v1/chat/completions", ServerEvent(b"[GONE]")),
    "a failure without words": ("GET /stream/{id}", ServerEvent(b'{"code":"X"}', "error")),
}


@pytest.mark.parametrize(("operation", "event"), WRONG.values(), ids=WRONG)
async def test_another_event_does_not_fit(told: Any, operation: str, event: ServerEvent) -> None:
    """The document forbids something."""
    assert fitting(told, operation, event) == []


async def test_the_examples_are_such_streams(told: Any) -> None:
    """Whoever tries the document out is shown what comes."""
    streams = [
        f"{method.upper()} {path}"
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    ]
    assert len(streams) == 10
    for operation in streams:
        check(told, operation, stream_of(told, operation)["example"].encode())


@pytest.mark.parametrize("model", [WHOLE, CUT], ids=["whole", "cut"])
@pytest.mark.parametrize("path", MADE)
async def test_what_answers_at_once(shared: Gateway, told: Any, path: str, model: str) -> None:
    """Text, calls and tokens to the end, and failures in the middle."""
    reply = await shared.post(path, {**MADE[path], "model": model, "stream": True}, **ME)
    assert reply.status == 200
    check(told, f"POST {path}", reply.body)


@pytest.mark.parametrize("model", [WHOLE, CUT], ids=["whole", "cut"])
async def test_what_is_read_of_a_job(shared: Gateway, told: Any, model: str) -> None:
    """At whatever door: from the queue to the end, with calls, or to a failure in the middle."""
    asked = {**MADE["/v1/responses"], "model": model}
    job_id = (await shared.post("/v1/responses", asked, **ME)).headers["X-Request-Id"]
    names = set[str]()
    for path in READ:
        reply = await shared.get(f"{path.format(id=job_id)}?stream=true", **ME)
        assert reply.status == 200
        names |= check(told, f"GET {path}", reply.body)
    assert ({"stage", "status", "response_chunk", "message"} - names) == set()
    assert ({"action", "complete"} if model == WHOLE else {"error"}) - names == set()


async def test_how_the_gateway_is(shared: Gateway, told: Any) -> None:
    """The first look of a stream without an end."""
    async with shared.session.get(f"{shared.origin}/admin/events") as stream:
        check(told, "GET /admin/events", await stream.content.readuntil(b"\n\n"))
