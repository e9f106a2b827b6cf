"""The jumping loop: no time passes but by timers, and a stuck test fails."""

import asyncio
import time

import pytest

from tests.engine.virtual_clock import jumping


def test_an_hour_passes_at_once() -> None:
    """Timers fire in the order of their times, and none of them takes real time."""
    seen: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, asyncio.get_running_loop().time() - 1000.0))

    @jumping
    async def race() -> None:
        await asyncio.gather(sleep("late", 3600), sleep("soon", 0.5), sleep("mid", 60))

    began = time.monotonic()
    race()
    assert time.monotonic() - began < 60
    assert seen == [("soon", 0.5), ("mid", 60.0), ("late", 3600.0)]


def test_threads_are_waited_for() -> None:
    """Virtual time stands while a thread works."""

    @jumping
    async def wait() -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.02)
        assert loop.time() == 1000.0

    wait()


def test_a_stuck_test_fails() -> None:
    """Waiting for what nobody will do is an error, not a hang."""

    @jumping
    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        stuck()


def test_a_task_left_behind_fails_the_test() -> None:
    """A test that forgets a task hears of it."""

    @jumping
    async def forgetful() -> None:
        forgetful.task = asyncio.create_task(asyncio.sleep(9))  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match="left behind"):
        forgetful()
