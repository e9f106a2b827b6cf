"""Jobs as lists tell them, to operators and to those who made them."""

from typing import NotRequired, TypedDict

from gateway.errors import GatewayError
from gateway.history import Entry, Page, entry_of
from gateway.jobs import Job
from gateway.messages import Message
from gateway.spending import MICROS
from gateway.surfaces.chat_completion import TokenCount, usage
from gateway.surfaces.query import StateName, written

# Of a question, in a list; what is searched is longer.
_PROMPT_MOST = 200


class Tokens(TokenCount):
    """Tokens read and written, of all attempts; `estimated` where a provider told none."""

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


def items(page: Page) -> Items:
    """A page of jobs."""
    return {"jobs": [item(entry) for entry in page.entries], "next": written(page.next)}


def item(entry: Entry) -> Item:
    """A job as a list tells it."""
    used, error = entry.usage, entry.error
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
        "usage": None if used is None else {**usage(used), "estimated": used.estimated},
        "error": None if error is None else {"code": error.code, "message": error.message},
        "prompt": entry.prompt[:_PROMPT_MOST],
        "cost_usd": entry.cost / MICROS,
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


def _since(beginning: float, end: float | None) -> float | None:
    return None if end is None else round(end - beginning, 6)


def shape(error: GatewayError) -> RecordError:
    """An error as these doors write it."""
    said: RecordFault = {"code": error.code, "message": str(error)}
    if error.field:
        said["field"] = error.field
    return {"error": said}
