"""Whose callback is good is called soon, whatever becomes of others; on virtual time."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple, TypeVar

import pytest
import structlog

from gateway.destinations import Destination, Policy
from gateway.engine.clock import SteadyClock
from gateway.engine.notifier import Notifier
from gateway.engine.observer import Observers
from gateway.webhooks import STEPS_S, Answer, Delivery, Silence
from tests.engine.house import WatchedStore
from tests.engine.virtual_clock import jumping

ORIGIN = "https://n8n.example.com"
SOON_S = 5.0
# What a line at a receiver may cost.
LINE_S = 2.1
TAKEN = Answer(status=200)
T = TypeVar("T")


class World:
    """Receivers that behave by their URLs, and a notifier that calls them.

    Attributes:
        called: when each URL was called, and when that call was over.
        behave: what a URL answers, and after how many seconds.
    """

    timeout_s = 15.0

    def __init__(self, behave: Callable[[str], tuple[float, Answer | Silence]]) -> None:
        self.called: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self.behave = behave
        self.store = WatchedStore()
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self._count = 0
        self.notifier = Notifier(
            store=self.store,
            dialer=self,
            policy_of=lambda _: Policy.of(["public"]),
            rewrites={},
            keys=(),
            clock=SteadyClock(loop.time, loop.time),
            rng=Random(7),
            log=structlog.wrap_logger(None, [_drop]),
            observer=Observers(),
            withheld=lambda _: False,
        )

    async def post(self, to: Destination, headers: dict[str, str], body: bytes) -> Answer | Silence:
        began = self.now()
        takes_s, answer = self.behave(to.url)
        # It is what makes time pass here.
        await asyncio.sleep(takes_s)
        self.called[to.url].append((began, self.now()))
        return answer

    async def start(self) -> None:
        """A dialer of this kind has nothing to open."""

    async def stop(self) -> None:
        """A dialer of this kind has nothing to close."""

    async def owe(self, *urls: str, app: str = "shop") -> None:
        """Let a job end for each of them."""
        for url in urls:
            self._count += 1
            await self.store.owe(self._count, url, self.now(), tenant=app)
        self.notifier.wake()

    async def owe_good(self, app: str = "shop") -> None:
        """See that one who answers is called soon."""
        self._count += 1
        url = f"{ORIGIN}/good/{self._count}"
        await self.store.owe(self._count, url, asked_at := self.now(), tenant=app)
        self.notifier.wake()
        await asyncio.sleep(SOON_S)
        assert [began - asked_at <= SOON_S for began, _ in self.called[url]] == [True]


def _drop(*_: object) -> str:
    raise structlog.DropEvent


@asynccontextmanager
async def world(behave: Callable[[str], tuple[float, Answer | Silence]]) -> AsyncIterator[World]:
    built = World(behave)
    await built.notifier.start()
    try:
        yield built
    finally:
        await built.notifier.stop()


def keeps_its_times(calls: list[tuple[float, float]]) -> bool:
    """It was never called late; and early twice at most: then the schedule may repeat steps."""
    pauses = [after[0] - before[1] for before, after in pairwise(calls)]
    late = [pause > 1.21 * step + LINE_S for pause, step in zip(pauses, STEPS_S, strict=False)]
    repeated = (*STEPS_S[:1] * 2, *STEPS_S)
    early = [pause < 0.79 * step for pause, step in zip(pauses, repeated, strict=False)]
    return not any(late) and sum(early) <= 2


class Bad(NamedTuple):
    """Those that fail for ever: how many, for how long each time, and how."""

    counts: Sequence[int]
    durations: Sequence[float]
    answers: Sequence[Answer | Silence]


BAD = {
    "failing": Bad(range(2, 80), (0.01, 0.3), [Answer(status=each) for each in (500, 501, 505)]),
    "away": Bad(range(2, 6), (0.01, 0.3), [Answer(status=each) for each in (502, 503, 504)]),
    "hanging": Bad(range(2, 6), (15.0,), [Silence.TIMED_OUT]),
    "cut": Bad(range(2, 6), (0.01, 3.0), [Silence.CUT, Silence.UNREACHABLE]),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", BAD)
def test_those_that_fail_for_ever_hold_nobody_up(kind: str, seed: int) -> None:
    """A good one at their origin is called within seconds, at any time and at any pace of theirs;
    and they themselves are called by their schedule."""
    rng = Random(seed)
    counts, durations, answers = BAD[kind]
    bad = {
        f"{ORIGIN}/bad/{number}": (rng.choice(durations), rng.choice(answers))
        for number in range(rng.choice(counts))
    }

    @jumping
    async def run() -> None:
        async with world(lambda url: bad.get(url, (0.1, TAKEN))) as built:
            await built.owe(*bad)
            for _ in range(20):
                await built.owe_good()
                await asyncio.sleep(rng.uniform(0, rng.choice([2, 60, 600])))
            assert all(len(built.called[url]) > 5 for url in bad)
            assert [url for url in bad if not keeps_its_times(built.called[url])] == []

    run()


@pytest.mark.parametrize("count", [20, 40])
def test_a_crowd_that_hangs_holds_its_own_app_up_for_seconds(count: int) -> None:
    """Each that takes long makes room for another; once they have failed, they hold nobody up."""

    @jumping
    async def run() -> None:
        bad = [f"{ORIGIN}/bad/{number}" for number in range(count)]
        async with world(
            lambda url: (15.0, Silence.TIMED_OUT) if url in bad else (0.1, TAKEN)
        ) as built:
            began = built.now()
            await built.owe(*bad, f"{ORIGIN}/good")
            await asyncio.sleep(60)
            assert built.called[f"{ORIGIN}/good"][0][0] - began <= count / 2
            for _ in range(20):
                await built.owe_good()
                await asyncio.sleep(30)

    run()


@pytest.mark.parametrize(("origins", "apps"), [(1, 1), (7, 1), (100, 2)])
def test_no_apps_hold_another_up(origins: int, apps: int) -> None:
    """However many of their callbacks hang, at one origin, the other's own, or at many."""

    @jumping
    async def run() -> None:
        crowd = [
            f"https://n8n{number % origins or ''}.example.com/bad/{number}"
            for number in range(3_000 // apps)
        ]
        async with world(
            lambda url: (15.0, Silence.TIMED_OUT) if "bad" in url else (0.1, TAKEN)
        ) as built:
            for app in range(apps):
                await built.owe(*(f"{url}/{app}" for url in crowd), app=f"crowd {app}")
            for _ in range(3):
                await built.owe_good()
                await asyncio.sleep(20)

    run()


def test_a_receiver_that_is_away_is_not_hammered() -> None:
    """A thousand callbacks of an hour: one try each, one every two seconds, and a few probes."""
    away = True

    @jumping
    async def run() -> None:
        async with world(lambda _: (0.01, Silence.UNREACHABLE if away else TAKEN)) as built:
            urls = [f"{ORIGIN}/{number}" for number in range(1_000)]
            await built.owe(*urls)
            await asyncio.sleep(3_600)
            calls = sorted(began for each in built.called.values() for began, _ in each)
            assert len(calls) < 1_200
            assert all(len(built.called[url]) >= 1 for url in urls)
            nonlocal away
            away = False
            await asyncio.sleep(310)
            assert await built.store.due(built.now() + 1e6, 9) == []

    run()


def _slowly(store: WatchedStore, rng: Random) -> None:
    """Let each answer of the store be late, each time by another while."""

    def late(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        async def answer(*args: Any) -> T:
            answered = await method(*args)
            await asyncio.sleep(rng.choice([0, 0.001, 0.02, 0.1, 0.3]))
            return answered

        return answer

    for name in ("due", "delivery", "record"):
        setattr(store, name, late(getattr(store, name)))


@pytest.mark.parametrize("seed", range(8))
def test_none_follows_a_2xx_where_those_that_failed_are_fetched(seed: int) -> None:
    """However slow the store is, and whatever is due by itself at that moment."""
    rng = Random(seed)
    up = False
    taken: list[str] = []

    def answer(url: str) -> tuple[float, Answer]:
        if up:
            taken.append(url)
        return 0.05, Answer(status=200 if up else 500)

    @jumping
    async def run() -> None:
        nonlocal up
        async with world(answer) as built:
            _slowly(built.store, rng)
            urls = [f"{ORIGIN}/{number:02}" for number in range(40)]
            await built.owe(*urls)
            await asyncio.sleep(rng.uniform(1, 10))
            up = True
            await asyncio.sleep(60)
            assert sorted(taken) == urls

    run()


def test_those_that_are_fetched_are_held_some_at_a_time() -> None:
    """Each comes with its body, and there may be any number."""
    up = False
    at_once: set[int] = set()

    @jumping
    async def run() -> None:
        nonlocal up
        async with world(lambda _: (0.01, Answer(status=200 if up else 500))) as built:
            await built.owe(*(f"{ORIGIN}/{number}" for number in range(400)))
            await asyncio.sleep(3_600)
            _slowly(built.store, Random(1))
            up = True
            found = built.store.delivery
            asked = 0

            async def delivery(job_id: str) -> Delivery | None:
                nonlocal asked
                asked += 1
                at_once.add(asked)
                try:
                    return await found(job_id)
                finally:
                    asked -= 1

            built.store.delivery = delivery  # type: ignore[method-assign]
            await built.owe_good()

    run()
    assert 1 < max(at_once) <= 256
