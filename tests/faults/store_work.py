"""What a store is asked for while it fails, and what must be there afterwards.

As a program, it works in the folder that it is given until it is killed, and prints what was
acknowledged: a job's number and a letter for each step.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from gateway.events import Completed, Delta, Started
from gateway.jobs import Job, Outcome, Owner, State, new_job_id
from gateway.log import Cursor
from gateway.messages import Message, Request
from gateway.stores import Batch
from gateway.stores.ballast import Ballast
from gateway.stores.database import Database
from gateway.stores.sqlite import SqliteStore
from gateway.webhooks import Delivery

NOW = 1_795_214_640.0
CALLERS = 16
# How far a job came: accepted, claimed, half its answer, its end.
STEPS = "icah"
ANSWER = "What was said 👋 "

# Told of each acknowledged step: the job's number, and the step.
Told = Callable[[int, str], None]


def store_in(
    folder: Path, *, vfs: str | None = None, ballast: Ballast | None = None
) -> SqliteStore:
    ballast = ballast or Ballast(folder / "ballast", 4096)
    return SqliteStore(Database(folder, ballast=ballast, vfs=vfs))


def job_of(number: int) -> Job:
    return Job(
        id=new_job_id(NOW, lambda: str(UUID(int=number, version=4))),
        owner=Owner(tenant="acme"),
        door="ask",
        request=Request(messages=(Message(role="user", content="x" * (number % 5000)),), model="m"),
        created_at=NOW,
        expires_at=NOW + 900,
        idempotency_key=f"acme:{number}",
        fingerprint="f",
    )


def delivery_of(job: Job) -> Delivery:
    return Delivery(
        id=f"msg_{job.id}", job_id=job.id, tenant="acme", url="https://a.example/",
        created_at=NOW, deadline=NOW + 1,
    )  # fmt: skip


async def one(store: SqliteStore, number: int, told: Told) -> None:
    """One job from its door to its end."""
    job = job_of(number)
    await store.insert(job, delivery_of(job))
    told(number, "i")
    await store.claim(job.id, NOW)
    told(number, "c")
    await store.append([Batch(job.id, Cursor(1, 1), [Started(), Delta(text=ANSWER)])])
    told(number, "a")
    rest = Batch(job.id, Cursor(1, 3), [Delta(text=str(number)), Completed()])
    done = Outcome(terminal=Completed(), answer=f"{ANSWER}{number}")
    await store.finish(job.id, done, rest, NOW, str(number).encode())
    told(number, "h")


async def work(store: SqliteStore, first: int, count: int, told: Told) -> None:
    """So many jobs, some at a time."""
    numbers = iter(range(first, first + count))

    async def caller() -> None:
        for number in numbers:
            await one(store, number, told)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def check(store: SqliteStore, acknowledged: dict[int, str]) -> list[str]:
    """Every promise that the store has broken, as a sentence."""
    broken = []
    owed = await store.deliveries(tenant=None, state=None, before=None, limit=100_000)
    bodies = {delivery.job_id: delivery.body for delivery in owed}
    for number, step in acknowledged.items():
        wanted = job_of(number)
        job = await store.get(wanted.id)
        log = await store.log(wanted.id)
        if job is None or log is None or await store.find(f"acme:{number}") != job:
            broken.append(f"{number} was accepted, and is gone")
            continue
        reached = STEPS.index(step)
        if job.request != wanted.request or wanted.id not in bodies:
            broken.append(f"{number} is not what was asked")
        if job.attempt < min(reached, 1):
            broken.append(f"{number} was claimed, and is {job.state}")
        events = [Started(), Delta(text=ANSWER), Delta(text=str(number)), Completed()]
        if log.events != events[: len(log)] or len(log) < (0, 0, 2, 4)[reached]:
            broken.append(f"{number} reached {step}, and its log is {log.events}")
        ended = job.state is State.COMPLETED
        if ended != log.closed or ended != (bodies[wanted.id] == str(number).encode()):
            broken.append(f"{number} has ended in part")
    return broken


async def main(folder: Path, first: int) -> None:
    """Work until killed."""

    def say(number: int, step: str) -> None:
        sys.stdout.write(f"{number} {step}\n")
        sys.stdout.flush()

    store = store_in(folder)
    await store.start()
    await work(store, first, 1_000_000, say)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
