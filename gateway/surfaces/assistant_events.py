"""A job's log as the events of the assistant, which its stream and the WebSocket both tell.

Each event has an id of its own, and whoever comes back with it is told exactly the rest. Most tell
of one fact of the log and have its id. Beside them: what is told of the wait for the first attempt
is counted from `0-0`, and an attempt begins with two events, the first of which is its
`<attempt>-0`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from gateway import sse
from gateway.engine.core import Core
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
from gateway.nesting import is_too_deep
from gateway.surfaces.assistant_data import (
    ActionData,
    CompleteData,
    ErrorData,
    StatusData,
    TimingsData,
)
from gateway.surfaces.chat_completion import usage
from gateway.surfaces.format import Format
from gateway.surfaces.polled import in_words

_json = msgspec.json.Encoder().encode

Data = Mapping[str, Any]


class Told(NamedTuple):
    """One event of the assistant's; `data` is JSON."""

    name: str
    id: Cursor
    data: bytes


# Puts an event into a wire's own frame.
Write = Callable[[Told], bytes]


def sse_event(told: Told) -> bytes:
    """A server-sent event."""
    return sse.frame(told.data, event=told.name, id=str(told.id))


def format_of(name: str, core: Core, job: Job, write: Write, cursor: Cursor | None) -> Format:
    """The assistant's events of one job, as `write` frames them.

    Args:
        cursor: the last event that the reader has, who goes on at its `fact`.
    """
    aside: Callable[[Cursor], bytes] | None = None
    if job.state is State.QUEUED or cursor is None:
        aside = Place(core, job, write, cursor)
    elif not cursor.seq and cursor.attempt:
        aside = Begun(job, write)
    return Format(name, lambda: Frames(core, job, write), hello=b":\n", aside=aside)


def fact(cursor: Cursor | None) -> Cursor:
    """The last fact of the log that a reader has begun to be told of who holds `cursor`."""
    if cursor is None or not cursor.attempt:
        return START
    return cursor if cursor.seq else cursor._replace(seq=1)


class Frames:
    """The events of a log from its first on, in their frames."""

    def __init__(self, core: Core, job: Job, write: Write) -> None:
        self._core = core
        self._job_id = job.id
        self._write = write
        self._before = START
        self._finalizing = False
        # Every event's data begins with it.
        self._head = b'{"request_id":%b' % _json(job.id)

    def __call__(self, cursor: Cursor, event: Event) -> bytes:
        if type(event) is Delta:
            # There are many of these.
            data = b'%b,"text":%b}' % (self._head, _json(event.text))
            frames = self._write(Told("response_chunk", cursor, data))
        else:
            parts = self._parts(event)
            first = cursor._replace(seq=0) if cursor.seq == 1 else self._before
            ids = [first, cursor][-len(parts) :]
            frames = b"".join(
                self._write(_told(name, id, self._job_id, data))
                for id, (name, data) in zip(ids, parts, strict=False)
            )
        self._before = cursor
        return frames

    def _parts(self, event: Event) -> list[tuple[str, Data]]:
        match event:
            case Started():
                self._finalizing = False
                return [("stage", {"stage": "processing"}), _BEGUN]
            case Restarted(reason=reason):
                self._finalizing = False
                return [("restart", {"reason": reason}), _BEGUN]
            case Routed():
                return [("stage", {"stage": "generating"})]
            case ToolCall():
                return [("action", action(event))]
            case Usage() if not self._finalizing:
                # It comes after all output.
                self._finalizing = True
                return [_FINALIZING]
            case Completed():
                told = ("complete", completed(self._core.ended(self._job_id)))
                return [told] if self._finalizing else [_FINALIZING, told]
            case Failed() | Cancelled() | Expired():
                return [("error", failure(event))]
        return []


_BEGUN: tuple[str, Data] = ("status", {"status": "processing"})
_FINALIZING: tuple[str, Data] = ("stage", {"stage": "finalizing"})


