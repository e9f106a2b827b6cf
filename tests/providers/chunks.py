"""Chunks of OpenAI's wire, and what the dialect makes of them."""

import json
from typing import Any

from gateway.providers import Output
from gateway.providers.dialect import Translator


def chunk(delta: dict[str, Any] | None = None, **fields: Any) -> bytes:
    finish = fields.pop("finish_reason", None)
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return json.dumps({"choices": [choice], **fields}).encode()


def call(index: int | None = None, **fields: Any) -> dict[str, Any]:
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {"tool_calls": [{"index": index, "function": function, **fields}]}


def translate(*chunks: bytes) -> list[Output]:
    translator = Translator()
    deltas = [translator.feed(data) for data in chunks]
    return [delta for delta in deltas if delta is not None] + translator.end()


STOP = chunk(finish_reason="stop")
