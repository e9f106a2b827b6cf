"""The browser's types of what goes over the wire, written from the gateway's own.

After a change of the gateway's: python -m tests.client_types
"""

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from gateway.surfaces.admin_jobs import AdminJob
from gateway.surfaces.admin_usage import UsageRows
from gateway.surfaces.admin_webhooks import DeliveryItems
from gateway.surfaces.ai_request import Accepted, AiRequest, AiRequestBatch, BatchAccepted
from gateway.surfaces.ask import AskAnswer, AskRequest
from gateway.surfaces.assistant import (
    AssistantAccepted,
    AssistantRequest,
    AssistantStanding,
    AssistantStopped,
)
from gateway.surfaces.assistant_data import (
    ActionData,
    ChunkData,
    CompleteData,
    ErrorData,
    RestartData,
    StageData,
    StatusData,
)
from gateway.surfaces.chat import ChatRequest
from gateway.surfaces.overview import Overview
from gateway.surfaces.polled import POLLED, Refusal
from gateway.surfaces.record import Items, RecordError

_WEB = Path(__file__).parents[1] / "web"

# What a caller sends, and which of it must be there: a struct lets all be absent, so that who
# asks is looked at before what is asked.
SENT: dict[type, tuple[str, ...]] = {
    AssistantRequest: ("prompt",),
    ChatRequest: ("user_prompt",),
    AskRequest: ("question",),
    AiRequest: ("request_type", "request"),
    AiRequestBatch: ("requests",),
}
TOLD: tuple[type, ...] = (
    AssistantAccepted,
    AssistantStopped,
    AssistantStanding,
    StageData,
    StatusData,
    ChunkData,
    ActionData,
    RestartData,
    CompleteData,
    ErrorData,
    AskAnswer,
    Accepted,
    BatchAccepted,
    *POLLED,
    Refusal,
)
# What only the dashboard asks for.
OPERATORS: tuple[type, ...] = (
    Overview,
    Items,
    AdminJob,
    DeliveryItems,
    UsageRows,
    RecordError,
)
_HEAD = """\
// Written by `python -m tests.client_types` from the gateway's own types: change those.
"""


def sources() -> dict[Path, str]:
    """Every file, as it is to be."""
    return {
        _WEB / "client" / "src" / "wire.ts": _source(SENT, TOLD),
        _WEB / "dashboard" / "wire.ts": _source({}, OPERATORS),
    }


def _source(sent: dict[type, tuple[str, ...]], told: tuple[type, ...]) -> str:
    _, schemas = msgspec.json.schema_components([*sent, *told], ref_template="{name}")
    for kind, needs in sent.items():
        schema = schemas[kind.__name__]
        schema["required"] = list(needs)
        for name in needs:
            schema["properties"][name] = _present(schema["properties"][name])
    declared = [_declared(name, schema) for name, schema in sorted(schemas.items())]
    return "\n".join([_HEAD, *declared])


def _present(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without null."""
    kinds = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return {"anyOf": kinds}


def _declared(name: str, schema: dict[str, Any]) -> str:
    head = _comment(inspect.cleandoc(schema.get("description", "")))
    if "properties" not in schema:
        return f"{head}export type {name} = {_type(schema)};\n"
    required = set(schema["required"])
    fields = [
        f"  {field}: {_type(of)};\n"
        if field in required
        else f"  {field}?: {_type(of)} | undefined;\n"
        for field, of in schema["properties"].items()
    ]
    return f"{head}export interface {name} {{\n{''.join(fields)}}}\n"


def _comment(text: str) -> str:
    lines = text.splitlines()
    if len(lines) < 2:
        return f"/** {text} */\n" if text else ""
    said = "\n".join(f" * {line}".rstrip() for line in lines)
    return f"/**\n{said}\n */\n"


_PLAIN = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    "object": "Record<string, unknown>",
}


def _type(schema: dict[str, Any]) -> str:
    """A schema as TypeScript's type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    for any_of in ("anyOf", "oneOf"):
        if any_of in schema:
            return " | ".join(_type(each) for each in schema[any_of])
    if schema.get("type") == "array":
        item = _type(schema["items"])
        return f"({item})[]" if "|" in item else f"{item}[]"
    return _PLAIN[schema["type"]] if "type" in schema else "unknown"


if __name__ == "__main__":
    for file, text in sources().items():
        file.write_text(text, "utf-8")
