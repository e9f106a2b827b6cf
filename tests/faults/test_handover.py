"""A gateway that is told to stop hands what it cannot finish to the next one."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from tests.e2e import wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.front import Front
from tests.e2e.servers import Server, open_streams
from tests.faults.callers import Callers
from tests.faults.chance import rng_of
from tests.faults.lives import Lives
from tests.until import PATIENCE_S, until

STREAMS = 1000 if LONG else 150
MODEL = "together/echo?first=0.02&gap=0.01"
# While answers are held back, none of them may be late.
PATIENT = {"TOKEN_TIMEOUT": "3600", "REQUEST_TIMEOUT": "3600"}
FEW = STREAMS // 5
# More often than attempts of one job may be lost.
HANDOVERS = 3
DRAIN_S = 1.5
# Beside the drain's own time: to say goodbye, to hand over callbacks, to close.
SLACK_S = 10.0 if LONG else PATIENCE_S
NOT_READY_S = 0.1 if LONG else 15.0


async def stopped(server: Server) -> tuple[int, float]:
    """The exit code, and the seconds until it was there."""
    began = time.monotonic()
    return await asyncio.to_thread(server.ended), time.monotonic() - began


async def not_ready(lives: Lives, server: Server, since: float) -> float:
    """Seconds from `since` until the process said that it takes nothing new; and it does not."""
    await server.printed("drain_started")
    # A test that is slow finds nobody there any more, which is not ready either.
    with contextlib.suppress(ConnectionError):
        ready = await wire.get(lives.origin, "/health/ready")
        assert (ready.status, ready.json()) == (503, {"status": "draining"})
    (said,) = server.facts("drain_started")
    at: float = datetime.fromisoformat(said["timestamp"]).timestamp()
    return at - since


@pytest.mark.timeout(300 if LONG else 240)
async def test_what_runs_is_finished_by_those_who_follow(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """With live streams, again and again: it is not ready at once, ends in time and well, and
    spends no attempt: a job that is handed over more often than it may fail, and then loses its
    process, is whole in the end."""
    rng = rng_of("handover")
    settings = {"DRAIN_TIMEOUT": str(DRAIN_S), "WORKERS": str(STREAMS), **PATIENT}
    async with (
        Front(provider.origin) as front,
        Lives(tmp_path, front.origin, **settings) as lives,
    ):
        front.gate.clear()
        server = await lives.begin()
        callers = Callers(lives.origin, inbox, Random(rng.random()), MODEL)
        for number in range(STREAMS):
            callers.send(callers.polls if number % 10 == 0 else callers.reads_text)
        for _ in range(HANDOVERS):
            await until(lambda: front.held == STREAMS, lambda: front.held, every_s=0.05)
            began = time.time()
            server.send(signal.SIGTERM)
            after_s = await not_ready(lives, server, began)
            code, took_s = await stopped(server)
            print(f"not ready after {1000 * after_s:.0f} ms, ended after {took_s:.2f} s")
            assert code == 0
            assert took_s < DRAIN_S + SLACK_S
            assert after_s < NOT_READY_S
            await wire.eventually(lambda: open_streams(provider), 0)
            await lives.kill()
            server = await lives.begin()
        await until(lambda: front.held == STREAMS, lambda: front.held, every_s=0.05)
        await lives.kill()
        front.gate.set()
        await lives.begin()
        await callers.served()
        await inbox.arrived(len(callers.owed))
        print(f"{len(callers.accepted)} jobs: {dict(callers.ends)}, attempts {callers.attempts}")
        polled = STREAMS // 10
        assert callers.ends == {
            ("polled", "completed"): polled,
            ("text", "completed"): STREAMS - polled,
        }
        assert inbox.posts == Counter(callers.owed)
        assert min(callers.attempts) > HANDOVERS + 1


async def test_a_second_signal_hands_over_at_once(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """Who asks twice does not wait for the drain, and loses nothing by it."""
    rng = rng_of("second signal")
    settings = {"DRAIN_TIMEOUT": "600", "WORKERS": str(STREAMS), **PATIENT}
    async with (
        Front(provider.origin) as front,
        Lives(tmp_path, front.origin, **settings) as lives,
    ):
        front.gate.clear()
        server = await lives.begin()
        callers = Callers(lives.origin, inbox, Random(rng.random()), MODEL)
        for _ in range(FEW):
            callers.send(callers.reads_text)
        await until(lambda: front.held == FEW, lambda: front.held, every_s=0.05)
        server.send(signal.SIGTERM)
        await server.printed("drain_started")
        server.send(signal.SIGTERM)
        code, took_s = await stopped(server)
        assert code == 0
        assert took_s < SLACK_S
        await lives.kill()
        front.gate.set()
        await lives.begin()
        await callers.served()
        await inbox.arrived(len(callers.owed))
        assert callers.ends == {("text", "completed"): FEW}
        assert set(callers.attempts) == {2}
