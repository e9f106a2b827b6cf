"""OpenAI's chat completions as values: what is sent and what comes back."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProviderError
from gateway.events import Completed, Delta, Logprobs, Usage
from gateway.messages import Message, Request
from gateway.providers.dialect import Translator, body
from tests.providers.chunks import STOP, call, chunk, translate


def likely(told: object, content: str = "x") -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "logprobs": told}
    return json.dumps({"choices": [choice]}).encode()


def test_text_then_finish() -> None:
    """Role, empty and null deltas say nothing; the finish comes last."""
    assert translate(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": None}),
        chunk({"content": "lo"}),
        STOP,
        b"[DONE]",
    ) == [Delta(text="Hel"), Delta(text="lo"), Completed(finish_reason="stop")]


def test_usage_may_follow_the_finish() -> None:
    """A chunk without choices carries the usage; Completed is still the last event."""
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    late = json.dumps({"choices": [], "usage": usage}).encode()
    assert translate(chunk({"content": "x"}), STOP, late, b"[DONE]") == [
        Delta(text="x"),
        Usage(prompt_tokens=3, completion_tokens=5),
        Completed(finish_reason="stop"),
    ]


def test_usage_in_every_chunk_counts_once() -> None:
    """Of running counts the last one is the answer's."""
    counted = [chunk({"content": "x"}, usage={"completion_tokens": n}) for n in (1, 2)]
    assert translate(*counted, STOP) == [
        Delta(text="x"),
        Delta(text="x"),
        Usage(prompt_tokens=0, completion_tokens=2),
        Completed(),
    ]


@pytest.mark.parametrize("count", [-1, 1_000_000_001, 10**20])
def test_usage_that_cannot_be_is_none(count: int) -> None:
    """Figures that fit into no sum are not believed: what the answer took is estimated."""
    for usage in ({"completion_tokens": count}, {"prompt_tokens": count, "completion_tokens": 1}):
        told = translate(chunk({"content": "x"}), STOP, chunk(usage=usage))
        assert told == [Delta(text="x"), Completed()]


@pytest.mark.parametrize(
    "usage",
    [
        *("many", [3, 5], 8, True),
        *({"prompt_tokens": "3", "completion_tokens": 5}, {"completion_tokens": 5.5}),
        *({"prompt_tokens": None, "completion_tokens": None}, {"total_tokens": 8}),
        {"prompt_tokens": {}, "completion_tokens": True},
    ],
)
def test_figures_of_another_kind_fail_no_answer(usage: Any) -> None:
    """They are not believed, wherever they stand; the answer is whole."""
    for last in (chunk(usage=usage), chunk(x_groq={"usage": usage})):
        told = translate(chunk({"content": "x"}), STOP, last)
        assert told == [Delta(text="x"), Completed()]


def test_a_reason_in_half_a_character_ends_an_answer() -> None:
    """What JSON lets a provider write as its reason can be stored all the same."""
    assert translate(chunk({"content": "x"}), chunk(finish_reason="no\ud800")) == [
        Delta(text="x"),
        Completed(finish_reason="no\ufffd"),
    ]


@pytest.mark.parametrize(
    "piece",
    [
        chunk(call(0, arguments="x" * (1 << 20))),
        likely({"content": [{"token": "x" * (1 << 20)}]}, ""),
    ],
    ids=["calls", "logprobs"],
)
def test_what_is_gathered_cannot_fill_the_memory(piece: bytes) -> None:
    """A provider that never stops is stopped; nothing of a call goes on before its end."""
    translator = Translator()
    assert {translator.feed(piece) for _ in range(63)} == {None}
    with pytest.raises(ProviderError, match="longer than the gateway keeps"):
        translator.feed(piece)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("eos", "stop"), ("function_call", "tool_calls"), ("length", "length"), ("odd", "odd")],
)
def test_finish_reasons_are_openai_s(theirs: str, ours: str) -> None:
    """Other providers' words become OpenAI's; unknown ones are passed on."""
    assert translate(chunk(finish_reason=theirs)) == [Completed(finish_reason=ours)]


