"""The list in SQLite: read by its indices, and made for jobs from before there was one."""

import apsw
import pytest

from gateway.history import Filter, Page, entry_of
from gateway.jobs import Job, Owner, State, finish, move
from gateway.messages import Message, Request
from gateway.stores import schema, sqlite_history
from gateway.stores.rows import progress_of, request_of
from tests.stores.conformance import DONE, NOW, STOPPED, new_job
from tests.stores.history_conformance import FAILED


def kept_before(db: apsw.Connection, job: Job) -> None:
    """A job as it was written by the version before there was a list."""
    seq = db.execute("SELECT 1 + coalesce(max(seq), 0) FROM jobs").get
    db.execute(
        "INSERT INTO jobs (seq, id, tenant, user, door, created_at, state, attempt, failures, lost,"
        " claimed_at, finished_at, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            seq, job.id, job.owner.tenant, job.owner.user, job.door, job.created_at,
            *progress_of(job),
        ),
    )  # fmt: skip
    db.execute("INSERT INTO requests (seq, body) VALUES (?, ?)", (seq, request_of(job)))


@pytest.fixture
def db() -> apsw.Connection:
    """A database of the version before."""
    db = apsw.Connection(":memory:")
    for migration in schema.MIGRATIONS[:2]:
        db.execute(migration)
    db.pragma("user_version", 2)
    return db


def test_older_jobs_are_listed_too(db: apsw.Connection) -> None:
    """With their questions, models, tokens and errors, as if they were of today."""
    parts = [{"type": "text", "text": "What is this?"}]
    turns = [("system", "Be kind."), ("user", "First."), ("user", 'Is "é" 👋 right?')]
    asked = [
        Request(messages=tuple(Message(role=r, content=c) for r, c in turns), model="m"),
        Request(messages=(Message(role="user", content=parts),), model="m"),
        Request(messages=(Message(role="user", content="x" * 5000),), model="m"),
    ]
    jobs = [new_job(created_at=NOW + at, request=request) for at, request in enumerate(asked)]
    for at, outcome in enumerate((DONE, FAILED, STOPPED), start=3):
        running = move(new_job(created_at=NOW + at, request=asked[0]), State.PROCESSING, NOW + 10)
        jobs.append(finish(running, outcome, NOW + 20))
    for job in jobs:
        kept_before(db, job)
    schema.migrate(db)
    assert schema.version(db) == len(schema.MIGRATIONS)
    found = sqlite_history.page(db, Filter(), None, 100)
    assert found == Page([entry_of(job) for job in reversed(jobs)], None)


FILTERS = [
    Filter(),
    Filter(tenant="acme"),
    Filter(tenant="acme", user="ann"),
    Filter(user="ann"),
    Filter(state=State.COMPLETED),
    Filter(state=State.ERROR),
    Filter(since=NOW, until=NOW + 9),
    Filter(tenant="acme", since=NOW, text="why"),
]


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("paged", [False, True])
def test_a_page_is_read_from_its_place_on(db: apsw.Connection, wanted: Filter, paged: bool) -> None:
    """Whatever is asked for, an index leads to it in its order: nothing is read to be sorted."""
    schema.migrate(db)
    plans: list[str] = []

    def explain(cursor: apsw.Cursor, sql: str, bound: object) -> bool:
        if not sql.startswith("EXPLAIN"):
            rows = db.execute(f"EXPLAIN QUERY PLAN {sql}", bound)  # type: ignore[arg-type]
            plans.extend(str(row[3]) for row in rows)
        return True

    db.exec_trace = explain
    before = entry_of(new_job(owner=Owner(tenant="acme"))).place if paged else None
    sqlite_history.page(db, wanted, before, 10)
    assert "USING INDEX jobs_" in plans[0]
    assert plans[-1] in (plans[1], "USE TEMP B-TREE FOR LAST TERM OF ORDER BY")
    assert plans[1].startswith("SEARCH entries USING INTEGER PRIMARY KEY")
