"""What was said in a chat, turn by turn: a question and its whole answer, or neither.

A turn is kept when its answer is complete. One that failed or was stopped leaves nothing, so
that no question ever stands without its answer, and turns under way side by side never mix.
"""

from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from gateway.history import Place
from gateway.jobs import Owner
from gateway.messages import Message, estimate_tokens

# A conversation grows no further than this: its oldest turns go.
MOST_TURNS = 1000
MOST_CHARACTERS = 4_000_000

# What a message costs beside its text: its role and its borders.
_MESSAGE_TOKENS = 4


class Turn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A question and its answer. `id` is that of the job that answered."""

    id: str
    question: str
    answer: str

    @property
    def characters(self) -> int:
        return len(self.question) + len(self.answer)

    @property
    def messages(self) -> tuple[Message, Message]:
        return (
            Message(role="user", content=self.question),
            Message(role="assistant", content=self.answer),
        )


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One chat, oldest turn first. Times are UTC, seconds since the epoch."""

    id: str
    owner: Owner
    created_at: float
    updated_at: float
    turns: tuple[Turn, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(message for turn in self.turns for message in turn.messages)

    @property
    def characters(self) -> int:
        return sum(turn.characters for turn in self.turns)

    @property
    def summary(self) -> "Summary":
        return Summary(self.id, self.created_at, self.updated_at, 2 * len(self.turns))

    def with_turn(self, turn: Turn, now: float) -> "Conversation":
        """The conversation with one more turn; one of the same id is replaced in its place."""
        turns = {each.id: each for each in self.turns} | {turn.id: turn}
        bounded = _bounded(tuple(turns.values()))
        return msgspec.structs.replace(self, turns=bounded, updated_at=now)


class Summary(NamedTuple):
    """A conversation without its text. `message_count` counts questions and answers."""

    id: str
    created_at: float
    updated_at: float
    message_count: int

    @property
    def place(self) -> Place:
        """Where it stands among others: the one that changed last is the first."""
        return Place(self.updated_at, self.id)


class Conversations(Protocol):
    """Where conversations are kept.

    Every method is atomic: it happens whole or not at all, also when its caller is cancelled.
    A change is durable, as far as the store is, before the method returns.

    Raises (any method):
        StoreUnavailable: nothing was changed.
    """

    async def create(self, conversation: Conversation) -> None:
        """Keep a new conversation. A tenant that has too many loses the one that rested longest."""
        ...

    async def get(self, conversation_id: str) -> Conversation | None:
        """The conversation, whoever asks; None if unknown or deleted."""
        ...

    async def append(self, conversation_id: str, turn: Turn, now: float) -> None:
        """Add a turn, as `Conversation.with_turn` does. An unknown conversation stays unknown.

        In one step with reading what is there: of turns that end together none is lost.
        """
        ...

    async def delete(self, conversation_id: str) -> bool:
        """Forget a conversation; False if it was unknown."""
        ...

    async def forget(self, owner: Owner) -> int:
        """Forget every conversation of one user; how many there were."""
        ...

    async def prune(self, before: float) -> int:
        """Forget the conversations that last changed before that time; how many there were."""
        ...

    async def recent(
        self, tenant: str, user: str | None, before: Place | None, limit: int
    ) -> list[Summary]:
        """A tenant's conversations, the last changed first.

        Args:
            user: only those of one user; None for all.
            before: only what stands lower than that.
        """
        ...

    async def count(self) -> int:
        """How many are kept."""
        ...


def is_conversation_id(text: str) -> bool:
    """The text has the shape of an id: a UUID v4 as `str` writes it."""
    try:
        found = UUID(text)
    except ValueError:
        return False
    return found.version == 4 and str(found) == text


def recall(turns: tuple[Turn, ...], budget_tokens: int) -> tuple[Message, ...]:
    """The newest turns that fit into the budget, whole, oldest first.

    A turn without an answer's text is left out: providers refuse empty messages.
    """
    recalled: list[Turn] = []
    for turn in reversed(turns):
        if not turn.answer.strip():
            continue
        budget_tokens -= cost(turn.question) + cost(turn.answer)
        if budget_tokens < 0:
            break
        recalled.append(turn)
    return tuple(message for turn in reversed(recalled) for message in turn.messages)


def cost(text: str) -> int:
    """Tokens that a message of that text takes of a context window, roughly."""
    return _MESSAGE_TOKENS + estimate_tokens(text)


def _bounded(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The newest of them that are within bounds; the very newest always is."""
    characters, first = 0, len(turns)
    while first and len(turns) - first < MOST_TURNS:
        characters += turns[first - 1].characters
        if characters > MOST_CHARACTERS and first < len(turns):
            break
        first -= 1
    return turns[first:]
