"""What a caller asks of a model: the conversation and its parameters.

Names and shapes are those of OpenAI's chat completions, the dialect most providers speak:
https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Any

import msgspec

from gateway.trace import Trace


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One turn. `content` is text, or OpenAI's list of content parts, passed on unread.

    `extra` are its fields for the provider that the gateway does not know.
    """

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One question to a model, as a surface understood it.

    Attributes:
        model: the name the caller used, or the default one.
        fallback_models: tried in order where `model` fails before its first token.
        max_tokens: most tokens of answer; already lowered to the app's ceiling.
        parameters: the sampling parameters by OpenAI's names (temperature, top_p, stop, …).
        tools: JSON Schema tools in OpenAI's form.
        extra: fields for the provider that the gateway does not know.
        trace: the span in which the provider is asked; None where nothing is traced.
    """

    messages: tuple[Message, ...]
    model: str
    fallback_models: tuple[str, ...] = ()
    max_tokens: int | None = None
    parameters: dict[str, Any] = {}
    tools: tuple[dict[str, Any], ...] = ()
    extra: dict[str, Any] = {}
    trace: Trace | None = None

    @property
    def prompt(self) -> str:
        """The text of the last user turn."""
        for message in reversed(self.messages):
            if message.role == "user" and isinstance(message.content, str):
                return message.content
        return ""


def estimate_tokens(text: str) -> int:
    """A guess where no tokenizer is at hand, at least one.

    Four ASCII characters are a token, or three bytes of UTF-8 beyond them: a Chinese character.
    """
    if text.isascii():
        return max(1, (len(text) + 3) // 4)
    plain = len(text.encode("ascii", "ignore"))
    beyond = len(text.encode("utf-8", "replace")) - plain
    return (3 * plain + 4 * beyond + 11) // 12
