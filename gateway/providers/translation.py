"""What every dialect makes of one streamed answer: its text, its calls, its end. Pure."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import structlog

from gateway.errors import ProviderError
from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.providers import Output, surrogates
from gateway.providers.failures import ENDED_EARLY, NOT_JSON

# What is kept of an answer until its end may not grow beyond this: its calls, and what is told of
# its tokens. Text goes on at once, and is counted where it goes.
MOST_GATHERED_BYTES = 64 << 20

# No answer takes more tokens. A figure beyond it fits into no sum of them, nor does one below none.
_MOST_TOKENS = 1_000_000_000

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Translation(ABC):
    """Turns the events of one streamed answer into ours.

    Attributes:
        done: the provider said that this was all; nothing can follow.
        at_work: something of the answer came, be it nothing to tell yet; the reader unsets it.
    """

    __slots__ = ("_bytes", "_calls", "_finish", "_finishes", "_half", "at_work", "done")

    def __init__(self, finishes: Mapping[str, str]) -> None:
        """Begin with nothing said.

        Args:
            finishes: the provider's own words for the end, in OpenAI's.
        """
        self.done = False
        self.at_work = False
        self._finishes = finishes
        self._bytes = 0
        # Why the answer ended, as the provider has it.
        self._finish: str | None = None
        # A high surrogate whose other half is still to come.
        self._half = ""
        # By the provider's own number.
        self._calls: dict[int, Call] = {}

    @abstractmethod
    def feed(self, data: bytes) -> Delta | None:
        """Read the data of one event; the text in it, if any.

        Raises:
            ProviderError: it is not JSON, or it reports an error.
        """

    def _gather(self, data: bytes) -> None:
        """Count an event of which something is kept until the end.

        Raises:
            ProviderError: that is too much by now.
        """
        self._bytes += len(data)
        if self._bytes > MOST_GATHERED_BYTES:
            raise ProviderError("The answer is longer than the gateway keeps.")

    @abstractmethod
    def _figures(self) -> list[Output]:
        """What is told of the answer beside its text and calls: its tokens, and their number."""

    def _text(self, text: str | None) -> Delta | None:
        """The characters that are whole by now."""
        if not text:
            return None
        if self._half or not text.isascii():
            text, self._half = surrogates.meet(self._half, text)
        return Delta(text=text) if text else None

    def end(self) -> list[Output]:
        """What is left to say when the stream is over; at last Completed.

        Raises:
            ProviderError: the provider never said that it had finished.
        """
        if self._finish is None and not self.done:
            raise ProviderError(ENDED_EARLY, retryable=True)
        left: list[Output] = [Delta(text="\ufffd")] if self._half else []
        left += [call.whole(index) for index, call in sorted(self._calls.items())]
        left += self._figures()
        finish = surrogates.join(self._finish or ("tool_calls" if self._calls else "stop"))
        left.append(Completed(finish_reason=self._finishes.get(finish, finish)))
        return left


class Call:
    """A tool call under construction.

    Attributes:
        pieces: of its arguments, as JSON text.
        given: what its arguments are if there are no pieces.
    """

    __slots__ = ("given", "id", "name", "pieces")

    def __init__(self, id: str | None = None, name: str | None = None, given: str = "") -> None:
        self.id = id
        self.name = name
        self.given = given
        self.pieces: list[str] = []

    def whole(self, index: int) -> ToolCall:
        """The call, now that nothing more of it can come."""
        return ToolCall(
            id=surrogates.join(self.id or f"call_{index}"),
            name=surrogates.join(self.name or ""),
            arguments=surrogates.join("".join(self.pieces) or self.given),
        )


def counted(completion: Any, *prompt: Any) -> list[Usage]:
    """What a provider says an answer took; none where that cannot be, so that it is estimated.

    Args:
        prompt: the figures that the prompt's is the sum of.
    """
    if all(type(each) is int and each >= 0 for each in (completion, *prompt)):
        read = sum(prompt)
        if max(read, completion) <= _MOST_TOKENS:
            return [Usage(prompt_tokens=read, completion_tokens=completion)]
    _log.warning("provider_miscounted_tokens")
    return []


def decode_leniently(data: bytes, kind: type[T]) -> T:
    """What msgspec refused: it may hold half a surrogate pair, which JSON allows.

    Raises:
        ProviderError: it is not JSON, or nothing of that kind.
    """
    try:
        return msgspec.convert(json.loads(data, parse_constant=lambda _: None), kind)
    except (ValueError, RecursionError):
        _log.warning("provider_sent_malformed_chunk", size_bytes=len(data))
        raise ProviderError(NOT_JSON, retryable=True) from None
