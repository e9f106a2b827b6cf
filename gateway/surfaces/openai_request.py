"""What OpenAI's clients may ask: the conversation, its parameters, and what goes on unread.

https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Any

from gateway.catalog import PARAMETERS
from gateway.errors import InvalidRequest
from gateway.messages import Message

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# Deeper than any tool's schema, and far from where encoding ends.
_DEPTH = 64


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
