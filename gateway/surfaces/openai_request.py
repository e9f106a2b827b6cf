"""What OpenAI's clients may ask: the conversation, its parameters, and what goes on unread.

https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Any

import msgspec

from gateway.catalog import PARAMETERS
from gateway.errors import InvalidRequest
from gateway.messages import Message

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# Deeper than any tool's schema, and far from where encoding ends.
_DEPTH = 64


class CompletionMessage(msgspec.Struct, frozen=True):
    """One turn, as far as the gateway reads it; all else in it is for the provider."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


_READ = frozenset(CompletionMessage.__struct_fields__)


def turns(read: list[CompletionMessage] | None, given: list[dict[str, Any]]) -> list[Message]:
    """The turns of a body, with what is for the provider in each.

    Args:
        given: the same turns, unread.

    Raises:
        InvalidRequest: what is for the provider cannot be written again.
    """
    return [
        Message(
            role=turn.role,
            content=turn.content,
            name=turn.name,
            tool_call_id=turn.tool_call_id,
            tool_calls=turn.tool_calls,
            extra=_unread(f"messages[{index}]", fields) if fields.keys() - _READ else None,
        )
        for index, (turn, fields) in enumerate(zip(read or (), given, strict=True))
    ]


def _unread(name: str, fields: dict[str, Any]) -> dict[str, Any] | None:
    # A client sends an answer back as it came, with what that has none of (`refusal` is null,
    # `annotations` empty): there are servers that refuse the very names.
    return {
        key: portable(f"{name}.{key[:40]}", value)
        for key, value in fields.items()
        if key not in _READ and value is not None and value != []
    } or None


def conversation(messages: list[Message] | None) -> tuple[Message, ...]:
    """The turns of a conversation, of which there is at least one.

    Raises:
        InvalidRequest: there is none, or one cannot be.
    """
    if not messages:
        raise InvalidRequest("messages must hold at least one message.", field="messages")
    for index, message in enumerate(messages):
        _check_message(f"messages[{index}]", message)
    return tuple(messages)


def _check_message(name: str, message: Message) -> None:
    if message.role not in _ROLES:
        roles = ", ".join(_ROLES)
        raise InvalidRequest(f"{name}.role must be one of {roles}.", field=f"{name}.role")
    if message.content is None and message.role != "assistant":
        raise InvalidRequest(f"{name}.content is required.", field=f"{name}.content")
    if message.content == []:
        raise InvalidRequest(f"{name}.content must not be empty.", field=f"{name}.content")
    if message.role == "tool" and not message.tool_call_id:
        raise InvalidRequest(f"{name}.tool_call_id is required.", field=f"{name}.tool_call_id")
    if isinstance(message.content, list):
        portable(f"{name}.content", message.content)
    if message.tool_calls:
        portable(f"{name}.tool_calls", message.tool_calls)


def most_tokens(**limits: int | None) -> int | None:
    """The ceiling of an answer: the first that is given, under whatever name.

    Raises:
        InvalidRequest: it is below 1.
    """
    for name, value in limits.items():
        if value is not None:
            if value < 1:
                raise InvalidRequest(f"{name} must be at least 1.", field=name)
            return value
    return None


def refuse_unmakeable(fields: dict[str, Any]) -> None:
    """Let nothing be asked that an answer here has no place for: it would be paid for, and lost.

    Raises:
        InvalidRequest: it is.
    """
    if fields.get("n", 1) != 1:
        raise InvalidRequest("n must be 1: this gateway gives one choice.", field="n")
    if fields.get("modalities", ["text"]) != ["text"]:
        raise InvalidRequest('modalities must be ["text"]: answers are text.', field="modalities")
    if "audio" in fields:
        raise InvalidRequest("audio is not known here: answers are text.", field="audio")
    for name in ("functions", "function_call"):
        if name in fields:
            raise InvalidRequest(f"{name} is not known here: send tools.", field=name)
    for index, tool in enumerate(fields.get("tools", ())):
        # Anthropic calls its functions so, too.
        if tool.get("type") == "custom" and "input_schema" not in tool:
            name = f"tools[{index}].type"
            raise InvalidRequest(f"{name} must not be custom: send a function.", field=name)


def sampling(fields: dict[str, Any]) -> dict[str, Any]:
    """The sampling parameters among a body's fields.

    Which of them a model takes is its provider's to say; here they are only what they can be
    for some model.

    Raises:
        InvalidRequest: one can be for none.
    """
    found = {name: fields[name] for name in PARAMETERS if name in fields and name != "max_tokens"}
    for name, value in found.items():
        if not PARAMETERS[name].takes(value):
            raise InvalidRequest(f"{name} must be {PARAMETERS[name]}.", field=name)
    return found


def portable(name: str, value: Any, depth: int = _DEPTH) -> Any:
    """A value that goes to the provider unread: it can be written again, wherever it is kept.

    Raises:
        InvalidRequest: it holds a number that JSON's readers do not agree on, or nests too deep.
    """
    if isinstance(value, dict | list | tuple):
        if depth == 0:
            raise InvalidRequest(f"{name} is nested too deeply.", field=name)
        for each in value.values() if isinstance(value, dict) else value:
            portable(name, each, depth - 1)
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise InvalidRequest(f"{name} holds a number that is too large.", field=name)
    return value
