"""A store in one SQLite file: what it acknowledged survives the process and the power."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any

import apsw

from gateway import jobs, webhooks
from gateway.errors import Conflict, StoreUnavailable
from gateway.events import Usage
from gateway.history import Filter, Page, Place
from gateway.jobs import Job, Outcome, Owner, State
from gateway.log import EventLog
from gateway.outbox import Backlog
from gateway.spending import By, Spent
from gateway.stores import Batch, sqlite_former, sqlite_history, sqlite_usage
from gateway.stores.database import Database
from gateway.stores.rows import (
    DELIVERY,
    JOB,
    Columns,
    delivery_columns,
    delivery_from,
    events_from,
    job_from,
    lines_of,
    progress_of,
    request_of,
)
from gateway.stores.usage import Crowd, first_kept
from gateway.webhooks import Delivery, DeliveryState

# Jobs forgotten in one transaction: others do not wait long behind it.
_STEP = 100

_FROM_JOBS = f"SELECT {JOB} FROM jobs JOIN requests USING (seq)"  # noqa: S608
_DELIVERY = "deliveries.state, next_at, callback, deliveries.body"
_FROM_DELIVERIES = f"SELECT {DELIVERY} FROM deliveries"  # noqa: S608


class SqliteStore:
    """Rows. Each change is one step of the database's writer, which is what makes it atomic."""

    durable = True

    def __init__(self, database: Database) -> None:
        """Keep everything in `database`, which lives from `start` to `stop`."""
        self._database = database
        self._crowd = Crowd()

    async def start(self) -> None:
        """Open the database.

        Raises:
            StoreUnusable: the gateway cannot start on that file; the text says why.
            OSError: the folder cannot be used.
        """
        await self._database.start()

    async def stop(self) -> None:
        await self._database.stop()

    # -- accepting ----------------------------------------------------------------------------

    async def insert(self, job: Job, delivery: Delivery | None) -> Job:
        asked = request_of(job)

        def insert(db: apsw.Connection) -> Job:
            held = _held(db, job.idempotency_key)
            if held is None:
                self._database.ballast.require_room()
                _insert(db, job, asked, delivery)
                return job
            if held.fingerprint != job.fingerprint:
                raise Conflict
            return held

        return await self._database.write(insert)

    async def find(self, idempotency_key: str) -> Job | None:
        return await self._database.read(partial(_held, key=idempotency_key))

    # -- running ------------------------------------------------------------------------------

    async def claim(self, job_id: str, now: float) -> Job | None:
        def claim(db: apsw.Connection) -> Job | None:
            job = _get(db, job_id)
            if job is None or job.state is not State.QUEUED:
                return None
            return _save(db, jobs.move(job, State.PROCESSING, now))

        return await self._database.write(claim)

    async def requeue(self, job_id: str, *, spent: bool, lost: Usage | None) -> Job | None:
        def requeue(db: apsw.Connection) -> Job | None:
            job = _get(db, job_id)
            if job is None or job.state is not State.PROCESSING:
                return None
            return _save(db, jobs.requeue(job, spent=spent, lost=lost))

        return await self._database.write(requeue)

    async def append(self, batches: Sequence[Batch]) -> None:
        rows = [(batch.first.attempt, lines_of(batch), batch.job_id) for batch in batches]

        def append(db: apsw.Connection) -> None:
            db.executemany(
                "INSERT INTO events (job, attempt, body)"
                " SELECT seq, ?, ? FROM jobs WHERE id = ? AND finished_at IS NULL",
                rows,
            )

        await self._database.write(append)

    async def finish(
        self, job_id: str, outcome: Outcome, rest: Batch, now: float, body: bytes | None
    ) -> Job | None:
        lines = lines_of(rest)

        def finish(db: apsw.Connection) -> Job | None:
            job = _get(db, job_id)
            if job is None or job.state.final:
                return None
            ended = _save(db, jobs.finish(job, outcome, now))
            sqlite_usage.add(db, self._crowd.account(ended), ended)
            seq = db.execute("SELECT seq FROM jobs WHERE id = ?", (job_id,)).get
            db.execute(
                "INSERT INTO events (job, attempt, body) VALUES (?, ?, ?)",
                (seq, rest.first.attempt, lines),
            )
            db.execute(
                "UPDATE deliveries SET state = ?, callback = ?, next_at = ? WHERE seq = ?",
                (DeliveryState.PENDING.value, body, now, seq),
            )
            sqlite_history.finish(db, seq, ended)
            return ended

        return await self._database.write(finish)

    # -- looking ------------------------------------------------------------------------------

    async def get(self, job_id: str) -> Job | None:
        return await self._database.read(partial(_get, job_id=job_id))

    async def log(self, job_id: str) -> EventLog | None:
        return await self._database.read(partial(_log, job_id=job_id))

    async def unfinished(self) -> list[Job]:
        return await self._database.read(_unfinished)

    # -- sums ---------------------------------------------------------------------------------

    async def spent(self, by: By, since: str, until: str) -> list[Spent]:
        def spent(db: apsw.Connection) -> list[Spent]:
            return sqlite_usage.spent(db, by, since, until)

        return await self._database.read(spent)

    async def disown(self, owner: Owner) -> None:
        def disown(db: apsw.Connection) -> None:
            sqlite_usage.disown(db, owner)
            sqlite_former.disown(db, owner)

        await self._database.write(disown)

    # -- callbacks ----------------------------------------------------------------------------

    async def due(self, now: float, limit: int) -> list[Delivery]:
        def due(db: apsw.Connection) -> list[Delivery]:
            rows = db.execute(
                f"{_FROM_DELIVERIES} WHERE state = 'pending' AND next_at <= ?"
                " ORDER BY next_at LIMIT ?",
                (now, limit),
            )
            return [delivery_from(row) for row in rows]

        return await self._database.read(due)

    async def record(self, delivery: Delivery) -> bool:
        columns = delivery_columns(delivery)

        def record(db: apsw.Connection) -> bool:
            _record(db, delivery.job_id, columns)
            return db.changes() > 0

        return await self._database.write(record)

    async def replay(self, job_id: str, now: float, lifetime_s: float) -> Delivery | None:
        def replay(db: apsw.Connection) -> Delivery | None:
            found = _delivery(db, job_id)
            if found is None:
                return None
            again = webhooks.replay(found, now, lifetime_s)
            _record(db, job_id, delivery_columns(again))
            return again

        return await self._database.write(replay)

    async def delivery(self, job_id: str) -> Delivery | None:
        return await self._database.read(partial(_delivery, job_id=job_id))

    async def deliveries(
        self,
        *,
        tenant: str | None,
        state: DeliveryState | None,
        before: Place | None,
        limit: int,
    ) -> list[Delivery]:
        top = before or Place(inf, "")
        # The one state that is rare has an index of its own, for which the word must stand there.
        rare = " AND deliveries.state = 'dead'" if state is DeliveryState.DEAD else ""

        def deliveries(db: apsw.Connection) -> list[Delivery]:
            rows = db.execute(
                f"SELECT {_DELIVERY} FROM deliveries JOIN jobs USING (seq)"  # noqa: S608
                " WHERE (deliveries.created_at, id) < (?1, ?2)"
                " AND (?3 IS NULL OR deliveries.tenant = ?3)"
                f" AND (?4 IS NULL OR deliveries.state = ?4){rare}"
                " ORDER BY deliveries.created_at DESC, id DESC LIMIT ?5",
                (*top, tenant, state and state.value, limit),
            )
            return [delivery_from(row) for row in rows]

        return await self._database.read(deliveries)

    async def backlog(self) -> Backlog:
        return await self._database.read(_backlog)

    # -- the list -----------------------------------------------------------------------------

    async def history(self, wanted: Filter, before: Place | None, limit: int) -> Page:
        return await self._database.read(
            partial(sqlite_history.page, wanted=wanted, before=before, limit=limit)
        )

    # -- forgetting ---------------------------------------------------------------------------

    async def forget(self, job_ids: Sequence[str]) -> list[str]:
        gone: list[str] = []
        for at in range(0, len(job_ids), _STEP):
            step = partial(_forget, job_ids=job_ids[at : at + _STEP])
            gone += await self._database.write(step)
        return gone

    async def prune(self, before: float, dead_before: float) -> list[tuple[str, Owner]]:
        """As the protocol says, in several steps, each of which is atomic by itself.

        Raises:
            StoreUnavailable: before the first step. A later one that fails is made up for by
                the next call.
        """
        prune = partial(_prune, before=before, dead_before=dead_before)
        gone = await self._database.write(prune)
        step = gone
        with suppress(StoreUnavailable):
            while len(step) == _STEP:
                step = await self._database.write(prune)
                gone = gone + step
        return gone

    async def former(self, job_id: str) -> Owner | None:
        return await self._database.read(partial(sqlite_former.owner_of, job_id=job_id))


