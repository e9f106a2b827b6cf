"""OpenAI's chat completion: the object, and the chunks of its stream.

https://platform.openai.com/docs/api-reference/chat/object
https://platform.openai.com/docs/api-reference/chat-streaming
"""

from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from gateway import sse
from gateway.events import Completed, Delta, Event, Logprobs, Restarted, Routed, ToolCall, Usage
from gateway.jobs import Job
from gateway.log import Cursor
from gateway.surfaces.openai_error import failure, shape

_json = msgspec.json.Encoder().encode


class TokenCount(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class PromptTokens(TypedDict):
    """What some of the tokens were that were read."""

    cached_tokens: int


class CompletionTokens(TypedDict):
    """What some of the tokens are that were written."""

    reasoning_tokens: int


class TokenDetails(TypedDict, total=False):
    """What some of the tokens are, as far as the provider tells."""

    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens


class CompletionUsage(TokenCount, TokenDetails):
    """Tokens as OpenAI's own object tells them."""


class CompletionChoice(TypedDict):
    """`message` has the role, the content, and the calls that the model makes, if any.

    `logprobs` is OpenAI's object where the request asked for it and the provider tells.
    """

    index: int
    message: dict[str, Any]
    logprobs: Any
    finish_reason: str


class ChatCompletion(TypedDict):
    """OpenAI's object."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage
    system_fingerprint: None


class ChunkDelta(TypedDict, total=False):
    """What a chunk adds to the message: who speaks, more text, whole calls."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[dict[str, Any]]


class ChunkChoice(TypedDict):
    """The one choice, as far as a chunk tells it."""

    index: int
    delta: ChunkDelta
    logprobs: Any
    finish_reason: str | None


class ChatCompletionChunk(TypedDict):
    """A piece of OpenAI's object; the one with `usage`, where it is asked for, has no choice."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: None
    choices: list[ChunkChoice]
    usage: NotRequired[CompletionUsage | None]


def completion_id(job: Job) -> str:
    """The id of the completion that a job's answer is."""
    return f"chatcmpl-{job.id}"


def usage(counted: Usage | None) -> TokenCount:
    """Tokens by OpenAI's names."""
    counted = counted or Usage(prompt_tokens=0, completion_tokens=0)
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": counted.total_tokens,
    }


def completion_usage(counted: Usage | None) -> CompletionUsage:
    """Tokens as OpenAI's own object tells them."""
    details: TokenDetails = {}
    if counted is not None and counted.cached_tokens is not None:
        details["prompt_tokens_details"] = {"cached_tokens": counted.cached_tokens}
    if counted is not None and counted.reasoning_tokens is not None:
        details["completion_tokens_details"] = {"reasoning_tokens": counted.reasoning_tokens}
    return {**usage(counted), **details}


def tool_call(call: ToolCall) -> dict[str, Any]:
    """A call of the model's, as a message holds it."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def whole(job: Job) -> ChatCompletion:
    """The answer of a completed job as one object."""
    outcome = job.outcome
    if outcome is None or not isinstance(outcome.terminal, Completed):
        raise AssertionError("a completion is written for a job that is complete")
    calls = [tool_call(call) for call in outcome.tool_calls]
    refused = outcome.terminal.refused
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused else outcome.answer or (None if calls else ""),
        "refusal": outcome.answer if refused else None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = calls
    choice: CompletionChoice = {
        "index": 0,
        "message": message,
        "logprobs": msgspec.Raw(outcome.logprobs.encode()) if outcome.logprobs else None,
        "finish_reason": outcome.terminal.finish_reason,
    }
    return {
        "id": completion_id(job),
        "object": "chat.completion",
        "created": int(job.created_at),
        "model": outcome.model or job.request.model,
        "choices": [choice],
        "usage": completion_usage(outcome.usage),
        "system_fingerprint": None,
    }


class ChunkFramer:
    """A job's events as chunks: the role, the text, the calls, the finish, and `[DONE]`.

    An error in mid-stream is a chunk of its own, after which nothing comes.
    """

    # Around what each chunk says of the answer.
    _before = ',"system_fingerprint":null,"choices":['
    _refusal = b'{"refusal":%b}'
    _choice = b'{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}'
    _done = sse.frame(b"[DONE]")

    def __init__(self, job: Job, *, include_usage: bool = False) -> None:
        """Frame the events of `job`.

        Args:
            include_usage: the last chunk tells the tokens, and all others that they do not.
        """
        self._id = completion_id(job)
        self._created = int(job.created_at)
        self._include_usage = include_usage
        self._after = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._route(job.request.model)
        self._forget()

    def _route(self, model: str) -> None:
        head = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": model,
        }
        self._head = b"data: %b%b" % (_json(head)[:-1], self._before.encode())

    def _forget(self) -> None:
        self._begun = False
        self._calls = 0
        self._usage: Usage | None = None

    def __call__(self, cursor: Cursor, event: Event) -> bytes:
        if type(event) is Delta:
            if event.refusal:
                return self._begin(b"null") + self._chunk(self._refusal % _json(event.text))
            said = self._chunk(b'{"content":%b}' % _json(event.text))
            return said if self._begun else self._begin(b'""') + said
        match event:
            case Routed(model=model):
                self._route(model)
            case ToolCall():
                return self._call(event)
            case Logprobs(told=told):
                return self._begin(b'""') + self._likely(told.encode())
            case Usage():
                self._usage = event
            case Completed(finish_reason=reason):
                return self._end(reason)
            case Restarted():
                self._forget()
        error = failure(event)
        return b"data: %b\n\n" % _json(shape(error)) if error else b""

    def _chunk(self, delta: bytes, finish: bytes = b"null") -> bytes:
        return self._head + self._choice % (delta, finish) + self._after

    def _begin(self, content: bytes) -> bytes:
        """The chunk that says who speaks, once; `content` is null where no text will come."""
        if self._begun:
            return b""
        self._begun = True
        return self._chunk(self._speaker(content))

    def _speaker(self, content: bytes) -> bytes:
        return b'{"role":"assistant","content":%b,"refusal":null}' % content

    def _call(self, call: ToolCall) -> bytes:
        # A call is whole when it is known: its first fragment is its only one.
        fragment = {"index": self._calls, **tool_call(call)}
        self._calls += 1
        return self._begin(b"null") + self._chunk(_json({"tool_calls": [fragment]}))

    def _likely(self, logprobs: bytes) -> bytes:
        choice = b'{"index":0,"delta":{},"logprobs":%b,"finish_reason":null}'
        return self._head + choice % logprobs + self._after

    def _end(self, reason: str) -> bytes:
        last = self._begin(b'""') + self._chunk(b"{}", _json(reason))
        if self._include_usage:
            last += b'%b],"usage":%b}\n\n' % (self._head, _json(completion_usage(self._usage)))
        return last + self._done
