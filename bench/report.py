"""The table: medians, their spread, and ratios of what was measured in the same run."""

import statistics
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from bench.row import Figures, Line, Row


class Rounds(NamedTuple):
    """All measurements of one row; those of one round side by side. `alone` is the upstream's."""

    row: Row
    gateway: list[Figures]
    bare: list[Figures]
    alone: Figures


def table(measured: list[Rounds], runs: int) -> Table:
    """Every row's lines."""
    made = Table(
        box=box.SIMPLE_HEAD, title=f"Median of {runs} runs (lowest–highest)", title_justify="left"
    )
    made.add_column("work")
    for heading in ("", "gateway", "bare aiohttp", "ratio", "to reach"):
        made.add_column(heading, justify="right")
    for rounds in measured:
        for line in rounds.row.lines:
            made.add_row(*_cells(rounds, line))
        made.add_section()
    return made


def _cells(rounds: Rounds, line: Line) -> tuple[str, ...]:
    gateway = _values(rounds.gateway, line, rounds.alone)
    bare = _values(rounds.bare, line, rounds.alone)
    ratio = ""
    if line.compared and not line.added:
        ratio = spread([ours / theirs for ours, theirs in zip(gateway, bare, strict=True)], 2)
    return (line.what, line.unit, spread(gateway), spread(bare), ratio, line.goal)


def _values(figures: list[Figures], line: Line, alone: Figures) -> list[float]:
    taken = alone[line.key] if line.added else 0.0
    return [figure[line.key] - taken for figure in figures]


def spread(values: list[float], digits: int | None = None) -> str:
    """The median, and in brackets the lowest and highest."""
    middle = statistics.median(values)
    if digits is None:
        digits = 0 if abs(middle) >= 100 else 1 if abs(middle) >= 10 else 2
    low, high = min(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def busy(rounds: Rounds) -> str | None:
    """How busy the cores were, in words; a full load core would say that the load held it up."""
    if "busy" not in rounds.gateway[0]:
        return None
    shares = (
        f"{name} {_median(figures, 'busy'):.0f} % ({_median(figures, 'load'):.0f} %)"
        for name, figures in (("gateway", rounds.gateway), ("bare", rounds.bare))
    )
    return f"{rounds.row.name}: {', '.join(shares)}"


def _median(figures: list[Figures], key: str) -> float:
    return statistics.median(figure[key] for figure in figures)


def show(measured: list[Rounds], runs: int) -> None:
    """Print the table whole, however narrow the terminal, and how busy the cores were."""
    console = Console(width=132, soft_wrap=True, highlight=False)
    console.print(table(measured, runs))
    shares = [text for rounds in measured if (text := busy(rounds))]
    if shares:
        console.print(f"Core of the server busy (of load and upstream): {'; '.join(shares)}.")
