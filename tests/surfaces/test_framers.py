"""What the framers of OpenAI's wire make of an attempt that begins anew."""

import json
from typing import Any

from gateway.events import Completed, Delta, Event, Restarted, Routed, Started, ToolCall, Usage
from gateway.jobs import Job, Owner
from gateway.log import EventLog
from gateway.messages import Message, Request
from gateway.sse import Decoder
from gateway.surfaces.chat_completion import ChunkFramer
from gateway.surfaces.response_object import ResponseFramer, place_after

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


def test_chunks_of_a_new_attempt_begin_anew() -> None:
    """Its reader, who starts with it, sees a whole answer, of the model that gave it."""
    log, framer = written(), ChunkFramer(JOB, include_usage=True)
    frames = [framer(cursor, event) for cursor, event in log.entries(0, len(log))]
    chunks = data(b"".join(frames[len(FIRST) :]))
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "kept"},
        {},
    ]
    assert {chunk["model"] for chunk in chunks} == {"b"}
    assert chunks[-1]["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_numbers_of_a_new_attempt_go_on() -> None:
    """No number names two events, so that a reader of the lost text never gets the other."""
    log, framer = written(), ResponseFramer(JOB)
    frames = [framer(cursor, event) for cursor, event in log.entries(0, len(log))]
    events = data(b"".join(frames))
    assert [event["sequence_number"] for event in events] == list(range(1, len(events) + 1))
    (message,) = events[-1]["response"]["output"]
    assert (message["content"][0]["text"], events[-1]["response"]["model"]) == ("kept", "b")
    lost = next(e["sequence_number"] for e in events if e.get("delta") == "lost")
    cursor, rest = place_after(JOB, log.entries(0, len(log)), lost)
    assert (cursor, rest) == ((1, 3), b"")
