"""A job whose first attempt was lost after it had been seen."""

import json
from typing import Any

from gateway.events import Completed, Delta, Event, Restarted, Routed, Started, ToolCall, Usage
from gateway.jobs import Job, Owner
from gateway.log import EventLog
from gateway.messages import Message, Request
from gateway.sse import Decoder

JOB = Job(
    id="20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11",
    owner=Owner(tenant="shop"),
    door="openai",
    request=Request(messages=(Message(role="user", content="hi"),), model="asked"),
    created_at=1_795_000_000.5,
    expires_at=1_795_000_900.5,
)
CALL = ToolCall(id="1", name="look", arguments="{}")
FIRST: list[Event] = [Started(), Routed(model="a", provider="p"), Delta(text="lost"), CALL]
SECOND: list[Event] = [
    Restarted(reason="lost"),
    Routed(model="b", provider="p"),
    Delta(text="kept"),
    Usage(prompt_tokens=1, completion_tokens=2),
    Completed(),
]


def written() -> EventLog:
    """A log of two attempts."""
    log = EventLog()
    for attempt, events in enumerate((FIRST, SECOND), 1):
        log.begin(attempt)
        for event in events:
            log.append(event)
    return log


def data(frames: bytes) -> list[Any]:
    events = Decoder().feed(frames)
    return [json.loads(event.data) for event in events if event.data != b"[DONE]"]