class Begun:
    """What a reader is owed who was cut off between the two events that begin an attempt."""

    def __init__(self, job: Job, write: Write) -> None:
        self._job_id = job.id
        self._write = write
        self._told = False

    def __call__(self, cursor: Cursor) -> bytes:
        """The second of them, once."""
        # A reader of an attempt that was lost goes on before the next one instead.
        if self._told or cursor.seq != 1:
            return b""
        self._told = True
        name, data = _BEGUN
        return self._write(_told(name, cursor, self._job_id, data))


class Place:
    """What a reader is told beside the log: that the job waits, and its place as it changes.

    Also whoever comes when the wait is over is told of it, so that all readers are told the same
    stages.
    """

    def __init__(self, core: Core, job: Job, write: Write, before: Cursor | None) -> None:
        """Tell a reader whose last event was `before`; None for one who has read nothing yet."""
        self._core = core
        self._job = job
        self._write = write
        self._position: int | None = None
        self._cursor: Cursor | None = None
        # Who comes back between two attempts has heard of the first wait; its ids are behind it.
        self._begun = before is not None
        # How many events have been told of the wait for the first attempt, less one.
        self._seq = before.seq if before is not None and not before.attempt else -1

    def __call__(self, cursor: Cursor) -> bytes:
        """The news for a reader whose last event was `cursor`; none once the log has gone on."""
        if self._cursor not in (None, cursor):
            return b""
        frames = b""
        if not self._begun:
            self._begun = True
            frames = self._frame("stage", cursor, {"stage": "queued"})
        standing = waiting(self._core, self._job)
        position = standing.get("position")
        if position is not None and position != self._position:
            frames += self._frame("status", cursor, standing)
            self._position, self._cursor = position, cursor
        return frames

    def _frame(self, name: str, cursor: Cursor, data: Data) -> bytes:
        if not cursor.attempt:
            self._seq += 1
            cursor = Cursor(0, self._seq)
        return self._write(_told(name, cursor, self._job.id, data))


def _told(name: str, cursor: Cursor, job_id: str, data: Data) -> Told:
    return Told(name, cursor, _json({"request_id": job_id, **data}))


# What they say ---------------------------------------------------------------------------------


def waiting(core: Core, job: Job) -> StatusData:
    """Where a queued job stands."""
    status = core.status(job)
    told: StatusData = {"status": job.state}
    if status.position is not None:
        told["position"] = status.position
        told["estimated_wait_time"] = in_words(status.wait_s or 0.0)
    return told


def action(call: ToolCall) -> ActionData:
    """What the model asks the caller's page to do; `error` where its arguments are no JSON."""
    told: ActionData = {"id": call.id, "name": call.name, "arguments": None}
    try:
        # As the model wrote it: also what fits into no number of this language.
        text = call.arguments.strip() or "{}"
        if is_too_deep(text.encode("utf-8", "replace")):
            raise ValueError
        msgspec.json.decode(text, type=msgspec.Raw)
        msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {**told, "error": "The model's arguments are not valid JSON."}
    return {**told, "arguments": msgspec.Raw(text.encode())}


def completed(job: Job) -> CompleteData:
    """Everything about an answer that is whole."""
    outcome = job.outcome
    if outcome is None:
        raise AssertionError("a completed job has an outcome")
    used = outcome.usage
    return {
        "mode": job.context.get("mode"),
        "track_id": job.context.get("track_id"),
        "response": outcome.answer,
        "actions": [action(call) for call in outcome.tool_calls],
        "model": outcome.model or job.request.model,
        "usage": None if used is None else {**usage(used), "estimated": used.estimated},
        "timings": _timings(job),
    }


def _timings(job: Job) -> TimingsData:
    """Seconds from the request to each step of its job."""

    def passed(at: float | None) -> float | None:
        return None if at is None else round(max(0.0, at - job.created_at), 3)

    return {
        "queued_s": passed(job.claimed_at),
        "first_token_s": passed(job.outcome.first_token_at if job.outcome else None),
        "total_s": passed(job.finished_at),
    }


def failure(terminal: Event) -> ErrorData:
    """Why there is no whole answer, and whether another try can help."""
    failed = as_failed(terminal)
    if failed is None:
        raise AssertionError("an answer that is whole has not failed")
    return {"code": failed.code, "message": failed.message, "retryable": failed.retryable}