def test_done_is_a_finish() -> None:
    """A provider that says [DONE] has finished, even where it gave no reason."""
    assert translate(chunk({"content": "x"}), b"[DONE]") == [Delta(text="x"), Completed()]


def test_an_end_without_a_finish_is_a_failure() -> None:
    """A stream that merely stops was cut short."""
    with pytest.raises(ProviderError, match="ended early") as failed:
        translate(chunk({"content": "x"}))
    assert failed.value.retryable


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b'{"choices":[{"delta":{"content":"x', b"[]", b'"x"', b"\xff", b"null"),
        *(b'{"choices":{}}', b'{"choices":[{"delta":{"content":5}}]}', b"[" * 100_000),
        b'{"n":' + b"9" * 5000 + b',"choices":7}',
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
    ],
)
def test_what_is_no_chunk_is_a_failure(data: bytes) -> None:
    """Malformed chunks end the stream as a failure that may be tried again, never as a crash."""
    with pytest.raises(ProviderError, match="not JSON") as failed:
        Translator().feed(data)
    assert failed.value.retryable


@pytest.mark.parametrize("error", [{"message": "secret words", "type": "overload"}, "secret words"])
def test_an_error_in_the_stream_is_a_failure(error: object) -> None:
    """An error object ends the stream; its words stay out of the text for the caller."""
    with pytest.raises(ProviderError) as failed:
        Translator().feed(json.dumps({"error": error}).encode())
    assert (failed.value.retryable, "secret" in str(failed.value)) == (True, False)


def test_what_is_told_of_tokens_is_one_fact() -> None:
    """Of all chunks, after the text; also of half a character, and of a number that is none."""
    first = {"token": "\ud83d", "logprob": -0.5, "bytes": [240, 159], "top_logprobs": []}
    second = {"token": "\ude00", "logprob": float("-inf"), "bytes": [152, 128]}
    chunks = (likely({"content": [first]}, "\ud83d"), likely({"content": [second]}, "\ude00"))
    smile, found, done = translate(*chunks, STOP)
    assert (smile, done) == (Delta(text="\U0001f600"), Completed(finish_reason="stop"))
    assert isinstance(found, Logprobs)
    want = {"content": [first, {**second, "logprob": None}], "refusal": None}
    assert json.loads(found.told) == want
    assert found.told.isascii()


@pytest.mark.parametrize(
    "told",
    [None, -0.5, [], "x", {}, {"content": None, "refusal": []}, {"content": 7, "tokens": []}],
)
def test_other_forms_of_logprobs_are_passed_over(told: object) -> None:
    """Some servers have one of their own."""
    assert translate(likely(told), STOP) == [Delta(text="x"), Completed(finish_reason="stop")]


def test_unknown_fields_are_passed_over() -> None:
    """Whatever else a chunk holds does not matter."""
    data = chunk({"content": "x", "reasoning": {"a": []}}, id=7, logprobs=[None], error=None)
    assert translate(data, STOP) == [Delta(text="x"), Completed()]


@pytest.mark.parametrize(
    ("pieces", "want"),
    [
        (["a\ud83d", "\ude42b"], ["a", "🙂b"]),
        (["\ud83d", "", "\ude42"], ["🙂"]),
        (["\ud83d", "x"], ["\ufffdx"]),
        (["\ude42x"], ["\ufffdx"]),
        (["\ud83d", "\ud83d\ude42"], ["\ufffd🙂"]),
        (["x\ud83d"], ["x", "\ufffd"]),
    ],
)
def test_halves_of_a_character_meet(pieces: list[str], want: list[str]) -> None:
    """Surrogates torn between deltas are joined; one that stays alone becomes U+FFFD."""
    parts = translate(*(chunk({"content": piece}) for piece in pieces), STOP)
    assert parts == [*(Delta(text=text) for text in want), Completed()]


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
    pieces = [units[a:b] for a, b in pairwise(edges)]
    contents = [piece.decode("utf-16-le", "surrogatepass") for piece in pieces]
    parts = translate(*(chunk({"content": content}) for content in contents), STOP)
    got = "".join(part.text for part in parts if isinstance(part, Delta))
    assert got == units.decode("utf-16-le", "replace")


