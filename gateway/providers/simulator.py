"""A provider that only pretends: no network, no key, and it says so.

A model's name is a script: a text, then parameters as in a URL's query.

    echo                                     the prompt, word by word
    simulator/lorem?tokens=200&gap=0.02      what stands before the last slash does not matter
    lorem?status=429&refuse=2&retry_after=1  refuse twice, then answer

Texts are `echo`, `lorem`, `markdown`, `unicode` and `simulator`, which introduces itself; any
other name means the last. `Script` lists the parameters. The same scripts are played over HTTP by
gateway/simulate.py.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from itertools import cycle, islice
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from gateway.errors import ProviderError, ProviderRefused
from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.messages import Request, estimate_tokens
from gateway.providers import Output
from gateway.providers.failures import BROKEN, ENDED_EARLY, NOT_JSON, REPORTED, failure
from gateway.providers.simulator_texts import text_of

Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]

# How many questions it remembers to have refused; the oldest are forgotten beyond this.
_MOST_REFUSED = 1000
# What is said without a pause comes together, as one read of a connection brings it.
_MOST_AT_ONCE = 64

# White space belongs to the word after it, so that the tokens joined are the text.
_TOKEN = re.compile(r"\s*\S+|\s+\Z")


class Fault(StrEnum):
    """What goes wrong once an answer is under way."""

    CUT = "cut"  # the connection breaks
    STALL = "stall"  # nothing more is said, the connection stays
    MALFORMED = "malformed"  # something that is not JSON
    ERROR = "error"  # an error object inside the stream
    END = "end"  # a clean end without a finish


class Split(StrEnum):
    """How a character outside the basic plane is torn on the wire; unseen in process."""

    BYTES = "bytes"  # its UTF-8 between two writes
    SURROGATES = "surrogates"  # two halves in two deltas


class Step(NamedTuple):
    """One thing a script does, and the seconds to wait before it."""

    after_s: float
    part: Delta | ToolCall | Usage | Completed | Fault


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a simulated model behaves.

    Attributes:
        text: what it says.
        tokens: how many words; the text is repeated or cut to fit. None: the text as it is.
        first: seconds before the first chunk.
        gap: seconds between two chunks. 0: as fast as the reader takes them.
        chunk: words in a chunk.
        tools: how many tool calls end the answer.
        usage: false: no token counts, even where they are asked for.
        finish: the reason given for the end.
        status: the HTTP status to refuse with, in place of an answer.
        refuse: how often to refuse before answering; None: always, where `status` is given.
        retry_after: seconds to name when refusing.
        cut, stall, malformed, error, end: the number of words before that fault.
        split: how to tear characters on the wire.
        linger: seconds that the connection stays open after the last byte; unseen in process.
    """

    text: str = "simulator"
    tokens: Tokens | None = None
    first: Seconds = 0.3
    gap: Seconds = 0.025
    chunk: Count = 1
    tools: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    usage: bool = True
    finish: str | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    refuse: Count | None = None
    retry_after: Seconds | None = None
    cut: Tokens | None = None
    stall: Tokens | None = None
    malformed: Tokens | None = None
    error: Tokens | None = None
    end: Tokens | None = None
    split: Split | None = None
    linger: Seconds = 0.0

    def refusal(self, refused: int) -> int | None:
        """The status to refuse with after `refused` refusals; None: answer."""
        if self.refuse is not None:
            return (self.status or 503) if refused < self.refuse else None
        return self.status

    @property
    def fault(self) -> tuple[int, Fault] | None:
        """The first fault, with the number of words before it."""
        return _first_fault(self)

    def plan(self, prompt: str, max_tokens: int | None, tools: tuple[str, ...]) -> Iterator[Step]:
        """What happens after the request was accepted, in order.

        An answer ends with Completed, or with a fault.

        Args:
            tools: the names of the tools that a call can choose from.
        """
        words = self._words(prompt)
        whole = len(words)
        words = words[:max_tokens]
        fault = self.fault
        said = words if fault is None else words[: fault[0]]
        delay = self.first
        for i in range(0, len(said), self.chunk):
            yield Step(delay, Delta(text="".join(said[i : i + self.chunk])))
            delay = self.gap
        if fault is not None:
            yield Step(delay, fault[1])
            return
        for call in self._calls(prompt, tools):
            yield Step(delay, call)
            delay = self.gap
        if self.usage:
            yield Step(
                delay, Usage(prompt_tokens=estimate_tokens(prompt), completion_tokens=len(words))
            )
            delay = 0.0
        yield Step(delay, Completed(finish_reason=self._finish(whole > len(words))))

    def _words(self, prompt: str) -> list[str]:
        text = text_of(self.text, prompt)
        if self.tokens is None:
            return _TOKEN.findall(text)
        words = list(islice(cycle(_split(f" {text.strip()}", self.tokens)), self.tokens))
        return [word.lstrip() for word in words[:1]] + words[1:]

    def _calls(self, prompt: str, tools: tuple[str, ...]) -> Iterator[ToolCall]:
        names = cycle(tools or ("simulated_tool",))
        for i, name in zip(range(self.tools), names, strict=False):
            arguments = msgspec.json.encode({"prompt": prompt, "call": i}).decode()
            yield ToolCall(id=f"call_{i}", name=name, arguments=arguments)

    def _finish(self, cut_short: bool) -> str:
        if self.finish is not None:
            return self.finish
        if cut_short:
            return "length"
        return "tool_calls" if self.tools else "stop"