def _get(db: apsw.Connection, job_id: str) -> Job | None:
    return _first(db, f"{_FROM_JOBS} WHERE id = ?", job_id)


def _held(db: apsw.Connection, key: str | None) -> Job | None:
    return None if key is None else _first(db, f"{_FROM_JOBS} WHERE idempotency_key = ?", key)


def _first(db: apsw.Connection, sql: str, *bound: Any) -> Job | None:
    row = db.execute(sql, bound).fetchone()
    return None if row is None else job_from(row)


def _unfinished(db: apsw.Connection) -> list[Job]:
    rows = db.execute(f"{_FROM_JOBS} WHERE finished_at IS NULL ORDER BY jobs.seq")
    return [job_from(row) for row in rows]


def _log(db: apsw.Connection, job_id: str) -> EventLog | None:
    # One statement, so that the job and its events are of one moment.
    rows: list[Columns] = db.execute(
        "SELECT events.attempt, body FROM jobs LEFT JOIN events ON job = jobs.seq"
        " WHERE id = ? ORDER BY events.seq",
        (job_id,),
    ).fetchall()
    log = EventLog()
    for attempt, lines in rows:
        if lines is not None:
            log.extend(attempt, events_from(lines))
    return log if rows else None


def _insert(db: apsw.Connection, job: Job, asked: bytes, delivery: Delivery | None) -> None:
    owner = job.owner
    db.execute(
        "INSERT INTO jobs (id, tenant, user, door, created_at, idempotency_key,"
        " state, attempt, failures, lost, claimed_at, finished_at, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.id, owner.tenant, owner.user, job.door, job.created_at, job.idempotency_key,
            *progress_of(job),
        ),
    )  # fmt: skip
    seq = db.last_insert_rowid()
    db.execute("INSERT INTO requests (seq, body) VALUES (?, ?)", (seq, asked))
    sqlite_history.insert(db, seq, job)
    if delivery is not None:
        db.execute(
            f"INSERT INTO deliveries (seq, tenant, created_at, {DELIVERY})"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seq, delivery.tenant, delivery.created_at, *delivery_columns(delivery)),
        )


