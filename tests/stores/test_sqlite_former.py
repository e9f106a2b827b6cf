"""Whose pruned jobs were is known of the latest alone."""

from contextlib import closing

import apsw

from gateway.jobs import Owner
from gateway.stores import MOST_FORMER, sqlite_former

ANN = Owner(tenant="acme", user="ann")


def test_the_oldest_are_forgotten_for_good() -> None:
    """However many come at once, and however often."""
    with closing(apsw.Connection(":memory:")) as db:
        db.execute(sqlite_former.FORMER)
        sqlite_former.add(db, [("first", ANN), ("second", ANN)])
        sqlite_former.add(db, [(str(number), ANN) for number in range(MOST_FORMER - 1)])
        found = [sqlite_former.owner_of(db, job_id) for job_id in ("first", "second", "0")]
        assert found == [None, ANN, ANN]
        sqlite_former.add(db, [])
        assert db.execute("SELECT count(*) FROM former").get == MOST_FORMER
