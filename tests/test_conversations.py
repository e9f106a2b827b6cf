"""Conversations as values: turns in order, within bounds, and what of them a model is sent."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import conversations
from gateway.conversations import Conversation, Turn, cost, is_conversation_id, recall
from gateway.jobs import Owner
from gateway.messages import Message

ID = "0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"
EMPTY = Conversation(id=ID, owner=Owner(tenant="acme"), created_at=1.0, updated_at=1.0)


def turn(number: int, question: str = "q", answer: str = "a") -> Turn:
    return Turn(id=str(number), question=question, answer=answer)


def turns_of(texts: list[tuple[str, str]]) -> tuple[Turn, ...]:
    return tuple(turn(number, *pair) for number, pair in enumerate(texts))


def said(*turns: Turn) -> tuple[Message, ...]:
    return tuple(message for each in turns for message in each.messages)


def weight(turns: tuple[Turn, ...]) -> int:
    return sum(cost(each.question) + cost(each.answer) for each in turns)


def test_a_turn_is_a_question_and_its_answer() -> None:
    """In this order, oldest turn first."""
    told = EMPTY.with_turn(turn(1, "Hello", "Hi there!"), 5.0).with_turn(
        turn(2, "More", "Yes"), 6.0
    )
    assert (told.created_at, told.updated_at) == (1.0, 6.0)
    assert [(m.role, m.content) for m in told.messages] == [
        ("user", "Hello"),
        ("assistant", "Hi there!"),
        ("user", "More"),
        ("assistant", "Yes"),
    ]
    assert told.summary == (ID, 1.0, 6.0, 4)


def test_a_turn_of_the_same_job_takes_its_place() -> None:
    """Keeping twice is as keeping once, and the order stays."""
    told = EMPTY.with_turn(turn(1), 2.0).with_turn(turn(2), 3.0)
    again = told.with_turn(turn(1, "q", "better"), 4.0)
    assert again.turns == (turn(1, "q", "better"), turn(2))
    assert told.with_turn(turn(2), 3.0) == told


def test_a_conversation_has_a_most_number_of_turns() -> None:
    """One more, and the oldest goes."""
    full = msgspec.structs.replace(EMPTY, turns=tuple(map(turn, range(conversations.MOST_TURNS))))
    more = full.with_turn(turn(-1), 2.0)
    assert more.turns == (*full.turns[1:], turn(-1))


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        ([10, 10], [10, 10]),
        ([conversations.MOST_CHARACTERS - 10, 10], [conversations.MOST_CHARACTERS - 10, 10]),
        ([conversations.MOST_CHARACTERS - 9, 10], [10]),
        ([10, conversations.MOST_CHARACTERS + 1], [conversations.MOST_CHARACTERS + 1]),
        ([5, conversations.MOST_CHARACTERS - 9, 9], [conversations.MOST_CHARACTERS - 9, 9]),
    ],
)
def test_a_conversation_holds_so_much_text(sizes: list[int], left: list[int]) -> None:
    """The oldest turns go until the rest is within bounds; the newest turn always stays."""
    told = EMPTY
    for number, size in enumerate(sizes):
        told = told.with_turn(turn(number, "", "x" * size), 2.0)
    assert [each.characters for each in told.turns] == left


_TEXTS = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60)), max_size=12)


@given(_TEXTS, st.integers(-10, 400))
def test_what_is_recalled_is_the_newest_that_fits(
    texts: list[tuple[str, str]], budget: int
) -> None:
    """Whole turns only, none left out in between, within the budget, and not one fewer."""
    turns = tuple(each for each in turns_of(texts) if each.answer.strip())
    got = recall(turns, budget)
    kept = len(got) // 2
    assert got == said(*turns[len(turns) - kept :])
    assert kept == 0 or weight(turns[len(turns) - kept :]) <= budget
    assert kept == len(turns) or weight(turns[len(turns) - kept - 1 :]) > budget


@given(_TEXTS)
def test_an_empty_answer_is_not_recalled(texts: list[tuple[str, str]]) -> None:
    """Providers refuse empty messages: the turn is left out, and those around it stay."""
    turns = turns_of(texts)
    assert recall(turns, 1_000_000) == said(*(each for each in turns if each.answer.strip()))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (ID, True),
        (ID.upper(), False),
        (f"{{{ID}}}", False),
        (ID.replace("-", ""), False),
        (str(UUID(int=0)), False),
        ("0b9f6c1e-8f0e-1d55-9c3b-2a7a3a1f0d11", False),
        ("abc-123", False),
        ("", False),
        ("０b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11", False),
    ],
)
def test_an_id_is_a_uuid_as_the_gateway_writes_it(text: str, is_one: bool) -> None:
    """Every other text is no conversation's."""
    assert is_conversation_id(text) is is_one
