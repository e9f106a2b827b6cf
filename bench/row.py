"""A row of the table: some work, and what is read off when it has been done once."""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

from bench import machine
from bench.size import Size
from bench.target import Direct, Target

# The figures of one measurement, by their lines' keys; `busy` and `load` beside them: how much of
# their cores the server and what loads it used, percent.
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
    """Clocks at one moment: the wall's, the server's and the load's CPU time, in seconds."""

    wall: float
    server: float
    load: float

    @classmethod
    def of(cls, target: Target | Direct) -> Self:
        upstream = target.provider.server
        load = time.process_time() + machine.cpu_s(upstream.pid)
        return cls(time.perf_counter(), target.server.cpu_s(), load)

    def since(self, earlier: "Reading") -> "Reading":
        return Reading(*(now - then for now, then in zip(self, earlier, strict=True)))

    def us_per(self, units: int) -> float:
        """CPU µs of the server for each unit."""
        return self.server / units * 1e6

    def busy(self) -> Figures:
        """How much of their cores the server and what loads it used, percent."""
        return {"busy": self.server / self.wall * 100, "load": self.load / self.wall * 100}


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