def _save(db: apsw.Connection, job: Job) -> Job:
    db.execute(
        "UPDATE jobs SET state = ?, attempt = ?, failures = ?, lost = ?, claimed_at = ?,"
        " finished_at = ?, outcome = ? WHERE id = ?",
        (*progress_of(job), job.id),
    )
    return job


def _delivery(db: apsw.Connection, job_id: str) -> Delivery | None:
    row = db.execute(
        f"{_FROM_DELIVERIES} WHERE seq = (SELECT seq FROM jobs WHERE id = ?)",  # noqa: S608
        (job_id,),
    ).fetchone()
    return None if row is None else delivery_from(row)


def _record(db: apsw.Connection, job_id: str, columns: Columns) -> None:
    db.execute(
        f"UPDATE deliveries SET ({DELIVERY}) = (?, ?, ?, ?)"  # noqa: S608
        " WHERE seq = (SELECT seq FROM jobs WHERE id = ?)",
        (*columns, job_id),
    )


def _backlog(db: apsw.Connection) -> Backlog:
    row: Columns = db.execute(
        "SELECT count(*), min(created_at),"
        " (SELECT count(*) FROM deliveries WHERE state = 'dead')"
        " FROM deliveries WHERE state = 'pending'"
    ).fetchall()[0]
    return Backlog(*row)


def _forget(db: apsw.Connection, job_ids: Sequence[str]) -> list[str]:
    rows: list[Columns] = [
        row
        for job_id in job_ids
        for row in db.execute(
            "SELECT seq, id FROM jobs WHERE id = ? AND finished_at IS NOT NULL", (job_id,)
        )
    ]
    _delete(db, [seq for seq, _ in rows])
    return [job_id for _, job_id in rows]


def _prune(db: apsw.Connection, before: float, dead_before: float) -> list[tuple[str, Owner]]:
    rows: list[Columns] = db.execute(
        "SELECT jobs.seq, id, jobs.tenant, user FROM jobs LEFT JOIN deliveries USING (seq)"
        " WHERE finished_at < ?1 AND deliveries.state IS NOT 'pending'"
        " AND (deliveries.state IS NOT 'dead' OR finished_at < ?2)"
        " ORDER BY finished_at LIMIT ?3",
        (before, dead_before, _STEP),
    ).fetchall()
    _delete(db, [seq for seq, *_ in rows])
    sqlite_usage.prune(db, first_kept(before))
    gone = [(job_id, Owner(tenant=tenant, user=user)) for _, job_id, tenant, user in rows]
    sqlite_former.add(db, gone)
    return gone


def _delete(db: apsw.Connection, seqs: Sequence[int]) -> None:
    """Delete jobs with all that belongs to them."""
    bound = [(seq,) for seq in seqs]
    db.executemany("DELETE FROM events WHERE job = ?", bound)
    for table in ("entries", "deliveries", "requests", "jobs"):
        db.executemany(f"DELETE FROM {table} WHERE seq = ?", bound)  # noqa: S608
