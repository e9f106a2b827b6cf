"""Conversations in the database that has the jobs: one turn is one row."""

from functools import partial
from math import inf
from typing import Any

import apsw
import msgspec

from gateway.conversations import (
    MOST_CHARACTERS,
    MOST_TURNS,
    Conversation,
    Summary,
    Turn,
)
from gateway.history import Place
from gateway.jobs import Owner
from gateway.stores.database import Database

_encoder = msgspec.json.Encoder()
_turns = msgspec.json.Decoder(Turn)

# Conversations forgotten in one transaction: others do not wait long behind it.
_STEP = 100
# Higher than any place.
_TOP = Place(inf, "")


class SqliteConversations:
    """Rows. Each change is one step of the database's writer, which is what makes it atomic.

    Every tenant has bounds of its own: one that fills them forgets its own conversations.
    """

    def __init__(self, database: Database, *, most_per_tenant: int = 10_000) -> None:
        """Keep everything in `database`, which somebody else starts and stops.

        Args:
            most_per_tenant: how many conversations one tenant may have.
        """
        self._database = database
        self._most_per_tenant = most_per_tenant

    async def create(self, conversation: Conversation) -> None:
        def create(db: apsw.Connection) -> None:
            self._database.ballast.require_room()
            _insert(db, conversation)
            _forget_oldest(db, conversation.owner.tenant, self._most_per_tenant)

        await self._database.write(create)

    async def get(self, conversation_id: str) -> Conversation | None:
        return await self._database.read(partial(_get, conversation_id=conversation_id))

    async def append(self, conversation_id: str, turn: Turn, now: float) -> None:
        body = _encoder.encode(turn)

        def append(db: apsw.Connection) -> None:
            seq = db.execute(
                "UPDATE conversations SET updated_at = ? WHERE id = ? RETURNING seq",
                (now, conversation_id),
            ).get
            if seq is not None:
                _put(db, seq, turn, body)
                _bound(db, seq)

        await self._database.write(append)

    async def delete(self, conversation_id: str) -> bool:
        def delete(db: apsw.Connection) -> bool:
            seq = db.execute("SELECT seq FROM conversations WHERE id = ?", (conversation_id,)).get
            if seq is not None:
                _delete(db, seq)
            return seq is not None

        return await self._database.write(delete)

    async def forget(self, owner: Owner) -> int:
        """As the protocol says, in several steps, each of which is atomic by itself."""
        return await self._forget("tenant = ? AND user IS ?", owner.tenant, owner.user)

    async def prune(self, before: float) -> int:
        """As the protocol says, in several steps, each of which is atomic by itself."""
        return await self._forget("updated_at < ?", before)

    async def _forget(self, which: str, *bound: Any) -> int:
        def forget(db: apsw.Connection) -> int:
            rows: list[tuple[Any, ...]] = db.execute(
                f"SELECT seq FROM conversations WHERE {which} LIMIT ?",  # noqa: S608
                (*bound, _STEP),
            ).fetchall()
            for (seq,) in rows:
                _delete(db, seq)
            return len(rows)

        gone = 0
        while step := await self._database.write(forget):
            gone += step
        return gone

    async def recent(
        self, tenant: str, user: str | None, before: Place | None, limit: int
    ) -> list[Summary]:
        def recent(db: apsw.Connection) -> list[Summary]:
            rows: list[tuple[Any, ...]] = db.execute(
                "SELECT id, created_at, updated_at, 2 * turns FROM conversations"
                " WHERE tenant = ?1 AND (?2 IS NULL OR user = ?2) AND (updated_at, id) < (?3, ?4)"
                " ORDER BY updated_at DESC, id DESC LIMIT ?5",
                (tenant, user, *(before or _TOP), limit),
            ).fetchall()
            return [Summary(*row) for row in rows]

        return await self._database.read(recent)

    async def count(self) -> int:
        def count(db: apsw.Connection) -> int:
            found: int = db.execute("SELECT count(*) FROM conversations").get
            return found

        return await self._database.read(count)


def _get(db: apsw.Connection, conversation_id: str) -> Conversation | None:
    # One statement, so that the conversation and its turns are of one moment.
    rows: list[tuple[Any, ...]] = db.execute(
        "SELECT tenant, user, created_at, updated_at, body"
        " FROM conversations AS kept LEFT JOIN turns ON conversation = kept.seq"
        " WHERE kept.id = ? ORDER BY turns.seq",
        (conversation_id,),
    ).fetchall()
    if not rows:
        return None
    tenant, user, created_at, updated_at, _ = rows[0]
    return Conversation(
        id=conversation_id,
        owner=Owner(tenant=tenant, user=user),
        created_at=created_at,
        updated_at=updated_at,
        turns=tuple(_turns.decode(body) for *_, body in rows if body is not None),
    )


def _insert(db: apsw.Connection, conversation: Conversation) -> None:
    owner = conversation.owner
    db.execute(
        "INSERT INTO conversations (id, tenant, user, created_at, updated_at, turns, characters)"
        " VALUES (?, ?, ?, ?, ?, 0, 0)",
        (
            conversation.id, owner.tenant, owner.user,
            conversation.created_at, conversation.updated_at,
        ),
    )  # fmt: skip
    seq = db.last_insert_rowid()
    for turn in conversation.turns:
        _put(db, seq, turn, _encoder.encode(turn))


def _put(db: apsw.Connection, seq: int, turn: Turn, body: bytes) -> None:
    """Add a turn; one of the same id is replaced in its place."""
    db.execute(
        "INSERT INTO turns (conversation, id, characters, body) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (conversation, id)"
        " DO UPDATE SET characters = excluded.characters, body = excluded.body",
        (seq, turn.id, turn.characters, body),
    )
    _count(db, seq)


def _count(db: apsw.Connection, seq: int) -> None:
    db.execute(
        "UPDATE conversations SET (turns, characters) ="
        " (SELECT count(*), coalesce(sum(characters), 0) FROM turns WHERE conversation = ?1)"
        " WHERE seq = ?1",
        (seq,),
    )


def _bound(db: apsw.Connection, seq: int) -> None:
    """Let the oldest turns go that are out of bounds; never the newest."""
    # Told by a running total from the newest turn back, which only the few too long ones need.
    full = db.execute(
        "SELECT turns > ? OR characters > ? FROM conversations WHERE seq = ?",
        (MOST_TURNS, MOST_CHARACTERS, seq),
    ).get
    if full:
        db.execute(
            "DELETE FROM turns WHERE seq IN (SELECT seq FROM (SELECT seq,"
            " row_number() OVER newer AS place, sum(characters) OVER newer AS total"
            " FROM turns WHERE conversation = ? WINDOW newer AS (ORDER BY seq DESC))"
            " WHERE place > 1 AND (place > ? OR total > ?))",
            (seq, MOST_TURNS, MOST_CHARACTERS),
        )
        _count(db, seq)


def _forget_oldest(db: apsw.Connection, tenant: str, most: int) -> None:
    """Let a tenant's conversations go that rested for longest, but for the newest so many."""
    rows: list[tuple[Any, ...]] = db.execute(
        "SELECT seq FROM conversations WHERE tenant = ?"
        " ORDER BY updated_at DESC, seq DESC LIMIT -1 OFFSET ?",
        (tenant, most),
    ).fetchall()
    for (seq,) in rows:
        _delete(db, seq)


def _delete(db: apsw.Connection, seq: int) -> None:
    db.execute("DELETE FROM turns WHERE conversation = ?", (seq,))
    db.execute("DELETE FROM conversations WHERE seq = ?", (seq,))
