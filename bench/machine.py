"""What the operating system knows: cores, and the CPU time and memory of a process."""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import psutil

T = TypeVar("T")

try:
    import uvloop
except ImportError:
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    LOOP = "asyncio"
else:
    _new_loop = uvloop.new_event_loop
    LOOP = "uvloop"


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on the loop that the gateway would take here."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


class Cores(NamedTuple):
    """Where things run: the server under test alone on one, everything else on the other."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        return self.server == self.load


def cores() -> Cores:
    """The first two cores that this process may use; the only one twice."""
    mine = sorted(os.sched_getaffinity(0))
    return Cores(mine[0], mine[1] if len(mine) > 1 else mine[0])


def cpu_s(pid: int) -> float:
    """CPU time that a process and its threads have used, user and system, in seconds.

    By its CPU clock, which counts nanoseconds where /proc/PID/stat counts hundredths.
    """
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProcessLookupError(pid)
    return time.clock_gettime(clock.value)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    resident: int = psutil.Process(pid).memory_info().rss
    return resident


def core_busy_s(core: int) -> float:
    """CPU time that a core has spent since boot on whatever process, or lost to its host."""
    times = psutil.cpu_times(percpu=True)[core]
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
