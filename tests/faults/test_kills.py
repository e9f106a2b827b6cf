"""The whole gateway is killed at random, again and again, while callers come and receivers fail.

FAULTS=long kills it 200 times; FAULTS_SEED repeats a run.
"""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from tests.e2e.calls import LONG, Inbox
from tests.e2e.servers import Server
from tests.faults.callers import Callers, end_of
from tests.faults.chance import rng_of
from tests.faults.lives import Lives
from tests.until import PATIENCE_S, until

KILLS = 200 if LONG else 6
JOBS_PER_S = 50
# What a receiver does in place of taking a callback, in this share of the cases.
FAILING = 0.2
# A boot takes a second or less, most of it Python's; a machine that is busy needs more.
BOOT_S = 3.0 if LONG else PATIENCE_S
# Sent twice, of all callbacks: the process died between the receiver's answer and its record. Of
# a few hundred, that is as many as chance and the machine make it.
DOUBLED = 0.01 if LONG else 1.0


def failing(rng: Random) -> web.Response | None:
    """What a receiver says that takes a callback, most of the time."""
    if rng.random() >= FAILING:
        return None
    return web.Response(status=rng.choice([500, 502, 503]))


@pytest.mark.timeout(3600 if LONG else 300)
async def test_nothing_accepted_is_lost(provider: Server, inbox: Inbox, tmp_path: Path) -> None:
    """Each job ends once and is whole to whoever waits for it, and each callback comes, never
    again once it is known to have come; every reader who resumes has the same text as if nothing
    had happened."""
    rng = rng_of("kills")
    refusing = Random(rng.random())
    inbox.answers = lambda _: failing(refusing)
    # How often each had been posted when it was known to have come.
    known: dict[str, int] = {}

    def note(server: Server) -> None:
        for said in server.facts("callback_delivered"):
            name = inbox.names[said["delivery_id"]]
            known.setdefault(name, inbox.posts[name])

    settings = {"WORKERS": "100", "CALLBACK_TIMEOUT": "2", "USER_MAX_ACTIVE": "10000"}
    async with Lives(tmp_path, provider.origin, **settings) as lives:
        callers = Callers(lives.origin, inbox, Random(rng.random()))
        for _ in range(KILLS):
            server = await lives.begin()
            await callers.come(JOBS_PER_S, rng.uniform(0.2, 3.0))
            # Whoever else is cut, this one is.
            callers.send(callers.reads_events)
            await until(lambda: callers.midway, every_s=0.01)
            await lives.kill()
            note(server)
        server = await lives.begin()
        await callers.served()
        await lives.idle(server)
        # The lease of a callback that was on its way when the process died: 17 s.
        await inbox.told(callers.owed)
        ends = Counter([(await end_of(lives.origin, job_id)).event for job_id in callers.accepted])
        await lives.kill()
        note(server)
    doubled = sum(count - 1 for count in inbox.posts.values())
    print(f"{len(callers.accepted)} jobs over {KILLS} kills: {dict(ends)}, {dict(callers.ends)}")
    print(f"{callers.resumed} resumed, {len(inbox.posts)} called back, {doubled} of them twice")
    print(f"boots took {min(lives.boots):.2f} to {max(lives.boots):.2f} s")
    assert {name: inbox.posts[name] for name in known} == known
    assert len(known) > KILLS
    assert doubled <= DOUBLED * len(inbox.posts)
    assert len(callers.accepted) > 10 * KILLS
    assert callers.resumed > KILLS // 2
    assert sorted(lives.boots)[len(lives.boots) // 2] < BOOT_S