def test_the_body_holds_what_was_asked() -> None:
    """What the gateway sets beats what the caller passed through; nothing else is added."""
    request = Request(
        messages=(Message(role="user", content="hi"),),
        model="asked",
        max_tokens=9,
        parameters={"temperature": 0.5},
        extra={"seed": 1, "stream": False, "model": "other", "temperature": 2},
        tools=({"type": "function"},),
    )
    assert body(request, "theirs") == {
        "model": "theirs",
        "messages": request.messages,
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 1,
        "tools": ({"type": "function"},),
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("model", "ceiling", "sampled"),
    [
        ("gpt-4o", "max_tokens", True),
        ("gpt-4.1-mini", "max_tokens", True),
        ("openai/gpt-oss-120b", "max_tokens", True),
        ("llama-3.1-8b-instant", "max_tokens", True),
        ("o3", "max_completion_tokens", False),
        ("o4-mini-2025-04-16", "max_completion_tokens", False),
        ("gpt-5", "max_completion_tokens", False),
        ("openai/gpt-5-mini", "max_completion_tokens", False),
        ("gpt-5.2", "max_completion_tokens", True),
        ("gpt-5-chat-latest", "max_completion_tokens", True),
    ],
)
def test_models_that_reason_are_asked_in_their_words(
    model: str, ceiling: str, sampled: bool
) -> None:
    """They have another name for the ceiling, and refuse sampling parameters: those stay home."""
    request = Request(
        messages=(),
        model="asked",
        max_tokens=9,
        parameters={"temperature": 0.5, "stop": "x"},
        extra={"top_logprobs": 2, "reasoning_effort": "low", "max_completion_tokens": 99},
    )
    assert body(request, model) == {
        "model": model,
        "messages": (),
        ceiling: 9,
        "reasoning_effort": "low",
        **({"temperature": 0.5, "stop": "x", "top_logprobs": 2} if sampled else {}),
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_refusal_in_words_is_text() -> None:
    """What a model says in place of an answer reaches the reader, as what it is."""
    parts: list[dict[str, Any]] = [
        {"content": None, "refusal": ""},
        {"refusal": "No\ud83d"},
        {"refusal": "\ude42."},
    ]
    assert translate(*(chunk(part) for part in parts), STOP) == [
        Delta(text="No", refusal=True),
        Delta(text="🙂.", refusal=True),
        Completed(refused=True),
    ]


@pytest.mark.parametrize(
    ("cached", "reasoning", "want"),
    [
        (3, 2, (3, 2)),
        (0, 0, (0, 0)),
        (11, 7, (11, 7)),
        (12, 8, (None, None)),
        (-1, True, (None, None)),
        ("3", None, (None, None)),
    ],
)
def test_details_of_usage_are_parts_of_it(cached: Any, reasoning: Any, want: Any) -> None:
    """More than the whole, or none that is a number, is not believed."""
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    used = Usage(
        prompt_tokens=11,
        completion_tokens=7,
        **dict(zip(("cached_tokens", "reasoning_tokens"), want, strict=True)),
    )
    assert translate(STOP, chunk(usage=usage)) == [used, Completed()]


def test_details_of_another_kind_are_passed_over() -> None:
    """The figures themselves are told all the same."""
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": [3]}
    used = Usage(prompt_tokens=11, completion_tokens=7)
    assert translate(STOP, chunk(usage=usage)) == [used, Completed()]


def test_groq_counts_in_a_field_of_its_own() -> None:
    """Its last chunk has the usage there; reasoning beside the answer is not told."""
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_time": 0.1}
    last = chunk(finish_reason="stop", x_groq={"id": "r", "usage": usage})
    said = chunk({"content": "x", "reasoning": "hm"}, x_groq={"id": "r"})
    assert translate(said, last, b"[DONE]") == [
        Delta(text="x"),
        Usage(prompt_tokens=3, completion_tokens=5),
        Completed(),
    ]


def test_groq_fails_in_a_field_of_its_own() -> None:
    """An error there ends the stream as any other does."""
    with pytest.raises(ProviderError) as failed:
        translate(chunk({}, x_groq={"id": "r", "error": "secret words"}))
    assert (failed.value.retryable, "secret" in str(failed.value)) == (True, False)
