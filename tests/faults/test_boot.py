"""What ten thousand open jobs cost the next process, and in which order they go on."""

import asyncio
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from gateway.events import Delta, Started
from gateway.jobs import Job, OnFailure, Owner, new_job_id
from gateway.log import Cursor
from gateway.messages import Message, Request
from gateway.stores import Batch
from gateway.stores.database import Database
from gateway.stores.sqlite import SqliteStore
from tests.e2e import wire
from tests.e2e.calls import LONG
from tests.e2e.servers import CODE, Server, counters
from tests.faults.chance import rng_of
from tests.faults.lives import Lives
from tests.until import PATIENCE_S

JOBS = 10_000
# The process that died was running so many of them; of those, so many must not begin anew.
RUNNING = 1_000
OVER = 100
LOOKS = 200
BOOT_S = 3.0 if LONG else PATIENCE_S
# A step of priority is worth so many jobs of the same app.
_HANDICAP = 10


class Left(NamedTuple):
    """What an earlier process left: jobs in the order in which they are to go on, and others."""

    waiting: list[str]
    over: list[str]


async def leave_behind(folder: Path, rng: Random) -> Left:
    """Have a store in the folder as a process leaves it that is killed at work."""
    now = time.time()
    running = rng.sample(range(JOBS), RUNNING)
    over = set(running[:OVER])
    jobs = [
        _job(now, rng, OnFailure.ERROR if n in over else OnFailure.RESTART) for n in range(JOBS)
    ]
    store = SqliteStore(Database(folder))
    await store.start()
    await asyncio.gather(*(store.insert(job, None) for job in jobs))
    await asyncio.gather(*(store.claim(jobs[n].id, now) for n in running))
    said = [Started(), Delta(text="some of it")]
    await store.append([Batch(jobs[n].id, Cursor(1, 1), said) for n in running])
    await store.stop()
    order = sorted(
        (n + _HANDICAP * job.priority, n, job.id) for n, job in enumerate(jobs) if n not in over
    )
    return Left([job_id for _, _, job_id in order], [jobs[n].id for n in over])


def _job(now: float, rng: Random, on_failure: OnFailure) -> Job:
    messages = (Message(role="user", content="hi"),)
    return Job(
        id=new_job_id(now, lambda: str(UUID(int=rng.getrandbits(128), version=4))),
        owner=Owner(tenant="e2e"),
        door="ai_request",
        request=Request(messages=messages, model="together/echo?stall=0"),
        created_at=now,
        expires_at=now + 900,
        priority=rng.choice([2, 5, 9]),
        on_failure=on_failure,
    )


async def test_ten_thousand_open_jobs_go_on_in_order(provider: Server, tmp_path: Path) -> None:
    """The process is soon there, and each job has the place that it would have had."""
    rng = rng_of("boot")
    left = await leave_behind(tmp_path / "data", rng)
    settings = {"WORKERS": "1", "QUEUE_MAX_SIZE": str(2 * JOBS)}
    async with Lives(tmp_path, provider.origin, **settings) as lives:
        server = await lives.begin()
        newcomer = await ask_last(lives.origin)
        print(f"{JOBS} open jobs: ready after {lives.boots[0]:.2f} s")

        async def look(job_id: str) -> Any:
            return (await wire.get(lives.origin, f"/get_request/{job_id}")).json()

        # The one worker has one of them, which never ends; the newcomer waits too.
        await wire.eventually(lambda: counters(server), (len(left.waiting), 1))
        # What is over has given its turns back, and the newcomer has these.
        last = len(left.waiting) - OVER
        place = (await look(newcomer)).get("position", 0)
        assert place >= last, f"what came when it listened has place {place}"
        places = [0, *sorted(rng.sample(range(1, last), LOOKS))]
        found = [(await look(left.waiting[place])).get("position", 0) for place in places]
        assert found == places, "what waits is out of order"
        for job_id in left.over:
            said = await look(job_id)
            assert said.get("error_code") == "AI_SERVICE_ERROR", f"it was to be over: {said}"
        assert lives.boots[0] < BOOT_S


async def ask_last(origin: str) -> str:
    """The id of a new job, which comes when the process listens and has the lowest priority."""
    asked = {
        "app_code": CODE, "request_type": "ask", "request": "hi", "priority": 9,
        "model": "together/echo?stall=0",
    }  # fmt: skip
    answer = await wire.post(origin, "/ai_request", asked)
    assert answer.status == 200, answer
    job_id: str = answer.json()["request_id"]
    return job_id
