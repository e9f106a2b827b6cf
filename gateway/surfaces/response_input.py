"""What a request to `/v1/responses` says, in the words of chat completions.

https://platform.openai.com/docs/api-reference/responses/create
"""

from typing import Any

from gateway.errors import InvalidRequest
from gateway.messages import Message

Item = dict[str, Any]


def messages(given: str | list[Item] | None) -> list[Message]:
    """The turns that an input holds: one text, or items in order.

    Raises:
        InvalidRequest: there are none, or one is of a kind that chat completions do not know.
    """
    if not given:
        raise InvalidRequest("input must not be empty.", field="input")
    if isinstance(given, str):
        return [Message(role="user", content=given)]
    turns: list[Message] = []
    for index, item in enumerate(given):
        turn = _turn(f"input[{index}]", item)
        if turn is not None:
            _add(turns, turn)
    return turns


def _add(turns: list[Message], turn: Message) -> None:
    """Calls that follow one another, or a text, are one turn of the assistant's."""
    last = turns[-1] if turns else None
    if turn.tool_calls and last is not None and last.role == "assistant":
        calls = [*(last.tool_calls or ()), *turn.tool_calls]
        turns[-1] = Message(role="assistant", content=last.content, tool_calls=calls)
    else:
        turns.append(turn)


def _turn(name: str, item: Item) -> Message | None:
    kind = item.get("type") or "message"
    if kind == "message":
        role = _text(name, item, "role")
        return Message(role=role, content=_content(f"{name}.content", item.get("content")))
    if kind == "function_call":
        function = {key: _text(name, item, key) for key in ("name", "arguments")}
        call = {"id": _text(name, item, "call_id"), "type": "function", "function": function}
        return Message(role="assistant", tool_calls=[call])
    if kind == "function_call_output":
        output = _content(f"{name}.output", item.get("output"))
        return Message(role="tool", content=output, tool_call_id=_text(name, item, "call_id"))
    if kind == "reasoning":
        # What a model thought is its own; chat completions take none of it back.
        return None
    raise InvalidRequest(f"{name} is of a type that is not known here.", field=f"{name}.type")


def _text(name: str, item: Item, key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or (not value and key != "arguments"):
        raise InvalidRequest(f"{name}.{key} must be a text.", field=f"{name}.{key}")
    return value


def _content(name: str, content: Any) -> str | list[Item]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise InvalidRequest(f"{name} must be a text or a list of parts.", field=name)
    parts = [_part(f"{name}[{index}]", part) for index, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        # What every provider reads; lists of parts are for images.
        return "".join(part["text"] for part in parts)
    return parts


def _part(name: str, part: Any) -> Item:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": _text(name, part, "text") if part.get("text") else ""}
    if kind == "refusal":
        return {"type": "text", "text": _text(name, part, "refusal")}
    if kind == "input_image":
        image = {"url": _text(name, part, "image_url")}
        if isinstance(part.get("detail"), str):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    raise InvalidRequest(f"{name} is of a type that is not known here.", field=f"{name}.type")


def tools(given: list[Item] | None) -> tuple[Item, ...]:
    """The functions that the model may call.

    Raises:
        InvalidRequest: a tool is no function: none runs here.
    """
    return tuple(_tool(f"tools[{index}]", tool) for index, tool in enumerate(given or ()))


def _tool(name: str, tool: Item) -> Item:
    if tool.get("type") != "function":
        raise InvalidRequest(f"{name}: only functions are known here.", field=f"{name}.type")
    keys = ("description", "parameters", "strict")
    told = {key: tool[key] for key in keys if tool.get(key) is not None}
    return {"type": "function", "function": {"name": _text(name, tool, "name"), **told}}


def choice(given: Any) -> Any:
    """Which tool the model is to call.

    Raises:
        InvalidRequest: it is no word, and no function.
    """
    if given is None or given in ("auto", "none", "required"):
        return given
    if isinstance(given, dict) and given.get("type") == "function":
        return {"type": "function", "function": {"name": _text("tool_choice", given, "name")}}
    raise InvalidRequest(
        "tool_choice must be auto, none, required, or a function.", field="tool_choice"
    )


def response_format(text: Item | None) -> Item | None:
    """The form that the answer must have; None for plain text.

    Raises:
        InvalidRequest: there is no such form.
    """
    form = (text or {}).get("format")
    if form is None:
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    if kind == "json_schema":
        keys = ("name", "description", "schema", "strict")
        schema = {key: form[key] for key in keys if form.get(key) is not None}
        return {"type": "json_schema", "json_schema": schema}
    raise InvalidRequest(
        "text.format.type must be text, json_object or json_schema.", field="text.format.type"
    )
