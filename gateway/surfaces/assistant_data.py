"""What the assistant's events say: the types of their data."""

from typing import Any, Literal, NotRequired, TypedDict

from gateway.jobs import State
from gateway.surfaces.chat_completion import TokenCount
from gateway.surfaces.route import Events


class StageData(TypedDict):
    """How far a request has come."""

    stage: Literal["queued", "processing", "generating", "finalizing"]


class StatusData(TypedDict):
    """How a request stands; while it waits, where in the line, from 1."""

    status: State
    position: NotRequired[int]
    estimated_wait_time: NotRequired[str]


class ChunkData(TypedDict):
    """The next piece of the answer."""

    text: str


class ActionData(TypedDict):
    """What the model asks the caller's page to do; `error` where its arguments are no JSON."""

    id: str
    name: str
    arguments: Any
    error: NotRequired[str]


class RestartData(TypedDict):
    """What was told of the answer is void: it begins anew."""

    reason: str


class UsageData(TokenCount):
    """Tokens; estimated where the provider did not count."""

    estimated: bool


class TimingsData(TypedDict):
    """Seconds from the request to each step."""

    queued_s: float | None
    first_token_s: float | None
    total_s: float | None


class CompleteData(TypedDict):
    """Everything about an answer that is whole."""

    mode: str | None
    track_id: str | None
    response: str
    actions: list[ActionData]
    model: str
    usage: UsageData | None
    timings: TimingsData


class ErrorData(TypedDict):
    """Why there is no whole answer, and whether another try can help."""

    code: str
    message: str
    retryable: bool


class OfRequest(TypedDict):
    """What the data of every event has beside its own."""

    request_id: str


# By their names, in the order in which a request comes to them.
DATA: dict[str, Any] = {
    "stage": StageData,
    "status": StatusData,
    "response_chunk": ChunkData,
    "action": ActionData,
    "restart": RestartData,
    "complete": CompleteData,
    "error": ErrorData,
}
_EXAMPLE = """\
id: 1-0
event: stage
data: {"request_id":"…","stage":"processing"}

id: 1-3
event: response_chunk
data: {"request_id":"…","text":"Brighter"}

id: 1-5
event: error
data: {"request_id":"…","code":"TIMEOUT","message":"The AI service took too long.","retryable":true}

"""
EVENTS = Events(_EXAMPLE, tuple(DATA.items()), OfRequest)
