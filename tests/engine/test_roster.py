"""The jobs that have not ended: by id, by owner, so many of each, and all gone."""

import asyncio

import pytest
from msgspec.structs import replace

from gateway.engine.roster import Roster
from gateway.errors import RateLimited
from gateway.jobs import Owner, State
from tests.stores.conformance import new_job


async def test_it_knows_who_is_here() -> None:
    """By their ids, in their newest version; nobody stays behind, and no owner does."""
    roster = Roster()
    mine, his = new_job(owner=Owner(tenant="acme")), new_job(owner=Owner(tenant="acme", user="bo"))
    for job in (mine, his):
        roster.enter(job)
    running = replace(mine, state=State.PROCESSING)
    roster.update(running)
    assert dict(roster) == {mine.id: running, his.id: his}
    assert (mine.id in roster, "nobody" in roster, roster.get("nobody")) == (True, False, None)
    roster.leave(running)
    assert (list(roster), len(roster)) == ([his.id], 1)
    roster.leave(his)
    assert (len(roster), len(roster._of)) == (0, 0)


async def test_an_owner_has_no_more_than_it_may() -> None:
    """One that is expected counts like one that is here, and once where it enters."""
    roster, mine = Roster(), new_job(owner=Owner(tenant="acme", user="ann"))
    with roster.expecting(mine.owner, 1):
        with pytest.raises(RateLimited), roster.expecting(mine.owner, 1):
            pass
        roster.enter(mine)
    with pytest.raises(RateLimited), roster.expecting(mine.owner, 1):
        pass
    with roster.expecting(mine.owner, 2):
        roster.leave(mine)
    assert not roster._of


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
