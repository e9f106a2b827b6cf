"""The assistant's events: which fact is told by which, under which id."""

import json
from typing import Any

import msgspec
import pytest

from gateway.events import ToolCall
from gateway.surfaces.assistant_events import action

GOOD: list[tuple[str, Any]] = [
    ("{}", {}),
    ("", {}),
    (" \n", {}),
    ('{"a": 1}', {"a": 1}),
    ('{\n  "a": [1, "x\\n"]\r\n}', {"a": [1, "x\n"]}),
    ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ("[1]", [1]),
    ('"x"', "x"),
    ("null", None),
]
BAD = ["{", "{'a': 1}", '{"a": 1}x', "NaN", '{"a": NaN}', "[" * 5_000 + "]" * 5_000, "undefined"]


@pytest.mark.parametrize(("arguments", "value"), GOOD, ids=range(len(GOOD)))
def test_arguments_are_parsed(arguments: str, value: Any) -> None:
    """As the model meant them; none are an empty object."""
    told = msgspec.json.encode(action(ToolCall(id="c1", name="undo", arguments=arguments)))
    assert json.loads(told) == {"id": "c1", "name": "undo", "arguments": value}


@pytest.mark.parametrize("arguments", BAD, ids=range(len(BAD)))
def test_arguments_that_are_no_json_are_an_error_of_their_own(arguments: str) -> None:
    """The call is told all the same, and what is wrong with it."""
    told = action(ToolCall(id="c1", name="undo", arguments=arguments))
    assert told == {
        "id": "c1",
        "name": "undo",
        "arguments": None,
        "error": "The model's arguments are not valid JSON.",
    }
