"""Conversations in this process's memory: fast, and gone with the process."""

from collections import Counter, OrderedDict, defaultdict
from itertools import chain, takewhile

from gateway.conversations import Conversation, Summary, Turn
from gateway.history import Place
from gateway.jobs import Owner


class MemoryConversations:
    """Dictionaries. Each method runs without a pause, which is what makes it atomic.

    Every tenant has bounds of its own: one that fills them forgets its own conversations.
    """

    def __init__(
        self, *, most_per_tenant: int = 10_000, most_characters: int = 100_000_000
    ) -> None:
        """Keep nothing yet.

        Args:
            most_per_tenant: how many conversations one tenant may have.
            most_characters: how much text they may hold together.
        """
        self._most_per_tenant = most_per_tenant
        self._most_characters = most_characters
        self._tenants: dict[str, str] = {}
        # Of each tenant, those that rested for longest first.
        self._kept: defaultdict[str, OrderedDict[str, Conversation]] = defaultdict(OrderedDict)
        self._characters: Counter[str] = Counter()

    async def create(self, conversation: Conversation) -> None:
        tenant = conversation.owner.tenant
        self._tenants[conversation.id] = tenant
        self._put(tenant, conversation)

    async def get(self, conversation_id: str) -> Conversation | None:
        tenant = self._tenants.get(conversation_id)
        return None if tenant is None else self._kept[tenant][conversation_id]

    async def append(self, conversation_id: str, turn: Turn, now: float) -> None:
        tenant = self._tenants.get(conversation_id)
        if tenant is not None:
            conversation = self._kept[tenant].pop(conversation_id)
            self._characters[tenant] -= conversation.characters
            self._put(tenant, conversation.with_turn(turn, now))

    async def delete(self, conversation_id: str) -> bool:
        tenant = self._tenants.get(conversation_id)
        if tenant is None:
            return False
        self._delete([self._kept[tenant][conversation_id]])
        return True

    async def forget(self, owner: Owner) -> int:
        kept = self._kept[owner.tenant].values()
        return self._delete([each for each in kept if each.owner == owner])

    async def prune(self, before: float) -> int:
        # Those that may stay are not looked at.
        rested = [
            takewhile(lambda each: each.updated_at < before, kept.values())
            for kept in self._kept.values()
        ]
        return self._delete([*chain.from_iterable(rested)])

    async def recent(
        self, tenant: str, user: str | None, before: Place | None, limit: int
    ) -> list[Summary]:
        found = [
            conversation.summary
            for conversation in self._kept.get(tenant, {}).values()
            if user is None or conversation.owner.user == user
        ]
        below = [each for each in found if before is None or each.place < before]
        return sorted(below, key=lambda each: each.place, reverse=True)[:limit]

    async def count(self) -> int:
        return len(self._tenants)

    def _delete(self, gone: list[Conversation]) -> int:
        for each in gone:
            tenant = self._tenants.pop(each.id)
            self._characters[tenant] -= self._kept[tenant].pop(each.id).characters
        return len(gone)

    def _put(self, tenant: str, conversation: Conversation) -> None:
        kept = self._kept[tenant]
        kept[conversation.id] = conversation
        self._characters[tenant] += conversation.characters
        while len(kept) > self._most_per_tenant or (
            len(kept) > 1 and self._characters[tenant] > self._most_characters
        ):
            oldest, forgotten = kept.popitem(last=False)
            self._characters[tenant] -= forgotten.characters
            del self._tenants[oldest]
