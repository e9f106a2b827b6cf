"""Asking at OpenAI's door, and reading what it streams."""

import json
from typing import Any

from gateway.sse import Decoder
from tests.surfaces.running import CODE, QUICK, Reply, bearer

PATH = "/v1/chat/completions"
ME = bearer(CODE)
JSON = {**ME, "Content-Type": "application/json"}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def asking(text: str = "one two", **more: Any) -> dict[str, Any]:
    """A body."""
    return {"model": QUICK, "messages": [{"role": "user", "content": text}], **more}


def events(reply: Reply) -> list[Any]:
    """The data of a stream: JSON, but for the mark of the end."""
    assert reply.headers["Content-Type"] == "text/event-stream"
    found = Decoder().feed(reply.body)
    assert {(event.event, event.id) for event in found} == {("message", "")}
    return [e.data.decode() if e.data == b"[DONE]" else json.loads(e.data) for e in found]
