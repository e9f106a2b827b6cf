"""A row of the table: some work, and what is read off when it has been done once."""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

from bench import machine
from bench.size import Size
from bench.target import Direct, Target

# The figures of one measurement, by their lines' keys; and how much, in percent, the server
# (`busy`) and other processes (`others`) used of its core, and what loads it (`load`) of the other.
Figures = dict[str, float]


class Line(NamedTuple):
    """One figure of a row.

    Attributes:
        goal: what the gateway is to reach, in words.
        compared: the ratio to the bare server means something.
        added: of a time, only what is more than the upstream takes by itself counts.
    """

    key: str
    what: str
    unit: str
    goal: str = ""
    compared: bool = True
    added: bool = False


class Row(NamedTuple):
    """Some work.

    Attributes:
        measure: does it once against a server, and proves that it was done whole.
        alone: does what can be done against the upstream alone, for the lines that are `added`.
        fresh: every measurement needs a server that has done nothing before.
    """

    name: str
    lines: tuple[Line, ...]
    measure: Callable[[Target, Size], Awaitable[Figures]]
    alone: Callable[[Direct, Size], Awaitable[Figures]] | None = None
    fresh: bool = False


class Reading(NamedTuple):
    """Clocks at one moment, seconds: the wall's; CPU time of server, its core, and the load."""

    wall: float
    server: float
    core: float
    load: float

    @classmethod
    def of(cls, target: Target | Direct) -> Self:
        upstream = target.provider.server
        load = time.process_time() + machine.cpu_s(upstream.pid)
        core = machine.core_busy_s(target.server.core)
        return cls(time.perf_counter(), target.server.cpu_s(), core, load)

    def since(self, earlier: "Reading") -> "Reading":
        return Reading(*(now - then for now, then in zip(self, earlier, strict=True)))

    def us_per(self, units: int) -> float:
        """CPU µs of the server for each unit."""
        return self.server / units * 1e6

    def busy(self) -> Figures:
        """Who used how much of the cores, percent."""
        others = max(0.0, self.core - self.server)
        shares = {"busy": self.server, "others": others, "load": self.load}
        return {name: spent / self.wall * 100 for name, spent in shares.items()}


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
