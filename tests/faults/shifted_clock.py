"""A process whose wall clock shows another time than the machine's: a file says how far off.

`python -m tests.faults.shifted_clock FILE python SCRIPT …` becomes the script. What passes between
two looks at a clock is as it was: only the wall can be set.
"""

import runpy
import struct
import sys
import time
from mmap import ACCESS_READ, mmap
from pathlib import Path

_OFFSET = struct.Struct("d")


def shift(file: Path, seconds: float) -> None:
    """Set the wall clock of whoever was started with the file so far ahead."""
    if file.exists():
        # In place: it is looked at where it lies.
        with open(file, "r+b") as opened:
            opened.write(_OFFSET.pack(seconds))
    else:
        file.write_bytes(_OFFSET.pack(seconds))


def main(file: Path, typed: list[str]) -> None:
    """Run a script in this process."""
    with open(file, "rb") as opened:
        offset = mmap(opened.fileno(), 0, access=ACCESS_READ)
    right = time.time
    time.time = lambda: right() + _OFFSET.unpack(offset[:])[0]
    sys.argv = typed
    runpy.run_path(typed[0], run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[3:])
