"""OpenAI's response: the object, and the numbered events of its stream.

https://platform.openai.com/docs/api-reference/responses/object
https://platform.openai.com/docs/api-reference/responses-streaming

Numbers are those of the frames in order, so they name a place in the job's log: a reader who
brings the last one gets exactly what follows it.
"""

from collections.abc import Iterable
from typing import Any, Literal, TypedDict

import msgspec

from gateway import sse
from gateway.errors import CursorConflict, ProviderRateLimited, ProviderRefused
from gateway.events import (
    Cancelled,
    Completed,
    Delta,
    Event,
    Expired,
    Failed,
    Restarted,
    Routed,
    Started,
    ToolCall,
    Usage,
    as_failed,
)
from gateway.jobs import Job, State
from gateway.log import START, Cursor

Item = dict[str, Any]


class ResponseObject(TypedDict):
    """OpenAI's response; what is not listed here repeats the request."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"]
    error: dict[str, str] | None
    incomplete_details: dict[str, str] | None
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None


_json = msgspec.json.Encoder().encode

_STATUS = {
    State.QUEUED: "queued",
    State.PROCESSING: "in_progress",
    State.CANCELLED: "cancelled",
    State.ERROR: "failed",
    State.EXPIRED: "failed",
}
# Reasons to end that leave an answer unfinished, by their names here.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# Failures that are not the server's, by their names here.
_FAILED = {
    ProviderRefused.code: "invalid_prompt",
    ProviderRateLimited.code: "rate_limit_exceeded",
}
# What an object says of its request, where the request said nothing.
_UNSAID: Item = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
ECHOED = tuple(_UNSAID)


def response_id(job_id: str) -> str:
    """What a job is called at this door."""
    return f"resp_{job_id}"


def snapshot(job: Job, status: str, output: list[Item], **more: Any) -> Item:
    """The response object at one moment."""
    echo: Item = job.context.get("response", {})
    return {
        "id": response_id(job.id),
        "object": "response",
        "created_at": int(job.created_at),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": job.request.model,
        "output": output,
        "usage": None,
        **_UNSAID,
        **echo,
        **more,
    }


def whole(job: Job) -> Item:
    """The response object as the job stands."""
    outcome = job.outcome
    if outcome is None:
        return snapshot(job, _STATUS[job.state], [])
    status, more = _ending(outcome.terminal)
    done = "completed" if status == "completed" else "incomplete"
    # A complete answer says something, be it nothing.
    silent = isinstance(outcome.terminal, Completed) and not outcome.tool_calls
    output = [_message(job.id, 0, outcome.answer, done)] if outcome.answer or silent else []
    for call in outcome.tool_calls:
        output.append(_function_call(job.id, len(output), call))
    model = outcome.model or job.request.model
    return snapshot(job, status, output, model=model, usage=_usage(outcome.usage), **more)


def _ending(terminal: Event) -> tuple[str, Item]:
    """The status that the end of a job means, and what else the object says of it."""
    match terminal:
        case Completed(finish_reason=reason) if reason in _INCOMPLETE:
            return "incomplete", {"incomplete_details": {"reason": _INCOMPLETE[reason]}}
        case Completed():
            return "completed", {}
        case Cancelled():
            return "cancelled", {}
    failed = as_failed(terminal)
    if failed is None:
        raise AssertionError("a job ends well or not")
    code = _FAILED.get(failed.code, "server_error")
    return "failed", {"error": {"code": code, "message": failed.message}}


def _usage(counted: Usage | None) -> Item | None:
    if counted is None:
        return None
    return {
        "input_tokens": counted.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": counted.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counted.total_tokens,
    }


def _part(text: str) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(job_id: str, index: int, text: str | None, status: str) -> Item:
    return {
        "id": f"msg_{job_id}_{index}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [] if text is None else [_part(text)],
    }


def _function_call(job_id: str, index: int, call: ToolCall, status: str = "completed") -> Item:
    return {
        "id": f"fc_{job_id}_{index}",
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments if status == "completed" else "",
    }


# The stream ------------------------------------------------------------------------------------

# Frames of one attempt, and more than it can have.
_LEAP = 10_000_000


def opening(job: Job) -> list[bytes]:
    """The frames of every stream that are there before the log has an event."""
    background = bool(job.context.get("response", {}).get("background"))
    names = ("created", "queued") if background else ("created",)
    status = "queued" if background else "in_progress"
    response = snapshot(job, status, [])
    return [_frame(f"response.{n}", i, {"response": response}) for i, n in enumerate(names)]


def _frame(kind: str, number: int, fields: Item) -> bytes:
    return sse.frame(_json({"type": kind, "sequence_number": number, **fields}), event=kind)


class ResponseFramer:
    """A job's events as those of a response.

    Numbers go on from one attempt to the next with a leap: of one that was lost with its process,
    readers may hold more than any log does.

    Attributes:
        number: of the next frame.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._model = job.request.model
        self.number = len(opening(job))
        self._forget()

    def _forget(self) -> None:
        self._output: list[Item] = []
        # The texts of the message that is being written; None between two items.
        self._texts: list[str] | None = None
        self._usage: Usage | None = None

    def __call__(self, cursor: Cursor, event: Event) -> bytes:
        return b"".join(self.frames(cursor, event))

    def frames(self, cursor: Cursor, event: Event) -> list[bytes]:
        """The frames that one event is."""
        self.number = max(self.number, (cursor.attempt - 1) * _LEAP)
        match event:
            case Delta(text=text):
                return [*self._open(), self._said(text)]
            case Started() | Restarted():
                self._forget()
                return [self._whole("in_progress")]
            case Routed(model=model):
                self._model = model
            case ToolCall():
                return [*self._close("completed"), *self._called(event)]
            case Usage():
                self._usage = event
            case Completed() | Failed() | Cancelled() | Expired():
                return self._end(event)
        return []

    def _event(self, kind: str, **fields: Any) -> bytes:
        number = self.number
        self.number += 1
        return _frame(f"response.{kind}", number, fields)

    def _whole(self, status: str, **more: Any) -> bytes:
        response = snapshot(self._job, status, self._output, model=self._model, **more)
        return self._event(status, response=response)

    @property
    def _place(self) -> Item:
        index = len(self._output)
        return {
            "item_id": f"msg_{self._job.id}_{index}",
            "output_index": index,
            "content_index": 0,
        }

    def _open(self) -> list[bytes]:
        if self._texts is not None:
            return []
        self._texts = []
        index = len(self._output)
        item = _message(self._job.id, index, None, "in_progress")
        return [
            self._event("output_item.added", output_index=index, item=item),
            self._event("content_part.added", **self._place, part=_part("")),
        ]

    def _said(self, text: str) -> bytes:
        if self._texts is None:
            raise AssertionError("a text is part of a message")
        self._texts.append(text)
        return self._event("output_text.delta", **self._place, delta=text, logprobs=[])

    def _close(self, status: str) -> list[bytes]:
        if self._texts is None:
            return []
        text, place, index = "".join(self._texts), self._place, len(self._output)
        item = _message(self._job.id, index, text, status)
        self._texts = None
        frames = [
            self._event("output_text.done", **place, text=text, logprobs=[]),
            self._event("content_part.done", **place, part=_part(text)),
            self._event("output_item.done", output_index=index, item=item),
        ]
        self._output.append(item)
        return frames

    def _called(self, call: ToolCall) -> list[bytes]:
        index = len(self._output)
        item = _function_call(self._job.id, index, call)
        place = {"item_id": item["id"], "output_index": index}
        begun = _function_call(self._job.id, index, call, "in_progress")
        written = call.arguments
        self._output.append(item)
        return [
            self._event("output_item.added", output_index=index, item=begun),
            self._event("function_call_arguments.delta", **place, delta=written),
            self._event("function_call_arguments.done", **place, name=call.name, arguments=written),
            self._event("output_item.done", output_index=index, item=item),
        ]

    def _end(self, terminal: Event) -> list[bytes]:
        status, more = _ending(terminal)
        silent = not self._output and self._texts is None
        frames = self._open() if silent and isinstance(terminal, Completed) else []
        frames += self._close("completed" if status == "completed" else "incomplete")
        return [*frames, self._whole(status, usage=_usage(self._usage), **more)]


def place_after(
    job: Job, entries: Iterable[tuple[Cursor, Event]], number: int
) -> tuple[Cursor, bytes]:
    """The event that frame `number` belongs to, and that event's frames that follow it.

    Raises:
        CursorConflict: there is no such frame yet.
    """
    first = opening(job)
    if number < len(first):
        return START, b"".join(first[number + 1 :])
    framer, place = ResponseFramer(job), START
    for cursor, event in entries:
        frames = framer.frames(cursor, event)
        begin = framer.number - len(frames)
        if number < begin:
            # It was lost: on from the last event before it that was not.
            return place, b""
        if number < framer.number:
            return cursor, b"".join(frames[number - begin + 1 :])
        place = cursor
    raise CursorConflict("The stream has not come to that event yet.")