def _split(text: str, most: int) -> list[str]:
    """The words of a text, no more than so many: it is not looked at any further."""
    return [match[0] for match, _ in zip(_TOKEN.finditer(text), range(most), strict=False)]


@lru_cache(maxsize=256)
def _first_fault(script: Script) -> tuple[int, Fault] | None:
    places = [(getattr(script, fault), fault) for fault in Fault]
    return min((place for place in places if place[0] is not None), default=None)


@lru_cache(maxsize=1024)
def read_script(model: str, overrides: str = "") -> Script:
    """The script that a model's name spells.

    Args:
        overrides: parameters that beat those of the name, written alike.

    Raises:
        ProviderRefused: an unknown parameter, or a value out of range.
    """
    name, _, query = model.partition("?")
    parameters = {
        "text": name.rpartition("/")[2],
        **dict(parse_qsl(query, keep_blank_values=True)),
        **dict(parse_qsl(overrides.removeprefix("?"), keep_blank_values=True)),
    }
    try:
        return msgspec.convert(parameters, Script, strict=False)
    except msgspec.ValidationError as error:
        text = f"The simulator cannot play this model: {str(error).replace('$.', '')}."
        raise ProviderRefused(text, field="model") from None


_FAULTS = {
    Fault.CUT: BROKEN,
    Fault.MALFORMED: NOT_JSON,
    Fault.ERROR: REPORTED,
    Fault.END: ENDED_EARLY,
}


class Simulator:
    """Plays scripts inside the process."""

    name = "simulator"

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._refused: Counter[int] = Counter()

    async def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        """Play the script that `model` spells; see Provider.stream."""
        script, prompt = read_script(model), request.prompt
        self._admit(script, hash((model, prompt)))
        arrived: list[Output] = []
        for step in script.plan(prompt, request.max_tokens, tool_names(request.tools)):
            if step.after_s or not arrived or len(arrived) == _MOST_AT_ONCE:
                if arrived:
                    yield arrived
                    arrived = []
                await self._sleep(step.after_s)
            if not isinstance(step.part, Fault):
                arrived.append(step.part)
                continue
            if arrived:
                yield arrived
            await self._fail(step.part)
        yield arrived

    def _admit(self, script: Script, key: int) -> None:
        status = script.refusal(self._refused[key])
        if status is not None:
            if script.refuse is not None:
                self._refused[key] += 1
            if len(self._refused) > _MOST_REFUSED:
                del self._refused[next(iter(self._refused))]
            raise failure(status, script.retry_after)

    async def _fail(self, fault: Fault) -> None:
        if fault is Fault.STALL:
            await asyncio.Event().wait()
        raise ProviderError(_FAULTS[fault], retryable=True)

    async def check(self) -> None:
        """Nothing can be out of reach."""

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""


def tool_names(tools: tuple[dict[str, object], ...]) -> tuple[str, ...]:
    """The names of the functions among OpenAI's tools."""
    functions = (tool.get("function") for tool in tools)
    return tuple(str(f["name"]) for f in functions if isinstance(f, dict) and "name" in f)
