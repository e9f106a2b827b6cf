"""A request that is sent again and again, at once and across the deaths of the process: one job."""

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.e2e import calls, wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.servers import CODE, Server
from tests.faults.chance import rng_of
from tests.faults.lives import Lives
from tests.until import until

ROUNDS = 30 if LONG else 2
REPEATS = 100
MODEL = "together/echo?first=0&gap=0"


async def repeated(lives: Lives, request: bytes, wait_s: float) -> wire.Answer:
    """The answer to a request, sent until there is one."""
    await asyncio.sleep(wait_s)
    while True:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            answer = await wire.exchange(lives.origin, request)
            if answer.status != 503:
                return answer
        await asyncio.sleep(0.02)


async def across_a_kill(lives: Lives, request: bytes, rng: Random) -> set[str]:
    """The jobs that a hundred repeats are told of, before and after the process dies."""
    await lives.begin()
    repeats = [
        asyncio.create_task(repeated(lives, request, rng.uniform(0, 0.05))) for _ in range(REPEATS)
    ]
    before = rng.randrange(REPEATS // 2)
    await until(lambda: sum(repeat.done() for repeat in repeats) >= before, every_s=0.001)
    await lives.kill()
    await lives.begin()
    answers = await asyncio.gather(*repeats)
    assert {answer.status for answer in answers} <= {200, 201}, answers
    return {answer.headers["x-request-id"] for answer in answers}


def stored(lives: Lives, copy: Path) -> int:
    """How many jobs the file has. A copy of it is opened: a reader without the layer that writes
    the checksums would carry the log of the killed process into the file without them."""
    shutil.copytree(lives.folder, copy)
    with contextlib.closing(sqlite3.connect(copy / "gateway.db")) as db:
        count: int = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
    return count


def requests(inbox: Inbox, number: int, origin: str) -> dict[str, bytes]:
    """The same question at the doors that make a job of it."""
    key = {"Idempotency-Key": f"key {number}"}
    queued: dict[str, Any] = {
        "app_code": CODE, "request_type": "ask", "request": "hi", "model": MODEL,
        "callback_url": f"{inbox.origin}/queued{number}",
    }  # fmt: skip
    asked = {"app_code": CODE, "prompt": "hi", "mode": "chat", "model": MODEL}
    # What n8n repeats has no key: its address to resume at is one.
    resumed = calls.asking(MODEL, "hi", f"{inbox.origin}/resumed{number}")
    return {
        "queued": wire.posting(origin, "/ai_request", queued, **key),
        "asked": wire.posting(origin, "/assistant/request", asked, **key),
        "resumed": wire.posting(origin, "/init-stream", resumed),
    }


@pytest.mark.timeout(900 if LONG else 240)
@pytest.mark.parametrize("door", ["queued", "asked", "resumed"])
async def test_repeats_are_one_job(
    provider: Server, inbox: Inbox, tmp_path: Path, door: str
) -> None:
    """A hundred at once, some answered before the process dies and some after: one id, one row,
    and the callback comes."""
    rng = rng_of(f"repeats {door}")
    async with Lives(tmp_path, provider.origin, CALLBACK_TIMEOUT="1") as lives:
        for number in range(ROUNDS):
            request = requests(inbox, number, lives.origin)[door]
            told = await across_a_kill(lives, request, rng)
            assert len(told) == 1, f"round {number}: {told}"
            await lives.kill()
            assert stored(lives, tmp_path / str(number)) == number + 1
        if door != "asked":
            await lives.begin()
            # What was on its way when a process died is sent again when its lease is over.
            await inbox.arrived(ROUNDS)
