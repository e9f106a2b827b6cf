"""How a job stands, as the job queue's document writes it: to who polls, and to `callback_url`."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, TypedDict, get_args

import msgspec

from gateway.engine.core import Status
from gateway.events import Failed, Usage
from gateway.jobs import Job, State
from gateway.surfaces.chat_completion import TokenCount, usage


class Refusal(TypedDict):
    """Why a request is refused."""

    status: Literal["error"]
    error_code: str
    message: str


class Waiting(TypedDict):
    """In the queue; `position` counts from 1."""

    status: Literal["queued"]
    position: int
    estimated_wait_time: str
    message: str


class Running(TypedDict):
    """A worker has it."""

    status: Literal["processing"]
    message: str


class Guess(TypedDict, total=False):
    """What figures say that nobody counted."""

    estimated: Literal[True]


class TokenUsage(TokenCount, Guess):
    """Tokens; `estimated` is only there where the provider told none."""


class Answer(TypedDict):
    """What the model said. `completion_time` is UTC."""

    ai_response: str
    model_used: str
    completion_time: str
    token_usage: TokenUsage


class Ready(TypedDict):
    """The answer is there."""

    status: Literal["completed"]
    response: Answer


class Broken(TypedDict):
    """There will be no answer."""

    status: Literal["error"]
    error_code: Literal["AI_SERVICE_ERROR", "TIMEOUT", "INVALID_REQUEST"]
    message: str
    retry_possible: bool


class Stopped(TypedDict):
    """Somebody cancelled it."""

    status: Literal["cancelled"]
    message: str


class Lapsed(TypedDict):
    """It waited too long."""

    status: Literal["expired"]
    message: str
    retry_possible: bool


Polled = Waiting | Running | Ready | Broken | Stopped | Lapsed
POLLED: tuple[type, ...] = get_args(Polled)


def polled(status: Status) -> Polled:
    """How a job stands, as the document writes it."""
    job = status.job
    match job.state:
        case State.QUEUED:
            return {
                "status": "queued",
                "position": status.position or 1,
                "estimated_wait_time": in_words(status.wait_s or 0.0),
                "message": "Request is in queue",
            }
        case State.PROCESSING:
            return {"status": "processing", "message": "Request is currently being processed"}
        case State.COMPLETED:
            return {"status": "completed", "response": _response(job)}
        case State.ERROR:
            return _error(job)
        case State.CANCELLED:
            return {"status": "cancelled", "message": "Request was cancelled"}
        case State.EXPIRED:
            return {
                "status": "expired",
                "message": "Request waited too long in the queue",
                "retry_possible": True,
            }


def _response(job: Job) -> Answer:
    outcome = job.outcome
    if outcome is None or job.finished_at is None:
        raise AssertionError("a completed job has an outcome")
    return {
        "ai_response": outcome.answer,
        "model_used": outcome.model or job.request.model,
        "completion_time": _written(int(job.finished_at)),
        "token_usage": token_usage(outcome.usage),
    }


def token_usage(counted: Usage | None) -> TokenUsage:
    """Tokens, and whether they are counted or guessed."""
    guess: Guess = {"estimated": True} if counted is not None and counted.estimated else {}
    return {**usage(counted), **guess}


@lru_cache(maxsize=64)
def _written(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(job: Job) -> Broken:
    terminal = job.outcome.terminal if job.outcome else None
    if not isinstance(terminal, Failed):
        raise AssertionError("a failed job has a failure")
    return {
        "status": "error",
        "error_code": error_code(terminal.code),
        "message": terminal.message,
        "retry_possible": terminal.retryable,
    }


def error_code(code: str) -> Literal["AI_SERVICE_ERROR", "TIMEOUT", "INVALID_REQUEST"]:
    """The document's word for why a job failed."""
    match code:
        case "TIMEOUT" | "INVALID_REQUEST":
            return code
        case "UNKNOWN_MODEL":
            return "INVALID_REQUEST"
    return "AI_SERVICE_ERROR"


def in_words(wait_s: float) -> str:
    """A time to wait, as a person would say it."""
    if wait_s < 10:
        return "a few seconds"
    if wait_s < 60:
        return "less than a minute"
    minutes = int(wait_s // 60)
    if minutes < 60:
        return f"{minutes}-{minutes + 1} minutes"
    hours = minutes // 60
    return f"{hours}-{hours + 1} hours"


_encode = msgspec.json.Encoder().encode


def callback_body(job: Job) -> bytes:
    """The JSON posted to `callback_url`: what a poll would answer, and which request it is."""
    return _encode({"request_id": job.id, **polled(Status(job=job))})
