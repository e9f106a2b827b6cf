"""What every store of conversations must do: each promise of the protocol as a test."""

import asyncio
from typing import Any
from uuid import uuid4

import msgspec

from gateway.conversations import Conversation, Conversations, Turn
from gateway.jobs import Owner

NOW = 1_795_214_640.0


def new_conversation(now: float = NOW, user: str | None = "zoë", **owner: Any) -> Conversation:
    """An empty one; every one with an id of its own."""
    return Conversation(
        id=str(uuid4()),
        owner=Owner(tenant=owner.get("tenant", "acme"), user=user),
        created_at=now,
        updated_at=now,
    )


def turn(number: int) -> Turn:
    return Turn(id=str(number), question=f"Say \x00 {number} 👋", answer=f"{number}\r\n")


async def created(store: Conversations, now: float = NOW, **changes: Any) -> Conversation:
    conversation = new_conversation(now, **changes)
    await store.create(conversation)
    return conversation


class ConversationConformance:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    async def test_what_is_created_is_there(self, store: Conversations) -> None:
        """As it was given, under its id and no other."""
        conversation = await created(store)
        assert await store.get(conversation.id) == conversation
        assert await store.get(str(uuid4())) is None
        assert await store.count() == 1

    async def test_turns_are_appended(self, store: Conversations) -> None:
        """In their order, with the time of the newest."""
        conversation = await created(store)
        await store.append(conversation.id, turn(1), NOW + 1)
        await store.append(conversation.id, turn(2), NOW + 2)
        want = msgspec.structs.replace(conversation, updated_at=NOW + 2, turns=(turn(1), turn(2)))
        assert await store.get(conversation.id) == want

    async def test_a_turn_appended_twice_is_there_once(self, store: Conversations) -> None:
        """The end of a job may be told again."""
        conversation = await created(store)
        for number in (1, 2, 1):
            await store.append(conversation.id, turn(number), NOW + 1)
        found = await store.get(conversation.id)
        assert found is not None
        assert found.turns == (turn(1), turn(2))

    async def test_turns_that_end_together_are_all_kept(self, store: Conversations) -> None:
        """None overwrites another."""
        conversation = await created(store)
        await asyncio.gather(*(store.append(conversation.id, turn(n), NOW) for n in range(50)))
        found = await store.get(conversation.id)
        assert found is not None
        assert {each.id for each in found.turns} == {str(n) for n in range(50)}

    async def test_a_deleted_one_is_gone_for_good(self, store: Conversations) -> None:
        """A turn that ends later does not bring it back."""
        conversation = await created(store)
        assert await store.delete(conversation.id) is True
        await store.append(conversation.id, turn(1), NOW)
        assert await store.get(conversation.id) is None
        assert await store.delete(conversation.id) is False
        assert await store.count() == 0
        assert await store.recent("acme", None, None, 10) == []

    async def test_the_last_changed_comes_first(self, store: Conversations) -> None:
        """A new turn brings an old conversation to the top."""
        first, second, third = [await created(store, NOW + n) for n in range(3)]
        await store.append(first.id, turn(1), NOW + 9)
        found = await store.recent("acme", None, None, 10)
        assert found == [
            (first.id, NOW, NOW + 9, 2),
            (third.id, NOW + 2, NOW + 2, 0),
            (second.id, NOW + 1, NOW + 1, 0),
        ]

    async def test_pages_join_without_gap_or_repeat(self, store: Conversations) -> None:
        """Also where many changed at the same time."""
        made = [await created(store, NOW + n // 4) for n in range(10)]
        got, place = [], None
        while page := await store.recent("acme", None, place, 3):
            assert len(page) <= 3
            got += [each.id for each in page]
            place = page[-1].place
        assert sorted(got) == sorted(each.id for each in made)
        assert len(got) == 10

    async def test_each_sees_its_own(self, store: Conversations) -> None:
        """A tenant all of its own, a user only theirs."""
        anns = await created(store, NOW, user="ann")
        bobs = await created(store, NOW + 1, user="bob")
        nobodys = await created(store, NOW + 2, user=None)
        other = await created(store, NOW + 3, user="ann", tenant="bank")
        whose = [("acme", "ann"), ("acme", "bob"), ("acme", None), ("bank", "ann"), ("x", None)]
        got = [[each.id for each in await store.recent(*who, None, 10)] for who in whose]
        assert got == [[anns.id], [bobs.id], [nobodys.id, bobs.id, anns.id], [other.id], []]

    async def test_everything_of_a_user_can_be_forgotten(self, store: Conversations) -> None:
        """With all that was said; of another user, another app, or nobody, nothing."""
        gone = [await created(store, NOW + at) for at in range(150)]
        await store.append(gone[0].id, turn(1), NOW + 9)
        kept = [
            await created(store, user="ann"),
            await created(store, user=None),
            await created(store, tenant="other"),
        ]
        owner = Owner(tenant="acme", user="zoë")
        assert await store.forget(owner) == 150
        assert await store.forget(owner) == 0
        assert [await store.get(each.id) for each in (*kept, gone[0])] == [*kept, None]
        await store.append(gone[0].id, turn(2), NOW + 10)
        assert (await store.get(gone[0].id), await store.count()) == (None, 3)
        assert await store.forget(Owner(tenant="nobody", user="zoë")) == 0

    async def test_what_rested_for_long_is_forgotten(self, store: Conversations) -> None:
        """By its newest turn, whosever it is."""
        old = [await created(store, NOW), await created(store, NOW + 1, tenant="other")]
        kept = [await created(store, NOW + 2), await created(store, NOW)]
        await store.append(kept[1].id, turn(1), NOW + 5)
        assert await store.prune(NOW + 2) == 2
        assert [await store.get(each.id) for each in old] == [None, None]
        assert [each.id for each in await store.recent("acme", None, None, 9)] == [
            kept[1].id,
            kept[0].id,
        ]
