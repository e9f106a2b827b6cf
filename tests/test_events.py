"""Events: what is stored is what happened."""

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events import (
    TERMINAL,
    AnyEvent,
    Cancelled,
    Completed,
    Delta,
    Event,
    Expired,
    Failed,
    Logprobs,
    Restarted,
    Routed,
    Started,
    Terminal,
    ToolCall,
    Usage,
    as_failed,
    decode,
    encode,
    total,
)

words = st.text(st.characters(exclude_categories=["Cs"]))
counts = st.integers(min_value=0, max_value=2**53)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Started),
    st.builds(Restarted, reason=words),
    st.builds(Routed, model=words, provider=words),
    st.builds(Delta, text=words, refusal=st.booleans()),
    st.builds(ToolCall, id=words, name=words, arguments=words),
    st.builds(Logprobs, told=words),
    st.builds(
        Usage,
        prompt_tokens=counts,
        completion_tokens=counts,
        estimated=st.booleans(),
        cached_tokens=st.none() | counts,
        reasoning_tokens=st.none() | counts,
    ),
    st.builds(Completed, finish_reason=words, refused=st.booleans()),
    st.builds(Failed, code=words, message=words, retryable=st.booleans()),
    st.builds(Cancelled, reason=words),
    st.builds(Expired, waited_for=words),
)


@given(events)
def test_an_event_survives_its_storage(event: Event) -> None:
    """Every event is read back as it was written, whatever its text holds."""
    assert decode(encode(event)) == event


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (Started(), b'{"type":"started"}'),
        (Delta(text="a\r\nb"), rb'{"type":"delta","text":"a\r\nb"}'),
        (Completed(), b'{"type":"completed"}'),
        (Expired(), b'{"type":"expired"}'),
        (
            Usage(prompt_tokens=1, completion_tokens=2, estimated=True),
            b'{"type":"usage","prompt_tokens":1,"completion_tokens":2,"estimated":true}',
        ),
    ],
)
def test_the_stored_form_stays(event: Event, data: bytes) -> None:
    """What an older version stored must still be read: the form is fixed."""
    assert (encode(event), decode(data)) == (data, event)


@pytest.mark.parametrize(
    "data",
    [b'{"type":"vanished"}', b"{}", b"[]", b'{"type":"delta"}', b'{"type":"delta","text":1}'],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    """Nothing is guessed from a record of another form."""
    with pytest.raises(msgspec.ValidationError):
        decode(data)


@pytest.mark.parametrize(
    ("event", "failed"),
    [
        (Failed(code="A", message="B."), Failed(code="A", message="B.")),
        (
            Cancelled(),
            Failed(code="CANCELLED", message="The request was cancelled by the caller."),
        ),
        (
            Expired(),
            Failed(
                code="EXPIRED",
                message="The request waited too long for a worker.",
                retryable=True,
            ),
        ),
        (Completed(), None),
        (Started(), None),
    ],
)
def test_every_bad_end_has_its_words(event: Event, failed: Failed | None) -> None:
    """The same ones, whatever door tells them."""
    assert as_failed(event) == failed


def test_every_kind_of_event_can_be_stored() -> None:
    """A new event that is missing from the union could be written, but never read."""
    assert set(Event.__subclasses__()) == set(typing.get_args(AnyEvent))
    assert set(typing.get_args(Terminal)) == set(TERMINAL)


def test_usage_sums_up() -> None:
    """The total is what was read and what was written."""
    assert Usage(prompt_tokens=3, completion_tokens=4).total_tokens == 7


def test_tokens_of_several_attempts_are_summed() -> None:
    """Of what some of them were, as far as any attempt tells."""
    one = Usage(prompt_tokens=3, completion_tokens=4, cached_tokens=1)
    two = Usage(prompt_tokens=5, completion_tokens=6, cached_tokens=2, estimated=True)
    assert total(one, None, two) == Usage(
        prompt_tokens=8, completion_tokens=10, cached_tokens=3, estimated=True
    )
    assert (total(None, one), total(None)) == (one, None)
