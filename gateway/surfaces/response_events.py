"""The numbered events of a response's stream: what they say, and a job's log as they tell it.

https://platform.openai.com/docs/api-reference/responses-streaming

Numbers are those of the frames in order, so they name a place in the job's log: a reader who
brings the last one gets exactly what follows it.
"""

from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

import msgspec

from gateway import sse
from gateway.errors import CursorConflict
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
)
from gateway.jobs import Job
from gateway.log import START, Cursor
from gateway.surfaces.response_object import (
    Item,
    ResponseObject,
    ending,
    function_call,
    message,
    part,
    snapshot,
    tokens,
)

_json = msgspec.json.Encoder().encode


class ResponseEvent(TypedDict):
    """How the response stands."""

    type: str
    sequence_number: int
    response: ResponseObject


class ItemEvent(TypedDict):
    """A message, or a call, that begins or is whole."""

    type: str
    sequence_number: int
    output_index: int
    item: dict[str, Any]


class PartEvent(TypedDict):
    """A message's text that begins or is whole."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: dict[str, Any]


class TextEvent(TypedDict):
    """More of a text, as `delta`, or all of it, as `text`."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: NotRequired[str]
    text: NotRequired[str]
    logprobs: list[Any]


class ArgumentsEvent(TypedDict):
    """More of a call's arguments, as `delta`, or all of them."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    delta: NotRequired[str]
    name: NotRequired[str]
    arguments: NotRequired[str]


_STANDINGS = ("created", "queued", "in_progress", "completed", "incomplete", "cancelled", "failed")
EVENTS: dict[str, Any] = {
    **{f"response.{standing}": ResponseEvent for standing in _STANDINGS},
    "response.output_item.added": ItemEvent,
    "response.output_item.done": ItemEvent,
    "response.content_part.added": PartEvent,
    "response.content_part.done": PartEvent,
    "response.output_text.delta": TextEvent,
    "response.output_text.done": TextEvent,
    "response.function_call_arguments.delta": ArgumentsEvent,
    "response.function_call_arguments.done": ArgumentsEvent,
}

# A job's log as they tell it -------------------------------------------------------------------

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
        item = message(self._job.id, index, None, "in_progress")
        return [
            self._event("output_item.added", output_index=index, item=item),
            self._event("content_part.added", **self._place, part=part("")),
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
        item = message(self._job.id, index, text, status)
        self._texts = None
        frames = [
            self._event("output_text.done", **place, text=text, logprobs=[]),
            self._event("content_part.done", **place, part=part(text)),
            self._event("output_item.done", output_index=index, item=item),
        ]
        self._output.append(item)
        return frames

    def _called(self, call: ToolCall) -> list[bytes]:
        index = len(self._output)
        item = function_call(self._job.id, index, call)
        place = {"item_id": item["id"], "output_index": index}
        begun = function_call(self._job.id, index, call, "in_progress")
        written = call.arguments
        self._output.append(item)
        return [
            self._event("output_item.added", output_index=index, item=begun),
            self._event("function_call_arguments.delta", **place, delta=written),
            self._event("function_call_arguments.done", **place, name=call.name, arguments=written),
            self._event("output_item.done", output_index=index, item=item),
        ]

    def _end(self, terminal: Event) -> list[bytes]:
        status, more = ending(terminal)
        silent = not self._output and self._texts is None
        frames = self._open() if silent and isinstance(terminal, Completed) else []
        frames += self._close("completed" if status == "completed" else "incomplete")
        return [*frames, self._whole(status, usage=tokens(self._usage), **more)]


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
