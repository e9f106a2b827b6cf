"""OpenAI's chat completions as values: what is sent, and what comes back. Pure.

Most providers speak this dialect: https://platform.openai.com/docs/api-reference/chat
"""

import json
import re
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from gateway.errors import ProviderError
from gateway.events import Delta, Logprobs, Usage
from gateway.messages import Message, Request
from gateway.providers import Output
from gateway.providers.failures import REPORTED, error_type
from gateway.providers.translation import Call, Translation, counted, decode_leniently
from gateway.sampling import refused_by_openai

# Some providers have their own words for the end.
_FINISH = {"eos": "stop", "stop_sequence": "stop", "function_call": "tool_calls"}

# Models that have the newer name of the ceiling.
_NEW_CEILING = re.compile(r"(.*/)?(o\d|gpt-[5-9]|gpt-\d\d).*")

_log = structlog.get_logger(__name__)


def body(request: Request, model: str) -> dict[str, Any]:
    """The JSON object that asks for a streamed answer with its usage.

    What the gateway sets itself beats what the caller passed on in `extra`. What OpenAI's models
    that reason would refuse is left out.
    """
    fields: dict[str, Any] = {**request.extra, **request.parameters}
    if request.max_tokens is not None:
        fields.pop("max_completion_tokens", None)
        fields["max_tokens"] = request.max_tokens
    if _NEW_CEILING.fullmatch(model) and "max_tokens" in fields:
        fields["max_completion_tokens"] = fields.pop("max_tokens")
    for name in refused_by_openai(model):
        fields.pop(name, None)
    if request.tools:
        fields["tools"] = request.tools
    fields["model"] = model
    fields["messages"] = tuple(map(_turn, request.messages))
    fields["stream"] = True
    fields["stream_options"] = {"include_usage": True}
    return fields


def _turn(message: Message) -> Message | dict[str, Any]:
    """A turn as it is sent: one that only calls tools says null, which some servers insist on."""
    if message.content is not None and message.extra is None:
        return message
    told = {**msgspec.to_builtins(message), "content": message.content}
    return {**told.pop("extra", {}), **told}


class _Function(msgspec.Struct):
    name: str | None = None
    # Of some servers an object.
    arguments: str | dict[str, Any] | None = None


class _Fragment(msgspec.Struct):
    # Of some servers none, or the same for all calls.
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Fragment] | None = None


class _Choice(msgspec.Struct):
    delta: _Said | None = None
    finish_reason: str | None = None
    # OpenAI's object; others have forms of their own.
    logprobs: Any = None


