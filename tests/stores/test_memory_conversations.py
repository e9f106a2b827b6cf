"""Conversations in memory: every promise kept, and bounds for each tenant."""

from uuid import uuid4

import pytest

from gateway.conversations import Turn
from gateway.stores.memory_conversations import MemoryConversations
from tests.stores.conversation_conformance import (
    NOW,
    ConversationConformance,
    created,
)


@pytest.fixture
def store() -> MemoryConversations:
    return MemoryConversations()


class TestMemoryConversations(ConversationConformance):
    """Conversations and their turns."""


async def test_a_tenant_that_is_full_forgets_the_one_that_rested_longest() -> None:
    """Its own, never another tenant's, and not one that was just gone on with."""
    store = MemoryConversations(most_per_tenant=2)
    bank = await created(store, tenant="bank")
    first, second = await created(store), await created(store)
    await store.append(first.id, Turn(id="1", question="q", answer="a"), NOW)
    third = await created(store)
    got = [await store.get(each.id) is not None for each in (bank, first, second, third)]
    assert got == [True, True, False, True]
    assert await store.count() == 3


async def test_a_tenants_texts_are_bounded() -> None:
    """Too much text pushes out what rested longest; the newest stays however long it is."""
    store = MemoryConversations(most_characters=10)
    first, second = await created(store), await created(store)
    await store.append(first.id, Turn(id="1", question="12345", answer="1234"), NOW)
    assert await store.count() == 2
    await store.append(second.id, Turn(id="2", question="12", answer=""), NOW)
    assert (await store.get(first.id), await store.count()) == (None, 1)
    await store.append(second.id, Turn(id="3", question="x" * 99, answer=""), NOW)
    assert await store.count() == 1


async def test_what_is_deleted_makes_room() -> None:
    """Bounds count what is there, not what was."""
    store = MemoryConversations(most_characters=10)
    kept = await created(store)
    await store.append(kept.id, Turn(id=str(uuid4()), question="1234", answer=""), NOW)
    for _ in range(5):
        passing = await created(store)
        await store.append(passing.id, Turn(id="1", question="123456", answer=""), NOW)
        assert await store.delete(passing.id)
    assert await store.count() == 1
