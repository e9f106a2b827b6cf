"""The table: medians, their spread, and ratios of what was measured in the same round."""

import statistics
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from bench.row import Figures, Line, Row

_COLUMNS = {"": 42, "unit": 8, "gateway": 24, "bare aiohttp": 24, "ratio": 17, "to reach": 9}
_WIDTH = 144


class Rounds(NamedTuple):
    """All measurements of one row; those of one round side by side. `alone` is the upstream's."""

    row: Row
    gateway: list[Figures]
    bare: list[Figures]
    alone: Figures


class Report:
    """Prints each row as soon as it is measured, in columns that agree."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(width=_WIDTH, highlight=False)
        self._begun = False

    def add(self, rounds: Rounds) -> None:
        """Print one row."""
        table = Table(
            box=box.SIMPLE_HEAD, show_header=not self._begun, pad_edge=False, show_edge=False
        )
        for i, (heading, width) in enumerate(_COLUMNS.items()):
            table.add_column(heading, width=width, justify="right" if i else "left")
        for line in rounds.row.lines:
            table.add_row(*_cells(rounds, line))
        if "busy" in rounds.gateway[0]:
            table.add_row("  core busy + others on it (load's core)", "%", *_busy(rounds))
        self._console.print(table)
        self._console.print()
        self._begun = True

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(text)


def _cells(rounds: Rounds, line: Line) -> tuple[str, ...]:
    gateway = _values(rounds.gateway, line, rounds.alone)
    bare = _values(rounds.bare, line, rounds.alone)
    ratio = ""
    if line.compared and not line.added and min(bare) > 0:
        ratio = spread([ours / theirs for ours, theirs in zip(gateway, bare, strict=True)], 2)
    return (line.what, line.unit, spread(gateway), spread(bare), ratio, line.goal)


def _values(figures: list[Figures], line: Line, alone: Figures) -> list[float]:
    taken = alone[line.key] if line.added else 0.0
    return [figure[line.key] - taken for figure in figures]


def _busy(rounds: Rounds) -> tuple[str, ...]:
    """How full the cores were: others disturb, and a full one of the load's held the server up."""
    return tuple(
        f"{_median(figures, 'busy'):.0f} + {_median(figures, 'others'):.0f}"
        f" ({_median(figures, 'load'):.0f})"
        for figures in (rounds.gateway, rounds.bare)
    )


def _median(figures: list[Figures], key: str) -> float:
    return statistics.median(figure[key] for figure in figures)


def spread(values: list[float], digits: int | None = None) -> str:
    """The median, and in brackets the lowest and highest."""
    middle = statistics.median(values)
    if digits is None:
        digits = 0 if abs(middle) >= 100 else 1 if abs(middle) >= 10 else 2
    low, high = min(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
