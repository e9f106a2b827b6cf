"""Jobs as lists tell them, to operators and to those who made them; and what a list is asked."""

from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Literal, NotRequired, TypedDict, TypeVar

import msgspec
from aiohttp import web

from gateway.errors import GatewayError, InvalidRequest
from gateway.events import Usage
from gateway.history import Entry, Filter, Place, entry_of
from gateway.jobs import Job, State, is_job_id
from gateway.messages import Message
from gateway.surfaces.body import clean
from gateway.surfaces.route import Parameter

Word = TypeVar("Word", bound=StrEnum)

_PAGE = 50
_PAGE_MOST = 200
_TEXT_MOST = 200
# Of a question, in a list; what is searched is longer.
_PROMPT_MOST = 200

StateName = Literal["queued", "processing", "completed", "error", "cancelled", "expired"]


class Tokens(TypedDict):
    """Tokens read and written, of all attempts; `estimated` where a provider told none."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool


class Failure(TypedDict):
    """Why there was no whole answer."""

    code: str
    message: str


class Item(TypedDict):
    """A job in a list.

    Times are UTC, seconds since the epoch; `first_token_s` and `duration_s` count from
    `created_at`. `prompt` is the beginning of the last user turn.
    """

    request_id: str
    app: str
    user: str | None
    door: str
    state: StateName
    model: str
    provider: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    first_token_s: float | None
    duration_s: float | None
    attempt: int
    usage: Tokens | None
    error: Failure | None
    prompt: str
    cost_usd: float


class Items(TypedDict):
    """A page, newest first. `next` goes into `before`; it is null on the last page.

    A page may be empty and have a `next`: what is rare is looked for step by step.
    """

    jobs: list[Item]
    next: str | None


class CalledTool(TypedDict):
    """A call the model made; `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


class WholeItem(Item):
    """A job with what was asked and answered. `answer` is what text there is, whole or not."""

    messages: tuple[Message, ...]
    answer: str
    tool_calls: list[CalledTool]


class RecordFault(TypedDict):
    """What went wrong. `field` names what is at fault."""

    code: str
    message: str
    field: NotRequired[str]


class RecordError(TypedDict):
    """A refusal of the doors that tell of jobs."""

    error: RecordFault


_Limit = Annotated[int, msgspec.Meta(ge=1, le=_PAGE_MOST)]
_Text = Annotated[str, msgspec.Meta(max_length=_TEXT_MOST)]
PAGING = (
    Parameter("limit", "query", f"At most so many, {_PAGE} where nothing is said.", _Limit),
    Parameter("before", "query", "The `next` of an earlier page: what follows it."),
)
TIME_SAYS = "{}: UTC, seconds since the epoch or as 2026-11-20T22:44:00Z."
FILTERS = (
    Parameter("user", "query", "Only this user's.", _Text),
    Parameter("door", "query", "Only those made at this door.", _Text),
    Parameter("state", "query", "Only those in this state.", StateName),
    Parameter("model", "query", "Only those of this model.", _Text),
    Parameter("q", "query", "Only those with this in their id, user or prompt's beginning.", _Text),
    Parameter("since", "query", TIME_SAYS.format("Made no earlier")),
    Parameter("until", "query", TIME_SAYS.format("Made before")),
    *PAGING,
)


def item(entry: Entry) -> Item:
    """A job as a list tells it."""
    usage, error = entry.usage, entry.error
    return {
        "request_id": entry.id,
        "app": entry.owner.tenant,
        "user": entry.owner.user,
        "door": entry.door,
        "state": entry.state.value,
        "model": entry.model,
        "provider": entry.provider,
        "created_at": entry.created_at,
        "started_at": entry.claimed_at,
        "finished_at": entry.finished_at,
        "first_token_s": _since(entry.created_at, entry.first_token_at),
        "duration_s": _since(entry.created_at, entry.finished_at),
        "attempt": entry.attempt,
        "usage": None if usage is None else _tokens(usage),
        "error": None if error is None else {"code": error.code, "message": error.message},
        "prompt": entry.prompt[:_PROMPT_MOST],
        "cost_usd": entry.cost / 1e6,
    }


def whole_item(job: Job) -> WholeItem:
    """A job with what was asked and, when it is over, answered."""
    outcome = job.outcome
    calls = outcome.tool_calls if outcome else ()
    return {
        **item(entry_of(job)),
        "messages": job.request.messages,
        "answer": outcome.answer if outcome else "",
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls
        ],
    }


def _tokens(usage: Usage) -> Tokens:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "estimated": usage.estimated,
    }


def _since(beginning: float, end: float | None) -> float | None:
    return None if end is None else round(end - beginning, 6)


def shape(error: GatewayError) -> RecordError:
    """An error as these doors write it."""
    said: RecordFault = {"code": error.code, "message": str(error)}
    if error.field:
        said["field"] = error.field
    return {"error": said}


# What is asked for ------------------------------------------------------------------------------


def wanted(request: web.Request, **of: Any) -> Filter:
    """What the query asks for.

    Args:
        of: what it is held to, whatever it asks.

    Raises:
        InvalidRequest: a value of it is none; `field` says which.
    """
    return msgspec.structs.replace(
        Filter(
            user=text_of(request, "user"),
            door=text_of(request, "door"),
            state=word_of(request, "state", State),
            model=text_of(request, "model"),
            since=time_of(request, "since"),
            until=time_of(request, "until"),
            text=text_of(request, "q"),
        ),
        **of,
    )


def text_of(request: web.Request, name: str) -> str | None:
    """A text of the query; None where there is none.

    Raises:
        InvalidRequest: it is too long.
    """
    text = request.query.get(name) or None
    if text is not None and len(text) > _TEXT_MOST:
        raise InvalidRequest(f"{name} has at most {_TEXT_MOST} characters.", field=name)
    return text


def word_of(request: web.Request, name: str, words: type[Word]) -> Word | None:
    """A word of the query, one of a closed set; None where there is none.

    Raises:
        InvalidRequest: it is another.
    """
    word = request.query.get(name)
    if not word:
        return None
    if word not in set(words):
        raise InvalidRequest(f"{name} is one of {', '.join(words)}.", field=name)
    return words(word)


def time_of(request: web.Request, name: str) -> float | None:
    """A time of the query, in seconds since the epoch; None where there is none.

    Raises:
        InvalidRequest: it is no time.
    """
    text = request.query.get(name)
    if not text:
        return None
    try:
        return _finite(text)
    except ValueError:
        pass
    try:
        # A plus that was not escaped is a space by now.
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{clean(name)} is no time.", field=name) from None


def _finite(text: str) -> float:
    found = float(text)
    if not isfinite(found):
        raise ValueError(text)
    return found


def limit_of(request: web.Request) -> int:
    """How many the query wants at most.

    Raises:
        InvalidRequest: no number, or one out of range.
    """
    text = request.query.get("limit")
    if not text:
        return _PAGE
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 0 < int(text) <= _PAGE_MOST):
        raise InvalidRequest(f"limit must be from 1 to {_PAGE_MOST}.", field="limit")
    return int(text)


def written(place: Place | None) -> str | None:
    """A place as `before` takes it."""
    return None if place is None else f"{place.created_at!r}~{place.id}"


def before_of(request: web.Request) -> Place | None:
    """The place that `written` wrote; None where the query has none.

    Raises:
        InvalidRequest: anything else.
    """
    text = request.query.get("before")
    if not text:
        return None
    time, _, job_id = text.partition("~")
    try:
        place = Place(_finite(time), job_id)
    except ValueError:
        place = Place(0.0, "")
    if not is_job_id(place.id):
        raise InvalidRequest("before must be the `next` of an earlier page.", field="before")
    return place
