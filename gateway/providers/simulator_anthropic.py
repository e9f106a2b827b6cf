"""A simulated answer in the format of Anthropic's Messages. Pure.

https://docs.anthropic.com/en/api/messages-streaming
"""

import json
from collections.abc import Iterator
from typing import Any

from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.messages import estimate_tokens
from gateway.providers.simulator import Script, Split, Step
from gateway.providers.simulator_wire import TOLD_TO_FAIL, Scene
from gateway.sse import frame

MALFORMED = b'{"type":"content_block_delta","delta":{"text":"no end'

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class Frames:
    """Anthropic's frames: named events, their content in blocks."""

    def __init__(self, script: Script, scene: Scene) -> None:
        self._scene = scene
        self._usage = script.usage
        self._escaped = script.split is Split.SURROGATES
        self._block = -1
        self._in_text = False

    def opening(self) -> bytes:
        usage = {"input_tokens": estimate_tokens(self._scene.prompt), "output_tokens": 1}
        message = {**_message(self._scene), "content": []}
        if self._usage:
            message["usage"] = usage
        return self._event("message_start", message=message) + self._event("ping")

    def text(self, text: str) -> bytes:
        begin = b""
        if not self._in_text:
            begin = self._begin({"type": "text", "text": ""})
            self._in_text = True
        return begin + self._delta({"type": "text_delta", "text": text})

    def call(self, call: ToolCall) -> bytes:
        end = self._end_text()
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        middle = len(call.arguments) // 2
        pieces = ("", call.arguments[:middle], call.arguments[middle:])
        deltas = (self._delta({"type": "input_json_delta", "partial_json": p}) for p in pieces)
        return end + self._begin(block) + b"".join(deltas) + self._stop()

    def ending(self, finish_reason: str, usage: Usage | None) -> bytes:
        delta = {"stop_reason": _STOPS.get(finish_reason, finish_reason), "stop_sequence": None}
        counts = {"usage": {"output_tokens": usage.completion_tokens}} if usage else {}
        last = self._event("message_delta", delta=delta, **counts)
        return self._end_text() + last + self._event("message_stop")

    def error(self) -> bytes:
        return self._event("error", error={"type": "overloaded_error", "message": TOLD_TO_FAIL})

    def malformed(self) -> bytes:
        return frame(MALFORMED, event="content_block_delta")

    def _begin(self, block: dict[str, Any]) -> bytes:
        self._block += 1
        return self._event("content_block_start", index=self._block, content_block=block)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._event("content_block_delta", index=self._block, delta=delta)

    def _end_text(self) -> bytes:
        in_text, self._in_text = self._in_text, False
        return self._stop() if in_text else b""

    def _stop(self) -> bytes:
        return self._event("content_block_stop", index=self._block)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, **fields}
        text = json.dumps(data, ensure_ascii=self._escaped, separators=(",", ":"))
        return frame(text, event=kind)


def whole(steps: list[Step], scene: Scene) -> dict[str, Any]:
    """The same answer as one object; without a reason to stop where the script has none."""
    parts = [step.part for step in steps]
    finish = next((part.finish_reason for part in parts if isinstance(part, Completed)), None)
    counts = next((part for part in parts if isinstance(part, Usage)), None)
    return {
        **_message(scene),
        "content": list(_blocks(steps)),
        "stop_reason": finish and _STOPS.get(finish, finish),
        "usage": counts
        and {"input_tokens": counts.prompt_tokens, "output_tokens": counts.completion_tokens},
    }


def error(message: str, status: int) -> dict[str, Any]:
    """An error as Anthropic's wire has it."""
    return {
        "type": "error",
        "error": {"type": _KINDS.get(status, "api_error"), "message": message},
    }


def _blocks(steps: list[Step]) -> Iterator[dict[str, Any]]:
    text = "".join(step.part.text for step in steps if isinstance(step.part, Delta))
    if text:
        yield {"type": "text", "text": text}
    for step in steps:
        if isinstance(call := step.part, ToolCall):
            arguments = json.loads(call.arguments)
            yield {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _message(scene: Scene) -> dict[str, Any]:
    return {
        "id": "msg_simulated",
        "type": "message",
        "role": "assistant",
        "model": scene.model,
        "stop_reason": None,
        "stop_sequence": None,
    }
