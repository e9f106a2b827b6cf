"""`python -m bench`: CPU time per unit of work, beside a bare aiohttp server.

Every row does the same work on both, in turns, in the same run and on the same core. There is
no pass or fail. bench/README.md says how to read it.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence

import aiohttp

from bench import fanout, idle, jobs, machine, streams
from bench.machine import Cores
from bench.report import Report, Rounds
from bench.row import Row
from bench.size import FULL, QUICK, TINY, Size
from bench.target import Targets, started

ROWS = (
    streams.PACED,
    streams.BULK,
    fanout.FAST,
    fanout.EACH_50_MS,
    fanout.LAG,
    jobs.JOBS,
    idle.IDLE,
    streams.LONE,
)


async def measure(row: Row, size: Size, cores: Cores) -> Rounds:
    """All rounds of one row."""
    rounds = Rounds(row, [], [], {})
    if row.fresh:
        for _ in range(size.runs):
            async with started(cores) as targets:
                await _round(rounds, targets, size)
        return rounds
    async with started(cores) as targets:
        # Connections, caches and compiled patterns are made before anything counts.
        await _round(Rounds(row, [], [], {}), targets, TINY)
        if row.alone is not None:
            rounds.alone.update(await row.alone(targets.direct, size))
        for _ in range(size.runs):
            await _round(rounds, targets, size)
    return rounds


async def _round(rounds: Rounds, targets: Targets, size: Size) -> None:
    for target, figures in ((targets.gateway, rounds.gateway), (targets.bare, rounds.bare)):
        figures.append(await rounds.row.measure(target, size))


async def measure_all(rows: Sequence[Row], size: Size, cores: Cores, report: Report) -> None:
    """The rows one after the other; each is reported when it is done."""
    for row in rows:
        report.add(await measure(row, size, cores))


def _typed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(names)}; or all")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="fewer runs of less work")
    sizes.add_argument("--tiny", action="store_true", help="next to nothing: does it run at all?")
    parser.add_argument("--runs", type=int, help="times that each row is measured")
    typed = parser.parse_args(argv)
    unknown = set(typed.rows) - set(names)
    if unknown:
        parser.error(f"no row is named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return typed


def _conditions(cores: Cores, took_s: float) -> str:
    where = "a core shared with the load" if cores.shared else f"core {cores.server}"
    return (
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, {machine.LOOP} in "
        f"every process; servers on {where}; {took_s:.0f} s in all."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was named, and print the table."""
    typed = _typed(argv)
    size = QUICK if typed.quick else TINY if typed.tiny else FULL
    size = size._replace(runs=typed.runs or size.runs)
    rows = [row for row in ROWS if not typed.rows or row.name in typed.rows]
    cores = machine.cores()
    os.sched_setaffinity(0, {cores.load})
    began = time.monotonic()
    report = Report()
    report.say(f"Median of {size.runs} runs (lowest–highest)")
    machine.run(measure_all(rows, size, cores, report))
    report.say(_conditions(cores, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