class _Groq(msgspec.Struct):
    usage: Any = None
    error: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    # Figures, of which nothing is believed unseen: an answer does not fail for them.
    usage: Any = None
    error: Any = None
    # Where Groq says the same.
    x_groq: _Groq | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class Translator(Translation):
    """Turns the chunks of one streamed answer into events."""

    __slots__ = ("_last", "_most", "_places", "_refused", "_tokens", "_usage")

    def __init__(self) -> None:
        super().__init__(_FINISH)
        # Places of calls: of the one that was added to last, the highest, and by index where
        # another call had that.
        self._last = 0
        self._most = -1
        self._places: dict[int, int] = {}
        self._usage: Any = None
        self._refused = False
        self._tokens = _Tokens()

    def feed(self, data: bytes) -> Delta | None:
        """Read one chunk; the text in it, if any."""
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if data == b"[DONE]":
                self.done = True
                return None
            chunk = decode_leniently(data, _Chunk)
        if chunk.error is not None or chunk.usage is not None:
            self._read_rarities(chunk)
        elif chunk.x_groq is not None:
            self._read_rarities(chunk.x_groq)
        if not chunk.choices:
            return None
        self.at_work = True
        choice = chunk.choices[0]
        if choice.finish_reason:
            self._finish = choice.finish_reason
        if choice.logprobs is not None:
            self._gather(data)
            self._tokens.add(choice.logprobs)
        said = choice.delta
        if said is None:
            return None
        if said.tool_calls:
            self._gather(data)
            self._read_calls(said.tool_calls)
        if said.refusal and not said.content:
            return self._refuse(said.refusal)
        return self._text(said.content)

    def _refuse(self, words: str) -> Delta | None:
        self._refused = True
        said = self._text(words)
        return None if said is None else replace(said, refusal=True)

    def end(self) -> list[Output]:
        """What is left to say when the stream is over; see Translation.end."""
        *left, completed = super().end()
        return [*left, replace(completed, refused=True) if self._refused else completed]

    def _figures(self) -> list[Output]:
        used = [] if self._usage is None else _counted(self._usage)
        return [*self._tokens.whole(), *used]

    def _read_rarities(self, chunk: _Chunk | _Groq) -> None:
        if chunk.error is not None:
            _log.warning("provider_reported_error", error_type=error_type(chunk.error))
            raise ProviderError(REPORTED, retryable=True)
        self._usage = chunk.usage or self._usage

    def _read_calls(self, fragments: list[_Fragment]) -> None:
        for fragment in fragments:
            call = self._call_of(fragment)
            call.id = call.id or fragment.id
            if (function := fragment.function) is not None:
                # A name comes whole and may be repeated; only arguments come in pieces.
                call.name = call.name or function.name
                call.pieces.append(_written(function.arguments))

    def _call_of(self, fragment: _Fragment) -> Call:
        """The call at a fragment's index, or the last, unless the fragment begins another."""
        index = fragment.index
        place = self._last if index is None else self._places.get(index, index)
        call = self._calls.get(place)
        if call is not None and _begins_another(call, fragment):
            call, place = None, self._most + 1
            if index is not None:
                self._places[index] = place
        if call is None:
            call = self._calls[place] = Call()
            self._most = max(self._most, place)
        self._last = place
        return call


def _begins_another(call: Call, fragment: _Fragment) -> bool:
    # By a name: there are servers that give each fragment of one call an id of its own.
    name = None if fragment.function is None else fragment.function.name
    if not name:
        return False
    return (fragment.id or call.id) != (call.id or fragment.id) or name != (call.name or name)


def _written(arguments: str | dict[str, Any] | None) -> str:
    if isinstance(arguments, dict):
        return json.dumps(arguments, ensure_ascii=False)
    return arguments or ""


def _counted(usage: Any) -> list[Usage]:
    """The figures of `usage`, of which one may be missing."""
    told = usage if isinstance(usage, dict) else {}
    figures = [told.get(name) for name in ("completion_tokens", "prompt_tokens")]
    if any(each is not None for each in figures):
        figures = [0 if each is None else each for each in figures]
    return [
        replace(
            used,
            cached_tokens=_part(told.get("prompt_tokens_details"), "cached", used.prompt_tokens),
            reasoning_tokens=_part(
                told.get("completion_tokens_details"), "reasoning", used.completion_tokens
            ),
        )
        for used in counted(*figures)
    ]


def _part(details: Any, name: str, whole: int) -> int | None:
    """How many of `whole` tokens are of that kind; None where that is not told, or cannot be."""
    count = details.get(f"{name}_tokens") if isinstance(details, dict) else None
    return count if type(count) is int and 0 <= count <= whole else None


class _Tokens:
    """How likely the tokens of an answer were, in OpenAI's form; any other is passed over."""

    __slots__ = ("_lists",)

    def __init__(self) -> None:
        self._lists: dict[str, list[str]] = {"content": [], "refusal": []}

    def add(self, told: Any) -> None:
        for name, found in self._lists.items():
            tokens = told.get(name) if isinstance(told, dict) else None
            if isinstance(tokens, list):
                # In ASCII: a token may be half of a surrogate pair.
                found += map(json.dumps, tokens)

    def whole(self) -> list[Logprobs]:
        if not any(self._lists.values()):
            return []
        parts = [
            f'"{name}":[{",".join(found)}]' if found else f'"{name}":null'
            for name, found in self._lists.items()
        ]
        return [Logprobs(told=f"{{{','.join(parts)}}}")]
