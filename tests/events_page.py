"""The events as a page, out of the types and framers that make them.

`python -m tests.events_page > docs/reference/events.md` writes it anew.
"""

import typing
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Literal, NotRequired, cast, get_args, get_origin, get_type_hints

from msgspec.structs import fields

from gateway import events
from gateway.engine.core import Core
from gateway.events import (
    Cancelled,
    Completed,
    Delta,
    Event,
    Failed,
    Routed,
    Started,
    Terminal,
    Usage,
)
from gateway.jobs import Job, Outcome, Owner, State
from gateway.log import Cursor
from gateway.messages import Message, Request
from gateway.surfaces import assistant_data as data
from gateway.surfaces.assistant_events import Frames, sse_event
from gateway.surfaces.chat import ChatFramer
from gateway.surfaces.stream import TextFramer

_HEAD = """\
# Events

Everything a job does is an *event* in its log. A door tells the log in words of its own. This page
is made from the code: what stands here is what is sent.

## The facts of a log

`GET /admin/jobs/{id}` shows them as they are kept. The last event is `completed`, `failed`,
`cancelled` or `expired`; there is one of these, and nothing after it.

| type | data | what it says |
|---|---|---|
"""
_NAMED = """
## The assistant's events, and those of the WebSocket

At `/assistant/stream/{id}` each is a server-sent event of that name, at `/ws/{id}` a message
`{"event", "id", "data"}`. The data of each has `request_id` beside these.

| event | data | what it says |
|---|---|---|
"""
_PARTS = """
Their parts:

| name | data | what it says |
|---|---|---|
"""
_SENT = """
## The same log at three doors

An id is `<attempt>-<number>`; whoever comes back with `Last-Event-ID` gets what follows it. Lines
that begin with a colon are heartbeats, and no events.
"""
_JOB_ID = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"
_USAGE = Usage(prompt_tokens=5, completion_tokens=2)
_BEGUN = [Started(), Routed(model="gpt-4o", provider="openai"), Delta(text="Hello")]
_LOGS: dict[str, list[Event]] = {
    "An answer that is whole": [*_BEGUN, Delta(text=", Ada\n"), _USAGE, Completed()],
    "An answer that failed": [
        *_BEGUN,
        Failed(code="TIMEOUT", message="The AI service took too long.", retryable=True),
    ],
    "An answer that was cancelled": [*_BEGUN, Cancelled()],
}


def page() -> str:
    """The page: the facts, the assistant's events, and what is sent of the same logs."""
    facts = [kind for kind in get_args(events.AnyEvent) if issubclass(kind, Event)]
    parts = {kind.__name__: kind for kind in (data.UsageData, data.TimingsData)}
    sections = [_sent(title, log) for title, log in _LOGS.items()]
    rows = [_row(str(kind.__struct_config__.tag), _struct(kind), kind) for kind in facts]
    named = [_row(name, _typed(kind), kind) for name, kind in data.DATA.items()]
    named_parts = [_row(_json(kind), _typed(kind), kind) for kind in parts.values()]
    return "".join([_HEAD, *rows, _NAMED, *named, _PARTS, *named_parts, _SENT, *sections])


def _row(name: str, shape: str, kind: type) -> str:
    says = " ".join((kind.__doc__ or "").split())
    return f"| `{name}` | {shape} | {says} |\n"


def _struct(kind: Any) -> str:
    return ", ".join(
        f"`{each.name}`{'' if each.required else '?'}: {_json(each.type)}" for each in fields(kind)
    )


def _typed(kind: Any) -> str:
    told = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        optional = get_origin(hint) is NotRequired
        inner = get_args(hint)[0] if optional else hint
        told.append(f"`{name}`{'?' if optional else ''}: {_json(inner)}")
    return ", ".join(told)


def _json(kind: Any) -> str:
    """A type in the words of JSON."""
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}
    if kind in words:
        return words[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if origin in (UnionType, typing.Union):
        return " or ".join("null" if each is type(None) else _json(each) for each in inner)
    if origin is list:
        return f"list of {_json(inner[0])}"
    if isinstance(kind, type) and issubclass(kind, State):
        return " or ".join(f"`{each.value}`" for each in kind)
    return str(kind.__name__).removesuffix("Data").lower()


def _sent(title: str, log: Sequence[Event]) -> str:
    doors: dict[str, Callable[[Cursor, Event], bytes]] = {
        "/assistant/stream/{id}": Frames(cast("Core", _Ended(log)), _job(log), sse_event),
        "/stream/{id}": TextFramer(),
        "/api/chat/stream": ChatFramer(),
    }
    shown = [f"\n### {title}\n"]
    for path, frame in doors.items():
        wire = b"".join(frame(Cursor(1, at), event) for at, event in enumerate(log, 1))
        shown.append(f"\nAt `{path}`:\n\n```text\n{wire.decode().rstrip()}\n```\n")
    return "".join(shown)


class _Ended:
    """What a framer asks the engine for: the job as it ended."""

    def __init__(self, log: Sequence[Event]) -> None:
        self._job = _job(log)

    def ended(self, job_id: str) -> Job:
        return self._job


def _job(log: Sequence[Event]) -> Job:
    answer = "".join(each.text for each in log if isinstance(each, Delta))
    outcome = Outcome(
        terminal=cast("Terminal", log[-1]), answer=answer, model="gpt-4o", usage=_USAGE,
        first_token_at=0.5,
    )  # fmt: skip
    return Job(
        id=_JOB_ID,
        owner=Owner(tenant="My app", user="ada"),
        door="assistant",
        request=Request(messages=(Message(role="user", content="Hi"),), model="gpt-4o"),
        created_at=0.0,
        claimed_at=0.1,
        finished_at=0.9,
        expires_at=900.0,
        state=State.COMPLETED,
        outcome=outcome,
        context={"mode": "chat"},
    )


if __name__ == "__main__":
    print(page(), end="")
