"""Conversations in SQLite: every promise kept, and the bounds of memory's."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from gateway import conversations
from gateway.conversations import Conversation, Turn
from gateway.errors import StoreFull
from gateway.stores.ballast import Ballast
from gateway.stores.database import Database
from gateway.stores.sqlite_conversations import SqliteConversations
from tests.stores.conversation_conformance import (
    NOW,
    ConversationConformance,
    created,
    new_conversation,
    turn,
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path, ballast=Ballast(tmp_path / "ballast", 4096))
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
def store(database: Database) -> SqliteConversations:
    return SqliteConversations(database)


class TestSqliteConversations(ConversationConformance):
    """Conversations and their turns."""


async def test_none_begins_on_a_full_disk(tmp_path: Path) -> None:
    """What room is left is for the turns of those that are there, and for jobs that run."""
    room = [1 << 30]
    ballast = Ballast(tmp_path / "ballast", 4096, lambda _: room[0])
    database = Database(tmp_path, ballast=ballast)
    await database.start()
    store = SqliteConversations(database)
    there = await created(store)
    room[0] = 0
    with pytest.raises(StoreFull):
        await store.create(new_conversation())
    await store.append(there.id, turn(1), NOW + 1)
    found = await store.get(there.id)
    assert found is not None
    assert (len(found.turns), await store.count()) == (1, 1)
    await database.stop()


async def test_they_survive_the_process(tmp_path: Path) -> None:
    """What was said is there when the file is opened again."""
    want = new_conversation().with_turn(turn(1), NOW + 1)
    got: Conversation | None = None
    for began in (False, True):
        database = Database(tmp_path, ballast=Ballast(tmp_path / "ballast", 4096))
        await database.start()
        store = SqliteConversations(database)
        if not began:
            await store.create(want)
        got = await store.get(want.id)
        await database.stop()
    assert got == want


async def test_one_made_with_turns_has_them(store: SqliteConversations) -> None:
    """As it was given, whole."""
    conversation = new_conversation().with_turn(turn(1), NOW + 1)
    await store.create(conversation)
    assert await store.get(conversation.id) == conversation


async def test_a_tenant_that_is_full_forgets_the_one_that_rested_longest(
    database: Database,
) -> None:
    """Its own, never another tenant's, and not one that was just gone on with."""
    store = SqliteConversations(database, most_per_tenant=2)
    bank = await created(store, tenant="bank")
    first, second = await created(store, NOW), await created(store, NOW + 1)
    await store.append(first.id, turn(1), NOW + 2)
    third = await created(store, NOW + 3)
    got = [await store.get(each.id) is not None for each in (bank, first, second, third)]
    assert got == [True, True, False, True]
    assert await store.count() == 3


async def test_a_conversation_is_bounded_as_the_value_is(store: SqliteConversations) -> None:
    """Whatever lengths come in whatever order, the turns that stay are those `with_turn` keeps."""
    rng = Random(4)
    large = conversations.MOST_CHARACTERS // 5
    want = await created(store)
    for _ in range(20):
        said = Turn(
            id=str(rng.randrange(12)), question="x" * rng.choice((1, large, 6 * large)), answer=""
        )
        await store.append(want.id, said, NOW)
        want = want.with_turn(said, NOW)
        assert await store.get(want.id) == want


async def test_a_conversation_of_many_turns_is_bounded(
    store: SqliteConversations,
) -> None:
    """The oldest turns go, and the summary counts those that are left."""
    conversation = await created(store)
    want = conversation
    for number in range(conversations.MOST_TURNS):
        want = want.with_turn(turn(number), NOW)
    await store.delete(conversation.id)
    await store.create(want)
    for number in range(-3, 0):
        await store.append(want.id, turn(number), NOW)
        want = want.with_turn(turn(number), NOW)
    assert await store.get(want.id) == want
    assert (await store.recent("acme", None, None, 9))[0].message_count == len(want.messages)
