"""What a person sees: lines, tables and JSON; never what could move the terminal's cursor."""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

# C0 and C1 but for tab and line feed, and what turns the direction of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_CELL_MOST = 60
_GAP = "  "


def say(text: str) -> None:
    """A line beside the result, on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def show(text: str, end: str = "\n") -> None:
    """A piece of the result: exact where a program reads it, harmless where a person does."""
    print(printable(text) if sys.stdout.isatty() else text, end=end, flush=True)


def show_json(value: Any) -> None:
    """The result for a program: one value, on as many lines as it takes."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def show_line(value: Any) -> None:
    """One of many values for a program: one a line, at once."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)


def show_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns under their names; None is a dash. On a terminal a long cell is cut, and columns that
    have no place beside the others stand below them, further in.
    """
    from rich.cells import cell_len

    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    most = _CELL_MOST if sys.stdout.isatty() else sys.maxsize
    lines = [list(head), *([_cell(each, most) for each in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    folds = _folds(widths, wide)
    for line in lines:
        cells = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)
        ]
        for begin, end in pairwise(folds):
            print((_GAP if begin else "") + _GAP.join(cells[begin:end]).rstrip())


def _folds(widths: Sequence[int], wide: int) -> list[int]:
    """The columns with which a line begins, and how many there are."""
    folds, taken = [0], 0
    for number, width in enumerate(widths):
        if number and taken + width > wide:
            folds.append(number)
            taken = len(_GAP)
        taken += width + len(_GAP)
    return [*folds, len(widths)]


def show_fields(fields: dict[str, Any]) -> None:
    """One thing: a line for each thing that is known of it."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        if value is not None:
            show(f"{name:<{width}}  {value}")


def printable(text: str) -> str:
    """The text without what a terminal takes for a command."""
    return _CONTROL.sub("", text)


def clock(at: float | None) -> str | None:
    """A moment as the clock on this machine's wall shows it."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _cell(value: Any, most: int) -> str:
    text = "-" if value is None else printable(" ".join(str(value).split()))
    return text if len(text) <= most else f"{text[: most - 1]}…"
