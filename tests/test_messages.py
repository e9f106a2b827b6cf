"""What a caller asks: the prompt in it, and how long it is about."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import Message, Request, estimate_tokens


def ask(*messages: Message) -> Request:
    return Request(messages=messages, model="m")


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        ((), ""),
        ((Message(role="system", content="be kind"),), ""),
        ((Message(role="user", content="one"), Message(role="user", content="two")), "two"),
        ((Message(role="user", content="one"), Message(role="assistant", content="two")), "one"),
        ((Message(role="user", content="one"), Message(role="user", content=[{}])), "one"),
        ((Message(role="user", content="one"), Message(role="user")), "one"),
    ],
)
def test_the_prompt_is_the_last_text_of_the_user(
    messages: tuple[Message, ...], prompt: str
) -> None:
    """Turns of others, and turns without text, are passed over."""
    assert ask(*messages).prompt == prompt


def test_a_request_survives_its_storage() -> None:
    """Content parts, tools and unknown fields are kept unread."""
    request = Request(
        messages=(
            Message(role="user", content=[{"type": "image_url", "image_url": {"url": "x"}}]),
            Message(role="tool", content="42", tool_call_id="c1", name="add"),
            Message(role="user", content="x", extra={"cache_control": {"type": "ephemeral"}}),
        ),
        model="m",
        fallback_models=("n",),
        max_tokens=7,
        parameters={"stop": ["a"], "temperature": 0.5},
        tools=({"type": "function"},),
        extra={"seed": None},
    )
    assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request


def test_a_turn_takes_no_more_room_than_it_says() -> None:
    """What it does not say is not stored, so that what was stored before can be read."""
    turn = Message(role="user", content="x")
    stored = b'{"role":"user","content":"x"}'
    assert (msgspec.json.encode(turn), msgspec.json.decode(stored, type=Message)) == (stored, turn)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        *[("", 1), ("a", 1), ("abcd", 1), ("abcde", 2), ("żółć", 3), ("👋", 2)],
        *[("天" * 100, 100), ("天気", 2), ("abcd天", 2), ("\ud800", 1)],
    ],
)
def test_a_chinese_character_is_a_token_and_so_are_four_letters(text: str, tokens: int) -> None:
    """The guess counts bytes of UTF-8, those beyond ASCII for more, and is never nothing."""
    assert estimate_tokens(text) == tokens


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(one: str, two: str) -> None:
    """The guess takes any text, lone surrogates too, and grows with it."""
    whole = estimate_tokens(one + two)
    assert max(estimate_tokens(one), estimate_tokens(two)) <= whole
    assert whole <= estimate_tokens(one) + estimate_tokens(two)
