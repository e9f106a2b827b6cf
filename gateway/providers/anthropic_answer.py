"""Anthropic's streamed Messages as values: what comes back. Pure.

https://docs.anthropic.com/en/api/messages-streaming
"""

from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from gateway.errors import (
    ProviderError,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefused,
    ProviderTimeout,
)
from gateway.events import Delta
from gateway.providers import Output
from gateway.providers.failures import REFUSED_KEY, REPORTED, error_type
from gateway.providers.translation import Call, Translation, counted, decode_leniently

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# The figures that add up to what was read, and the one of what was written.
_COUNTS = (
    *("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    "output_tokens",
)

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None


class _Said(msgspec.Struct, gc=False):
    text: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Opening(msgspec.Struct):
    usage: Any = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    delta: _Said | None = None
    content_block: _Block | None = None
    message: _Opening | None = None
    # Figures, of which nothing is believed unseen: an answer does not fail for them.
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class Translator(Translation):
    """Turns the events of one streamed message into ours."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        super().__init__(_FINISH)
        # The last figure of each kind: they are told in two events.
        self._counts: dict[str, Any] = {}

    def feed(self, data: bytes) -> Delta | None:
        """Read the data of one event; the text in it, if any."""
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            event = decode_leniently(data, _Event)
        self.at_work = self.at_work or event.type != "ping"
        said = event.delta
        if said is None or event.type != "content_block_delta":
            self._gather(data)
            text = self._read_rarities(event)
        elif said.partial_json is not None:
            self._gather(data)
            if event.index in self._calls:
                self._calls[event.index].pieces.append(said.partial_json)
            return None
        else:
            # Thoughts, signatures and citations have other fields.
            text = said.text
        return self._text(text)

    def _figures(self) -> list[Output]:
        if not self._counts:
            return []
        counts = dict(self._counts)
        written = counts.pop("output_tokens", 0)
        cached = counts.get("cache_read_input_tokens")
        # What the cache held, or was given to hold, was read as well.
        used = counted(written, *counts.values())
        return [replace(each, cached_tokens=cached) for each in used]

    def _read_rarities(self, event: _Event) -> str | None:
        """Read what is no delta; the text that a block begins with, if any."""
        match event.type:
            case "error":
                raise _reported(event.error)
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
            case "content_block_start" if (block := event.content_block) is not None:
                if block.type == "tool_use":
                    given = _encode(block.input or {}).decode()
                    self._calls[event.index] = Call(block.id, block.name, given)
                return block.text if block.type == "text" else None
            case "message_delta":
                self._count(event.usage)
                if event.delta is not None:
                    self._finish = event.delta.stop_reason or self._finish
            case "message_stop":
                self.done = True
        return None

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            told = {name: usage.get(name) for name in _COUNTS}
            self._counts |= {name: count for name, count in told.items() if count is not None}


def _reported(error: Any) -> ProviderError:
    """What an error event means: by its type, as the status would have said before the stream."""
    kind = error_type(error)
    _log.warning("provider_reported_error", error_type=kind)
    match kind:
        case "authentication_error" | "permission_error":
            return ProviderError(REFUSED_KEY)
        case "not_found_error":
            return ProviderLacksModel()
        case "invalid_request_error" | "request_too_large":
            return ProviderRefused()
        case "rate_limit_error":
            return ProviderRateLimited(retryable=True)
        case "timeout_error":
            return ProviderTimeout(retryable=True)
    return ProviderError(REPORTED, retryable=True)
