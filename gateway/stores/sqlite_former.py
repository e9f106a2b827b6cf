"""Whose the jobs were that have been pruned of late, in SQLite: their owners are told so."""

from collections.abc import Sequence

import apsw

from gateway.jobs import Owner
from gateway.stores import MOST_FORMER

FORMER = """
CREATE TABLE former (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT
) STRICT
"""


def add(db: apsw.Connection, gone: Sequence[tuple[str, Owner]]) -> None:
    """Keep whose these were, and of all only the latest."""
    db.executemany(
        "INSERT INTO former (id, tenant, user) VALUES (?, ?, ?)",
        [(job_id, owner.tenant, owner.user) for job_id, owner in gone],
    )
    db.execute("DELETE FROM former WHERE seq <= (SELECT max(seq) FROM former) - ?", (MOST_FORMER,))


def owner_of(db: apsw.Connection, job_id: str) -> Owner | None:
    """Whose it was; None if that is not known."""
    rows = db.execute("SELECT tenant, user FROM former WHERE id = ?", (job_id,))
    row = rows.fetchone()
    return None if row is None else Owner(tenant=row[0], user=row[1])


def disown(db: apsw.Connection, owner: Owner) -> None:
    """Keep nothing of a user's."""
    db.execute("DELETE FROM former WHERE tenant = ? AND user IS ?", (owner.tenant, owner.user))
