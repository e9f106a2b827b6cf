"""A simulated answer on the wire: what is written, and when. OpenAI's format; pure.

https://platform.openai.com/docs/api-reference/chat-streaming
Anthropic's format is simulator_anthropic.py's.
"""

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.providers.simulator import Fault, Script, Split, Step
from gateway.sse import frame

TOLD_TO_FAIL = "The simulator was told to fail."
MALFORMED = b'{"choices":[{"delta":{"content":"no end'

# Seconds between the halves of a torn character, so that they do not meet in one read.
_TEAR_S = 0.01


class Scene(NamedTuple):
    """All of a request that its answer depends on, beside the script."""

    model: str
    prompt: str
    max_tokens: int | None = None
    tools: tuple[str, ...] = ()
    usage: bool = False
    created: int = 0


class Cue(NamedTuple):
    """Bytes to write, or the fault to play, and the seconds to wait before."""

    after_s: float
    part: bytes | Fault


class Frames(Protocol):
    """One answer's frames in the format of one wire."""

    def opening(self) -> bytes:
        """What comes before the first word."""
        ...

    def text(self, text: str) -> bytes:
        """One piece of text. A lone surrogate stays one."""
        ...

    def call(self, call: ToolCall) -> bytes:
        """A tool call, its arguments in two pieces."""
        ...

    def ending(self, finish_reason: str, usage: Usage | None) -> bytes:
        """All that comes after the last word."""
        ...

    def error(self) -> bytes:
        """An error in mid-stream."""
        ...

    def malformed(self) -> bytes:
        """An event that is not JSON."""
        ...


class Chunks:
    """OpenAI's frames."""

    def __init__(self, script: Script, scene: Scene) -> None:
        self._head = _head("chat.completion.chunk", scene)
        self._counted = scene.usage
        # OpenAI has the field in every chunk once usage was asked for.
        self._usage: dict[str, None] = {"usage": None} if scene.usage else {}
        self._escaped = script.split is Split.SURROGATES

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def call(self, call: ToolCall) -> bytes:
        return b"".join(self._chunk(delta) for delta in _call_deltas(call))

    def ending(self, finish_reason: str, usage: Usage | None) -> bytes:
        last = self._chunk({}, finish=finish_reason)
        if usage is not None and self._counted:
            last += self._frame({**self._head, "choices": [], "usage": _counts(usage)})
        return last + frame(b"[DONE]")

    def error(self) -> bytes:
        return frame(json.dumps(error(TOLD_TO_FAIL, 500)))

    def malformed(self) -> bytes:
        return frame(MALFORMED)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._frame({**self._head, "choices": [choice], **self._usage})

    def _frame(self, chunk: dict[str, Any]) -> bytes:
        return frame(json.dumps(chunk, ensure_ascii=self._escaped, separators=(",", ":")))


# Cached: a thousand readers of one script share its bytes.
@lru_cache(maxsize=256)
def stream(
    script: Script, scene: Scene, format: Callable[[Script, Scene], Frames] = Chunks
) -> tuple[Cue, ...]:
    """A streamed answer. Only Fault.CUT and Fault.STALL, which have no bytes, are left as faults.

    It ends in a fault, or with the last bytes.
    """
    frames = format(script, scene)
    usage: Usage | None = None
    after_s = 0.0
    cues: list[Cue] = []
    for step in script.plan(scene.prompt, scene.max_tokens, scene.tools):
        after_s += step.after_s
        if isinstance(step.part, Usage):
            usage = step.part
        elif isinstance(step.part, Completed):
            cues.append(Cue(after_s, frames.ending(step.part.finish_reason, usage)))
            cues.append(Cue(script.linger, b""))
        elif step.part is not Fault.END:
            head, *tail = _cues(frames, step.part, script.split)
            cues += [Cue(after_s + head.after_s, head.part), *tail]
            after_s = 0.0
    return (Cue(0.0, frames.opening()), *cues)


def whole(steps: list[Step], scene: Scene) -> dict[str, Any]:
    """The same answer as one object; without a finish where the script has none."""
    parts = [step.part for step in steps]
    calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(part.text for part in parts if isinstance(part, Delta)) or None,
        **({"tool_calls": calls} if calls else {}),
    }
    finish = next((part.finish_reason for part in parts if isinstance(part, Completed)), None)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    counts = [_counts(part) for part in parts if isinstance(part, Usage)]
    return {
        **_head("chat.completion", scene),
        "choices": [choice],
        "usage": counts[0] if counts else None,
    }


def error(message: str, status: int) -> dict[str, Any]:
    """An error as OpenAI's wire has it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _cues(frames: Frames, part: Delta | ToolCall | Fault, split: Split | None) -> Iterator[Cue]:
    match part:
        case Delta():
            yield from _text_cues(frames, part.text, split)
        case ToolCall():
            yield Cue(0.0, frames.call(part))
        case Fault.MALFORMED:
            yield Cue(0.0, frames.malformed())
        case Fault.ERROR:
            yield Cue(0.0, frames.error())
        case _:
            yield Cue(0.0, part)


def _text_cues(frames: Frames, text: str, split: Split | None) -> Iterator[Cue]:
    """One delta, torn as the script wants it where it can be torn."""
    wide = next((i for i, character in enumerate(text) if character > "\uffff"), None)
    if wide is None or split is None:
        yield Cue(0.0, frames.text(text))
    elif split is Split.BYTES:
        bytes_ = frames.text(text)
        middle = bytes_.index(text[wide].encode()) + 2
        yield Cue(0.0, bytes_[:middle])
        yield Cue(_TEAR_S, bytes_[middle:])
    else:
        code = ord(text[wide]) - 0x10000
        high, low = chr(0xD800 + (code >> 10)), chr(0xDC00 + (code & 0x3FF))
        yield Cue(0.0, frames.text(text[:wide] + high))
        yield Cue(0.0, frames.text(low + text[wide + 1 :]))


def _call_deltas(call: ToolCall) -> Iterator[dict[str, Any]]:
    """The fragments of a call: its name first, then its arguments in two pieces."""
    index = int(call.id.rpartition("_")[2])
    middle = len(call.arguments) // 2
    yield {"tool_calls": [{"index": index, **_call(call, "")}]}
    for piece in (call.arguments[:middle], call.arguments[middle:]):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _call(call: ToolCall, arguments: str | None = None) -> dict[str, Any]:
    said = call.arguments if arguments is None else arguments
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": said},
    }


def _counts(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def _head(kind: str, scene: Scene) -> dict[str, Any]:
    return {
        "id": "chatcmpl-simulated",
        "object": kind,
        "created": scene.created,
        "model": scene.model,
    }
