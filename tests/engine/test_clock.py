"""The clock of this machine."""

import asyncio
import time

import pytest

from gateway.engine.clock import SteadyClock


async def test_a_wait_ends_with_its_event() -> None:
    """Long before its time is over."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)
    async with asyncio.timeout(5):
        await SteadyClock().wait(event, 60)
    assert event.is_set()


async def test_a_wait_ends_with_its_time() -> None:
    """Quietly, whether or not the event came."""
    clock, event = SteadyClock(), asyncio.Event()
    before = clock.now()
    await clock.wait(event, 0.02)
    assert clock.now() - before >= 0.015
    assert abs(clock.now() - time.time()) < 1


HOUR = 3600.0
DAY = 24 * HOUR
EPOCH = 1_795_214_640.0


class Machine:
    """A clock on a wall that can be set, and the time that passes whatever it shows."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.passed = 5.0
        self.ahead = ahead
        self.clock = SteadyClock(lambda: EPOCH + self.passed + self.ahead, lambda: self.passed)

    def after(self, seconds: float, steps: int = 100) -> float:
        """What the clock shows when so much time has passed, in which it was often asked."""
        for _ in range(steps):
            self.passed += seconds / steps
            shown = self.clock.now()
        return shown


@pytest.mark.parametrize("jump", [HOUR, -HOUR, -DAY, DAY])
def test_nothing_is_over_early_where_the_wall_is_set(jump: float) -> None:
    """A minute stays a minute, give or take a tenth; and the clock never goes back."""
    machine = Machine()
    before = machine.clock.now()
    machine.ahead = jump
    assert machine.clock.now() == before
    assert machine.after(60) - before == pytest.approx(60, abs=6.001)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_wall_that_stays_set_is_believed_in_time(jump: float) -> None:
    """Ten times as long as the jump, and the two agree."""
    machine = Machine()
    machine.ahead = jump
    assert abs(machine.after(9 * HOUR) - machine.clock.wall()) > 60
    assert machine.after(2 * HOUR) == pytest.approx(machine.clock.wall(), abs=1e-3)


def test_a_wall_that_had_never_been_set_is_believed_at_once() -> None:
    """A machine that began in 1970 and has found its time server."""
    machine = Machine(ahead=-EPOCH)
    machine.ahead = 0.0
    assert machine.after(1.0) == pytest.approx(machine.clock.wall(), abs=1e-3)


def test_small_steps_do_not_add_up() -> None:
    """Asked a million times, it shows what the wall shows."""
    machine = Machine()
    assert machine.after(100, steps=1_000_000) == pytest.approx(machine.clock.wall(), abs=1e-4)
