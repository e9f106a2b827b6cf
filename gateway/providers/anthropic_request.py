"""A request in the words of Anthropic's Messages. Pure.

https://docs.anthropic.com/en/api/messages
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import ProviderRefused
from gateway.messages import Message, Request
from gateway.sampling import refused_by_anthropic

# Anthropic wants to be told; every model that it serves writes as much.
DEFAULT_MAX_TOKENS = 8192

# Fields of Anthropic's own that a caller may pass on; it refuses those it does not know.
_OWN = (
    *("container", "context_management", "mcp_servers", "metadata", "output_config"),
    *("service_tier", "speed", "thinking"),
)

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


def body(request: Request, model: str) -> dict[str, Any]:
    """The JSON object that asks for a streamed answer.

    Fields that only other providers have are left out: Anthropic would refuse them.

    Raises:
        ProviderRefused: a stop sequence is one that Anthropic does not take.
    """
    asked = {
        name: value
        for name, value in {**request.extra, **request.parameters}.items()
        if value is not None
    }
    fields = {name: asked[name] for name in _OWN if name in asked}
    if not refused_by_anthropic(model):
        fields |= _sampling(asked)
    fields |= _stop(asked)
    fields |= _output(asked)
    if request.tools:
        fields["tools"] = [_tool(tool) for tool in request.tools]
        fields |= _tool_choice(asked)
    system = "\n\n".join(text for text in map(_system, request.messages) if text)
    if system:
        fields["system"] = system
    if isinstance(asked.get("user"), str):
        fields.setdefault("metadata", {"user_id": asked["user"]})
    fields["model"] = model
    fields["messages"] = _turns(request.messages)
    fields["max_tokens"] = _max_tokens(request, asked)
    fields["stream"] = True
    return fields


def _sampling(asked: dict[str, Any]) -> dict[str, Any]:
    fields = {"top_k": asked["top_k"]} if "top_k" in asked else {}
    temperature = asked.get("temperature")
    if isinstance(temperature, int | float):
        # OpenAI's range ends at 2. Beside it `top_p` would be refused.
        fields["temperature"] = min(1.0, temperature)
    elif "top_p" in asked:
        fields["top_p"] = asked["top_p"]
    return fields


def _stop(asked: dict[str, Any]) -> dict[str, Any]:
    stop = asked.get("stop")
    if not stop:
        return {}
    stops = [stop] if isinstance(stop, str) else list(stop)
    if not all(str(text).strip() for text in stops):
        raise ProviderRefused("Anthropic takes no stop that is only white space.", field="stop")
    return {"stop_sequences": stops}


def _output(asked: dict[str, Any]) -> dict[str, Any]:
    match asked.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    return {}


def _max_tokens(request: Request, asked: dict[str, Any]) -> int:
    wanted = request.max_tokens or asked.get("max_completion_tokens") or asked.get("max_tokens")
    return wanted if isinstance(wanted, int) else DEFAULT_MAX_TOKENS


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):
        # One of Anthropic's own.
        return tool
    told = {"description": function["description"]} if function.get("description") else {}
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function.get("name"), **told, "input_schema": schema}


def _tool_choice(asked: dict[str, Any]) -> dict[str, Any]:
    choice: dict[str, Any] | None = None
    match asked.get("tool_choice"):
        case str(word) if word in _CHOICES:
            choice = {"type": _CHOICES[word]}
        case {"function": {"name": str(name)}}:
            choice = {"type": "tool", "name": name}
    if asked.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {"type": "auto", **(choice or {}), "disable_parallel_tool_use": True}
    return {} if choice is None else {"tool_choice": choice}


def _system(message: Message) -> str:
    """The text of a message that is none of the conversation; nothing for the others."""
    if message.role not in ("system", "developer"):
        return ""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(str(part.get("text") or "") for part in message.content or ())


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """User and assistant in turns: neighbours of one side become one, as Anthropic asks."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message))
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    if message.role in ("tool", "function"):
        content = list(_parts(message.content))
        yield {
            "type": "tool_result",
            "tool_use_id": message.tool_call_id,
            **({"content": content} if content else {}),
        }
        return
    yield from _parts(message.content)
    if message.extra is not None and isinstance(refusal := message.extra.get("refusal"), str):
        # What OpenAI's model said in place of an answer.
        yield from _parts(refusal)
    for call in message.tool_calls or ():
        yield _tool_use(call)


def _parts(content: str | list[dict[str, Any]] | None) -> Iterator[dict[str, Any]]:
    """The content as blocks; empty texts, which Anthropic refuses, are left out."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
    for part in parts:
        match part:
            case {"type": "text" | "refusal" as kind, **rest}:
                if text := rest.get("text" if kind == "text" else "refusal"):
                    kept = {"cache_control": c} if (c := rest.get("cache_control")) else {}
                    yield {"type": "text", "text": text, **kept}
            case {"type": "image_url", "image_url": {"url": str(url)}}:
                yield {"type": "image", "source": _source(url)}
            case _:
                # One of Anthropic's own, or something for it to refuse.
                yield part


def _source(url: str) -> dict[str, str]:
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        media_type = head.removeprefix("data:").removesuffix(";base64")
        return {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "url", "url": url}


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    try:
        arguments = msgspec.json.decode(function.get("arguments") or "{}")
    except (msgspec.DecodeError, RecursionError):
        arguments = None
    # Anthropic takes an object only. What a model once wrote wrong is shown as it was.
    if not isinstance(arguments, dict):
        arguments = {"arguments": function.get("arguments")}
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name"),
        "input": arguments,
    }
