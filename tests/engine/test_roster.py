"""The jobs that have not ended: by id, by owner, and all gone."""

import asyncio

from msgspec.structs import replace

from gateway.engine.roster import Roster
from gateway.jobs import Owner, State
from tests.stores.conformance import new_job


async def test_it_knows_who_is_here() -> None:
    """By their ids, in their newest version, and counted for each owner; nobody stays behind."""
    roster = Roster()
    mine, his = new_job(owner=Owner(tenant="acme")), new_job(owner=Owner(tenant="acme", user="bo"))
    for job in (mine, his):
        roster.enter(job)
    running = replace(mine, state=State.PROCESSING)
    roster.update(running)
    assert dict(roster) == {mine.id: running, his.id: his}
    assert (mine.id in roster, "nobody" in roster, roster.get("nobody")) == (True, False, None)
    assert [roster.owned(job.owner) for job in (mine, his)] == [1, 1]
    roster.leave(running)
    assert (list(roster), roster.owned(mine.owner), roster.owners) == ([his.id], 0, 1)
    roster.leave(his)
    assert (len(roster), roster.owners) == (0, 0)


async def test_the_last_to_leave_is_waited_for() -> None:
    """Also where another comes meanwhile; an empty one is not waited for."""
    roster = Roster()
    await roster.emptied()
    first, second = new_job(), new_job()
    roster.enter(first)
    emptied = asyncio.create_task(roster.emptied())
    await asyncio.sleep(0)
    roster.leave(first)
    roster.enter(second)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not emptied.done()
    roster.leave(second)
    await emptied
