"""A request in Anthropic's words: what is translated, and what is left out."""

from typing import Any

import pytest

from gateway.errors import ProviderRefused
from gateway.messages import Message, Request
from gateway.providers.anthropic_request import DEFAULT_MAX_TOKENS, body


def sent(*messages: Message, **fields: Any) -> dict[str, Any]:
    """The body for these messages, or for a plain one."""
    return body(Request(messages=messages or (said("user", "hi"),), model="asked", **fields), "c-1")


def said(role: str, content: Any, **fields: Any) -> Message:
    return Message(role=role, content=content, **fields)


def text(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": each} for each in texts]


def test_the_least_that_is_sent() -> None:
    """A model, the messages, a ceiling, which Anthropic insists on, and the wish for a stream."""
    assert sent() == {
        "model": "c-1",
        "messages": [{"role": "user", "content": text("hi")}],
        "max_tokens": DEFAULT_MAX_TOKENS,
        "stream": True,
    }


def test_system_messages_are_no_turns() -> None:
    """Wherever they stand they are the system prompt, in their order."""
    asked = sent(
        said("system", "Be brief."),
        said("user", "hi"),
        said("developer", text("Be kind.")),
        said("system", None),
    )
    assert (asked["system"], len(asked["messages"])) == ("Be brief.\n\nBe kind.", 1)


def test_what_other_providers_know_of_a_turn_is_left_out() -> None:
    """Anthropic would refuse it."""
    assert sent(said("user", "hi", extra={"prefix": True})) == sent(said("user", "hi"))


def test_a_refusal_is_said_again() -> None:
    """OpenAI's model said it in a field of its own; any other value there says nothing."""
    turns = (said("user", "hi"), said("assistant", None, extra={"refusal": "I will not."}))
    asked = sent(*turns, said("assistant", None, extra={"refusal": 7}), said("user", "Why?"))
    contents = [turn["content"] for turn in asked["messages"]]
    assert contents == [text("hi"), text("I will not."), text("Why?")]


def test_a_conversation_with_tools() -> None:
    """Calls become blocks, and results come in one turn of the user's, before what follows."""
    call = {"type": "function", "id": "c1", "function": {"name": "add", "arguments": '{"a":1}'}}
    other = {"type": "function", "id": "c2", "function": {"name": "now", "arguments": ""}}
    asked = sent(
        said("user", "1+1?"),
        said("assistant", "", tool_calls=[call, other]),
        said("tool", "2", tool_call_id="c1"),
        said("tool", "", tool_call_id="c2"),
        said("user", "so?"),
        said("assistant", "Two."),
    )
    assert asked["messages"] == [
        {"role": "user", "content": text("1+1?")},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": text("2")},
                {"type": "tool_result", "tool_use_id": "c2"},
                *text("so?"),
            ],
        },
        {"role": "assistant", "content": text("Two.")},
    ]


@pytest.mark.parametrize("arguments", ["[1]", "{", '"\\ud83d"', "[" * 10_000])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """What a model once wrote wrong is shown to it, in the object that Anthropic asks for."""
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    [turn] = sent(said("assistant", None, tool_calls=[call]))["messages"]
    assert turn["content"][0]["input"] == {"arguments": arguments}


def test_parts_become_blocks() -> None:
    """Pictures by address or by value; Anthropic's own kinds as they are; no empty texts."""
    data = "data:image/png;base64,iVBO"
    own = {"type": "document", "source": {"type": "file", "file_id": "f"}}
    parts = [
        *text("look", ""),
        {"type": "image_url", "image_url": {"url": data, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
        own,
    ]
    [turn] = sent(said("user", parts), said("user", ""))["messages"]
    base64 = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
    assert turn["content"] == [
        *text("look"),
        {"type": "image", "source": base64},
        {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}},
        own,
    ]


TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}


def test_tools_are_translated() -> None:
    """A tool without parameters has an empty schema; Anthropic's own tools stay as they are."""
    own = {"type": "web_search_20250305", "name": "web_search"}
    bare = {"type": "function", "function": {"name": "g"}}
    assert sent(tools=(TOOL, bare, own))["tools"] == [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        own,
    ]


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "odd"}, None),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"type": "tool", "name": "f"},
        ),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ],
)
def test_the_choice_of_tools(fields: dict[str, Any], choice: dict[str, Any] | None) -> None:
    """OpenAI's words become Anthropic's; without tools there is nothing to choose."""
    assert sent(tools=(TOOL,), extra=fields).get("tool_choice") == choice
    assert "tool_choice" not in sent(extra=fields)


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"temperature": None, "top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 0, "top_p": 0.9, "top_k": 5}, {"temperature": 0, "top_k": 5}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"stop": []}, {}),
        ({"frequency_penalty": 1, "presence_penalty": 1, "repetition_penalty": 1}, {}),
        ({"seed": 1, "n": 1, "logit_bias": {}, "stream_options": {}, "model": "x"}, {}),
        ({"max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"type": "object"}},
                }
            },
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
    ],
)
def test_parameters_are_translated(asked: dict[str, Any], want: dict[str, Any]) -> None:
    """In Anthropic's names and ranges; what only others know is left out, and so is null."""
    assert sent(extra=asked) == {**sent(), **want}
    assert sent(parameters=asked) == {**sent(), **want}


def test_the_ceiling_of_the_request_wins() -> None:
    """Over whatever the caller passed on, and over the default."""
    assert sent(max_tokens=9, extra={"max_tokens": 5})["max_tokens"] == 9


def test_a_stop_of_white_space_is_refused() -> None:
    """Anthropic takes none; the refusal names the field, and is no reason to try again."""
    with pytest.raises(ProviderRefused, match="white space") as refused:
        sent(parameters={"stop": ["\n"]})
    assert (refused.value.field, refused.value.retryable) == ("stop", False)


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("claude-3-5-haiku-20241022", True),
        ("claude-opus-4-20250514", True),
        ("claude-opus-4-1", True),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-sonnet-4-6", True),
        ("another-maker-s-model", True),
        ("claude-opus-4-7", False),
        ("claude-opus-4-8-20260501", False),
        ("claude-sonnet-5", False),
        ("claude-opus-5-5", False),
    ],
)
def test_newer_models_are_not_sampled(model: str, taken: bool) -> None:
    """Those that refuse sampling parameters are sent none; all take stops."""
    parameters = {"temperature": 0.5, "top_k": 4, "stop": ["END"]}
    asked = body(Request(messages=(said("user", "hi"),), model="m", parameters=parameters), model)
    assert {"temperature", "top_k", "stop_sequences"} & set(asked) == (
        {"temperature", "top_k", "stop_sequences"} if taken else {"stop_sequences"}
    )
