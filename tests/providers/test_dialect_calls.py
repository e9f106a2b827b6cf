"""OpenAI's tool calls, put together from the fragments that servers make of them."""

from typing import Any

import pytest

from gateway.events import Completed, ToolCall
from tests.providers.chunks import STOP, call, chunk, translate


def unnumbered(**fields: Any) -> dict[str, Any]:
    """The fragment of a call that has no index, not even null."""
    told = call(**fields)
    del told["tool_calls"][0]["index"]
    return told


def test_tool_calls_are_put_together() -> None:
    """Fragments belong to the call of their index, in whatever order they come."""
    assert translate(
        chunk(call(1, id="b", name="two", arguments="")),
        chunk(call(0, id="a", name="one", arguments='{"x"')),
        chunk(call(1, arguments="{}")),
        chunk(call(0, name="one", arguments=":1}")),
        chunk(finish_reason="tool_calls"),
    ) == [
        ToolCall(id="a", name="one", arguments='{"x":1}'),
        ToolCall(id="b", name="two", arguments="{}"),
        Completed(finish_reason="tool_calls"),
    ]


ONE: dict[str, Any] = {"id": "a", "name": "one", "arguments": '{"x":1}'}
TWO: dict[str, Any] = {"id": "b", "name": "two", "arguments": '{"y":2}'}
REST: dict[str, Any] = {"arguments": " "}


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param([call(0, **ONE), call(0, **TWO), call(0, **REST)], id="one index"),
        pytest.param([call(**ONE), call(**TWO), call(**REST)], id="null"),
        pytest.param([unnumbered(**ONE), unnumbered(**TWO), unnumbered(**REST)], id="no index"),
        pytest.param([call(0, **ONE), call(1, **TWO), call(**REST)], id="some"),
        pytest.param([call(0, **ONE), call(1, **TWO), call(1, id="c", **REST)], id="new ids"),
    ],
)
def test_calls_are_told_apart_without_an_index(fragments: list[dict[str, Any]]) -> None:
    """Some servers give all calls of an answer one index, or none: another id is another call.

    That is, where a name comes with it: others give each fragment of one call an id of its own.
    """
    assert translate(*map(chunk, fragments), STOP) == [
        ToolCall(**ONE),
        ToolCall(id="b", name="two", arguments='{"y":2} '),
        Completed(finish_reason="stop"),
    ]


def test_a_call_that_was_moved_takes_no_place() -> None:
    """A call that shares an index stands after those that have one, and each gets its pieces."""
    three = {"id": "c", "name": "two", "arguments": ""}
    fragments = [call(0, **ONE), call(0, **TWO), call(1, **three)]
    fragments += [call(0, arguments="0"), call(1, arguments="1")]
    assert translate(*map(chunk, fragments), STOP)[:-1] == [
        ToolCall(**ONE),
        ToolCall(id="b", name="two", arguments='{"y":2}0'),
        ToolCall(id="c", name="two", arguments="1"),
    ]


def test_calls_without_ids_are_told_apart_by_their_names() -> None:
    """Where nothing else tells them apart."""
    fragments = [call(0, name="one", arguments="1"), call(0, name="two", arguments="2")]
    assert translate(*map(chunk, fragments), STOP)[:-1] == [
        ToolCall(id="call_0", name="one", arguments="1"),
        ToolCall(id="call_1", name="two", arguments="2"),
    ]


def test_arguments_may_be_an_object() -> None:
    """Some servers do not write them as text, as OpenAI does; half a character is no failure."""
    told = translate(chunk(call(0, id="a", name="one", arguments={"x": "é\ud800", "y": 1})), STOP)
    assert told[0] == ToolCall(id="a", name="one", arguments='{"x": "é\ufffd", "y": 1}')


def test_a_call_without_an_id_gets_one() -> None:
    """Some providers name no ids; the reader still needs one for each call."""
    calls = translate(chunk(call(0, name="one", arguments="{}")), chunk(finish_reason="stop"))
    assert calls[0] == ToolCall(id="call_0", name="one", arguments="{}")


def test_torn_arguments_are_joined() -> None:
    """A character torn between two fragments of a call's arguments is whole in the event."""
    fragments = [call(0, id="a", name="f", arguments='"\ud83d'), call(0, arguments='\ude42"')]
    assert translate(*map(chunk, fragments), STOP)[0] == ToolCall(
        id="a", name="f", arguments='"🙂"'
    )
