"""Anthropic's streamed messages as values: what comes back, and what failures mean."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    ProviderError,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefused,
    ProviderTimeout,
)
from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.providers import Output
from gateway.providers.anthropic_answer import Translator


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def begin(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(kind: str, index: int = 0, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def words(text: str) -> bytes:
    return delta("text_delta", text=text)


def stop(reason: str | None = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, **usage)


STOP = event("message_stop")


def translate(*events: bytes) -> list[Output]:
    translator = Translator()
    deltas = [translator.feed(data) for data in events]
    return [delta for delta in deltas if delta is not None] + translator.end()


@pytest.mark.parametrize(
    "piece",
    [
        delta("input_json_delta", index=1, partial_json="x" * (1 << 20)),
        begin(1, type="tool_use", name="look", id="x" * (1 << 20)),
    ],
    ids=["one call", "calls"],
)
def test_calls_cannot_fill_the_memory(piece: bytes) -> None:
    """A provider that never stops calling is stopped; nothing of a call goes on before its end."""
    translator = Translator()
    assert {translator.feed(piece) for _ in range(63)} == {None}
    with pytest.raises(ProviderError, match="longer than the gateway keeps"):
        translator.feed(piece)


def test_text_then_stop() -> None:
    """Pings, blocks that begin and end, and kinds of events yet to come say nothing."""
    assert translate(
        event("message_start", message={"id": "m", "content": []}),
        event("ping"),
        begin(0, type="text", text=""),
        words("Hel"),
        event("something_new"),
        words("lo"),
        event("content_block_stop", index=0),
        begin(1, type="text", text="!"),
        stop(),
        STOP,
    ) == [Delta(text="Hel"), Delta(text="lo"), Delta(text="!"), Completed()]


def test_thoughts_are_not_told() -> None:
    """Thinking, its signature, and citations are no part of the text."""
    assert translate(
        begin(0, type="thinking", thinking="", signature=""),
        delta("thinking_delta", thinking="hm"),
        delta("signature_delta", signature="s"),
        begin(1, type="text", text="", citations=[]),
        delta("citations_delta", index=1, citation={}),
        delta("text_delta", index=1, text="x"),
        STOP,
    ) == [Delta(text="x"), Completed()]


@pytest.mark.parametrize(
    ("start", "last", "want"),
    [
        ({"input_tokens": 5, "output_tokens": 1}, {"output_tokens": 9}, (5, 9, None)),
        (
            {"input_tokens": 5, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300},
            {"output_tokens": 9, "cache_read_input_tokens": None},
            (325, 9, 300),
        ),
        ({"input_tokens": 5}, {"input_tokens": 7, "output_tokens": 9}, (7, 9, None)),
        ({"input_tokens": 5, "output_tokens": 1}, None, (5, 1, None)),
    ],
)
def test_usage_comes_in_two_parts(
    start: dict[str, Any], last: dict[str, Any] | None, want: tuple[int, int, int | None]
) -> None:
    """The last figure of each kind counts; what the cache read or kept was read, too."""
    parts = translate(
        event("message_start", message={"usage": start}), stop("end_turn", usage=last), STOP
    )
    read, written, cached = want
    used = Usage(prompt_tokens=read, completion_tokens=written, cached_tokens=cached)
    assert parts == [used, Completed()]


@pytest.mark.parametrize("kind", ["input_tokens", "cache_read_input_tokens", "output_tokens"])
@pytest.mark.parametrize("count", [-1, 1_000_000_001, 10**20])
def test_usage_that_cannot_be_is_none(kind: str, count: int) -> None:
    """Figures that fit into no sum are not believed: what the answer took is estimated."""
    started = event("message_start", message={"usage": {kind: count}})
    assert translate(started, stop("end_turn"), STOP) == [Completed()]


@pytest.mark.parametrize(
    "usage", ["many", [5], {"input_tokens": "5"}, {"input_tokens": 5.5, "output_tokens": 1}]
)
def test_figures_of_another_kind_fail_no_answer(usage: Any) -> None:
    """They are not believed, wherever they stand; the answer is whole."""
    for start, last in ((usage, None), (None, usage)):
        started = event("message_start", message={"usage": start})
        told = translate(started, words("x"), stop("end_turn", usage=last), STOP)
        assert told == [Delta(text="x"), Completed()]


def test_a_reason_in_half_a_character_ends_an_answer() -> None:
    """What JSON lets a provider write as its reason can be stored all the same."""
    assert translate(stop("no\ud800"), STOP) == [Completed(finish_reason="no\ufffd")]


def test_tool_calls_are_put_together() -> None:
    """Each from its block and pieces; a tool that Anthropic runs itself is none of ours."""
    assert translate(
        words("So:"),
        begin(1, type="tool_use", id="a", name="one", input={}),
        delta("input_json_delta", index=1, partial_json=""),
        delta("input_json_delta", index=1, partial_json='{"x"'),
        delta("input_json_delta", index=1, partial_json=":1}"),
        begin(2, type="server_tool_use", id="s", name="web_search", input={}),
        delta("input_json_delta", index=2, partial_json='{"q":1}'),
        begin(3, type="tool_use", id="b", name="two", input={}),
        stop("tool_use"),
        STOP,
    ) == [
        Delta(text="So:"),
        ToolCall(id="a", name="one", arguments='{"x":1}'),
        ToolCall(id="b", name="two", arguments="{}"),
        Completed(finish_reason="tool_calls"),
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("odd", "odd"),
        (None, "stop"),
    ],
)
def test_finish_reasons_are_openai_s(theirs: str | None, ours: str) -> None:
    """Anthropic's words become OpenAI's; unknown ones are passed on."""
    assert translate(stop(theirs), STOP) == [Completed(finish_reason=ours)]


def test_an_end_without_a_stop_is_a_failure() -> None:
    """A stream that merely ends was cut short."""
    with pytest.raises(ProviderError, match="ended early") as failed:
        translate(words("x"))
    assert failed.value.retryable


@pytest.mark.parametrize(
    ("kind", "error", "retryable"),
    [
        ("overloaded_error", ProviderError, True),
        ("api_error", ProviderError, True),
        ("something_new", ProviderError, True),
        ("rate_limit_error", ProviderRateLimited, True),
        ("timeout_error", ProviderTimeout, True),
        ("invalid_request_error", ProviderRefused, False),
        ("not_found_error", ProviderLacksModel, False),
        ("request_too_large", ProviderRefused, False),
        ("authentication_error", ProviderError, False),
        ("permission_error", ProviderError, False),
    ],
)
def test_an_error_in_the_stream_is_a_failure(
    kind: str, error: type[ProviderError], retryable: bool
) -> None:
    """Its type says whether to try again; its words stay out of the text for the caller."""
    with pytest.raises(ProviderError) as failed:
        translate(words("x"), event("error", error={"type": kind, "message": "secret words"}))
    got = failed.value
    assert (type(got), got.retryable, "secret" in str(got)) == (error, retryable, False)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b'"x"', b"\xff", b"null", b"{}", b'{"type":5}', b"[" * 100_000),
        b'{"type":"content_block_delta","delta":{"text":"\xff"}}',
        b'{"type":"content_block_delta","delta":{"text":7}}',
    ],
)
def test_what_is_no_event_is_a_failure(data: bytes) -> None:
    """Malformed events end the stream as a failure that may be tried again, never as a crash."""
    with pytest.raises(ProviderError, match="not JSON") as failed:
        Translator().feed(data)
    assert failed.value.retryable


@given(
    st.text(
        alphabet=st.one_of(
            st.characters(exclude_categories=()), st.sampled_from("a🙂\ud83d\ude42\ufffd")
        )
    ),
    st.lists(st.integers(0, 100)),
)
def test_any_text_cut_anywhere_arrives(text: str, places: list[int]) -> None:
    """However the UTF-16 of a text is cut into deltas, its characters arrive, never a lone half."""
    units = text.encode("utf-16-le", "surrogatepass")
    edges = sorted({0, len(units), *(2 * place for place in places if 2 * place < len(units))})
    pieces = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(edges)]
    parts = translate(*map(words, pieces), STOP)
    got = "".join(part.text for part in parts if isinstance(part, Delta))
    assert got == units.decode("utf-16-le", "replace")
