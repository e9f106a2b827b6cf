"""The sums of what ended jobs took, in SQLite: a row for each day, app, user and model.

They are kept when the jobs themselves are forgotten.
"""

import apsw

from gateway.jobs import Job, Owner
from gateway.spending import Account, By, Spent, spent_by

USAGE = """
CREATE TABLE usage (
    day TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    model TEXT NOT NULL,
    jobs INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, user, model)
) STRICT, WITHOUT ROWID
"""

_ADD = """
INSERT INTO usage (day, tenant, user, model, jobs, prompt_tokens, completion_tokens, cost)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs,
        prompt_tokens = prompt_tokens + excluded.prompt_tokens,
        completion_tokens = completion_tokens + excluded.completion_tokens,
        cost = cost + excluded.cost
"""
# What is summed by, and the app where that is a user.
_KEYS: dict[By, str] = {
    "app": "tenant, ''",
    "user": "user, tenant",
    "model": "model, ''",
    "day": "day, ''",
}


def add(db: apsw.Connection, account: Account, job: Job) -> None:
    """Add an ended job to these sums."""
    took = spent_by(job)
    tokens = (took.prompt_tokens, took.completion_tokens)
    db.execute(_ADD, (*account, took.jobs, *tokens, took.cost))


def spent(db: apsw.Connection, by: By, since: str, until: str) -> list[Spent]:
    """The sums of the days from `since` on and before `until`, the dearest first."""
    rows = db.execute(
        f"SELECT {_KEYS[by]}, sum(jobs), sum(prompt_tokens), sum(completion_tokens), sum(cost)"  # noqa: S608
        " FROM usage WHERE day >= ? AND day < ? GROUP BY 1, 2 ORDER BY 6 DESC, 1, 2",
        (since, until),
    )
    return [
        Spent(
            key=key,
            app=app,
            jobs=jobs,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost=cost,
        )
        for key, app, jobs, prompt_tokens, completion_tokens, cost in rows
    ]


def prune(db: apsw.Connection, first: str) -> None:
    """Forget the days before `first`."""
    db.execute("DELETE FROM usage WHERE day < ?", (first,))


def disown(db: apsw.Connection, owner: Owner) -> None:
    """Let what a user took be that of the app, and of nobody."""
    rows = db.execute(
        "DELETE FROM usage WHERE tenant = ? AND user = ?"
        " RETURNING day, tenant, '', model, jobs, prompt_tokens, completion_tokens, cost",
        (owner.tenant, owner.user or ""),
    ).fetchall()
    db.executemany(_ADD, rows)
