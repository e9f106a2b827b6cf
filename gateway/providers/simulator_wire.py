"""A simulated answer in OpenAI's wire format: what is written, and when. Pure.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.providers.simulator import Fault, Script, Split, Step
from gateway.sse import frame

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


# Cached: a thousand readers of one script share its bytes.
@lru_cache(maxsize=256)
def stream(script: Script, scene: Scene) -> tuple[Cue, ...]:
    """A streamed answer. Only Fault.CUT and Fault.STALL, which have no bytes, are left as faults.

    It ends in a fault, or with the last bytes.
    """
    chunks = _Chunks(scene, script.split)
    usage = b""
    after_s = 0.0
    cues: list[Cue] = []
    for step in script.plan(scene.prompt, scene.max_tokens, scene.tools):
        after_s += step.after_s
        if isinstance(step.part, Usage):
            usage = chunks.usage(step.part) if scene.usage else b""
        elif isinstance(step.part, Completed):
            finish = chunks.chunk({}, finish=step.part.finish_reason)
            cues.append(Cue(after_s, finish + usage + frame(b"[DONE]")))
            cues.append(Cue(script.linger, b""))
        elif step.part is not Fault.END:
            head, *tail = _cues(chunks, step.part)
            cues += [Cue(after_s + head.after_s, head.part), *tail]
            after_s = 0.0
    return (Cue(0.0, chunks.chunk({"role": "assistant", "content": ""})), *cues)


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


class _Chunks:
    """Frames of one answer."""

    def __init__(self, scene: Scene, split: Split | None) -> None:
        self._head = _head("chat.completion.chunk", scene)
        # OpenAI has the field in every chunk once usage was asked for.
        self._usage: dict[str, None] = {"usage": None} if scene.usage else {}
        self.split = split

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._frame({**self._head, "choices": [choice], **self._usage})

    def usage(self, usage: Usage) -> bytes:
        return self._frame({**self._head, "choices": [], "usage": _counts(usage)})

    def _frame(self, chunk: dict[str, Any]) -> bytes:
        escaped = self.split is Split.SURROGATES
        return frame(json.dumps(chunk, ensure_ascii=escaped, separators=(",", ":")))


def _cues(chunks: _Chunks, part: Delta | ToolCall | Fault) -> Iterator[Cue]:
    match part:
        case Delta():
            yield from _text_cues(chunks, part.text)
        case ToolCall():
            yield Cue(0.0, b"".join(chunks.chunk(delta) for delta in _call_deltas(part)))
        case Fault.MALFORMED:
            yield Cue(0.0, frame(MALFORMED))
        case Fault.ERROR:
            yield Cue(0.0, frame(json.dumps(error("The simulator was told to fail.", 500))))
        case _:
            yield Cue(0.0, part)


def _text_cues(chunks: _Chunks, text: str) -> Iterator[Cue]:
    """One delta, torn as the script wants it where it can be torn."""
    wide = next((i for i, character in enumerate(text) if character > "\uffff"), None)
    if wide is None or chunks.split is None:
        yield Cue(0.0, chunks.chunk({"content": text}))
    elif chunks.split is Split.BYTES:
        bytes_ = chunks.chunk({"content": text})
        middle = bytes_.index(text[wide].encode()) + 2
        yield Cue(0.0, bytes_[:middle])
        yield Cue(_TEAR_S, bytes_[middle:])
    else:
        code = ord(text[wide]) - 0x10000
        high, low = chr(0xD800 + (code >> 10)), chr(0xDC00 + (code & 0x3FF))
        yield Cue(0.0, chunks.chunk({"content": text[:wide] + high}))
        yield Cue(0.0, chunks.chunk({"content": low + text[wide + 1 :]}))


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
