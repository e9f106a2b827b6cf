"""What the events of a response's stream say, by the names of OpenAI's.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from typing import Any, NotRequired, TypedDict

from gateway.surfaces.response_object import ResponseObject


class ResponseEvent(TypedDict):
    """How the response stands."""

    type: str
    sequence_number: int
    response: ResponseObject


class ItemEvent(TypedDict):
    """A message, or a call, that begins or is whole."""

    type: str
    sequence_number: int
    output_index: int
    item: dict[str, Any]


class PartEvent(TypedDict):
    """A message's text that begins or is whole."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: dict[str, Any]


class TextEvent(TypedDict):
    """More of a text, as `delta`, or all of it, as `text`."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: NotRequired[str]
    text: NotRequired[str]
    logprobs: list[Any]


class ArgumentsEvent(TypedDict):
    """More of a call's arguments, as `delta`, or all of them."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    delta: NotRequired[str]
    name: NotRequired[str]
    arguments: NotRequired[str]


_STANDINGS = ("created", "queued", "in_progress", "completed", "incomplete", "cancelled", "failed")
EVENTS: dict[str, Any] = {
    **{f"response.{standing}": ResponseEvent for standing in _STANDINGS},
    "response.output_item.added": ItemEvent,
    "response.output_item.done": ItemEvent,
    "response.content_part.added": PartEvent,
    "response.content_part.done": PartEvent,
    "response.output_text.delta": TextEvent,
    "response.output_text.done": TextEvent,
    "response.function_call_arguments.delta": ArgumentsEvent,
    "response.function_call_arguments.done": ArgumentsEvent,
}
