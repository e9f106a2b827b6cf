"""Facts about one job, in the order in which they became true.

A log of events is all there is to know of a job's answer: every surface writes these, and
nothing else, in its own frames. An attempt begins with Started (the first) or Restarted
(each later one); Routed tells the model just before its first output; exactly one terminal
event ends the log.
"""

from collections.abc import Iterable
from typing import Any

import msgspec


# Values hold no cycles, and there are many: `gc=False` spares the collector from visiting them.
class Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, gc=False
):
    """One fact about one job."""


class Started(Event, frozen=True, tag="started"):
    """A worker has the job; its first attempt begins."""


class Restarted(Event, frozen=True, tag="restarted"):
    """What earlier attempts wrote is void; a new attempt begins."""

    reason: str


class Routed(Event, frozen=True, tag="routed"):
    """A model is answering; written just before the first output of an attempt."""

    model: str
    provider: str


class Delta(Event, frozen=True, tag="delta"):
    """More text of the answer; never empty, never a lone surrogate.

    With `refusal` the model says why it does not answer: text as any other, but at OpenAI's door.
    """

    text: str
    refusal: bool = False


class ToolCall(Event, frozen=True, tag="tool_call"):
    """One whole call the model makes. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class Logprobs(Event, frozen=True, tag="logprobs"):
    """How likely each token of the text before it was: OpenAI's `logprobs`, as JSON text."""

    told: str


class Usage(Event, frozen=True, tag="usage"):
    """Tokens read and written. `estimated` where the provider told none.

    Some of those read were in its cache, some of those written are thoughts: numbers where it
    told them.
    """

    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def total(*counted: Usage | None) -> Usage | None:
    """The tokens of several attempts together; None where there are none to count."""
    found = [usage for usage in counted if usage is not None]
    if len(found) < 2:
        return found[0] if found else None
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in found),
        completion_tokens=sum(usage.completion_tokens for usage in found),
        estimated=any(usage.estimated for usage in found),
        cached_tokens=_sum(usage.cached_tokens for usage in found),
        reasoning_tokens=_sum(usage.reasoning_tokens for usage in found),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


class Completed(Event, frozen=True, tag="completed"):
    """The answer is whole. `finish_reason` in OpenAI's words: stop, length, tool_calls, …

    `refused`: its text is the model's refusal.
    """

    finish_reason: str = "stop"
    refused: bool = False


class Failed(Event, frozen=True, tag="failed"):
    """The job ended without a whole answer. `code` is one of errors.py's.

    `retry_after_s` is how long to wait before another try, where the provider said so.
    """

    code: str
    message: str
    retryable: bool = False
    retry_after_s: float | None = None


class Cancelled(Event, frozen=True, tag="cancelled"):
    """Somebody with the right to it stopped the job."""

    reason: str = "cancelled by the caller"


class Expired(Event, frozen=True, tag="expired"):
    """The job waited longer than it may for `waited_for`: a worker, or its reader."""

    waited_for: str = "a worker"


Terminal = Completed | Failed | Cancelled | Expired
AnyEvent = Started | Restarted | Routed | Delta | ToolCall | Logprobs | Usage | Terminal
TERMINAL = frozenset({Completed, Failed, Cancelled, Expired})


def as_failed(event: Event) -> Failed | None:
    """Why a job ended without a whole answer, in the words of every door; None if it did not."""
    match event:
        case Failed():
            return event
        case Cancelled(reason=reason):
            return Failed(code="CANCELLED", message=f"The request was {reason}.")
        case Expired(waited_for=missing):
            message = f"The request waited too long for {missing}."
            return Failed(code="EXPIRED", message=message, retryable=True)
    return None


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """One event as JSON with its `type`, the form that stores keep."""
    return _encoder.encode(event)


def decode(data: bytes) -> Event:
    """The event that `encode` wrote.

    Raises:
        msgspec.ValidationError: no event of this version.
    """
    event: Event = _decoder.decode(data)
    return event
